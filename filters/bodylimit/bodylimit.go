package bodylimit

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says how large the body of a request may be. The short form is Max.
type Config struct {
	// Max is how many bytes the body of a request may have, at most: "1MiB", "500KB". It is required and at least 1;
	// `body_limit: off` sets no limit.
	Max config.Size `yaml:"max,short,required" min:"1"`
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("body_limit", filter.Guard, build) }

// limit is the policy.
type limit struct {
	max     int64
	text    string // max, for people
	counted filter.Slot[reader]
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	l := limit{max: int64(c.Max), text: c.Max.String(), counted: filter.NewSlot[reader](env)}
	return &filter.Filter{Request: l.request, Response: l.response, Explain: l.explain}, nil
}

func (l *limit) request(ex *filter.Exchange) error {
	req := ex.Request
	switch {
	case req.ContentLength > l.max:
		return l.reject()
	case req.ContentLength > 0: // the server reads no more than that
		return nil
	case req.Body == nil || req.Body == http.NoBody:
		return nil
	case req.Method == http.MethodConnect: // what follows is a tunnel, not a body
		return nil
	}
	r := &reader{ReadCloser: req.Body, left: l.max, limit: l}
	l.counted.Set(ex, r)
	req.Body = r
	return nil
}

// response makes sure that a body which was too large is what the client hears of, and not what became of the upstream's
// request by its breaking off.
func (l *limit) response(ex *filter.Exchange) error {
	r := l.counted.Get(ex)
	if r == nil || !r.over.Load() || ex.Err == nil || filter.AsError(ex.Err).Code == filter.BodyTooLarge {
		return nil
	}
	return l.reject().Because(ex.Err)
}

func (l *limit) reject() *filter.Error {
	return filter.Reject(filter.BodyTooLarge, "The body of the request may have at most %s.", l.text)
}

func (l *limit) explain(ex *filter.Exchange) filter.Verdict {
	length := ex.Request.ContentLength
	switch {
	case length > l.max:
		return filter.Verdict{Action: filter.Rejects, Note: fmt.Sprintf("the body has %s, more than %s", config.Size(length), l.text)}
	case length > 0:
		return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("the body has %s, of at most %s", config.Size(length), l.text)}
	case ex.Request.Body == nil || ex.Request.Body == http.NoBody:
		return filter.Verdict{Action: filter.Passes, Note: "there is no body"}
	}
	return filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to " + l.text}
}

// reader counts a body and fails once it is too large. The upstream call reads it, perhaps in another goroutine than the
// exchange's.
type reader struct {
	io.ReadCloser
	limit *limit
	left  int64 // how many bytes may still come
	over  atomic.Bool
}

// Read reads what is allowed, and one byte more to know whether there is more.
func (r *reader) Read(p []byte) (int, error) {
	if r.over.Load() {
		return 0, r.limit.reject()
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p))-1 > r.left {
		p = p[:r.left+1]
	}
	n, err := r.ReadCloser.Read(p)
	if int64(n) <= r.left {
		r.left -= int64(n)
		return n, err
	}
	n, r.left = int(r.left), 0
	r.over.Store(true)
	return n, r.limit.reject()
}
