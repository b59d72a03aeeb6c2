package memory

import (
	"errors"
	"io"
	"sort"

	"cardea.dev/cardea/internal/stored"
)

// NewBody makes a body of blocks, which it keeps: nobody may change them any more. Its readers are io.WriterTo, and copy nothing but what they
// are asked to.
func NewBody(blocks [][]byte) stored.Body {
	whole := blocks[:0:0]
	for _, b := range blocks {
		if len(b) > 0 {
			whole = append(whole, b)
		}
	}
	switch len(whole) {
	case 0:
		return single(nil)
	case 1:
		return single(whole[0])
	}
	m := &many{blocks: whole, ends: make([]int64, len(whole))}
	end := int64(0)
	for i, b := range whole {
		end += int64(len(b))
		m.ends[i] = end
	}
	return m
}

// single is a body of one block, or of none.
type single []byte

// Open returns a reader.
func (s single) Open() (stored.Reader, error) { return &singleReader{b: s}, nil }

// Memory is how many bytes it takes.
func (s single) Memory() int64 { return allocated(24) + allocated(int64(cap(s))) }

// singleReader reads a single.
type singleReader struct {
	b  []byte
	at int
}

// Buffered is how many bytes can still be read, all of which are there.
func (r *singleReader) Buffered() int { return len(r.b) - r.at }

// Read reads on.
func (r *singleReader) Read(p []byte) (int, error) {
	if r.at == len(r.b) && len(p) > 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[r.at:])
	r.at += n
	return n, nil
}

// ReadAt reads somewhere.
func (r *singleReader) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, errNegative
	}
	if at >= int64(len(r.b)) {
		return 0, io.EOF
	}
	n := copy(p, r.b[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo writes what is left in one piece.
func (r *singleReader) WriteTo(w io.Writer) (int64, error) {
	if r.at == len(r.b) {
		return 0, nil
	}
	n, err := write(w, r.b[r.at:])
	r.at += n
	return int64(n), err
}

// Close does nothing: what it has read is garbage when nobody has it.
func (r *singleReader) Close() error { return nil }

// many is a body of several blocks.
type many struct {
	blocks [][]byte
	ends   []int64 // where each ends in the body
}

// Open returns a reader.
func (m *many) Open() (stored.Reader, error) { return &manyReader{many: m}, nil }

// Memory is how many bytes it takes.
func (m *many) Memory() int64 {
	sum := allocated(48) + allocated(24*int64(cap(m.blocks))) + allocated(8*int64(cap(m.ends)))
	for _, b := range m.blocks {
		sum += allocated(int64(cap(b)))
	}
	return sum
}

// find returns the block in which a byte is, and its place there.
func (m *many) find(at int64) (block, off int) {
	block = sort.Search(len(m.ends), func(i int) bool { return m.ends[i] > at })
	if block == 0 {
		return 0, int(at)
	}
	return block, int(at - m.ends[block-1])
}

// manyReader reads a many.
type manyReader struct {
	*many
	block, off int
}

// Buffered is how many bytes can still be read, all of which are there.
func (r *manyReader) Buffered() int {
	left := r.ends[len(r.ends)-1] - int64(r.off)
	if r.block > 0 {
		left -= r.ends[r.block-1]
	}
	return int(left)
}

// Read reads on, over blocks' ends.
func (r *manyReader) Read(p []byte) (int, error) {
	n := r.read(&r.block, &r.off, p)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ReadAt reads somewhere.
func (r *manyReader) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, errNegative
	}
	if at >= r.ends[len(r.ends)-1] {
		return 0, io.EOF
	}
	block, off := r.find(at)
	n := r.read(&block, &off, p)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *many) read(block, off *int, p []byte) int {
	n := 0
	for n < len(p) && *block < len(m.blocks) {
		k := copy(p[n:], m.blocks[*block][*off:])
		n, *off = n+k, *off+k
		if *off == len(m.blocks[*block]) {
			*block, *off = *block+1, 0
		}
	}
	return n
}

// WriteTo writes what is left, block by block.
func (r *manyReader) WriteTo(w io.Writer) (int64, error) {
	sum := int64(0)
	for r.block < len(r.blocks) {
		n, err := write(w, r.blocks[r.block][r.off:])
		sum, r.off = sum+int64(n), r.off+n
		if err != nil {
			return sum, err
		}
		r.block, r.off = r.block+1, 0
	}
	return sum, nil
}

// Close does nothing: what it has read is garbage when nobody has it.
func (r *manyReader) Close() error { return nil }

func write(w io.Writer, b []byte) (int, error) {
	n, err := w.Write(b)
	if n < len(b) && err == nil {
		err = io.ErrShortWrite
	}
	return min(max(n, 0), len(b)), err
}

var errNegative = errors.New("cannot read a body before its beginning")
