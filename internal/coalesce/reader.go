package coalesce

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// Reader is one of those who read a fetch's answer. It is for one goroutine; Close may be called by any.
type Reader[K comparable, H any] struct {
	fetch  *Fetch[K, H]
	cursor cursor
	closed atomic.Bool
	stop   func() bool
}

// Head waits for the head of the answer, for so long at most; 0 is for ever. It returns why there is none: ErrLate, the cause of the context's end,
// or what the fetch failed with, together with what it knows.
func (r *Reader[K, H]) Head(ctx context.Context, wait time.Duration) (H, error) {
	var late <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	var none H
	select {
	case <-r.fetch.ready:
		return r.fetch.head, r.fetch.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-late:
		return none, ErrLate
	}
}

// Follow ends reads when a context ends.
func (r *Reader[K, H]) Follow(ctx context.Context) {
	r.stop = context.AfterFunc(ctx, func() { r.fetch.body.leave(&r.cursor, context.Cause(ctx)) })
}

// Read reads the answer's body, io.EOF at its end. ErrSlow says that the reader was cut.
func (r *Reader[K, H]) Read(p []byte) (int, error) { return r.fetch.body.read(&r.cursor, p) }

// Buffered says how many bytes can be read without waiting, at least.
func (r *Reader[K, H]) Buffered() int { return r.fetch.body.buffered(&r.cursor) }

// Close gives up what was not read.
func (r *Reader[K, H]) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	if r.stop != nil {
		r.stop()
	}
	r.fetch.body.leave(&r.cursor, io.ErrClosedPipe)
	r.fetch.leave()
	return nil
}

// Copy gives readers a body, and returns what ended it: io.EOF at its end. It ends early when nobody reads any more and it is not kept.
func (f *Fetch[K, H]) Copy(body io.Reader) error {
	err := f.body.pump(body, f.lost, f.complete)
	if err != io.EOF {
		f.lost()
	}
	return err
}
