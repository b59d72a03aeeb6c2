package convert

import (
	"fmt"
	"io"

	"cardea.dev/cardea/config"
)

// Limits bound what a conversion takes.
type Limits struct {
	// Size is the most bytes of input. By default 100MiB; 0 sets no bound, for what is streamed.
	Size config.Size `yaml:"size"`

	// Buffer is the most that is held in memory at a time: a single value or row where the conversion streams, the document as it is held
	// where it does not. By default 8MiB.
	Buffer config.Size `yaml:"buffer"`

	// Depth is how deep elements, objects and lists may stand in each other. By default 100.
	Depth int `yaml:"depth"`
}

// Default sets the bounds.
func (l *Limits) Default() { l.Size, l.Buffer, l.Depth = 100<<20, 8<<20, 100 }

// Validate checks the bounds.
func (l *Limits) Validate() error {
	const leastBuffer, mostDepth = 4 << 10, 5000
	switch {
	case l.Size < 0:
		return config.FieldErrorf("size", "cannot be negative")
	case l.Buffer < leastBuffer:
		return config.FieldErrorf("buffer", "must be 4KiB or more")
	case l.Depth < 1 || l.Depth > mostDepth:
		return config.FieldErrorf("depth", "must be from 1 to %d", mostDepth)
	}
	return nil
}

// Reader reads an input within its bounds: no more than Size in all, and no more than Buffer between two calls of Mark, which says that
// what was read is done with.
type Reader struct {
	src    io.Reader
	format string
	limits Limits
	read   int64
	marked int64
	err    error
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader, format string, l Limits) *Reader {
	return &Reader{src: src, format: format, limits: l}
}

// Read reads from the input.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.src.Read(p)
	r.read += int64(n)
	switch {
	case r.limits.Size > 0 && r.read > int64(r.limits.Size):
		r.err = r.tooLarge(fmt.Sprintf("the input has more than %d bytes", r.limits.Size))
		return 0, r.err
	case r.read-r.marked > int64(r.limits.Buffer)+ahead:
		r.err = r.tooLarge(fmt.Sprintf("a single part of the input has more than %d bytes", r.limits.Buffer))
		return 0, r.err
	case err != nil && err != io.EOF:
		r.err = err
	}
	return n, err
}

// ahead is what decoders read before they look at it.
const ahead = 64 << 10

// Mark says that all before offset, in bytes from the start, is done with.
func (r *Reader) Mark(offset int64) { r.marked = offset }

// MarkAll says that all that was read is done with.
func (r *Reader) MarkAll() { r.marked = r.read }

// Offset is how much was read.
func (r *Reader) Offset() int64 { return r.read }

// Err is the error that ended reading, if it was none of the format: a bound, or the input's own. Decoders may hide it.
func (r *Reader) Err() error { return r.err }

func (r *Reader) tooLarge(reason string) error {
	return &Error{Format: r.format, Kind: TooLarge, Offset: r.read, Reason: reason}
}
