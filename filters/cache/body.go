package cache

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
)

// bodyDigest is a digest of a body, and of what says how it is to be read.
func bodyDigest(r *http.Request, body []byte) string {
	h := sha256.New()
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language"} {
		_, _ = io.WriteString(h, strings.Join(slices.Clone(r.Header[name]), ", ")+"\n")
	}
	_, _ = h.Write(body)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
