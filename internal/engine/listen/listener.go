package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/http1/server"
)

// listener is a socket, and what is done with the connections to it. The socket stays; the rest can change at any time.
type listener struct {
	key     string // what makes it the same listener after a reload
	socket  net.Listener
	unix    bool
	log     *slog.Logger
	options Options
	live    atomic.Pointer[live]
	open    atomic.Int64  // connections
	floods  *floods       // connections by address, and their rates
	shaking atomic.Int64  // TLS handshakes under way
	closing chan struct{} // closed when the socket is
	stopped chan struct{} // closed when no more connections are accepted

	mu      sync.Mutex
	servers []*pair // the current one is the last
}

// live is how a listener behaves now. It is immutable.
type live struct {
	config  *config.Listener
	edge    *Edge
	handler http.Handler
	server  *pair
	secured *secured // nil: plain
	proxy   *senders // nil: no PROXY protocol
	flood   floodLimits
	counts  *counts
}

// senders are the peers whose PROXY header is believed.
type senders struct {
	required bool
	ranges   bart.Lite
	unix     bool
}

func newSenders(c *config.Listener, unix bool) *senders {
	if !c.SendsProxyHeader() {
		return nil
	}
	s := &senders{required: c.ProxyProtocol.Mode == "required", unix: unix && len(c.ProxyProtocol.Trusted) == 0}
	for _, p := range c.ProxyHeaderFrom() {
		s.unix = s.unix || p.Unix
		for _, r := range p.Ranges {
			s.ranges.Insert(r)
		}
	}
	return s
}

// trust says whether a peer's PROXY header is believed.
func (s *senders) trust(peer net.Addr) bool {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return s.unix
	}
	return s.ranges.Contains(tcp.AddrPort().Addr().Unmap().WithZone(""))
}

// serve begins to accept connections. It ends when the socket is closed.
func (l *listener) serve() { go l.accept() }

// change makes the listener behave as described from now on: for new connections, and in what its handler is for those there are.
func (l *listener) change(next *live) {
	before := l.live.Load()
	set := newSettings(next.config)
	l.mu.Lock()
	defer l.mu.Unlock()
	if before != nil && before.server.settings == set {
		next.server = before.server
		l.live.Store(next)
		return
	}
	next.server = newPair(set, l, l.socket.Addr(), l.options, &serverLog{l.log, func() *counts { return l.live.Load().counts }})
	next.server.shake = l.shake
	l.servers = append(l.servers, next.server)
	l.live.Store(next)
	if before != nil {
		before.server.retire()
	}
	l.servers = slices.DeleteFunc(l.servers, (*pair).over)
}

// ServeHTTP hands a request to the current handler.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := l.live.Load()
	if r.ProtoMajor > 1 { // package http1 does it itself
		s := newStream(w, r, now)
		defer s.end()
		w = s
	}
	if l.answered(w, r) {
		return
	}
	now.handler.ServeHTTP(w, r)
}

// accept takes connections in until the socket is closed.
func (l *listener) accept() {
	defer close(l.stopped)
	var pause time.Duration
	for {
		raw, err := l.socket.Accept()
		if err == nil {
			pause = 0
			l.admit(raw)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		now := l.live.Load()
		now.counts.failedAccepts.Inc()
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		l.log.Warn("cannot accept a connection", "listener", now.edge.Name, "error", err, "pause", pause)
		select {
		case <-l.closing:
			return
		case <-time.After(pause):
		}
	}
}

// admit hands one connection to the current server, or closes it.
func (l *listener) admit(raw net.Conn) {
	now := l.live.Load()
	if limit := int64(now.config.Limits.Connections); limit > 0 && l.open.Load() >= limit {
		now.counts.overLimit.Inc()
		refuse(raw)
		return
	}
	if why := l.floods.arrives(&now.flood); why != nil {
		why(now.counts).Inc()
		refuse(raw)
		return
	}
	for !now.server.hold() { // it was retired just now, and another is current; or all is over
		next := l.live.Load()
		if next == now {
			refuse(raw)
			return
		}
		now = next
	}
	c := &conn{Conn: raw, stall: now.config.Limits.WriteIdle.Std(), meter: server.NewMeter(now.server.settings.writePace)}
	held, open := now.server, now.counts.open
	l.open.Add(1)
	open.Inc()
	c.done = func() {
		open.Dec()
		l.open.Add(-1)
		l.floods.leaves(c)
		held.release()
	}
	l.welcome(now, c)
}

// welcome hands a connection to the server, unless its peer may not connect, or has too many.
func (l *listener) welcome(now *live, c *conn) {
	reject := func(why prometheus.Counter) {
		why.Inc()
		refuse(c.Conn)
		_ = c.Close() // counts it as gone
	}
	dressed, told := now.dress(c)
	if dressed == nil {
		reject(now.counts.badProxy)
		return
	}
	if told != nil && now.flood.byAddress() { // the address is in the header, which is still to come
		now.counts.accepted.Inc()
		go func() { // ends with the header, or when it is too long in coming
			if why := l.floods.admits(&now.flood, c, told.RemoteAddr()); why != nil {
				reject(why(now.counts))
				return
			}
			now.server.take(dressed)
		}()
		return
	}
	if why := l.floods.admits(&now.flood, c, c.RemoteAddr()); why != nil {
		reject(why(now.counts))
		return
	}
	now.counts.accepted.Inc()
	now.server.take(dressed)
}

// shake counts a TLS handshake as under way. It says whether there is room for it, and then done must be called.
func (l *listener) shake() (done func(), ok bool) {
	now := l.live.Load()
	limit := int64(now.config.Limits.Handshakes)
	if n := l.shaking.Add(1); limit > 0 && n > limit {
		l.shaking.Add(-1)
		now.counts.handshakes.Inc()
		return nil, false
	}
	return func() { l.shaking.Add(-1) }, true
}

// dress puts the PROXY protocol and TLS on a connection; nil means that its peer may not connect. Told is the connection whose address
// a PROXY header tells; nil: there is none.
func (now *live) dress(c *conn) (dressed, told net.Conn) {
	dressed = c
	if now.proxy != nil {
		switch trusted := now.proxy.trust(c.RemoteAddr()); {
		case trusted:
			dressed = now.proxyConn(c)
			told = dressed
		case now.proxy.required:
			return nil, nil
		}
	}
	if now.secured != nil {
		dressed = tls.Server(dressed, now.secured.config)
	}
	return dressed, told
}

// proxyConn expects a PROXY header, or may have one. It is read by the goroutine that serves the connection, not here.
func (now *live) proxyConn(c *conn) net.Conn {
	policy := proxyproto.USE
	if now.proxy.required {
		policy = proxyproto.REQUIRE
	}
	timeout := proxyproto.SetReadHeaderTimeout(now.config.Limits.HeaderTimeout.Std())
	return &proxied{Conn: proxyproto.NewConn(c, proxyproto.WithPolicy(policy), timeout), inner: c, bad: now.counts.badProxy.Inc}
}

// stop closes the socket, and waits until no more connections are taken in.
func (l *listener) stop() {
	l.mu.Lock()
	select {
	case <-l.closing:
	default:
		close(l.closing)
		_ = l.socket.Close()
	}
	l.mu.Unlock()
	<-l.stopped
}

// drain stops the listener and lets what runs end; what has not when ctx ends is cut. Connections that were handed over to others
// (hijacked) are theirs.
func (l *listener) drain(ctx context.Context) error {
	l.stop()
	return l.each(func(s *pair) error { return s.shutdown(ctx) })
}

// cut stops the listener and all that runs.
func (l *listener) cut() {
	l.stop()
	_ = l.each(func(s *pair) error { s.close(); return nil })
}

// each does something with all servers at once.
func (l *listener) each(do func(*pair) error) error {
	l.mu.Lock()
	servers := slices.Clone(l.servers)
	l.mu.Unlock()
	errs := make([]error, len(servers))
	var wait sync.WaitGroup
	for i, s := range servers {
		wait.Go(func() { errs[i] = do(s) })
	}
	wait.Wait()
	return errors.Join(errs...)
}
