package http1

import (
	"io"
	"net/http"

	"cardea.dev/cardea/internal/socket"
)

// BodyReader reads the body of a message from a Reader, up to its end and not a byte further. It is no io.Closer and knows no
// locks: server and client wrap it. Errors: io.EOF at the end of a complete body, io.ErrUnexpectedEOF when the peer left before, a
// *ParseError, or the connection's.
type BodyReader struct {
	r       *Reader
	framing Framing
	left    int64 // of fixed
	chunks  chunkedReader
	err     error // what every further read returns
}

// Begin readies b for a body.
func (b *BodyReader) Begin(r *Reader, f Framing, length int64, l *Limits) {
	*b = BodyReader{r: r, framing: f, left: length}
	switch f {
	case NoBody:
		b.err = io.EOF
	case Chunked:
		b.chunks.begin(r, l)
	}
}

// Trailer returns the fields that came after a body in chunked coding. It is nil before the end, and when there were none.
func (b *BodyReader) Trailer() http.Header {
	if b.framing != Chunked {
		return nil
	}
	return b.chunks.trailer
}

// Read reads a piece of the body.
func (b *BodyReader) Read(p []byte) (int, error) {
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

func (b *BodyReader) read(p []byte) (int, error) {
	switch b.framing {
	case Chunked:
		return b.chunks.Read(p)
	case Fixed:
		return b.readFixed(p)
	}
	return b.r.Read(p)
}

// readFixed returns io.EOF together with the last byte, so that nobody has to ask again.
func (b *BodyReader) readFixed(p []byte) (int, error) {
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

// Remaining says how many bytes of the body are still to come, -1 where its length is not known.
func (b *BodyReader) Remaining() int64 {
	if b.framing != Fixed {
		return -1
	}
	return b.left
}

// Passed is told that n bytes of a body of known length were read from the connection by somebody else.
func (b *BodyReader) Passed(n int64) { b.left -= n }

// Detach parts b from its reader, which is for another message from now on. What is left of the body cannot be read any more.
func (b *BodyReader) Detach() { b.r, b.chunks.r = nil, nil }

// Buffered says how many bytes of the body can be read without waiting, at least. It sees one chunk ahead.
func (b *BodyReader) Buffered() int {
	if b.err != nil {
		return 0
	}
	n := b.r.Buffered()
	switch b.framing {
	case Fixed:
		return int(min(int64(n), b.left))
	case Chunked:
		return b.chunks.buffered()
	}
	return n
}
