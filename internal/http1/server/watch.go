package server

import (
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// watcher finds out whether clients still wait for their answers. A request whose context somebody asked about is looked at by one
// goroutine for the whole server; only when it has taken long a goroutine of its own reads ahead on its connection until the
// request is over. Fast requests cost a place in a list.
type watcher struct {
	server  *Server
	running atomic.Bool
	closed  atomic.Bool
	cutting atomic.Bool // all contexts end
	once    sync.Once
	quit    chan struct{}
	end     sync.Once
	shards  [shards]struct {
		mu    sync.Mutex
		first *watchEntry
		_     [40]byte
	}
}

const (
	watchAfter = 50 * time.Millisecond
	watchTick  = 25 * time.Millisecond
	watchIdle  = 40 // ticks without a request until the goroutine ends
)

// watchEntry is a request that the watcher knows.
type watchEntry struct {
	asked      bool // guarded by the context
	conn       *conn
	context    *callContext // that it is part of
	since      int64
	listed     bool          // guarded by the shard, as all below
	watched    chan struct{} // closed when the goroutine that reads ahead has ended; nil: none was started
	stopping   bool          // guarded by the link
	prev, next *watchEntry
}

func (w *watcher) done() chan struct{} {
	w.once.Do(func() { w.quit = make(chan struct{}) })
	return w.quit
}

// stop ends the goroutine.
func (w *watcher) stop() {
	w.closed.Store(true)
	w.end.Do(func() { close(w.done()) })
}

// cut ends the contexts of all requests, also of those to come.
func (w *watcher) cut() {
	w.cutting.Store(true)
	w.stop()
	for i := range w.shards {
		s := &w.shards[i]
		var contexts []*callContext
		s.mu.Lock()
		for e := s.first; e != nil; e = e.next {
			contexts = append(contexts, e.context)
		}
		s.mu.Unlock()
		for _, c := range contexts {
			c.cancel()
		}
	}
}

// add takes a request in. The lock of its context is held.
func (w *watcher) add(ctx *callContext) {
	c, e := ctx.conn, &ctx.entry
	e.conn, e.context, e.since = c, ctx, now()
	s := &w.shards[c.shard]
	s.mu.Lock()
	e.listed = true
	e.next = s.first
	if e.next != nil {
		e.next.prev = e
	}
	s.first = e
	s.mu.Unlock()
	if w.cutting.Load() {
		go ctx.cancel() // its lock is held here
		return
	}
	if !w.closed.Load() && !w.running.Load() && w.running.CompareAndSwap(false, true) {
		go w.run() // ends when there was nothing to do for a while, or with stop
	}
}

// remove forgets a request. Afterwards nobody reads ahead on its connection.
func (w *watcher) remove(e *watchEntry) {
	s := &w.shards[e.conn.shard]
	s.mu.Lock()
	w.unlist(e)
	watched := e.watched
	s.mu.Unlock()
	if watched != nil {
		e.conn.link.interrupt(&e.stopping)
		<-watched
	}
}

// unlist takes e out of its list. The shard's lock is held.
func (w *watcher) unlist(e *watchEntry) {
	if !e.listed {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		w.shards[e.conn.shard].first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.listed, e.prev, e.next = false, nil, nil
}

func (w *watcher) run() {
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for idle := 0; ; idle++ {
		select {
		case <-w.done():
			w.running.Store(false)
			return
		case <-tick.C:
		}
		if w.scan() {
			idle = 0
		}
		if idle < watchIdle {
			continue
		}
		w.running.Store(false)
		if !w.any() || !w.running.CompareAndSwap(false, true) {
			return // nothing to do, or another has been started
		}
	}
}

// scan starts watching the requests that have taken long. It says whether there are any requests.
func (w *watcher) scan() (some bool) {
	long := now() - int64(watchAfter)
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		for e := s.first; e != nil; {
			next := e.next
			some = true
			if e.since <= long && e.conn.readable() {
				w.unlist(e)
				e.watched = make(chan struct{})
				go e.conn.watch(e) // ends with the request, the connection, or a full buffer
			}
			e = next
		}
		s.mu.Unlock()
	}
	return some
}

func (w *watcher) any() bool {
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		some := s.first != nil
		s.mu.Unlock()
		if some {
			return true
		}
	}
	return false
}

// readable says whether nobody else reads the connection: the body of the request has been read.
func (c *conn) readable() bool {
	b := c.call.body
	return b == nil || b.ended.Load()
}

// watch reads ahead, into the buffer, until the client leaves or the request is over. What it reads are requests to come.
func (c *conn) watch(e *watchEntry) {
	defer close(e.watched)
	for c.link.listen(&e.stopping) {
		if c.reader.Buffered() >= http1.SmallBuffer {
			return // it sends on, so it is there
		}
		n, err := c.link.conn.Read(c.reader.Space())
		c.reader.Advance(n)
		switch {
		case n > 0 || socket.Temporary(err):
		case err == nil:
			return
		case isEnd(err) && c.server.KeepOnHalfClose:
			return
		default:
			c.call.ctx.cancel()
			return
		}
	}
}
