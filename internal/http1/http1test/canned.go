package http1test

import (
	"io"
	"net"
	"time"
)

// Canned is a connection whose endpoint says certain bytes, in pieces, and then closes.
type Canned struct {
	net.Conn
	Pieces [][]byte // still to come
	Given  int      // how many bytes were read
	Wrote  []byte
	Closed bool
}

// Read gives out the next of what the endpoint says.
func (c *Canned) Read(p []byte) (int, error) {
	if c.Closed {
		return 0, net.ErrClosed
	}
	if len(c.Pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.Pieces[0])
	if c.Pieces[0] = c.Pieces[0][n:]; len(c.Pieces[0]) == 0 {
		c.Pieces = c.Pieces[1:]
	}
	c.Given += n
	return n, nil
}

// Write notes what is written.
func (c *Canned) Write(p []byte) (int, error) { c.Wrote = append(c.Wrote, p...); return len(p), nil }

// Close notes that it is closed.
func (c *Canned) Close() error { c.Closed = true; return nil }

// SetReadDeadline does nothing: no read waits.
func (c *Canned) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: no write waits.
func (c *Canned) SetWriteDeadline(time.Time) error { return nil }

// Split cuts bytes into pieces at points that follow from a seed.
func Split(b []byte, seed uint64) [][]byte {
	var pieces [][]byte
	for len(b) > 0 {
		seed = seed*6364136223846793005 + 1442695040888963407
		n := min(len(b), 1+int(seed>>33)%(1+int(seed>>50)%64))
		pieces = append(pieces, append([]byte(nil), b[:n]...))
		b = b[n:]
	}
	return pieces
}

// Pieces gives bytes out in pieces of a size.
type Pieces struct {
	Data []byte
	Size int
}

// Read gives out the next piece.
func (p *Pieces) Read(b []byte) (int, error) {
	if len(p.Data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.Data[:min(p.Size, len(p.Data))])
	p.Data = p.Data[n:]
	return n, nil
}
