package purge

import "sync/atomic"

// Sizes of tables, as powers of two. URLs are purged by each unsafe request, tags by people and their programs: 2 MiB and 512 KiB, which are taken when
// the first is purged. After 20,000 other URLs were purged since a response was stored, it is missed for nothing with a chance of 1 %; after 5,000, of 0.02 %. A URL with a query counts twice.
const (
	urlBits = 18
	tagBits = 16
)

// places is in how many places of a table a mark stands. All must be newer for a response to be purged.
const places = 3

// table has for each place the highest number of a purge that is marked there.
type table struct {
	bits   uint8
	newest atomic.Uint64
	slots  atomic.Pointer[[]atomic.Uint64] // nil before the first mark
}

// mark notes a purge. Whoever calls it holds a lock.
func (t *table) mark(hash, seq uint64) {
	slots := t.made()
	for i := range places {
		raise(&slots[t.place(hash, i)], seq)
	}
	raise(&t.newest, seq)
}

// made returns the slots, which it makes at first.
func (t *table) made() []atomic.Uint64 {
	slots := t.slots.Load()
	if slots == nil {
		made := make([]atomic.Uint64, 1<<t.bits)
		slots = &made
		t.slots.Store(slots)
	}
	return *slots
}

// newer says whether what has a hash was purged after seq.
func (t *table) newer(hash, seq uint64) bool { return t.latest(hash) > seq }

// latest returns the number of the latest purge of what has a hash.
func (t *table) latest(hash uint64) uint64 {
	slots := t.slots.Load()
	if slots == nil {
		return 0
	}
	latest := (*slots)[t.place(hash, 0)].Load()
	for i := 1; i < places && latest > 0; i++ {
		latest = min(latest, (*slots)[t.place(hash, i)].Load())
	}
	return latest
}

// place is the i-th place of a hash: other bits of it each time.
func (t *table) place(hash uint64, i int) uint64 { return hash >> (21 * i) & (1<<t.bits - 1) }
