package http1

import (
	"io"
	"net/http"

	"cardea.dev/cardea/internal/socket"
)

// begin readies b for a body.
func (b *bodyReader) begin(r *reader, f framing, length int64, l *limits) {
	*b = bodyReader{r: r, framing: f, left: length}
	switch f {
	case noBody:
		b.err = io.EOF
	case chunked:
		b.chunks.begin(r, l)
	}
}

// trailer returns the fields that came after a body in chunked coding. It is nil before the end, and when there were none.
func (b *bodyReader) trailer() http.Header {
	if b.framing != chunked {
		return nil
	}
	return b.chunks.trailer
}

// Read reads a piece of the body.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.read(p)
	if err != nil && !socket.Temporary(err) {
		b.err = err
	}
	return n, err
}

func (b *bodyReader) read(p []byte) (int, error) {
	switch b.framing {
	case chunked:
		return b.chunks.Read(p)
	case fixed:
		return b.readFixed(p)
	}
	return b.r.Read(p)
}

// readFixed returns io.EOF together with the last byte, so that nobody has to ask again.
func (b *bodyReader) readFixed(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// remaining says how many bytes of the body are still to come, -1 where its length is not known.
func (b *bodyReader) remaining() int64 {
	if b.framing != fixed {
		return -1
	}
	return b.left
}

// passed is told that n bytes of a body of known length were read from the connection by somebody else.
func (b *bodyReader) passed(n int64) { b.left -= n }

// detach parts b from its reader, which is for another message from now on. What is left of the body cannot be read any more.
func (b *bodyReader) detach() { b.r, b.chunks.r = nil, nil }

// buffered says how many bytes of the body can be read without waiting, at least. It sees one chunk ahead.
func (b *bodyReader) buffered() int {
	if b.err != nil {
		return 0
	}
	n := b.r.buffered()
	switch b.framing {
	case fixed:
		return int(min(int64(n), b.left))
	case chunked:
		return b.chunks.buffered()
	}
	return n
}
