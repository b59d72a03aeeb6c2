package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// conn is a connection of a server. What it needs for a request alone is in its call, which it has only while there is one.
type conn struct {
	server *Server
	conn   net.Conn // as it was handed over
	link   link
	reader http1.Reader
	call   *call                 // nil: it waits for a request
	try    func(fd uintptr) bool // tryRead as a value, so that it is made once; nil: the connection has only Read
	tls    *tls.ConnectionState
	remote string
	peer   netip.AddrPort // what remote says, if that is an address and a port

	idle    atomic.Bool // it waits for a request
	closing atomic.Bool // it was closed from outside

	began   bool // there was a request on it
	served  int  // requests, where they are bounded
	rests   bool // it has waited for restAfter
	gone    bool // the tracker has forgotten it
	shard   uint8
	readN   int // what tryRead read
	readErr error

	prev, next *conn // in the tracker
}

func newConn(s *Server, c net.Conn) *conn {
	sc := &conn{server: s, conn: c}
	sc.link.attach(c)
	sc.link.writeStall = max(0, s.WriteTimeout)
	sc.reader.Attach(&sc.link)
	if secure, ok := c.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secure.ConnectionState()
		sc.tls = &state
	}
	if a := c.RemoteAddr(); a != nil {
		sc.remote = a.String()
		sc.peer, _ = netip.ParseAddrPort(sc.remote)
	}
	if sc.link.direct.Awaits() {
		sc.try = sc.tryRead
	}
	return sc
}

func (c *conn) tell(state http.ConnState) {
	if c.server.ConnState != nil {
		c.server.ConnState(c.conn, state)
	}
}

// serve serves one request after another. When none has come for a while, another goroutine goes on: one that has done nothing yet
// waits with the smallest of stacks, and a stack that has grown never gets as small again.
func (c *conn) serve() {
	moved := false
	defer func() {
		if !moved {
			c.end()
		}
	}()
	for {
		var ok bool
		if ok, moved = c.await(); moved {
			go c.serve() // ends with the connection, or by doing this
			return
		}
		if !ok {
			return
		}
		c.tell(http.StateActive)
		if !c.exchange() {
			return
		}
		c.letGo()
		if c.reader.Buffered() == 0 {
			c.tell(http.StateIdle)
		}
	}
}

// end closes the connection, unless it belongs to somebody else now.
func (c *conn) end() {
	hijacked := c.call != nil && c.call.response.hijacked
	c.rest()
	c.reader.Drop()
	c.server.tracked.remove(c)
	if hijacked {
		return
	}
	_ = c.conn.Close()
	c.tell(http.StateClosed)
}

// rest gives back all that is not needed to wait for a request.
func (c *conn) rest() {
	if c.call != nil {
		c.letGo()
	}
	c.reader.Release()
}

// letGo gives the call back.
func (c *conn) letGo() {
	c.server.recycle(c.call)
	c.call = nil
	c.link.direct.Use(nil)
}

// restAfter is how long a connection waits for a request before a fresh goroutine waits on.
const restAfter = 3 * time.Second

// await waits for the first byte of a request. It returns false when none will come, and moved when a fresh goroutine is to wait on.
func (c *conn) await() (ok, moved bool) {
	if c.reader.Buffered() > 0 {
		return !c.server.draining.Load() || !c.began, false
	}
	wait, rests := c.server.IdleTimeout, c.rests
	c.rests = false
	switch {
	case !c.began:
		wait = c.server.HeaderTimeout
	case rests && wait > 0:
		wait -= restAfter
	case !rests && (wait <= 0 || wait > 2*restAfter):
		wait, moved = restAfter, true
	}
	c.idle.Store(true)
	if c.server.draining.Load() {
		return false, false
	}
	if c.began {
		runtime.Gosched() // others have their turn first: under load the next request is there by then, and need not be waited for
	}
	err := c.waitFor(wait)
	if moved && socket.Temporary(err) && c.idle.Load() {
		c.rests = true
		return false, true
	}
	return err == nil && c.idle.CompareAndSwap(true, false), false
}

// closeIdle closes the connection when it waits for a request.
func (c *conn) closeIdle() {
	if c.idle.CompareAndSwap(true, false) {
		c.closing.Store(true)
		_ = c.conn.Close()
	}
}

// waitFor waits for bytes, holding no buffer.
func (c *conn) waitFor(d time.Duration) error {
	c.link.limitReads(d, 0)
	if c.try == nil {
		return c.waitByte()
	}
	at := now()
	until := c.link.readLimit(at)
	c.link.allowRead(at, until)
	for {
		err := c.link.direct.Await(c.try)
		switch {
		case err == nil && c.readErr != nil:
			return c.readErr
		case err == nil && c.readN == 0:
			return io.EOF
		case err == nil:
			c.reader.Advance(c.readN)
			return nil
		case !socket.Temporary(err) || !c.link.extendRead(until):
			return err
		}
	}
}

// tryRead reads what is there. When nothing is, it gives the buffers back and says so.
func (c *conn) tryRead(fd uintptr) bool {
	n, errno := socket.Receive(fd, c.reader.Space())
	switch errno {
	case 0:
		c.readN, c.readErr = n, nil
	case syscall.EAGAIN:
		c.rest()
		return false
	default:
		c.readN, c.readErr = 0, os.NewSyscallError("recv", errno)
	}
	return true
}

// waitByte waits for one byte, for connections that only have Read.
func (c *conn) waitByte() error {
	c.rest()
	var one [1]byte
	n, err := c.link.Read(one[:])
	if n == 0 {
		return err
	}
	c.reader.Feed(one[:])
	return nil
}

// exchange serves one request, of which the first bytes are there. It says whether another may follow.
func (c *conn) exchange() bool {
	c.began = true
	if c.call == nil {
		c.call = c.server.calls.Get().(*call)
	}
	k := c.call
	c.link.direct.Use(k.io)
	c.link.limitReads(c.server.HeaderTimeout, 0)
	if err := c.reader.ReadRequestHead(&k.head, &c.server.limits); err != nil {
		c.refuse(err)
		return false
	}
	c.link.limitReads(0, c.server.BodyTimeout)
	c.link.readPace, c.link.writePace = NewMeter(c.server.BodyPace), NewMeter(c.server.WritePace)
	if bad := k.begin(c); bad != nil {
		c.refuse(bad)
		return false
	}
	if c.server.MaxRequests > 0 {
		c.served++
		k.response.close = k.response.close || c.served >= c.server.MaxRequests
	}
	k.handle()
	return k.finish()
}

// refuse answers a message that cannot be read, where there is anybody to read the answer, and closes the connection.
func (c *conn) refuse(err error) {
	var bad *http1.ParseError
	switch {
	case socket.Temporary(err) && !c.closing.Load():
		bad = &http1.ParseError{Status: http.StatusRequestTimeout, Reason: "the head of the request was too long in coming"}
	case !errors.As(err, &bad):
		return
	}
	var b []byte
	if c.server.Refuse != nil {
		b = c.server.Refuse(c.conn, bad)
	}
	if len(b) == 0 {
		b = refusal(bad)
	}
	if _, err := c.link.Write(b); err == nil {
		c.linger()
	}
}

// refusal is a response of few words.
func refusal(e *http1.ParseError) []byte {
	text := strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
	body := text + ": " + e.Reason + "\n"
	return []byte("HTTP/1.1 " + text + "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 16 << 20 // more than is on its way before the client has the answer
)

// linger says that nothing more will come, and takes in what the client still sends for a moment. Closing a connection with unread
// bytes resets it, which would take the answer away from the client before it has read it (RFC 9112, section 9.6).
func (c *conn) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.link.resetManual()
	c.link.limitReads(lingerTime, 0)
	buf := http1.TakeBig()
	defer http1.Recycle(nil, buf)
	for n := 0; n < lingerBytes; {
		m, err := c.link.Read(buf[:])
		if err != nil {
			return
		}
		n += m
	}
}
