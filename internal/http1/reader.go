package http1

import (
	"errors"
	"io"
	"sync"
)

const (
	smallBuffer = 4 << 10
	bigBuffer   = 32 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	bigBuffers   = sync.Pool{New: func() any { return new([bigBuffer]byte) }}
)

// takeSmall returns a buffer of smallBuffer bytes, with bytes of others in it. It is given back by recycle.
func takeSmall() *[smallBuffer]byte { return smallBuffers.Get().(*[smallBuffer]byte) }

// takeBig returns a buffer of bigBuffer bytes, with bytes of others in it. It is given back by recycle.
func takeBig() *[bigBuffer]byte { return bigBuffers.Get().(*[bigBuffer]byte) }

// errFull says that what is waited for does not fit into the limit that fill was given.
var errFull = errors.New("the buffer is full")

// attach makes the reader read a connection. What is buffered stays.
func (r *reader) attach(src io.Reader) { r.src = src }

// buffered says how many bytes wait in the buffer.
func (r *reader) buffered() int { return r.w - r.r }

// peek returns what is buffered. It is good until the next call of another method.
func (r *reader) peek() []byte { return r.buf[r.r:r.w] }

// discard takes n bytes out of the buffer.
func (r *reader) discard(n int) {
	r.r += n
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
}

// feed puts bytes into the buffer that were read elsewhere.
func (r *reader) feed(p []byte) {
	r.makeRoom(len(p))
	r.w += copy(r.buf[r.w:], p)
}

// fill reads once more from the connection, behind what is buffered. It grows the buffer for that up to the limit, and then
// returns errFull.
func (r *reader) fill(limit int) error {
	if r.buffered() >= limit {
		return errFull
	}
	space := r.space()
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

// spacious sees to it that the buffer is a large one, where nothing is buffered.
func (r *reader) spacious() {
	if r.buf == nil {
		r.grow(bigBuffer)
	}
}

// space returns what is free behind the buffered bytes; at least one byte is.
func (r *reader) space() []byte {
	r.makeRoom(1)
	return r.buf[r.w:]
}

// advance is told that n bytes were read into the beginning of what space returned.
func (r *reader) advance(n int) { r.w += n }

// makeRoom sees to n free bytes behind what is buffered.
func (r *reader) makeRoom(n int) {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if len(r.buf)-r.w >= n {
		return
	}
	if len(r.buf)-r.buffered() >= n {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
		return
	}
	r.grow(r.buffered() + n)
}

// grow takes a buffer of at least a size, and moves what is buffered there.
func (r *reader) grow(size int) {
	old, small, big := r.peek(), r.small, r.big
	r.small, r.big = nil, nil
	switch {
	case size <= smallBuffer:
		r.small = takeSmall()
		r.buf = r.small[:]
	case size <= bigBuffer:
		r.big = takeBig()
		r.buf = r.big[:]
	default:
		r.buf = make([]byte, max(size, 2*len(r.buf)))
	}
	r.r, r.w = 0, copy(r.buf, old)
	recycle(small, big)
}

// release gives the buffer back when nothing is in it.
func (r *reader) release() {
	if r.r == r.w {
		r.drop()
	}
}

// drop gives the buffer back with what is in it.
func (r *reader) drop() {
	recycle(r.small, r.big)
	r.buf, r.small, r.big, r.r, r.w = nil, nil, nil, 0, 0
}

// recycle gives buffers back, those that are not nil.
func recycle(small *[smallBuffer]byte, big *[bigBuffer]byte) {
	if small != nil {
		smallBuffers.Put(small)
	}
	if big != nil {
		bigBuffers.Put(big)
	}
}

// Read returns what is buffered; when nothing is, it reads into p directly.
func (r *reader) Read(p []byte) (int, error) {
	if r.r < r.w {
		n := copy(p, r.peek())
		r.discard(n)
		return n, nil
	}
	return r.src.Read(p)
}
