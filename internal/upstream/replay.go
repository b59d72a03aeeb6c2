package upstream

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// replay is the body of a request that may have to be sent more than once. What one try reads of it is kept for the next, up to a
// limit; nothing is read ahead.
//
// A try that failed may have left a Read behind that waits for the client. What that gets goes to the next try.
type replay struct {
	src     io.Reader
	max     int
	reading sync.Mutex // held while src is read

	mu      sync.Mutex
	kept    []byte
	keeping bool  // kept is all that was read
	touched bool  // src was read
	end     error // of src
	reader  *replayReader
}

// newReplay returns a body of which at most max bytes are kept; size is its length, or -1.
func newReplay(src io.Reader, size int64, max int) *replay {
	r := &replay{src: src, max: max, keeping: max > 0 && size <= int64(max)}
	if r.keeping && size > 0 {
		r.kept = make([]byte, 0, size)
	}
	r.reader = &replayReader{r: r}
	return r
}

// again returns the body from its beginning for a further try, or false when that cannot be.
func (r *replay) again() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.touched && !r.keeping {
		return false
	}
	r.reader.over.Store(true)
	r.reader = &replayReader{r: r}
	return true
}

// repeatable reports whether again would succeed.
func (r *replay) repeatable() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.touched || r.keeping
}

// replayReader is the body as one try reads it.
type replayReader struct {
	r    *replay
	at   int // in what is kept
	over atomic.Bool
}

var errTryOver = errors.New("the try that reads this body is over")

// Read returns what is kept, then what the client sends.
func (b *replayReader) Read(p []byte) (int, error) { return b.read(p, b.r.src.Read) }

// ReadReady reads what is there without waiting. Where nothing is, or that cannot be, it returns neither bytes nor an error.
func (b *replayReader) ReadReady(p []byte) (int, error) {
	if !b.r.reading.TryLock() {
		return 0, nil // an earlier try has left a Read behind
	}
	b.r.reading.Unlock()
	if there, ok := b.r.src.(interface{ ReadReady([]byte) (int, error) }); ok {
		return b.read(p, there.ReadReady)
	}
	return 0, nil
}

func (b *replayReader) read(p []byte, more func([]byte) (int, error)) (int, error) {
	if n, err, ok := b.fromKept(p); ok {
		return n, err
	}
	b.r.reading.Lock()
	defer b.r.reading.Unlock()
	if n, err, ok := b.fromKept(p); ok { // a Read that an earlier try left behind may have come back
		return n, err
	}
	b.r.mu.Lock()
	b.r.touched = true
	b.r.mu.Unlock()
	n, err := more(p)
	b.took(p[:n], err)
	return n, err
}

// Buffered says how many bytes can be read without waiting, at least.
func (b *replayReader) Buffered() int {
	b.r.mu.Lock()
	kept := len(b.r.kept) - b.at
	b.r.mu.Unlock()
	if there, ok := b.r.src.(interface{ Buffered() int }); ok && kept == 0 {
		return there.Buffered()
	}
	return max(kept, 0)
}

// fromKept serves a Read without the client, if that can be.
func (b *replayReader) fromKept(p []byte) (int, error, bool) {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case b.over.Load():
		return 0, errTryOver, true
	case b.at < len(r.kept):
		n := copy(p, r.kept[b.at:])
		b.at += n
		return n, nil, true
	case r.end != nil:
		return 0, r.end, true
	}
	return 0, nil, false
}

// took keeps what the client sent.
func (b *replayReader) took(p []byte, err error) {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.end = err
	}
	if !r.keeping {
		return
	}
	r.kept = append(r.kept, p...)
	if b.over.Load() {
		return
	}
	b.at = len(r.kept)
	if len(r.kept) > r.max {
		r.kept, r.keeping, b.at = nil, false, 0
	}
}

// Close does nothing: the body is the client's.
func (b *replayReader) Close() error { return nil }
