package token

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
)

// ID finds a token: its SHA-256.
type ID [sha256.Size]byte

// NewID makes the id of a token.
func NewID(raw string) ID {
	var most [2048]byte // so that the usual ones are not copied to the heap
	if len(raw) > len(most) {
		return sha256.Sum256([]byte(raw))
	}
	return sha256.Sum256(most[:copy(most[:], raw)])
}

const shards = 32

// Cache keeps so many tokens at most. What was not asked for lately makes room. It is safe for use by several goroutines.
type Cache[T any] struct {
	shards [shards]shard[T]
}

// shard is a part of the cache. Its ids stand in a ring, which a hand goes around to find one that was not used since it came by last.
type shard[T any] struct {
	mu   sync.RWMutex
	m    map[ID]*entry[T]
	ring []ID
	hand int
	most int
	_    [64]byte // shards do not share cache lines
}

type entry[T any] struct {
	value T
	at    int // in the ring
	used  atomic.Bool
}

// NewCache makes a cache for so many.
func NewCache[T any](most int) *Cache[T] {
	c := &Cache[T]{}
	for i := range c.shards {
		c.shards[i].m = map[ID]*entry[T]{}
		c.shards[i].most = (most + shards - 1) / shards
	}
	return c
}

// Get returns what was put.
func (c *Cache[T]) Get(id ID) (v T, ok bool) {
	s := &c.shards[id[0]%shards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.m[id]
	if e == nil {
		return v, false
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.value, true
}

// Put keeps a value.
func (c *Cache[T]) Put(id ID, v T) {
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[id]; e != nil {
		s.m[id] = &entry[T]{value: v, at: e.at}
		return
	}
	if len(s.ring) < s.most {
		s.m[id] = &entry[T]{value: v, at: len(s.ring)}
		s.ring = append(s.ring, id)
		return
	}
	if s.most == 0 {
		return
	}
	at := s.free()
	s.m[id] = &entry[T]{value: v, at: at}
	s.ring[at] = id
}

// free makes room in the ring.
func (s *shard[T]) free() int {
	for {
		at := s.hand
		s.hand = (s.hand + 1) % len(s.ring)
		e := s.m[s.ring[at]]
		if e != nil && e.at == at && e.used.Swap(false) {
			continue
		}
		if e != nil && e.at == at {
			delete(s.m, s.ring[at])
		}
		return at
	}
}

// Drop forgets a value. Its place in the ring is found again by the hand.
func (c *Cache[T]) Drop(id ID) {
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, id)
}

// Len is how many are kept.
func (c *Cache[T]) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}
