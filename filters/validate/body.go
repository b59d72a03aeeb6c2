package validate

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/openapi"
	"cardea.dev/cardea/internal/repeat"
)

// unreadError is that a body could not be read: it is refused, whatever the mode.
type unreadError struct{ err error }

func (e *unreadError) Error() string { return e.err.Error() }

func (e *unreadError) Unwrap() error { return e.err }

// hasBody says whether a request has a body, perhaps an empty one.
func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody && r.Method != http.MethodConnect
}

// checkBody checks the body of a request, if there is something to check it against. It says whether the body could not be checked.
func (p *policy) checkBody(ex *filter.Exchange, operation *openapi.Operation, l *openapi.List) (unchecked bool, err error) {
	r := ex.Request
	content, needed, err := p.content(r, operation)
	if !hasBody(r) {
		if needed {
			l.Add(filter.Violation{In: "body", Reason: "is missing"})
		}
		return false, nil
	}
	if err != nil {
		return false, unsupported(err)
	}
	if content == nil {
		return false, nil
	}
	decode, err := decoder(r.Header)
	if err != nil {
		return false, filter.Reject(filter.MediaTypeUnsupported, "The Content-Encoding of the body is none that is read here.").With("Accept-Encoding", "gzip, deflate").Because(err)
	}
	tooLarge := filter.Reject(filter.BodyTooLarge, "The body of the request may have at most %s here.", p.maxText)
	if r.ContentLength > p.max {
		return p.report, unlessReported(p.report, tooLarge)
	}
	text, whole, err := repeat.Read(r.Body, p.max, r.ContentLength)
	if err != nil {
		return false, &unreadError{repeat.Unread(ex, err)}
	}
	r.Body = repeat.Rejoin(text, whole, r.Body)
	if !whole {
		return p.report, unlessReported(p.report, tooLarge)
	}
	if len(text) == 0 && needed {
		l.Add(filter.Violation{In: "body", Reason: "is missing"})
		return false, nil
	}
	if len(text) == 0 {
		return false, nil
	}
	plain, err := decode(text, p.max)
	switch {
	case errors.Is(err, errLarge):
		return p.report, unlessReported(p.report, tooLarge)
	case err != nil:
		l.Add(filter.Violation{In: "body", Reason: "is not encoded as its Content-Encoding says"})
	default:
		content.Check(plain, p.bounds, l)
	}
	return false, nil
}

// unlessReported is an error, unless requests are only looked at.
func unlessReported(only bool, e *filter.Error) error {
	if only {
		return nil
	}
	return e
}

// content says how the body of a request is checked, and whether there must be one.
func (p *policy) content(r *http.Request, operation *openapi.Operation) (content *openapi.Content, needed bool, err error) {
	if operation != nil {
		content, err := operation.Body(contentType(r.Header))
		return content, operation.BodyNeeded(), err
	}
	if p.request == nil {
		return nil, false, nil
	}
	needed = r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
	return p.request, needed, openapi.JSONOnly(contentType(r.Header))
}

// contentType is the Content-Type. Several are one that is not well formed: others might read another one of them.
func contentType(h http.Header) string {
	if values := h["Content-Type"]; len(values) != 1 {
		return strings.Join(values, ", ")
	}
	return h["Content-Type"][0]
}

// unsupported makes the error of a media type that is none of those that are allowed.
func unsupported(err error) *filter.Error {
	e := filter.Reject(filter.MediaTypeUnsupported, "").Because(err)
	var wrong *openapi.UnsupportedError
	if errors.As(err, &wrong) {
		e.Detail = "The media type of the body is none of: " + wrong.Allowed + "."
	}
	return e
}

// errLarge says that a body is too large once it is decoded.
var errLarge = errors.New("the body is too large once it is decoded")

// decoder returns what decodes a body for its being checked, by the Content-Encoding (RFC 9110, section 8.4).
func decoder(h http.Header) (func(text []byte, most int64) ([]byte, error), error) {
	var open func(io.Reader) (io.ReadCloser, error)
	switch coding := strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ","))); coding {
	case "", "identity":
		return func(text []byte, _ int64) ([]byte, error) { return text, nil }, nil
	case "gzip", "x-gzip":
		open = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "deflate":
		open = zlib.NewReader
	default:
		return nil, fmt.Errorf("the Content-Encoding is %.50q", coding)
	}
	return func(text []byte, most int64) ([]byte, error) { return decoded(open, text, most) }, nil
}

// decoded decodes a whole body. What comes after its end is an error: somebody else might read it.
func decoded(open func(io.Reader) (io.ReadCloser, error), text []byte, most int64) ([]byte, error) {
	in := bytes.NewReader(text)
	r, err := open(in)
	if err != nil {
		return nil, fmt.Errorf("cannot decode the body: %w", err)
	}
	defer r.Close()
	plain, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot decode the body: %w", err)
	case int64(len(plain)) > most:
		return nil, errLarge
	case in.Len() > 0:
		return nil, errors.New("something comes after the end of the encoded body")
	}
	return plain, nil
}
