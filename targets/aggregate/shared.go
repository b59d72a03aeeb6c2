package aggregate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"

	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// fetched is an answer as it came, which several requests may want.
type fetched struct {
	by     string        // the call that sends it
	done   chan struct{} // closed once it is there; nil: it is for one request alone
	fields http.Header   // of the request
	others atomic.Bool   // there are others that wait for it

	raw    []byte
	taken  int64         // of the memory of the request, where it is for one alone
	more   io.ReadCloser // what follows raw in a long answer; nil: raw is the whole
	full   error         // why that is not held, where it should be
	status int
	header http.Header
	err    error
	cut    bool // whoever asked had no more time, or had left
}

// asked is what a request asks for.
type asked struct{ upstream, path, query string }

// reader reads all of it.
func (f *fetched) reader() io.Reader {
	if f.more == nil {
		return bytes.NewReader(f.raw)
	}
	return io.MultiReader(bytes.NewReader(f.raw), f.more)
}

// close gives up what was not read.
func (f *fetched) close() {
	if f.more != nil {
		_ = f.more.Close()
	}
}

// share has requests that are the same sent once. The conductor calls it, before a request is under way.
func (r *run) share(q *request) {
	if !q.step.shares || q.Request.Body != http.NoBody {
		return
	}
	u := q.Request.URL
	key := asked{q.step.Upstream.Name(), u.EscapedPath(), u.RawQuery}
	if f := r.shared[key]; f != nil && maps.EqualFunc(f.fields, q.Request.Header, slices.Equal) {
		f.others.Store(true)
		q.from = f
		return
	}
	q.from, q.first = &fetched{by: q.step.name, done: make(chan struct{}), fields: maps.Clone(q.Request.Header)}, true // the upstream adds fields of its own
	if r.shared == nil {
		r.shared = map[asked]*fetched{}
	}
	r.shared[key] = q.from
}

// ask sends a request, or waits for one that is the same. What was not held, and what failed for want of time, is each request's own.
func (r *run) ask(q *request) *fetched {
	f := q.from
	switch {
	case f == nil:
		f = &q.own
	case q.first:
		defer close(f.done)
	default:
		select {
		case <-f.done:
		case <-q.limited.Done():
			return &fetched{err: context.Cause(q.limited)}
		}
		if f.more == nil && !f.cut {
			q.same = f.by
			return f
		}
		f = &q.own
	}
	r.fill(f, q)
	return f
}

var errUnsent = errors.New("the request could not be sent")

// fill sends a request, and reads the beginning of the answer, or all of one that is short or held.
func (r *run) fill(f *fetched, q *request) {
	f.err = errUnsent // where it panics, nobody must take the answer for an empty one
	resp, err := q.step.Send(&q.Exchange)
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
	err = r.read(f, q, body, resp.ContentLength)
	if f.err = nil; err == nil {
		f.more = &closing{body, resp.Body}
	} else {
		_ = resp.Body.Close()
	}
	if err == io.EOF {
		q.drained = resp.Body
	} else if err != nil {
		r.memory.drop(f.raw)
		f.raw, f.err, f.cut = nil, broken502(q.limited, err), q.limited.Err() != nil
	}
	if f.done == nil {
		f.taken = int64(cap(f.raw))
	}
}

// read reads as much of an answer as is to be held. It ends with io.EOF where that was all.
func (r *run) read(f *fetched, q *request, body io.Reader, likely int64) (err error) {
	size := int64(4 << 10)
	if likely >= 0 && likely < spool {
		size = likely + 1
	}
	if f.raw, err = r.memory.buffer(size); err != nil {
		return err
	}
	if f.raw, err = r.memory.fill(f.raw, body, spool); err != nil {
		return err
	}
	most := r.of.maxPart + 1
	if s := q.step; !s.kept || s.editor != nil {
		if !f.others.Load() {
			return nil
		}
		most = min(most, spool+r.memory.left.Load()/2) // it need not be held
	}
	switch f.raw, err = r.memory.fill(f.raw, body, most); err {
	case nil:
		f.full = r.of.tooLong
	case r.memory.full:
		f.full, err = err, nil
	}
	return err
}

// readUpTo reads so much at most. It ends with io.EOF where that was all.
func readUpTo(r io.Reader, most int) ([]byte, error) {
	b := make([]byte, 0, most)
	for len(b) < most {
		n, err := r.Read(b[len(b):most])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// closing is a reader over what is to be closed.
type closing struct {
	io.Reader
	body io.Closer
}

// Close closes it.
func (c *closing) Close() error { return c.body.Close() }

// longError says that an answer which is to be held is longer than it may be.
func longError(most int64) error {
	return &document.Error{Kind: document.TooLarge, Offset: most, Reason: "the answer is longer than `max_part`"}
}
