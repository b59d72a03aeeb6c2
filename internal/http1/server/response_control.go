package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"cardea.dev/cardea/internal/http1"
)

// FlushError sends what was written so far.
func (w *response) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.began {
		if w.bodyless {
			return nil // the length may still become known, and the head is all there is
		}
		w.settle(false)
	}
	return w.out.flush()
}

// Flush sends what was written so far.
func (w *response) Flush() { _ = w.FlushError() }

// SetReadDeadline bounds reads of the body, until the request is over, instead of BodyTimeout. It may be called during one.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.hijacked {
		return http.ErrHijacked
	}
	return w.call.conn.link.setRead(t)
}

// SetWriteDeadline bounds writes, until the request is over, instead of WriteTimeout.
func (w *response) SetWriteDeadline(t time.Time) error {
	if w.hijacked {
		return http.ErrHijacked
	}
	return w.call.conn.link.setWrite(t)
}

// EnableFullDuplex does nothing: a response may always begin while the body is still being read.
func (w *response) EnableFullDuplex() error { return nil }

// Abort makes the client see a broken message when the handler returns.
func (w *response) Abort() { w.call.aborted = true }

// Hijack hands the connection over, with what was read ahead. The server knows it no more.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	k := w.call
	c := k.conn
	k.unwatch()
	if k.body != nil && !k.body.finish(false) {
		k.aborted = true // it cannot be told where the body ends
	}
	if err := w.out.flush(); err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	c.server.tracked.remove(c)
	c.tell(http.StateHijacked)
	_ = c.conn.SetDeadline(time.Time{})
	ahead := append([]byte(nil), c.reader.Peek()...)
	c.reader.Discard(len(ahead))
	r := bufio.NewReaderSize(&prefixed{c.conn, ahead}, max(http1.SmallBuffer, len(ahead)))
	if len(ahead) > 0 {
		_, _ = r.Peek(len(ahead)) // into its buffer
	}
	return c.conn, bufio.NewReadWriter(r, bufio.NewWriter(c.conn)), nil
}

// prefixed reads bytes that were read ahead, and then the connection.
type prefixed struct {
	io.Reader
	ahead []byte
}

// Read reads.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.ahead) == 0 {
		return p.Reader.Read(b)
	}
	n := copy(b, p.ahead)
	p.ahead = p.ahead[n:]
	return n, nil
}
