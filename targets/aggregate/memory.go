package aggregate

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"cardea.dev/cardea/internal/document"
)

// memory is what may still be held, in bytes: all that work for a request, or for a loop, take of the same. Nil has no end.
type memory struct {
	left atomic.Int64
	full error // it says that nothing is left
}

// fullError says that a request would hold more than it may.
func fullError(most int64) error {
	return &document.Error{Kind: document.TooLarge, Offset: -1, Reason: fmt.Sprintf("the request would hold more than %d bytes, which is its `max_memory`", most)}
}

// take takes so much.
func (m *memory) take(n int64) error {
	if m == nil || m.left.Add(-n) >= 0 {
		return nil
	}
	m.left.Add(n)
	return m.full
}

// give gives back what was taken.
func (m *memory) give(n int64) { m.left.Add(n) }

// buffer returns an empty buffer, which has taken what it can hold.
func (m *memory) buffer(size int64) ([]byte, error) {
	if err := m.take(size); err != nil {
		return nil, err
	}
	return make([]byte, 0, size), nil
}

// drop gives a buffer back.
func (m *memory) drop(b []byte) { m.give(int64(cap(b))) }

// fill reads on into a buffer until that has so many bytes. It ends with io.EOF where that was all.
func (m *memory) fill(b []byte, src io.Reader, most int64) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			if int64(len(b)) >= most {
				return b, nil
			}
			grown := max(2*cap(b), 4<<10)
			if cap(b) >= spool {
				grown = cap(b) + cap(b)/2
			}
			larger, err := m.buffer(min(int64(grown), most))
			if err != nil {
				return b, err
			}
			larger = append(larger, b...)
			m.drop(b)
			b = larger
		}
		n, err := src.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
}

// bound returns a reader that takes what it reads.
func (m *memory) bound(r io.Reader) io.Reader { return &bounded{r, m} }

type bounded struct {
	io.Reader
	memory *memory
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if full := b.memory.take(int64(n)); full != nil {
		return 0, full
	}
	return n, err
}

// headSize is about what the fields of an answer take.
func headSize(h http.Header) (n int64) {
	for name, values := range h {
		for _, v := range values {
			n += int64(len(name)+len(v)) + 64
		}
	}
	return n
}
