package rules

import "net/http"

// Request is what a request's head says to caches. The lines of the fields are as they came; they are read when a response is selected.
type Request struct {
	Control Control
	Pragma  bool // Pragma: no-cache, and no Cache-Control (RFC 9111, section 5.4)

	Range         []string
	IfRange       []string
	NoneMatch     []string
	ModifiedSince []string
}

// ParseRequest reads a request's head. It does not allocate for usual ones.
func ParseRequest(r *http.Request) Request {
	q := Request{
		Range:         r.Header["Range"],
		NoneMatch:     r.Header["If-None-Match"],
		ModifiedSince: r.Header["If-Modified-Since"],
	}
	if len(q.Range) > 0 {
		q.IfRange = r.Header["If-Range"]
	}
	if lines := r.Header["Cache-Control"]; len(lines) > 0 {
		q.Control = ParseControl(lines)
		return q
	}
	if lines := r.Header["Pragma"]; len(lines) > 0 {
		pragma := ParseControl(lines)
		q.Pragma = pragma.Has(NoCache)
	}
	return q
}

// Conditional says whether the client asks for a response only if its own is not current.
func (q *Request) Conditional() bool { return len(q.NoneMatch) > 0 || len(q.ModifiedSince) > 0 }

// OnlyIfCached says whether the client wants nothing that is not stored: what cannot be used is a 504 (RFC 9111, section 5.2.1.7).
func (q *Request) OnlyIfCached(s *Settings) bool {
	return !s.IgnoreRequest && q.Control.Has(OnlyIfCached)
}

// Unconditional removes from a request what would have it answered with less than a whole response: conditions and ranges.
func Unconditional(h http.Header) {
	delete(h, "Range")
	delete(h, "If-Range")
	delete(h, "If-None-Match")
	delete(h, "If-Modified-Since")
	delete(h, "If-Match")
	delete(h, "If-Unmodified-Since")
}
