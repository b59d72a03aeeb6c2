package http1

import (
	"errors"
	"io"
	"sync"
)

// SmallBuffer and BigBuffer are the sizes of pooled buffers, in bytes.
const (
	SmallBuffer = 4 << 10
	BigBuffer   = 32 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([SmallBuffer]byte) }}
	bigBuffers   = sync.Pool{New: func() any { return new([BigBuffer]byte) }}
)

// TakeSmall returns a buffer of SmallBuffer bytes, with bytes of others in it. It is given back by Recycle.
func TakeSmall() *[SmallBuffer]byte { return smallBuffers.Get().(*[SmallBuffer]byte) }

// TakeBig returns a buffer of BigBuffer bytes, with bytes of others in it. It is given back by Recycle.
func TakeBig() *[BigBuffer]byte { return bigBuffers.Get().(*[BigBuffer]byte) }

// errFull says that what is waited for does not fit into the limit that fill was given.
var errFull = errors.New("the buffer is full")

// Reader reads a connection through a buffer that it takes from a pool when there is something to read, and gives back when it is
// empty. It is for one goroutine at a time.
type Reader struct {
	src  io.Reader
	buf  []byte // nil: none taken
	r, w int    // what is buffered is buf[r:w]

	small *[SmallBuffer]byte
	big   *[BigBuffer]byte
}

// Attach makes the reader read a connection. What is buffered stays.
func (r *Reader) Attach(src io.Reader) { r.src = src }

// Buffered says how many bytes wait in the buffer.
func (r *Reader) Buffered() int { return r.w - r.r }

// Peek returns what is buffered. It is good until the next call of another method.
func (r *Reader) Peek() []byte { return r.buf[r.r:r.w] }

// Discard takes n bytes out of the buffer.
func (r *Reader) Discard(n int) {
	r.r += n
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
}

// Feed puts bytes into the buffer that were read elsewhere.
func (r *Reader) Feed(p []byte) {
	r.makeRoom(len(p))
	r.w += copy(r.buf[r.w:], p)
}

// Fill reads once more from the connection, behind what is buffered. It grows the buffer for that up to the limit, and
// then returns errFull.
func (r *Reader) Fill(limit int) error {
	if r.Buffered() >= limit {
		return errFull
	}
	space := r.Space()
	n, err := r.src.Read(space)
	r.w += n
	if n > 0 {
		return nil // an error will come again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Spacious sees to it that the buffer is a large one, where nothing is buffered.
func (r *Reader) Spacious() {
	if r.buf == nil {
		r.grow(BigBuffer)
	}
}

// Space returns what is free behind the buffered bytes; at least one byte is.
func (r *Reader) Space() []byte {
	r.makeRoom(1)
	return r.buf[r.w:]
}

// Advance is told that n bytes were read into the beginning of what Space returned.
func (r *Reader) Advance(n int) { r.w += n }

// makeRoom sees to n free bytes behind what is buffered.
func (r *Reader) makeRoom(n int) {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if len(r.buf)-r.w >= n {
		return
	}
	if len(r.buf)-r.Buffered() >= n {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
		return
	}
	r.grow(r.Buffered() + n)
}

// grow takes a buffer of at least a size, and moves what is buffered there.
func (r *Reader) grow(size int) {
	old, small, big := r.Peek(), r.small, r.big
	r.small, r.big = nil, nil
	switch {
	case size <= SmallBuffer:
		r.small = TakeSmall()
		r.buf = r.small[:]
	case size <= BigBuffer:
		r.big = TakeBig()
		r.buf = r.big[:]
	default:
		r.buf = make([]byte, max(size, 2*len(r.buf)))
	}
	r.r, r.w = 0, copy(r.buf, old)
	Recycle(small, big)
}

// Release gives the buffer back when nothing is in it.
func (r *Reader) Release() {
	if r.r == r.w {
		r.Drop()
	}
}

// Drop gives the buffer back with what is in it.
func (r *Reader) Drop() {
	Recycle(r.small, r.big)
	r.buf, r.small, r.big, r.r, r.w = nil, nil, nil, 0, 0
}

// Recycle gives buffers back, those that are not nil.
func Recycle(small *[SmallBuffer]byte, big *[BigBuffer]byte) {
	if small != nil {
		smallBuffers.Put(small)
	}
	if big != nil {
		bigBuffers.Put(big)
	}
}

// Read returns what is buffered; when nothing is, it reads into p directly.
func (r *Reader) Read(p []byte) (int, error) {
	if r.r < r.w {
		n := copy(p, r.Peek())
		r.Discard(n)
		return n, nil
	}
	return r.src.Read(p)
}
