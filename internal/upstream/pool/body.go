package pool

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// body is the body of an answer. It may be closed while it is being read.
type body struct {
	a      *attempt
	rc     io.ReadCloser
	err    error
	closed atomic.Bool
}

// Read returns what the endpoint sends, io.EOF at the end of a complete answer, or an *Error.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	if err == nil {
		return n, nil
	}
	b.err = err
	if err != io.EOF || b.broken() {
		b.err = b.explain(err)
		b.rc.Close()
	}
	b.a.end()
	return n, b.err
}

// broken says whether the answer was broken off from this side. An endpoint that notices may end its answer as if it were complete.
func (b *body) broken() bool {
	return b.a.caller.Err() != nil || (b.a.idle != nil && b.a.idle.expired())
}

func (b *body) read(p []byte) (int, error) {
	i := b.a.idle
	if i == nil {
		return b.rc.Read(p)
	}
	i.start()
	n, err := b.rc.Read(p)
	i.stop()
	return n, err
}

// Close gives the rest of the answer up.
func (b *body) Close() error {
	b.closed.Store(true)
	b.rc.Close()
	b.a.end()
	return nil
}

func (b *body) explain(err error) error {
	a := b.a
	e := &Error{Phase: Body, Kind: Reset, Address: a.to.Address, Reused: a.grant.reused, Sent: true, Err: err}
	e.BodyRead = a.touched()
	switch {
	case b.closed.Load():
		return http.ErrBodyReadAfterClose
	case a.caller.Err() != nil:
		e.Kind, e.Err, e.Timeout = Canceled, context.Cause(a.caller), errors.Is(a.caller.Err(), context.DeadlineExceeded)
	case a.idle != nil && a.idle.expired():
		e.Kind, e.Err, e.Timeout = TimedOut, errIdle, true
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind = Truncated
	default:
		e.Kind, _ = muxKind(err)
	}
	return e
}

// isBadRequest says whether HTTP/2 refused to send a request. It knows errors of the HTTP library by their texts, as it has no
// others. A test holds them.
func isBadRequest(err error) bool {
	text := strings.TrimPrefix(err.Error(), "net/")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "http2: "), "http: ")
	return strings.HasPrefix(text, "invalid ") || strings.HasPrefix(text, "request header list larger")
}

// idle ends what stands still. It runs only while a byte is waited for.
type idle struct {
	limit  time.Duration
	expire func() // what ends it; guarded by mu

	mu      sync.Mutex
	timer   *time.Timer
	upload  bool // there is no head of an answer yet
	running bool
	fired   bool
}

// uploading starts it for the body of a request.
func (i *idle) uploading() {
	i.upload = true
	i.start()
}

// uploaded stops it at the end of the body of a request, unless it serves the answer already.
func (i *idle) uploaded() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.upload {
		i.running = false
		i.timer.Stop()
	}
}

// abort says what to do when the limit is reached.
func (i *idle) abort(f func()) {
	i.mu.Lock()
	i.expire = f
	i.mu.Unlock()
}

func (i *idle) start() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running = true
	if i.timer == nil {
		i.timer = time.AfterFunc(i.limit, i.onTimer)
		return
	}
	i.timer.Reset(i.limit)
}

// touch is told that a byte moved.
func (i *idle) touch() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running {
		i.timer.Reset(i.limit)
	}
}

func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running, i.upload = false, false
	if i.timer != nil {
		i.timer.Stop()
	}
}

func (i *idle) onTimer() {
	i.mu.Lock()
	f := i.expire
	if !i.running || f == nil {
		i.mu.Unlock()
		return
	}
	i.fired = true
	i.mu.Unlock()
	f()
}

func (i *idle) expired() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fired
}
