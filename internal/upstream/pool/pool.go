package pool

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options are what all connections of a pool have in common.
type Options struct {
	// Protocol is "auto", "http1", "http2" or "h2c". "auto", and "", is HTTP/1.1 without TLS, and with TLS what the endpoint
	// prefers of HTTP/2 and HTTP/1.1. "http2" and "h2c" both mean HTTP/2 only, with or without TLS as the target says.
	Protocol string

	// TLS is how connections are secured to targets whose scheme is "https", and to those that leave it open. Nil: the system's roots for "https", and no TLS otherwise. Its ServerName, if set, goes before the target's.
	TLS *tls.Config

	// Connect limits the time until there is a connection, TLS included, and the wait for one of MaxConns. 0: 10 seconds.
	Connect time.Duration

	// FirstByte limits the time from the end of the request to the head of the answer. 0: no limit.
	FirstByte time.Duration

	// Idle limits how long bodies and tunnels may stand still: no byte came from the side that is waited for. 0: no limit.
	Idle time.Duration

	// KeepAlive is how long a connection is kept that is not used. 0: one minute.
	KeepAlive time.Duration

	// MaxIdle is how many unused connections are kept for each target. 0: 1024.
	MaxIdle int

	// MaxConns limits the connections to each target. Requests beyond wait for a free one. 0: no limit.
	MaxConns int

	// MaxHeader limits the head of an answer, in bytes. 0: 256 KiB.
	MaxHeader int64

	// Continue is how long a request with "Expect: 100-continue" waits for the endpoint's consent before its body is sent anyway.
	// 0: one second.
	Continue time.Duration
}

func (o Options) withDefaults() Options {
	if o.Protocol == "" {
		o.Protocol = "auto"
	}
	if o.Connect <= 0 {
		o.Connect = 10 * time.Second
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = time.Minute
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = 1024
	}
	if o.MaxHeader <= 0 {
		o.MaxHeader = 256 << 10
	}
	if o.Continue <= 0 {
		o.Continue = time.Second
	}
	return o
}

// Target is an endpoint to connect to.
type Target struct {
	Scheme     string // "https": TLS; "http": none; "h2c": HTTP/2 without TLS; "": TLS if there are options for it
	Address    string // "10.0.0.1:8080", "orders:8080" or "unix:/run/app.sock"
	ServerName string // for SNI and the certificate's verification; "": the host in Address
}

// Info is what happened in a round trip. RoundTrip fills it, also when it fails; the fields Start, Fresh and
// Interim are the caller's.
type Info struct {
	Start     time.Time     // what the durations count from; zero: RoundTrip sets it
	Connect   time.Duration // until there was a connection; 0 for one that was idle
	FirstByte time.Duration // until the head of the answer; 0 when none came
	Reused    bool          // the connection had carried a request before

	// Fresh asks for a connection that has not carried a request, if that carries one at a time: there the endpoint cannot be about to
	// close it as unused.
	Fresh bool

	// Interim, if set, is told of interim answers (100, 102, 103) before the final one. It runs while RoundTrip waits, maybe on
	// another goroutine, never after RoundTrip has returned. An error ends the round trip.
	Interim func(status int, header http.Header) error
}

// Stats counts the connections to one target.
type Stats struct {
	Open    int // all, tunnels included
	Idle    int // without a request
	Waiting int // requests that wait for a connection
}

// Pool keeps connections to any number of targets. Its methods may be called at the same time.
type Pool struct {
	o         Options
	transport transport
	since     time.Time       // when it was made
	ctx       context.Context // ends with Close, and with it all dialling
	cancel    context.CancelFunc

	mu     sync.RWMutex
	hosts  map[key]*host
	closed bool
}

// key is what connections may be shared for.
type key struct {
	Target
	http1 bool // only HTTP/1.1 will do, for an upgrade
}

// New returns a pool without connections. It must be closed.
func New(o Options) *Pool {
	o = o.withDefaults()
	p := &Pool{o: o, since: time.Now(), hosts: map[key]*host{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.transport.init(o)
	return p
}

// RoundTrip sends a request to a target and returns the head of the answer. All errors are *Error. The answer's body must be
// read to its end or closed; its errors are *Error too, io.EOF apart. Of an answer with status 101 the body is an
// io.ReadWriteCloser with the method CloseWrite. When ctx ends, so does the answer's body, with the cause of ctx.
//
// Of req the method, the URL's path and query, Host, the header, the body, its length and the trailer are sent, unchanged and with
// nothing added but what HTTP needs. Hop-by-hop fields are the caller's business. The request is not changed.
//
// Its body is read and not closed. A Read of it may still be under way when RoundTrip has failed, if it blocks; no other follows. A
// body with GetBody set is taken to be in memory: it is used and closed as net/http does, and may be had again from GetBody.
func (p *Pool) RoundTrip(ctx context.Context, req *http.Request, to Target, info *Info) (*http.Response, error) {
	if info == nil {
		info = &Info{}
	}
	info.Connect, info.FirstByte, info.Reused = 0, 0, false
	if info.Start.IsZero() {
		info.Start = time.Now()
	}

	upgrade := wantsUpgrade(req.Header)
	if upgrade && p.muxOnly(to) {
		return nil, &Error{Phase: Write, Kind: BadRequest, Address: to.Address, Err: errUpgradeH2}
	}
	for {
		g, err := p.acquire(ctx, key{to, upgrade && p.mayMux(to)}, info.Fresh)
		if err != nil {
			return nil, err
		}
		if info.Reused = g.reused; g.dialled {
			info.Connect = time.Since(info.Start)
		}
		if g.c.mux() {
			return newAttempt(ctx, p, g, to, info).do(req)
		}
		resp, failed := g.c.http1.RoundTrip(ctx, req, info.Interim)
		if failed == nil {
			info.FirstByte = time.Since(info.Start)
		} else if unfit(failed) {
			continue
		}
		return resp, failed
	}
}

// unfit says whether a connection was not fit to be used again, which was seen before anything was sent on it.
func unfit(err error) bool {
	e, ok := err.(*Error)
	return ok && e.Kind == IdleClosed && e.Reused && !e.Sent && !e.BodyRead
}

// now is the time, which is cheaper to have so than from time.Now.
func (p *Pool) now() time.Time { return p.since.Add(time.Since(p.since)) }

func (p *Pool) acquire(ctx context.Context, k key, fresh bool) (grant, *Error) {
	if ctx.Err() != nil {
		return grant{}, canceled(ctx, Queue, k.Address)
	}
	for {
		h := p.host(k)
		if h == nil {
			return grant{}, &Error{Phase: Queue, Kind: Closed, Address: k.Address, Err: errPoolClosed}
		}
		if g, err, ok := h.acquire(ctx, fresh); ok {
			return g, err
		}
		p.forget(h)
	}
}

// host returns the connections for a key, or nil when the pool is closed.
func (p *Pool) host(k key) *host {
	p.mu.RLock()
	h, closed := p.hosts[k], p.closed
	p.mu.RUnlock()
	if h != nil || closed {
		return h
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if h = p.hosts[k]; h == nil {
		h = newHost(p, k)
		p.hosts[k] = h
	}
	return h
}

// forget removes a host that has given itself up.
func (p *Pool) forget(h *host) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts[h.key] == h {
		delete(p.hosts, h.key)
	}
}

func (p *Pool) all() []*host {
	p.mu.RLock()
	defer p.mu.RUnlock()
	hosts := make([]*host, 0, len(p.hosts))
	for _, h := range p.hosts {
		hosts = append(hosts, h)
	}
	return hosts
}

// CloseIdle closes all connections that carry no request.
func (p *Pool) CloseIdle() {
	for _, h := range p.all() {
		h.closeIdle()
	}
}

// Close closes the pool: no new request is sent, unused connections are closed at once, and others when their requests are done.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	for _, h := range p.all() {
		h.close()
	}
	return nil
}

// Stats counts the connections by address.
func (p *Pool) Stats() map[string]Stats {
	all := map[string]Stats{}
	for _, h := range p.all() {
		s, add := all[h.key.Address], h.stats()
		all[h.key.Address] = Stats{s.Open + add.Open, s.Idle + add.Idle, s.Waiting + add.Waiting}
	}
	return all
}

// muxOnly says whether a target is spoken to in HTTP/2 whatever it prefers.
func (p *Pool) muxOnly(to Target) bool {
	return p.o.Protocol == "http2" || p.o.Protocol == "h2c" || to.Scheme == "h2c"
}

// mayMux says whether it is the endpoint's choice to speak HTTP/2.
func (p *Pool) mayMux(to Target) bool { return p.o.Protocol == "auto" && p.secures(to) }

// secures says whether connections to a target use TLS.
func (p *Pool) secures(to Target) bool {
	return to.Scheme == "https" || (p.o.TLS != nil && to.Scheme == "")
}

func wantsUpgrade(h http.Header) bool {
	if len(h["Upgrade"]) == 0 {
		return false
	}
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}
