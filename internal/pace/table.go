package pace

import (
	"container/list"
	"sync"
	"time"
)

// Table has a bucket for each key that is in use. One that nobody uses is forgotten once it is full again, so that ending a transfer and
// beginning another gains nothing. It may be used by many goroutines.
type Table[K comparable] struct {
	rate Rate

	mu    sync.Mutex
	found map[K]*entry[K]
	idle  list.List // of *entry[K] that nobody uses, the one that was used last comes last
}

type entry[K comparable] struct {
	key    K
	bucket *Bucket
	users  int
	at     *list.Element // nil: it is in use
}

// maxIdle is how many keys are remembered that nobody uses. Those in use are bounded by the exchanges under way.
const maxIdle = 65536

// NewTable returns a table without keys.
func NewTable[K comparable](r Rate) *Table[K] {
	return &Table[K]{rate: r, found: map[K]*entry[K]{}}
}

// Acquire returns the bucket of a key. Release must follow.
func (t *Table[K]) Acquire(key K) *Bucket {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now)
	e := t.found[key]
	if e == nil {
		e = &entry[K]{key: key, bucket: NewBucket(t.rate)}
		t.found[key] = e
	}
	if e.at != nil {
		t.idle.Remove(e.at)
		e.at = nil
	}
	e.users++
	return e.bucket
}

// Release says that a transfer of a key has ended.
func (t *Table[K]) Release(key K) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.found[key]
	if e == nil || e.users == 0 {
		return
	}
	if e.users--; e.users > 0 {
		return
	}
	e.at = t.idle.PushBack(e)
	t.sweep(now)
	if t.idle.Len() > maxIdle {
		t.forget(t.idle.Front().Value.(*entry[K]))
	}
}

// sweep forgets the keys that were not used for longest, as far as their buckets are full. Two at each call keep up with what comes.
func (t *Table[K]) sweep(now time.Time) {
	for range 2 {
		first := t.idle.Front()
		if first == nil {
			return
		}
		e := first.Value.(*entry[K])
		if !e.bucket.Idle(now) {
			t.idle.MoveToBack(first)
			return
		}
		t.forget(e)
	}
}

func (t *Table[K]) forget(e *entry[K]) {
	t.idle.Remove(e.at)
	delete(t.found, e.key)
}

// Keys is how many keys are remembered, and how many transfers of one are under way.
func (t *Table[K]) Keys(key K) (keys, users int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.found[key]; e != nil {
		users = e.users
	}
	return len(t.found), users
}
