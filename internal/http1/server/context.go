package server

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// callContext is the context of one request. It ends when the client leaves or the handler returns. Nothing is made, and nobody
// watches the client, before somebody asks for Done.
type callContext struct {
	conn *conn

	mu    sync.Mutex
	done  chan struct{} // nil: nobody asked
	over  bool
	kept  bool // somebody may have kept it
	after []*afterFunc
	entry watchEntry
}

type afterFunc struct{ f func() }

// Peer returns what RemoteAddr of a request of a Server says, as long as the request has the context that it came with. It need not
// be parsed for each request of a connection then.
func Peer(r *http.Request) (netip.AddrPort, bool) {
	ctx, ok := r.Context().(*callContext)
	if !ok || ctx.conn == nil || ctx.conn.remote != r.RemoteAddr {
		return netip.AddrPort{}, false
	}
	return ctx.conn.peer, ctx.conn.peer.IsValid()
}

// Deadline says that there is none.
func (*callContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value knows http.LocalAddrContextKey.
func (c *callContext) Value(key any) any {
	if key == http.LocalAddrContextKey && c.conn != nil {
		return c.conn.conn.LocalAddr()
	}
	return nil
}

// Err is context.Canceled once the client has left or the handler has returned.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return context.Canceled
	}
	return nil
}

// Done returns what is closed when the context ends. From the first call on the client is watched.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.over {
			close(c.done)
		}
		c.watch()
	}
	return c.done
}

// AfterFunc calls f in its own goroutine when the context ends, as package context wants it of contexts that are not its own.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		go f()
		return func() bool { return false }
	}
	a := &afterFunc{f}
	c.after = append(c.after, a)
	c.watch()
	return func() bool { return c.forget(a) }
}

func (c *callContext) forget(a *afterFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.after {
		if other == a {
			last := len(c.after) - 1
			c.after[i] = c.after[last]
			c.after[last] = nil
			c.after = c.after[:last]
			return true
		}
	}
	return false
}

// watch sees to it that the client is watched once the request has taken long. mu is held.
func (c *callContext) watch() {
	c.kept = true
	if !c.over && !c.entry.asked {
		c.entry.asked = true
		c.conn.server.watched.add(c)
	}
}

// cancel ends the context.
func (c *callContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	if c.done != nil {
		close(c.done)
	}
	for i, a := range c.after {
		go a.f()
		c.after[i] = nil
	}
	c.after = c.after[:0]
}

// reusable says whether nobody can have kept the context in a way in which its next life would be seen.
func (c *callContext) reusable() bool { return !c.kept }
