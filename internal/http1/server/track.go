package server

import (
	"sync"
	"sync/atomic"
)

const shards = 16

// tracker knows the connections of a server.
type tracker struct {
	next   atomic.Uint32
	count  atomic.Int64
	ending atomic.Bool
	once   sync.Once
	empty  chan struct{} // closed when it is ending and has none
	none   sync.Once
	shards [shards]struct {
		mu    sync.Mutex
		first *conn
		_     [40]byte // no two in one cache line
	}
}

// add takes a connection in, unless the server is ending.
func (t *tracker) add(c *conn) bool {
	c.shard = uint8(t.next.Add(1) % shards)
	t.count.Add(1)
	if t.ending.Load() {
		t.leave()
		return false
	}
	s := &t.shards[c.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	c.next = s.first
	if c.next != nil {
		c.next.prev = c
	}
	s.first = c
	return true
}

// remove forgets a connection. It may be called more than once, by the connection's own goroutine.
func (t *tracker) remove(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	s := &t.shards[c.shard]
	s.mu.Lock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		s.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	s.mu.Unlock()
	t.leave()
}

func (t *tracker) leave() {
	if t.count.Add(-1) == 0 && t.ending.Load() {
		t.ended()
	}
}

// each calls f with every connection, with a lock held that add and remove need.
func (t *tracker) each(f func(*conn)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for c := s.first; c != nil; c = c.next {
			f(c)
		}
		s.mu.Unlock()
	}
}

// ended makes the tracker take no more connections, and returns what is closed when it has none.
func (t *tracker) ended() chan struct{} {
	t.once.Do(func() { t.empty = make(chan struct{}) })
	t.ending.Store(true)
	if t.count.Load() == 0 {
		t.none.Do(func() { close(t.empty) })
	}
	return t.empty
}
