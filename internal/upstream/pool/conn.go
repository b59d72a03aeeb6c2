package pool

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection to an endpoint.
type conn struct {
	host *host
	cc   *http.ClientConn
	wire *wire // of HTTP/1.1 only
	mux  bool  // HTTP/2: several requests at a time

	closed atomic.Bool
	done   chan struct{} // closed with the socket

	// Guarded by host.mu.
	active    int // requests on it
	uses      int // requests it has been given to, in all
	settling  bool
	idleSince time.Time
}

// socket is the bottom of a connection. It tells when the connection is closed, whoever closed it.
type socket struct {
	net.Conn
	c *conn
}

// Close closes the connection. It may be called with locks of the HTTP library held that are taken under host.mu elsewhere, so
// that the host is told by a goroutine, which ends at once.
func (s *socket) Close() error {
	if !s.c.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	err := s.Conn.Close()
	close(s.c.done)
	go s.c.host.lost(s.c)
	return err
}

// CloseWrite ends what is sent, in a tunnel.
func (s *socket) CloseWrite() error { return closeWrite(s.Conn) }

func closeWrite(c any) error {
	if cw, ok := c.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// wire is the top of an HTTP/1.1 connection, just below the parser. It sees when the parser has eaten up an answer and waits for
// more, which is when the connection may be used again; it refuses bytes that no request has asked for; and it counts, so that
// errors can be told apart.
type wire struct {
	net.Conn
	c *conn

	busy     atomic.Bool  // given to a request
	tunnel   atomic.Bool  // switched to another protocol
	deaf     atomic.Bool  // the endpoint takes no more
	from     atomic.Int64 // what had been written when the current request was given the connection
	written  atomic.Int64
	received atomic.Int64

	mu    sync.Mutex
	fault error // the first error of the socket
}

// Read waits for bytes of the endpoint. Only the parser calls it, and it does so with nothing left in its buffer.
func (w *wire) Read(p []byte) (int, error) {
	if w.tunnel.Load() {
		return w.Conn.Read(p)
	}
	if w.busy.Load() && w.begun() && w.c.cc.Available() == 1 {
		w.c.host.settled(w.c)
	}
	n, err := w.Conn.Read(p)
	if n > 0 && (!w.busy.Load() || !w.begun()) {
		n, err = 0, errUnsolicited
	}
	if err != nil {
		w.fail(err)
	}
	w.received.Add(int64(n))
	return n, err
}

// Write sends bytes. When the endpoint takes no more of a request, as it does who has refused it early, the rest goes nowhere and
// the reader finds out what the endpoint had to say.
func (w *wire) Write(p []byte) (int, error) {
	if w.deaf.Load() && !w.c.closed.Load() {
		return len(p), nil
	}
	w.written.Add(int64(len(p))) // before, as the answer may come before Write returns
	n, err := w.Conn.Write(p)
	w.written.Add(int64(n - len(p)))
	if err == nil || w.tunnel.Load() {
		return n, err
	}
	if w.begun() && !w.c.closed.Load() {
		w.deaf.Store(true)
		return len(p), nil
	}
	w.fail(err)
	return n, err
}

// CloseWrite ends what is sent, in a tunnel.
func (w *wire) CloseWrite() error { return closeWrite(w.Conn) }

// begun says whether bytes of the current request have been written.
func (w *wire) begun() bool { return w.written.Load() > w.from.Load() }

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil && !w.c.closed.Load() {
		w.fault = err
	}
}

// broken returns the first error of the socket that was not made by closing it here, or nil.
func (w *wire) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault
}
