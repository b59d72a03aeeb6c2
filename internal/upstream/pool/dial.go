package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/socket"
)

// transport turns open connections into ones for HTTP/2. It never dials: net/http's Transport is handed what was dialled before.
type transport struct {
	http2 *http.Transport
	next  atomic.Int64
	open  sync.Map // the address that a connection is handed over under → net.Conn
}

func (t *transport) init(o Options) {
	t.http2 = t.one(o)
	t.http2.Protocols.SetHTTP2(true)
	t.http2.Protocols.SetUnencryptedHTTP2(true)
	// A connection that answers no ping is dead: its streams would hang for ever.
	t.http2.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
}

func (t *transport) one(o Options) *http.Transport {
	take := func(_ context.Context, _, address string) (net.Conn, error) {
		c, ok := t.open.LoadAndDelete(address)
		if !ok {
			return nil, fmt.Errorf("cannot find the connection %s", address)
		}
		return c.(net.Conn), nil
	}
	return &http.Transport{
		DialContext: take, DialTLSContext: take, Protocols: new(http.Protocols),
		DisableCompression:     true,
		ResponseHeaderTimeout:  o.FirstByte,
		ExpectContinueTimeout:  o.Continue,
		MaxResponseHeaderBytes: o.MaxHeader,
	}
}

// wrap makes a connection for HTTP/2 of an open one.
func (t *transport) wrap(ctx context.Context, nc net.Conn) (*http.ClientConn, error) {
	scheme := "http"
	if _, ok := nc.(*tls.Conn); ok { // HTTP/2 looks into it
		scheme = "https"
	}
	address := "conn:" + strconv.FormatInt(t.next.Add(1), 10)
	t.open.Store(address, nc)
	cc, err := t.http2.NewClientConn(ctx, scheme, address)
	if err != nil {
		t.open.Delete(address)
		nc.Close()
	}
	return cc, err
}

// dialer makes the connections of one host.
type dialer struct {
	network, address string
	tls              *tls.Config // nil: none
	mux              bool        // HTTP/2, without asking
}

func newDialer(p *Pool, k key) dialer {
	d := dialer{network: "tcp", address: k.Address, mux: p.muxOnly(k.Target)}
	if path, ok := strings.CutPrefix(k.Address, "unix:"); ok {
		d.network, d.address = "unix", path
	}
	if !p.secures(k.Target) {
		return d
	}
	d.tls = &tls.Config{}
	if p.o.TLS != nil {
		d.tls = p.o.TLS.Clone()
	}
	if d.tls.ServerName == "" {
		d.tls.ServerName = k.ServerName
	}
	if host, _, err := net.SplitHostPort(k.Address); err == nil && d.tls.ServerName == "" {
		d.tls.ServerName = host
	}
	if d.tls.ClientSessionCache == nil {
		d.tls.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	switch {
	case d.mux:
		d.tls.NextProtos = []string{"h2"}
	case p.mayMux(k.Target) && !k.http1:
		d.tls.NextProtos = []string{"h2", "http/1.1"}
	default:
		d.tls.NextProtos = []string{"http/1.1"}
	}
	return d
}

// dial opens a connection for h and makes an HTTP one of it.
func (h *host) dial() (*conn, *Error) {
	ctx, cancel := context.WithTimeoutCause(h.pool.ctx, h.pool.o.Connect, errConnectLimit)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, h.dialer.network, h.dialer.address)
	if err != nil {
		return nil, h.dialError(ctx, Connect, err)
	}
	c := &conn{host: h, done: make(chan struct{})}
	if h.dialer.tls == nil && !h.dialer.mux {
		c.wrap(raw)
		return c, nil
	}
	var nc net.Conn = &bottom{socket.NewCarrier(raw), c}
	mux := h.dialer.mux
	if h.dialer.tls != nil {
		tc, err := h.dialer.handshake(ctx, nc)
		if err != nil {
			raw.Close()
			return nil, h.dialError(ctx, TLS, err)
		}
		mux = tc.ConnectionState().NegotiatedProtocol == "h2"
		nc = tc
	}
	if !mux {
		c.wrap(nc)
		return c, nil
	}
	if c.cc, err = h.pool.transport.wrap(ctx, nc); err != nil {
		return nil, h.dialError(ctx, Connect, err)
	}
	return c, nil
}

// hostField is what the field Host says where a request does not.
func (d *dialer) hostField(k key) string {
	switch {
	case k.ServerName != "":
		return k.ServerName
	case d.network == "unix":
		return "localhost"
	}
	return k.Address
}

func (d *dialer) handshake(ctx context.Context, nc net.Conn) (*tls.Conn, error) {
	tc := tls.Client(nc, d.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if d.mux && tc.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, errors.New("the endpoint does not offer HTTP/2")
	}
	return tc, nil
}

func (h *host) dialError(ctx context.Context, phase Phase, err error) *Error {
	if h.pool.ctx.Err() != nil {
		return &Error{Phase: phase, Kind: Closed, Address: h.key.Address, Err: errPoolClosed}
	}
	e := dialError(phase, h.key.Address, err)
	if ctx.Err() != nil {
		e.Kind, e.Timeout, e.Err = TimedOut, true, context.Cause(ctx)
	}
	return e
}
