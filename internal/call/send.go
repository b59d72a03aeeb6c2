package call

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"cardea.dev/cardea/filter"
)

// StatusError says that an answer's status is of no use.
type StatusError struct {
	Status int
	Header http.Header // such as Retry-After
}

// Error tells operators.
func (e *StatusError) Error() string { return fmt.Sprintf("the answer is %d", e.Status) }

// FormatError says that an answer is not what it should be.
type FormatError struct{ Reason string }

// Error tells operators.
func (e *FormatError) Error() string { return e.Reason }

// Send sends the request of a call. Child is an exchange of its own (filter.Exchange.Child), which learns of the attempts. The answer's status is of use. The
// error is a *StatusError, or the upstream's.
func (n *Call) Send(child *filter.Exchange) (*http.Response, error) {
	resp, err := n.Upstream.Do(child, child.Request)
	if err != nil {
		if late := context.Cause(child.Context()); late != nil {
			err = late
		}
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if n.Method == http.MethodHead {
		resp.ContentLength = 0 // it is that of the answer to GET
	}
	if n.Accepts(resp.StatusCode) {
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, &StatusError{resp.StatusCode, resp.Header}
}

// JSON returns the body of an answer that says that it is JSON, without its content coding. It does not look into it. An answer without a body gives nil.
func JSON(resp *http.Response) (io.Reader, error) {
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusResetContent || resp.ContentLength == 0 {
		return nil, nil
	}
	kind, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err != nil && resp.Header.Get("Content-Type") == "":
		return nil, &FormatError{"the answer has no Content-Type, and should be JSON"}
	case err != nil:
		return nil, &FormatError{fmt.Sprintf("the answer's Content-Type, %.60q, cannot be read", resp.Header.Get("Content-Type"))}
	case !isJSON(kind):
		return nil, &FormatError{fmt.Sprintf("the answer is %.60s, and should be JSON", kind)}
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return nil, &FormatError{fmt.Sprintf("the answer is in %.40q, and JSON is in UTF-8 (RFC 8259, section 8.1)", charset)}
	}
	// A coding was not asked for; some servers send it all the same.
	coding := codingOf(resp.Header)
	r, known, err := uncoded(resp.Body, coding)
	switch {
	case !known:
		return nil, &FormatError{fmt.Sprintf("the answer's content coding, %.40q, is not known", coding)}
	case err != nil:
		return nil, &FormatError{fmt.Sprintf("the answer is not %s, as it says: %v", coding, err)}
	}
	return r, nil
}

// codingOf is the content coding of a body; "": it has none.
func codingOf(h http.Header) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
}

// uncoded takes a content coding off a body. The error is that the body does not begin as one in that coding does.
func uncoded(body io.Reader, coding string) (r io.Reader, known bool, err error) {
	switch coding {
	case "", "identity":
		return body, true, nil
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(body)
	case "deflate":
		r, err = zlib.NewReader(body)
	default:
		return nil, false, nil
	}
	return r, true, err
}
