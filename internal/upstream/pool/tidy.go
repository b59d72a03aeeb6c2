package pool

import (
	"net/http"
	"slices"
	"time"
)

// stateHook is told by an HTTP/2 connection that more requests fit on it. It may be called with h.mu held.
func (h *host) stateHook(*http.ClientConn) {
	if h.waiting.Load() {
		go h.retry()
	}
}

func (h *host) retry() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiters) > 0 && !h.gone {
		h.serve()
	}
}

// lost is told that a socket was closed.
func (h *host) lost(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(c)
	if !h.gone {
		h.serve()
		h.tidy()
	}
}

// drop forgets a connection. h.mu is held.
func (h *host) drop(c *conn) {
	delete(h.conns, c)
	h.idle = without(h.idle, c)
	h.mux = without(h.mux, c)
}

func without(list []*conn, c *conn) []*conn {
	if i := slices.Index(list, c); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// tidy closes what is unused and going away, or unused for too long. h.mu is held.
func (h *host) tidy() {
	now, keep := time.Now(), h.pool.o.KeepAlive
	for len(h.idle) > 0 && now.Sub(h.idle[0].idleSince) >= keep {
		h.retire(h.idle[0])
	}
	for _, c := range slices.Clone(h.mux) {
		// Without room for a request although it has none, it is going away.
		if c.active == 0 && (now.Sub(c.idleSince) >= keep || c.cc.Available() == 0) {
			h.retire(c)
		}
	}
	h.arm()
}

// sweep forgets unused connections that the endpoint has closed. h.mu is held.
func (h *host) sweep() {
	h.idle = slices.DeleteFunc(h.idle, func(c *conn) bool {
		if c.http1.Reusable() {
			return false
		}
		delete(h.conns, c)
		return true
	})
}

// sweepEvery is how often unused connections are looked at.
const sweepEvery = 2 * time.Second

// arm sees to it that the host is tidied when that is due. h.mu is held.
func (h *host) arm() {
	if h.armed || h.gone {
		return
	}
	h.armed = true
	now := time.Now()
	if wait := h.due(now).Sub(now); h.timer == nil {
		h.timer = time.AfterFunc(wait, h.onTimer)
	} else {
		h.timer.Reset(wait)
	}
}

// due is when the host is to be tidied: when the longest unused connection has been so for long enough, and now and then before, as
// endpoints close connections too. h.mu is held.
func (h *host) due(now time.Time) time.Time {
	keep := h.pool.o.KeepAlive
	end := now.Add(keep)
	if len(h.idle) > 0 {
		end = h.idle[0].idleSince.Add(keep)
		if sweep := now.Add(sweepEvery); sweep.Before(end) {
			end = sweep
		}
	}
	for _, c := range h.mux {
		if next := c.idleSince.Add(keep); c.active == 0 && next.Before(end) {
			end = next
		}
	}
	return end
}

// onTimer tidies, and gives the host up when nothing is left of it.
func (h *host) onTimer() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.armed = false
	if h.gone {
		return
	}
	if len(h.conns)+h.dialling+len(h.waiters) == 0 {
		h.gone = true
		go h.pool.forget(h) // which has locks that go before h.mu
		return
	}
	h.sweep()
	h.tidy()
}

// retire closes a connection that carries no request. h.mu is held.
func (h *host) retire(c *conn) {
	h.idle = without(h.idle, c)
	h.mux = without(h.mux, c)
	if !c.mux() {
		delete(h.conns, c)
	}
	go c.close() // ends at once; lost sees to the rest of HTTP/2
}

func (h *host) closeIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retireIdle()
}

func (h *host) retireIdle() {
	for len(h.idle) > 0 {
		h.retire(h.idle[0])
	}
	for _, c := range slices.Clone(h.mux) {
		if c.active == 0 {
			h.retire(c)
		}
	}
}

// close gives the host up: what is in use is closed when it is done.
func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	h.retireIdle()
	for len(h.waiters) > 0 {
		h.answer(0, grant{err: &Error{Phase: Queue, Kind: Closed, Address: h.key.Address, Err: errPoolClosed}})
	}
	if h.timer != nil {
		h.timer.Stop()
	}
}

func (h *host) stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep()
	s := Stats{Open: len(h.conns), Waiting: len(h.waiters)}
	for c := range h.conns {
		if c.active == 0 {
			s.Idle++
		}
	}
	return s
}
