package disk

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/internal/stored"
)

// content is a small body, in memory.
type content []byte

// Open implements stored.Body.
func (c content) Open() (stored.Reader, error) { return contentReader{bytes.NewReader(c)}, nil }

type contentReader struct{ *bytes.Reader }

func (contentReader) Close() error { return nil }

// Buffered is how much can be read at once.
func (r contentReader) Buffered() int { return r.Len() }

// handle is the open file of a large object. All who read it share it.
type handle struct {
	s    *Store
	v    *volume
	id   id
	fd   int
	ino  uint64
	oid  uint64
	size int64 // of the body
	cost int64
	refs atomic.Int64
	gone atomic.Bool // it has no name any more, and its room is free when it is closed

	head atomic.Pointer[stored.Response]
	prev *handle // used less recently; all of these guarded by the store's files
	next *handle
	kept bool
}

func (h *handle) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	_ = unix.Close(h.fd)
	h.s.closed(h)
	h.v.release()
}

// block reads a block of a body of size bytes, and returns its bytes if they are what was written.
func (h *handle) block(buf []byte, index, size int64) ([]byte, error) {
	n := int(min(size-index*blockSize, blockSize)) + sumSize
	got, err := readAt(h.fd, buf[:n], blockOffset(index))
	if err != nil {
		return nil, err
	}
	return checkBlock(buf[:got], h.oid, index)
}

// body is a large body. It finds its file by name when it is opened, unless that is open already.
type body struct {
	s    *Store
	id   id
	oid  uint64
	size int64
}

var errLost = errors.New("the stored body is lost")

// Open implements stored.Body.
func (b *body) Open() (stored.Reader, error) {
	h := b.s.handleOf(b.id, b.oid)
	if h == nil {
		return nil, errLost
	}
	return newReader(h), nil
}

// buffers are for a block and its sum.
var buffers = sync.Pool{New: func() any { return new([blockSize + sumSize]byte) }}

// reader reads a large body, block by block, each of which it has checked before it gives a byte of it.
type reader struct {
	h     *handle
	off   int64
	buf   *[blockSize + sumSize]byte // what is in rest; nil: nothing
	rest  []byte
	close sync.Once
}

func newReader(h *handle) *reader { return &reader{h: h} }

// fill reads the block at off.
func (r *reader) fill() error {
	if r.off >= r.h.size {
		return io.EOF
	}
	if r.buf == nil {
		r.buf = buffers.Get().(*[blockSize + sumSize]byte)
	}
	block, err := r.h.block(r.buf[:], r.off/blockSize, r.h.size)
	if err != nil {
		return r.h.s.broken(r.h, err)
	}
	r.rest = block[r.off%blockSize:]
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.off += int64(n)
	return n, nil
}

// Buffered is how much can be read without waiting for the disk.
func (r *reader) Buffered() int { return len(r.rest) }

// WriteTo implements io.WriterTo.
func (r *reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(r.rest) == 0 {
			if err := r.fill(); err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return n, err
			}
		}
		m, err := w.Write(r.rest)
		r.rest = r.rest[m:]
		r.off += int64(m)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
}

// ReadAt implements io.ReaderAt. It may be called by several goroutines.
func (r *reader) ReadAt(p []byte, off int64) (n int, err error) {
	return r.h.readBlocks(p, off, r.h.size)
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.close.Do(func() {
		if r.buf != nil {
			buffers.Put(r.buf)
			r.buf, r.rest = nil, nil
		}
		r.off = r.h.size
		r.h.release()
	})
	return nil
}

// readBlocks reads of the blocks of a file, of whose body there are size bytes.
func (h *handle) readBlocks(p []byte, off, size int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("cannot read the body: the offset is negative")
	}
	buf := buffers.Get().(*[blockSize + sumSize]byte)
	defer buffers.Put(buf)
	for n < len(p) {
		if off >= size {
			return n, io.EOF
		}
		block, err := h.block(buf[:], off/blockSize, size)
		if err != nil {
			return n, h.s.broken(h, err)
		}
		m := copy(p[n:], block[off%blockSize:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}
