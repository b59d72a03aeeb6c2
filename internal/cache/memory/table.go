package memory

import (
	"sync/atomic"

	"cardea.dev/cardea/internal/stored"
)

// entry is a response in the store.
type entry struct {
	r    *stored.Response
	hash uint64
	cost int64         // bytes, with the entry's own
	hits atomic.Uint32 // since it was looked at

	main       bool // it is in the main queue, not in the small one
	prev, next *entry
}

// table is a part of the index: open addressing with linear probing. One writes at a time; reads need no lock, since what is in a table stays in its place
// until it is removed, and a place that was taken never becomes an empty one, at which reads stop. A table that is full is replaced as a whole.
type table struct {
	tags  []atomic.Uint32 // parts of hashes, so that reads hardly ever look at other entries than theirs
	slots []atomic.Pointer[entry]
	live  int // entries
	taken int // places that are not empty
}

const (
	empty    = 0
	removed  = 1
	smallest = 8
)

func newTable(n int) *table {
	return &table{tags: make([]atomic.Uint32, n), slots: make([]atomic.Pointer[entry], n)}
}

func tableSize(n int) int64 { return allocated(64) + allocated(4*int64(n)) + allocated(8*int64(n)) }

func tagOf(hash uint64) uint32 { return uint32(hash>>24) | 2 }

// find returns the entry with a key, and its place.
func (t *table) find(hash uint64, key string) (*entry, int) {
	mask := len(t.tags) - 1
	tag := tagOf(hash)
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		switch t.tags[i].Load() {
		case tag:
			if e := t.slots[i].Load(); e != nil && e.hash == hash && e.r.Key == key {
				return e, i
			}
		case empty:
			return nil, -1
		}
	}
}

// put puts an entry into a table that has room, and no entry with its key.
func (t *table) put(e *entry) {
	mask := len(t.tags) - 1
	i := int(e.hash) & mask
	for t.tags[i].Load() > removed {
		i = (i + 1) & mask
	}
	if t.tags[i].Load() == empty {
		t.taken++
	}
	t.live++
	t.slots[i].Store(e)
	t.tags[i].Store(tagOf(e.hash))
}

func (t *table) remove(i int) {
	t.tags[i].Store(removed)
	t.slots[i].Store(nil)
	t.live--
}

// full says whether there is no room for one more: a quarter of the places stays empty.
func (t *table) full() bool { return 4*(t.taken+1) > 3*len(t.tags) }

// sparse says whether nearly all places are empty.
func (t *table) sparse() bool { return t.live == 0 || 8*t.live < len(t.tags) && len(t.tags) > smallest }

// fitting returns a table of a size that fits, with the same entries.
func (t *table) fitting() *table {
	n := smallest
	for 8*(t.live+1) > 3*n {
		n *= 2
	}
	next := newTable(n)
	for i := range t.slots {
		if e := t.slots[i].Load(); e != nil {
			next.put(e)
		}
	}
	return next
}
