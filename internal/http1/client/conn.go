package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// Options are what the connections of a client have in common. Zero limits are no limits, if nothing else is said.
type Options struct {
	// MaxHeader limits the head of an answer, in bytes. 0: 256 KiB.
	MaxHeader int

	// FirstByte limits the time from the end of the request to the end of the answer's head.
	FirstByte time.Duration

	// Idle limits how long bodies and tunnels may stand still: no byte came from the side that is waited for.
	Idle time.Duration

	// Continue is how long a request with "Expect: 100-continue" waits for consent before its body is sent anyway. 0: one second.
	Continue time.Duration

	// Host is what the field Host says for requests that name no host.
	Host string

	// Done, if set, is called once for each RoundTrip, when its exchange is over: before RoundTrip returns an error or an answer
	// without a body, else with the end of the answer's body or its Close. The connection is reusable by then, or closed.
	Done func()

	// Wrap, if set, makes of a failure what RoundTrip and the bodies of answers return.
	Wrap func(*Error) error
}

func (o Options) withDefaults() Options {
	if o.MaxHeader <= 0 {
		o.MaxHeader = 256 << 10
	}
	if o.Continue <= 0 {
		o.Continue = time.Second
	}
	return o
}

// Conn is a connection to an endpoint. It carries one exchange at a time, runs no goroutine while it carries none, and holds
// no buffer then.
type Conn struct {
	nc     net.Conn
	since  time.Time // when it was made
	o      Options
	limits http1.Limits
	probe  socket.Probe
	direct socket.Direct

	state  atomic.Uint32
	served int       // exchanges so far
	large  bool      // the last answer did not fit into a small buffer
	armed  time.Time // the read deadline that is set; zero: none. It belongs to who reads
	warmed time.Time // the write deadline that is set; zero: none
	in     http1.Reader
}

// The states of a connection.
const (
	resting uint32 = iota
	busy
	closed
)

// NewConn makes a connection of one that is open. If it is secured (a *tls.Conn), what is below should be a *socket.Carrier, so that
// the connection can be looked at without waiting.
func NewConn(nc net.Conn, o Options) *Conn {
	o = o.withDefaults()
	c := &Conn{nc: nc, since: time.Now(), o: o, limits: http1.Limits{Head: o.MaxHeader, Fields: o.MaxHeader / 4}.OrDefaults()}
	c.probe.Attach(nc)
	c.direct.Attach(socket.Plain(nc), socket.NewTransfers())
	return c
}

// now is the time, which is cheaper to have so than from time.Now.
func (c *Conn) now() time.Time { return c.since.Add(time.Since(c.since)) }

// read and write are those of the connection, by the fastest way there is.
func (c *Conn) read(p []byte) (int, error) {
	if c.direct.OK() {
		return c.direct.Read(p)
	}
	return c.nc.Read(p)
}

func (c *Conn) write(p []byte) (int, error) {
	if c.direct.OK() {
		return c.direct.Write(p)
	}
	return c.nc.Write(p)
}

// RoundTrip sends a request and returns the head of its answer. One may be under way at a time.
//
// Of req the method, the path and query of URL, Host, Header, Body, ContentLength and Trailer are sent, unchanged and with nothing
// added but what HTTP needs. The fields Host, Content-Length, Transfer-Encoding and Trailer in Header are passed over.
//
// The body is read and not closed, and no more once the exchange is over, but that a Read may then still be under way. A body with
// GetBody set is taken to be in memory: it is closed too. A body that says with the method Buffered() int how much of it is there
// already is sent in one piece with the head where that is all of it.
//
// The answer's body must be read to its end or closed; it may be closed while it is being read, and repeatedly. It has the methods
// Buffered() int, which says how much can be read without waiting, and WriteTo. Of an answer with status 101, which comes only to a
// request with an Upgrade field, the body is an io.ReadWriteCloser with the method CloseWrite. When ctx ends, so does the exchange.
//
// interim, if not nil, is told of interim answers (100 to 199 without 101). An error of its ends the exchange.
//
// Errors are *Error, or what Options.Wrap makes of them.
func (c *Conn) RoundTrip(
	ctx context.Context, req *http.Request, interim func(status int, header http.Header) error,
) (*http.Response, error) {
	x := trips.Get().(*trip)
	x.c, x.ctx, x.interim, x.watched = c, ctx, interim, ctx == context.Background()
	if !c.state.CompareAndSwap(resting, busy) {
		return nil, x.wrap(&Error{Phase: WritePhase, Kind: IdleClosed, Err: errNotResting})
	}
	x.reused = c.served > 0
	c.served++
	if err := x.do(req); err != nil {
		x.end(!err.Sent && err.Kind != IdleClosed && err.Kind != Reset)
		return nil, x.wrap(err)
	}
	return &x.resp, nil
}

// Served says how many exchanges the connection was used for, the current one included.
func (c *Conn) Served() int { return c.served }

// Reusable says whether the connection may carry another exchange: the last one is over, nothing has come since, and the endpoint
// has not closed it. It looks, and does not wait. A connection that was not closed before but is not fit for use is closed.
func (c *Conn) Reusable() bool {
	if c.state.Load() != resting {
		return false
	}
	if !c.quiet() {
		c.abort()
		return false
	}
	return true
}

// Closed says whether the connection is closed.
func (c *Conn) Closed() bool { return c.state.Load() == closed }

// Close closes the connection, whatever is under way. It may be called at any time, and repeatedly.
func (c *Conn) Close() error {
	if c.state.Swap(closed) == closed {
		return nil
	}
	return c.nc.Close()
}

// abort closes the connection without a word. It never waits.
func (c *Conn) abort() {
	if c.state.Swap(closed) == closed {
		return
	}
	if tc, ok := c.nc.(*tls.Conn); ok { // whose Close waits to say goodbye
		_ = tc.NetConn().Close()
		return
	}
	_ = c.nc.Close()
}

// quiet says whether the connection is open and nothing has come.
func (c *Conn) quiet() bool {
	quiet, cleared := c.probe.Quiet()
	if cleared {
		c.armed = time.Time{}
	}
	return quiet
}
