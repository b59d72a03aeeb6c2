package oidc

import "sync"

// cache remembers a bounded number of values. What was not asked for while twice its size came in is forgotten.
type cache[K comparable, V any] struct {
	mu         sync.RWMutex
	young, old map[K]V
	size       int
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{young: map[K]V{}, old: map[K]V{}, size: size}
}

// get returns the value of a key.
func (c *cache[K, V]) get(key K) (v V, ok bool) {
	c.mu.RLock()
	v, ok = c.young[key]
	aged := false
	if !ok {
		v, aged = c.old[key]
	}
	c.mu.RUnlock()
	if aged {
		c.put(key, v)
	}
	return v, ok || aged
}

// put remembers a value.
func (c *cache[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.make(key, v)
}

// add remembers a value, unless there is one. It says whether there was none.
func (c *cache[K, V]) add(key K, v V) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[key]; ok {
		return false
	}
	if _, ok := c.old[key]; ok {
		return false
	}
	c.make(key, v)
	return true
}

func (c *cache[K, V]) make(key K, v V) {
	if len(c.young) >= c.size {
		c.old, c.young = c.young, make(map[K]V, c.size)
	}
	c.young[key] = v
}
