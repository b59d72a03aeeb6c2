package compress

import (
	"io"
	"net/http"
)

// body encodes another body as it is read. Its reader's goroutine does the work.
type body struct {
	src   io.ReadCloser
	c     *coding
	known bool   // the length of src is known: it is all there soon, so nothing is flushed on the way
	parts *parts // nil before the first read and after the last
	err   error  // what the reader is told once all that was encoded is read
}

// buffered is a body that can say how many bytes may be read from it without waiting.
type buffered interface{ Buffered() int }

func newBody(src io.ReadCloser, c *coding, known bool) *body {
	return &body{src: src, c: c, known: known}
}

// Read returns encoded bytes. It reads from the source until there are some.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if b.parts != nil {
			if n := b.parts.out.take(p); n > 0 {
				b.c.out.Add(float64(n))
				return n, nil
			}
		}
		if b.err != nil {
			b.release()
			return 0, b.err
		}
		if err := b.fill(); err != nil {
			b.err = err
		}
	}
}

// fill reads from the source once, and encodes what came. What it returns ends the body.
func (b *body) fill() error {
	if b.parts == nil {
		parts, err := b.c.pool.get()
		if err != nil {
			return err
		}
		b.parts = parts
	}
	n, err := b.src.Read(b.parts.in[:])
	if n > 0 {
		b.c.in.Add(float64(n))
		if _, err := b.parts.enc.Write(b.parts.in[:n]); err != nil {
			return err
		}
	}
	switch {
	case err == io.EOF:
		if err := b.parts.enc.Close(); err != nil {
			return err
		}
		return io.EOF
	case err != nil:
		_ = b.parts.enc.Flush() // what came still goes out; the end that says "whole" does not
		return err
	case n > 0 && n < len(b.parts.in) && !b.known && !b.more():
		return b.parts.enc.Flush()
	}
	return nil
}

// more says whether more can be read from the source without waiting, as far as it can say.
func (b *body) more() bool {
	s, ok := b.src.(buffered)
	return ok && s.Buffered() > 0
}

func (b *body) release() {
	if b.parts != nil {
		b.c.pool.put(b.parts)
		b.parts = nil
	}
}

// Close gives the encoder back and closes the source.
func (b *body) Close() error {
	b.release()
	b.err = http.ErrBodyReadAfterClose
	return b.src.Close()
}
