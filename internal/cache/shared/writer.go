package shared

import (
	"io"
	"sync"

	"cardea.dev/cardea/internal/stored"
)

// writer takes a body into memory, and has it stored when it is whole.
type writer struct {
	s    *Store
	held int64 // of the room for bodies

	mu    sync.Mutex // guards data: reads go on at the same time
	data  []byte
	ended bool
	long  bool // it has become too long, and is there for readers alone
}

// Write appends to the body.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.long {
		return 0, stored.ErrNotKept
	}
	size := int64(len(w.data) + len(p))
	if size > w.s.o.MaxBody {
		w.long = true
		return 0, stored.ErrNotKept
	}
	if size > w.held {
		more := min(max(2*w.held, size, 4096), w.s.o.MaxBody) - w.held
		if !w.s.writes.take(more) {
			w.s.m.dropped["write"].Inc()
			w.long = true
			return 0, stored.ErrNotKept
		}
		w.held += more
		grown := make([]byte, len(w.data), w.held)
		copy(grown, w.data)
		w.data = grown
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

// ReadAt reads what has been written.
func (w *writer) ReadAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	data, ended := w.data, w.ended
	w.mu.Unlock()
	switch {
	case ended && data == nil || off < 0:
		return 0, stored.ErrNotKept
	case off >= int64(len(data)):
		return 0, io.EOF
	}
	n := copy(p, data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Commit has the response stored, soon, and returns it with its body. What a store that is down, or has no time, does not take is returned the same.
func (w *writer) Commit(r *stored.Response) (*stored.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.long {
		return nil, stored.ErrNotKept
	}
	whole := *r
	whole.Size = int64(len(w.data))
	b := newBody(w.data)
	if !r.Marker {
		whole.Body = b
	}
	value, err := encode(&whole, b.data, b.sum)
	if err != nil {
		return nil, err
	}
	w.ended = true
	extra := int64(len(value))
	if !w.s.writes.take(extra) {
		w.s.writes.drop(&job{size: w.held})
		return &whole, nil
	}
	w.s.writes.add(job{
		kind: put, names: w.s.names(r.Key), value: value, body: b, apart: len(b.data) > apartFrom, until: w.s.until(r), size: w.held + extra,
	})
	return &whole, nil
}

// Abort throws away what was written.
func (w *writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.end()
	}
}

// end gives all back. The lock is held.
func (w *writer) end() {
	w.ended, w.data = true, nil
	w.s.writes.held.Add(-w.held)
	w.held = 0
}
