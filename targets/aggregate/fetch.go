package aggregate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// spool is how much of an answer is read before it counts as a long one, which is passed on while it comes.
const spool = 64 << 10

// endless is the size of documents that are passed on, however long they are.
const endless = 1 << 62

// part is an answer of a call, or what has come of it.
type part struct {
	raw    []byte        // JSON, checked; nil is null
	rest   io.ReadCloser // of a long one, in the place of raw: checked while it is read
	status int
	heads  []http.Header // of the answer, or of those of a loop
	value  any           // where it is looked into
	there  bool          // there is a value
	gaps   int           // elements of a loop that failed
}

// text is the JSON of a part that is not a long one.
func (p *part) text() []byte {
	if p.raw == nil {
		return []byte("null")
	}
	return p.raw
}

// close gives up what is still to come of a part.
func (p *part) close() {
	if p.rest != nil {
		_ = p.rest.Close()
	}
}

// request is a request of a call, with what comes of it.
type request struct {
	*filter.Exchange // its own
	part
	err     error
	step    *step
	element int // of a loop
	limited *call.Limited
	values  []any // of the edits
	left    *room // nil: a part has all room that parts have
}

// fetched is an answer as it came, which several calls may want.
type fetched struct {
	done   chan struct{}
	asked  http.Header // the fields of the request
	raw    []byte
	more   io.ReadCloser // what follows raw in a long answer; nil: raw is the whole
	status int
	header http.Header
	err    error
	cut    bool // whoever asked had no more time, or had left
}

// fetch sends the request, and takes the answer as the plan wants it.
func (r *run) fetch(q *request) (part, error) {
	s := q.step
	f := r.ask(s, q)
	if f.err != nil {
		q.limited.End()
		return part{}, f.err
	}
	p := part{status: f.status, heads: []http.Header{f.header}, there: true}
	if f.more == nil {
		q.limited.End()
		return r.whole(s, q, p, f.raw, nil)
	}
	src := io.MultiReader(bytes.NewReader(f.raw), f.more)
	if s.kept {
		p, err := r.whole(s, q, p, nil, src)
		_ = f.more.Close()
		if cause := context.Cause(q.limited); err != nil && cause != nil {
			err = cause
		}
		q.limited.End()
		return p, err
	}
	checked := s.checked(q, src, document.Limits{Size: endless, Held: r.of.maxPart})
	begin, err := readUpTo(checked, spool/2, -1) // what is wrong with its beginning is found while there is time to say so
	if err != nil && err != io.EOF {
		_ = f.more.Close()
		q.limited.End()
		return part{}, broken502(q.limited, err)
	}
	q.limited.Lift() // from here on the client's pace counts, and the upstream's time between bytes
	p.rest = &long{Reader: io.MultiReader(bytes.NewReader(begin), checked), body: f.more, limited: q.limited}
	return p, nil
}

// checked is the answer of a call as it is passed on: edited, and known to be JSON as far as it is read.
func (s *step) checked(q *request, src io.Reader, limits document.Limits) io.Reader {
	if s.editor != nil {
		return s.editor.Reader(src, limits, q.values)
	}
	limits.Depth = 10_000 // as deep as jsontext.Value.IsValid goes
	return document.Check(src, limits)
}

// whole takes an answer that is held as a whole, whose bytes are there, or come from src.
func (r *run) whole(s *step, q *request, p part, raw []byte, src io.Reader) (_ part, err error) {
	if src != nil || s.editor != nil {
		if src == nil {
			src = bytes.NewReader(raw)
		}
		if raw, err = io.ReadAll(q.left.bound(s.checked(q, src, document.Limits{Size: r.of.maxPart}))); err != nil {
			return part{}, err
		}
	} else if err := q.left.take(len(raw)); err != nil {
		return part{}, err
	} else if err := r.valid(s, q, raw); err != nil {
		return part{}, err
	}
	if s.needed {
		if p.value, err = document.Read(bytes.NewReader(raw), document.Limits{Size: r.of.maxPart}); err != nil {
			return part{}, err // bytes that are no JSON must not get into the answer
		}
	}
	p.raw = bytes.TrimSpace(raw)
	return p, nil
}

// valid says what is wrong with an answer whose bytes are there. Those that are looked into are checked then.
func (r *run) valid(s *step, q *request, raw []byte) error {
	tooLong := s.kept && int64(len(raw)) > r.of.maxPart
	if s.needed || !tooLong && jsontext.Value(raw).IsValid() {
		return nil
	}
	if _, err := io.Copy(io.Discard, s.checked(q, bytes.NewReader(raw), document.Limits{Size: r.of.maxPart})); err != nil {
		return err
	}
	return &call.FormatError{Reason: "the answer is not JSON"}
}

// room is how many bytes the answers of a loop may still have, together.
type room struct{ atomic.Int64 }

// bound returns a reader that fails once there is no room left.
func (l *room) bound(r io.Reader) io.Reader {
	if l == nil {
		return r
	}
	return &bounded{r, l}
}

// take takes so much of the room.
func (l *room) take(n int) error {
	if l == nil || l.Add(-int64(n)) >= 0 {
		return nil
	}
	return &document.Error{Kind: document.TooLarge, Offset: -1, Reason: "the answers together are longer than `max_part`"}
}

type bounded struct {
	io.Reader
	left *room
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if full := b.left.take(n); full != nil {
		return 0, full
	}
	return n, err
}

// ask sends a request, or waits for one that is the same. A long answer, and one that failed for want of time, is each call's own.
func (r *run) ask(s *step, q *request) *fetched {
	if !s.shares || q.Request.Body != http.NoBody {
		f := &fetched{}
		f.send(s, q)
		return f
	}
	key := s.Upstream.Name() + " " + q.Request.URL.RequestURI()
	r.mu.Lock()
	f := r.shared[key]
	mine := f == nil || !maps.EqualFunc(f.asked, q.Request.Header, slices.Equal)
	if mine {
		f = &fetched{done: make(chan struct{}), asked: q.Request.Header}
		if r.shared == nil {
			r.shared = map[string]*fetched{}
		}
		r.shared[key] = f
	}
	r.mu.Unlock()
	if mine {
		defer close(f.done)
		f.send(s, q)
		return f
	}
	select {
	case <-f.done:
	case <-q.limited.Done():
		return &fetched{err: context.Cause(q.limited)}
	}
	if f.more != nil || f.cut {
		f = &fetched{}
		f.send(s, q)
	}
	return f
}

var errUnsent = errors.New("the request could not be sent")

// send sends the request, and reads the beginning of the answer, or all of a short one.
func (f *fetched) send(s *step, q *request) {
	f.err = errUnsent // where it panics, nobody must take the answer for an empty one
	resp, err := s.Send(q.Exchange)
	if err != nil {
		f.err, f.cut = err, q.limited.Err() != nil
		return
	}
	f.status, f.header = resp.StatusCode, resp.Header
	body, err := call.JSON(resp)
	if err != nil || body == nil {
		_ = resp.Body.Close()
		f.raw, f.err = []byte("null"), err
		return
	}
	f.raw, err = readUpTo(body, spool, resp.ContentLength)
	if f.err = nil; err == nil {
		f.more = &closing{body, resp.Body}
		return
	}
	_ = resp.Body.Close()
	if err != io.EOF {
		f.err, f.cut = broken502(q.limited, err), q.limited.Err() != nil
	}
}

// readUpTo reads so much at most. It ends with io.EOF where that was all.
func readUpTo(r io.Reader, most int, likely int64) ([]byte, error) {
	size := 4 << 10
	if likely >= 0 && likely < int64(most) {
		size = int(likely) + 1
	}
	b := make([]byte, 0, size)
	for {
		if len(b) == cap(b) {
			if len(b) >= most {
				return b, nil
			}
			b = slices.Grow(b, min(max(len(b), 4<<10), most-len(b)))
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
}

// broken502 is why the rest of an answer does not come.
func broken502(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var known *filter.Error
	var document *document.Error
	if errors.As(err, &known) || errors.As(err, &document) {
		return err
	}
	return filter.Reject(filter.UpstreamReset, "").Because(err)
}

// closing is a reader over what is to be closed.
type closing struct {
	io.Reader
	body io.Closer
}

// Close closes it.
func (c *closing) Close() error { return c.body.Close() }

// long is an answer that is passed on while it comes.
type long struct {
	io.Reader
	body    io.Closer
	limited *call.Limited
	once    sync.Once
}

// Close gives up what was not read.
func (l *long) Close() (err error) {
	l.once.Do(func() { err = l.body.Close(); l.limited.End() })
	return err
}
