package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
)

// takeBody reads a request's body, if it is not too long, and leaves it there to be read again.
func takeBody(r *http.Request, most int64) (body []byte, why string, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, "", nil
	}
	if r.ContentLength > most {
		return nil, "body", nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, "", err
	}
	if int64(len(body)) > most || len(r.Trailer) > 0 {
		r.Body = &rejoined{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return nil, "body", nil
	}
	setBody(r, body)
	return body, "", nil
}

// rejoined is a body of which the beginning has been read.
type rejoined struct {
	io.Reader
	io.Closer
}

// setBody gives a request a body that is in memory.
func setBody(r *http.Request, body []byte) {
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
}

// bodyDigest is a digest of a body, and of what says how it is to be read.
func bodyDigest(r *http.Request, body []byte) string {
	h := sha256.New()
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language"} {
		_, _ = io.WriteString(h, strings.Join(slices.Clone(r.Header[name]), ", ")+"\n")
	}
	_, _ = h.Write(body)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
