package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/repeat"
)

// errBody says that a dry exchange has no body to check.
var errBody = fmt.Errorf("the body is signed: %w", filter.ErrUnsaid)

// hasBody says whether a request has a body, perhaps an empty one.
func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
}

// whole reads the whole body into memory, and puts it back for the upstream: nobody may act on a body that was not checked.
func whole(ex *filter.Exchange, most int64) ([]byte, error) {
	r := ex.Request
	if !hasBody(r) {
		return nil, nil
	}
	tooLarge := func() error {
		return filter.Reject(filter.BodyTooLarge, "The body of a signed request may have at most %s here.", config.Size(most))
	}
	if r.ContentLength > most {
		return nil, tooLarge()
	}
	body, all, err := repeat.Read(r.Body, most, r.ContentLength)
	switch {
	case err != nil:
		return nil, repeat.Unread(ex, err)
	case !all:
		return nil, tooLarge()
	}
	_ = r.Body.Close()
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	r.Trailer = nil // what comes after the body is not signed
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	return body, nil
}

// checkDigest checks a body against the field Content-Digest (RFC 9530, section 2). Of the digests in it all that are known must be right,
// and one must be.
func checkDigest(field string, body []byte) error {
	digests, err := parseDictionary(field)
	if err != nil {
		return fmt.Errorf("the field Content-Digest: %w", err)
	}
	known := 0
	for i := range digests {
		d := &digests[i]
		if d.list || d.kind != binary {
			return fmt.Errorf("the digest %q of Content-Digest is no sequence of bytes", d.key)
		}
		var sum []byte
		switch d.key {
		case "sha-256":
			s := sha256.Sum256(body)
			sum = s[:]
		case "sha-512":
			s := sha512.Sum512(body)
			sum = s[:]
		default:
			continue
		}
		if known++; subtle.ConstantTimeCompare(sum, []byte(d.text)) != 1 {
			return fmt.Errorf("the body is not the one of the %s in Content-Digest", d.key)
		}
	}
	if known == 0 {
		return errors.New("the field Content-Digest has neither sha-256 nor sha-512")
	}
	return nil
}
