package listen

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"cardea.dev/cardea/internal/http1/server"
)

// conn is an accepted connection. It ends writes that a client takes nothing of, and tells when it is closed.
type conn struct {
	net.Conn
	stall    time.Duration // how long the client may take nothing; 0: without end
	meter    server.Meter  // of writes; the client must take them at a pace
	deadline atomic.Int64  // of writes, as set from outside, in Unix nanoseconds; 0: none
	closed   atomic.Bool
	done     func() // called once

	counts  atomic.Int32 // whether it counts for an address; see floods
	counted netip.Addr   // the address
}

// Write writes all of p, for as long as the client goes on taking some of it.
func (c *conn) Write(p []byte) (n int, err error) {
	if c.meter.On() {
		return c.writePaced(p)
	}
	if c.stall <= 0 {
		return c.Conn.Write(p)
	}
	for {
		until := time.Now().Add(c.stall)
		set := c.deadline.Load()
		bounded := set != 0 && set <= until.UnixNano()
		if bounded {
			until = time.Unix(0, set)
		}
		_ = c.Conn.SetWriteDeadline(until)
		written, err := c.Conn.Write(p[n:])
		n += written
		if err == nil || written == 0 || bounded || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// writePaced is Write where there is a pace.
func (c *conn) writePaced(p []byte) (n int, err error) {
	progress := time.Now()
	for {
		if c.meter.Slow() {
			return n, os.ErrDeadlineExceeded
		}
		at := time.Now()
		left, _ := c.meter.Left()
		until := at.Add(left)
		if stalls := progress.Add(c.stall); c.stall > 0 && stalls.Before(until) {
			until = stalls
		}
		set := c.deadline.Load()
		bounded := set != 0 && set <= until.UnixNano()
		if bounded {
			until = time.Unix(0, set)
		}
		_ = c.Conn.SetWriteDeadline(until)
		written, err := c.Conn.Write(p[n:])
		n += written
		after := time.Now()
		c.meter.Note(written, after.Sub(at))
		if written > 0 {
			progress = after
		}
		if err == nil || bounded || !errors.Is(err, os.ErrDeadlineExceeded) || c.stall > 0 && after.Sub(progress) >= c.stall {
			return n, err
		}
	}
}

// Plain is the connection below, for http1, which has limits of its own.
func (c *conn) Plain() net.Conn { return c.Conn }

// SetWriteDeadline keeps the deadline for the writes to come, and sets it for one that waits.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.deadline.Store(0)
	} else {
		c.deadline.Store(t.UnixNano())
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetWriteDeadline(t), c.Conn.SetReadDeadline(t))
}

// CloseWrite says to the client that nothing more will come, and goes on reading.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection, and tells so the first time.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		defer c.done()
	}
	return c.Conn.Close()
}

// refuse closes a connection with a reset, so that it leaves nothing behind and its client knows at once.
func refuse(raw net.Conn) {
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}

// proxied is a connection that may begin with a PROXY header. Its addresses are those that the header gives.
type proxied struct {
	*proxyproto.Conn
	inner *conn
	bad   func() // called when the header is missing or malformed
	known bool   // whether there was a first read; only one goroutine reads at first
}

// Read reads what follows the header.
func (p *proxied) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if !p.known {
		p.known = true
		if err != nil && strings.HasPrefix(err.Error(), "proxyproto: ") {
			p.bad()
		}
	}
	return n, err
}

// CloseWrite is that of the connection itself.
func (p *proxied) CloseWrite() error { return p.inner.CloseWrite() }
