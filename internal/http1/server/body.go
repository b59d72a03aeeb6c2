package server

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// body is the body of a request. It belongs to one request alone and is never used again, for whoever reads it may come late:
// it may be read while and after the handler returns, and by another goroutine than the handler's.
type body struct {
	conn    *conn
	ctx     *callContext
	trailer http.Header // the request's

	ended   atomic.Bool // it was read to its end
	closed  atomic.Bool // no more is given out
	waiting atomic.Bool // the client waits for 100 (Continue)

	mu     sync.Mutex // held by who reads; guards body and broken
	body   http1.BodyReader
	broken error // of the connection or the coding

	interim  sync.Mutex // held by who writes 100 (Continue), or begins the response
	answered bool       // the response has begun: no 100 any more
}

// Read reads the body. The first read tells a client so that waits for that.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.waiting.Load() {
		if err := b.proceed(); err != nil {
			return 0, err
		}
	}
	n, err := b.read(p)
	if err != nil && err != io.EOF && b.closed.Load() {
		err = http.ErrBodyReadAfterClose
	}
	return n, err
}

// Buffered says how many bytes can be read without waiting, at least.
func (b *body) Buffered() int {
	if b.closed.Load() || b.waiting.Load() || !b.mu.TryLock() {
		return 0
	}
	defer b.mu.Unlock()
	return b.body.Buffered()
}

// ReadReady reads what of the body is there without waiting: nothing, and no error, where there is none, or somebody else reads.
func (b *body) ReadReady(p []byte) (int, error) {
	if b.closed.Load() || b.waiting.Load() || !b.mu.TryLock() {
		return 0, nil
	}
	defer b.mu.Unlock()
	link := &b.conn.link
	link.impatient = true
	n, err := b.read(p)
	link.impatient = false
	if socket.Temporary(err) {
		err = nil
	}
	return n, err
}

// read reads the body and notes its end. mu is held.
func (b *body) read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	switch {
	case err == nil || socket.Temporary(err):
	case err == io.EOF:
		for name, values := range b.body.Trailer() {
			b.trailer[name] = values
		}
		b.ended.Store(true)
	case b.broken == nil:
		b.broken = err
		b.ctx.cancel()
	}
	return n, err
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// proceed asks the client for the body, unless it has its answer already: then it may send the body all the same.
func (b *body) proceed() error {
	b.interim.Lock()
	defer b.interim.Unlock()
	if b.answered || !b.waiting.CompareAndSwap(true, false) {
		return nil
	}
	_, err := b.conn.link.Write(continueLine)
	return err
}

// answer is called before the first byte of the final response is written.
func (b *body) answer() {
	b.interim.Lock()
	b.answered = true
	b.interim.Unlock()
}

// Close gives the rest of the body up.
func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

// lock ends the body: whoever reads it is sent away. mu is held afterwards.
func (b *body) lock() {
	b.closed.Store(true)
	if !b.mu.TryLock() {
		_ = b.conn.link.setRead(time.Unix(1, 0)) // wakes the reader
		b.mu.Lock()
	}
	b.conn.link.resetManual()
}

// unreadable ends the body. It says whether it is clear by now that the rest of it will not be read to its end, so that the client can
// be told: what is there of one whose length is not known is read for that.
func (b *body) unreadable() bool {
	if b.ended.Load() {
		return false
	}
	b.lock()
	defer b.mu.Unlock()
	left := b.body.Remaining()
	switch {
	case b.ended.Load(): // meanwhile; the trailer belongs to who read it
		return false
	case b.waiting.Load() || b.broken != nil:
		return true
	case left >= 0:
		return left > b.conn.server.MaxDrain
	}
	b.conn.link.impatient = true
	defer func() { b.conn.link.impatient = false }()
	_ = b.drain()
	return !b.ended.Load()
}

// finish ends the body. It says whether the connection stands at its end, for which it reads on for a while if that is wanted.
func (b *body) finish(drain bool) bool {
	b.lock()
	defer b.mu.Unlock()
	switch {
	case b.ended.Load():
		return true
	case b.broken != nil || b.waiting.Load() || !drain:
		return false
	}
	return b.drain()
}

// drain reads what is left of the body, if that is little.
func (b *body) drain() bool {
	s := b.conn.server
	left := s.MaxDrain
	if b.body.Remaining() > left {
		return false
	}
	b.conn.link.limitReads(max(1, s.DrainTimeout), 0)
	buf := http1.TakeBig()
	defer http1.Recycle(nil, buf)
	for left > 0 {
		n, err := b.read(buf[:min(left, http1.BigBuffer)])
		left -= int64(n)
		if err != nil {
			return err == io.EOF
		}
	}
	return false
}
