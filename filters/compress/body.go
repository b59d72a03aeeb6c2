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
	form  *form  // of the body, for others; nil: it is not kept
	read  int64  // bytes of src
}

// buffered is a body that can say how many bytes may be read from it without waiting.
type buffered interface{ Buffered() int }

func newBody(src io.ReadCloser, c *coding, known bool, form *form) *body {
	return &body{src: src, c: c, known: known, form: form}
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

// fill has some of the source encoded. What it returns ends the body. What was encoded before has been read.
func (b *body) fill() error {
	if b.parts == nil {
		parts, err := b.c.pool.get()
		if err != nil {
			return err
		}
		b.parts = parts
	}
	err := b.encode()
	if b.form != nil && (err != nil && err != io.EOF || !b.form.add(b.parts.out.b)) {
		b.form = nil
	}
	if b.form != nil && err == io.EOF {
		b.form.keep(b.read)
		b.form = nil
	}
	return err
}

// encode reads from the source once, and encodes what came.
func (b *body) encode() error {
	n, err := b.src.Read(b.parts.in[:])
	if n > 0 {
		b.read += int64(n)
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
	b.form = nil
	b.err = http.ErrBodyReadAfterClose
	return b.src.Close()
}
