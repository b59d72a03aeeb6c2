package pool

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1/client"
	"cardea.dev/cardea/internal/socket"
)

// conn is a connection to an endpoint.
type conn struct {
	host  *host
	http1 *client.Conn     // HTTP/1.1: one request at a time; nil: HTTP/2
	cc    *http.ClientConn // HTTP/2: several requests at a time; nil: HTTP/1.1

	closed atomic.Bool   // HTTP/2 only, as is done
	done   chan struct{} // closed with the socket

	// Guarded by host.mu.
	active    int // requests on it
	uses      int // requests it has been given to, in all
	idleSince time.Time
}

// mux says whether it carries several requests at a time.
func (c *conn) mux() bool { return c.cc != nil }

// isClosed says whether it is closed.
func (c *conn) isClosed() bool {
	if c.mux() {
		return c.closed.Load()
	}
	return c.http1.Closed()
}

// close closes a connection that carries no request.
func (c *conn) close() {
	if c.mux() {
		c.cc.Close()
		return
	}
	c.http1.Close()
}

// wrap makes a connection for HTTP/1.1 of an open one.
func (c *conn) wrap(nc net.Conn) {
	o := &c.host.pool.o
	c.http1 = client.NewConn(nc, client.Options{
		MaxHeader: int(o.MaxHeader), FirstByte: o.FirstByte, Idle: o.Idle, Continue: o.Continue,
		Host: c.host.dialer.hostField(c.host.key),
		Done: func() { c.host.over(c) },
		Wrap: func(e *client.Error) error { return wrapped(e, c.host.key.Address) },
	})
}

// bottom is the lowest layer of a connection that may speak HTTP/2. It tells when the connection is closed, whoever closed it.
type bottom struct {
	*socket.Carrier
	c *conn
}

// Close closes the connection. It may be called with locks of the HTTP library held that are taken under host.mu elsewhere, so
// that the host is told by a goroutine, which ends at once.
func (b *bottom) Close() error {
	if !b.c.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	err := b.Carrier.Close()
	close(b.c.done)
	go b.c.host.lost(b.c)
	return err
}
