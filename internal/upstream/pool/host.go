package pool

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// host holds the connections to one target.
//
// Lock order: host.mu before those of the HTTP library. The library calls back with its locks held only when it closes a socket,
// and that is passed on by a goroutine.
type host struct {
	pool   *Pool
	key    key
	dialer dialer

	mu       sync.Mutex
	gone     bool               // given up: look it up again
	conns    map[*conn]struct{} // all that are open
	idle     []*conn            // HTTP/1.1 without a request; the longest unused first
	mux      []*conn            // HTTP/2
	speaks   speaks
	dialling int
	waiters  []*waiter
	timer    *time.Timer // closes what was unused for too long
	armed    bool        // the timer is running

	waiting atomic.Bool // there may be waiters, for those without h.mu
}

// speaks is what is known of a target.
type speaks uint8

const (
	speaksUnknown speaks = iota
	speaksHTTP1
	speaksHTTP2
)

// waiter is a request that waits for a connection. Its channel has room for the one grant it gets.
type waiter struct {
	grant chan grant
	fresh bool // a connection that has carried an HTTP/1.1 request will not do
}

// grant is a connection for one request, or why there is none.
type grant struct {
	c       *conn
	use     int // which use of c this is
	reused  bool
	dialled bool // it was waited for
	err     *Error
}

func newHost(p *Pool, k key) *host {
	h := &host{pool: p, key: k, dialer: newDialer(p, k), conns: map[*conn]struct{}{}}
	switch {
	case p.muxOnly(k.Target):
		h.speaks = speaksHTTP2
	case k.http1 || !p.mayMux(k.Target):
		h.speaks = speaksHTTP1
	}
	return h
}

// acquire waits for a connection, which was fit when it was last used, or is fresh where that is asked for. It returns false when the
// host has been given up.
func (h *host) acquire(ctx context.Context, fresh bool) (grant, *Error, bool) {
	h.mu.Lock()
	if h.gone {
		h.mu.Unlock()
		return grant{}, nil, false
	}
	if g, ok := h.take(fresh); ok {
		h.mu.Unlock()
		return g, nil, true
	}
	w := &waiter{make(chan grant, 1), fresh}
	h.waiters = append(h.waiters, w)
	h.waiting.Store(true)
	h.serve() // once more, as room made before waiting was set was told to nobody
	h.mu.Unlock()
	g, err := h.wait(ctx, w)
	return g, err, true
}

func (h *host) wait(ctx context.Context, w *waiter) (grant, *Error) {
	limit := time.NewTimer(h.pool.o.Connect)
	defer limit.Stop()
	for {
		select {
		case g := <-w.grant:
			g.dialled = true
			return g, g.err
		case <-ctx.Done():
			if g, ok := h.abandon(w); ok && g.err == nil {
				h.giveBack(g)
			}
			return grant{}, canceled(ctx, h.waitPhase(), h.key.Address)
		case <-limit.C:
			if h.isDialling() { // which has a limit of its own
				limit.Reset(h.pool.o.Connect)
				continue
			}
			if g, ok := h.abandon(w); ok {
				g.dialled = true
				return g, g.err
			}
			return grant{}, &Error{Phase: Queue, Kind: TimedOut, Address: h.key.Address, Timeout: true, Err: errQueueTimeout}
		}
	}
}

func (h *host) isDialling() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dialling > 0
}

func (h *host) waitPhase() Phase {
	if h.isDialling() {
		return Connect
	}
	return Queue
}

// abandon takes a waiter out of the queue. It returns what the waiter was granted, if that came first.
func (h *host) abandon(w *waiter) (grant, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.waiters, w); i >= 0 {
		h.waiters = slices.Delete(h.waiters, i, i+1)
		h.waiting.Store(len(h.waiters) > 0)
		return grant{}, false
	}
	return <-w.grant, true
}

// take returns a connection that is open and free, for one more request. h.mu is held.
func (h *host) take(fresh bool) (grant, bool) {
	for last := len(h.idle) - 1; last >= 0; last-- {
		c := h.idle[last]
		if fresh && c.uses > 0 {
			break // what lies below was there before
		}
		h.idle[last] = nil
		h.idle = h.idle[:last]
		if c.isClosed() {
			h.drop(c)
			continue
		}
		return h.use(c), true
	}
	for _, c := range h.mux {
		if !c.closed.Load() && c.cc.Reserve() == nil {
			return h.use(c), true
		}
	}
	return grant{}, false
}

func (h *host) use(c *conn) grant {
	g := grant{c: c, use: c.uses + 1, reused: c.uses > 0}
	c.uses++
	c.active++
	return g
}

// serve gives what is free to those who wait, and sees to more where that does not do. h.mu is held.
func (h *host) serve() {
	for i := 0; i < len(h.waiters); {
		g, ok := h.take(h.waiters[i].fresh)
		switch {
		case ok:
			h.answer(i, g)
		case h.waiters[i].fresh:
			i++ // what does not do for it may do for others
		default:
			i = len(h.waiters)
		}
	}
	h.waiting.Store(len(h.waiters) > 0)
	h.dialMore()
}

// answer gives a grant to a waiter. h.mu is held.
func (h *host) answer(i int, g grant) {
	w := h.waiters[i]
	if i == 0 {
		h.waiters[0] = nil
		h.waiters = h.waiters[1:]
	} else {
		h.waiters = slices.Delete(h.waiters, i, i+1)
	}
	w.grant <- g
}

// dialMore dials for those who wait, as far as connections may be opened. As long as the target may speak HTTP/2, where one
// connection serves many, it dials one at a time. h.mu is held.
func (h *host) dialMore() {
	limit := h.pool.o.MaxConns
	for len(h.waiters) > h.dialling {
		if limit > 0 && len(h.conns)+h.dialling >= limit {
			if len(h.idle) == 0 {
				return
			}
			h.retire(h.idle[0]) // nobody who waits can use it
		}
		if h.speaks != speaksHTTP1 && h.dialling > 0 {
			return
		}
		h.dialling++
		go h.connect() // ends with the limit on connecting, or with the pool
	}
}

func (h *host) connect() {
	c, err := h.dial()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialling--
	if err != nil {
		h.refuse(err)
		return
	}
	if h.gone {
		go c.close()
		return
	}
	h.conns[c] = struct{}{}
	c.idleSince = h.pool.now()
	if c.mux() {
		h.speaks = speaksHTTP2
		h.mux = append(h.mux, c)
		c.cc.SetStateHook(h.stateHook)
	} else {
		h.speaks = speaksHTTP1
		h.idle = append(h.idle, c)
	}
	if c.isClosed() { // between dialling and now; lost may have come too early to see it
		h.drop(c)
	}
	h.serve()
	h.tidy()
}

// refuse passes a failure to connect on: to all who wait where they wait for one connection, else to the first. h.mu is held.
func (h *host) refuse(err *Error) {
	all := h.speaks != speaksHTTP1
	for len(h.waiters) > 0 {
		mine := *err
		h.answer(0, grant{err: &mine})
		if !all {
			break
		}
	}
	h.dialMore()
	h.tidy()
}

// over is told that an HTTP/1.1 exchange is over: its connection is at rest, or closed.
func (h *host) over(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !c.isClosed() {
		h.rest(c)
		return
	}
	h.drop(c)
	if !h.gone {
		h.serve()
		h.arm()
	}
}

// rest puts an HTTP/1.1 connection back. h.mu is held.
func (h *host) rest(c *conn) {
	c.active = 0
	c.idleSince = h.pool.now()
	if h.gone {
		h.retire(c)
		return
	}
	h.idle = append(h.idle, c)
	if len(h.waiters) > 0 {
		h.serve()
	}
	if len(h.idle) > h.pool.o.MaxIdle {
		h.retire(h.idle[0])
	}
	h.arm()
}

// giveBack returns a connection that was granted and not used.
func (h *host) giveBack(g grant) {
	if g.c.mux() {
		g.c.cc.Release()
		h.release(g)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rest(g.c)
}

// release is told that a request is done with its HTTP/2 connection.
func (h *host) release(g grant) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := g.c
	if c.active--; c.active > 0 {
		return
	}
	c.idleSince = h.pool.now()
	if h.gone {
		go c.close()
		return
	}
	h.tidy()
}
