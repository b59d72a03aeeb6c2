package transform

import (
	"errors"
	"io"
	"iter"
)

// pulled reads what a converter writes, as it writes it. The converter runs only while Read does, on a coroutine: never at the same time as
// who reads. Close ends it.
type pulled struct {
	next  func() ([]byte, bool)
	stop  func()
	chunk []byte
	err   error
}

// errStopped ends a converter that nobody reads from any more.
var errStopped = errors.New("the reader has left")

func pull(src io.Reader, run converter) *pulled {
	p := &pulled{}
	p.next, p.stop = iter.Pull(func(yield func([]byte) bool) {
		p.err = run(yielding(yield), src)
	})
	return p
}

// Read reads what has been written, and has the converter go on when that is read.
func (p *pulled) Read(b []byte) (int, error) {
	for len(p.chunk) == 0 {
		chunk, ok := p.next()
		if !ok {
			if p.err != nil {
				return 0, p.err
			}
			return 0, io.EOF
		}
		p.chunk = chunk
	}
	n := copy(b, p.chunk)
	p.chunk = p.chunk[n:]
	return n, nil
}

// yielding hands on what is written, which is read before the next is written.
type yielding func([]byte) bool

// Write hands on b.
func (y yielding) Write(b []byte) (int, error) {
	if len(b) > 0 && !y(b) {
		return 0, errStopped
	}
	return len(b), nil
}
