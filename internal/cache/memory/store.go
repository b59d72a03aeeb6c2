package memory

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
	"unsafe"

	"cardea.dev/cardea/internal/stored"
)

// Store keeps responses in memory. It is safe for use by several goroutines. Looking up takes no lock; all else takes one.
//
// What is new waits in a small queue, where it has the time to be asked for again, and then comes into the main one. At their ends entries stay that were asked for
// meanwhile. See docs/decisions/0019.
type Store struct {
	seed   maphash.Seed
	tables []atomic.Pointer[table] // by the first bits of the hash: while one is replaced by a larger one, nobody waits for long
	none   *table                  // stands for all that are empty

	mu      sync.Mutex
	limit   int64
	bytes   int64 // of entries
	index   int64 // of all that finds them
	objects int
	evicted int64

	small, main queue
	ghosts      ghosts
}

const (
	parts   = 256 // of the index
	largest = 8   // what takes more than one part in so many of the limit is not kept
)

// New makes a store for so many bytes.
func New(limit int64) *Store {
	s := &Store{seed: maphash.MakeSeed(), tables: make([]atomic.Pointer[table], parts), limit: limit, none: newTable(smallest)}
	for i := range s.tables {
		s.tables[i].Store(s.none)
	}
	s.ghosts.fit(1)
	s.index = s.empty() + s.ghosts.size()
	return s
}

// empty is what it takes without tables and ghosts.
func (s *Store) empty() int64 {
	return allocated(int64(unsafe.Sizeof(*s))) + allocated(8*parts) + tableSize(smallest)
}

// Get returns the response with a key, or nil.
func (s *Store) Get(key []byte) *stored.Response {
	return s.GetString(unsafe.String(unsafe.SliceData(key), len(key)))
}

// GetString is Get for a key that is a text.
func (s *Store) GetString(key string) *stored.Response {
	hash := s.hash(key)
	e, _ := s.table(hash).Load().find(hash, key)
	if e == nil {
		return nil
	}
	if n := e.hits.Load(); n < mostHits {
		e.hits.Store(n + 1) // of two at once one may be lost
	}
	return e.r
}

func (s *Store) hash(key string) uint64 { return maphash.String(s.seed, key) }

func (s *Store) table(hash uint64) *atomic.Pointer[table] {
	return &s.tables[hash>>56]
}

// Set keeps a response, in the place of the one with its key. It returns false when it does not: the response is too large, or others
// were asked for more. Then nothing has its key.
func (s *Store) Set(r *stored.Response) bool {
	e := &entry{r: r, hash: s.hash(r.Key), cost: allocated(int64(unsafe.Sizeof(entry{}))) + footprint(r)}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, at := s.table(e.hash).Load().find(e.hash, r.Key)
	switch {
	case e.cost > s.limit/largest:
		if old != nil {
			s.remove(old, at)
		}
		return false
	case old != nil:
		s.replace(old, e, at)
	default:
		s.add(e)
	}
	s.evict()
	kept, _ := s.table(e.hash).Load().find(e.hash, r.Key)
	return kept == e
}

// replace puts an entry in the place of another one with its key.
func (s *Store) replace(old, e *entry, at int) {
	e.hits.Store(old.hits.Load())
	e.main = old.main
	q := s.queue(e)
	q.remove(old)
	q.push(e)
	s.bytes += e.cost - old.cost
	s.table(e.hash).Load().slots[at].Store(e)
}

// add takes in an entry with a new key.
func (s *Store) add(e *entry) {
	t := s.table(e.hash)
	if now := t.Load(); now == s.none || now.full() {
		s.rebuild(t, 1)
	}
	t.Load().put(e)
	s.objects++
	s.bytes += e.cost
	s.admit(e)
}

// rebuild replaces a table by one of a size that fits, with room for some more.
func (s *Store) rebuild(t *atomic.Pointer[table], more int) {
	old := t.Load()
	next := s.none
	if more > 0 || old.live > 0 {
		next = old.fitting()
		s.index += tableSize(len(next.tags))
	}
	if old != s.none {
		s.index -= tableSize(len(old.tags))
	}
	t.Store(next)
}

func (s *Store) remove(e *entry, at int) {
	s.queue(e).remove(e)
	s.objects--
	s.bytes -= e.cost
	t := s.table(e.hash)
	t.Load().remove(at)
	if t.Load().sparse() {
		s.rebuild(t, 0)
	}
}

// Delete lets a response go.
func (s *Store) Delete(key string) {
	hash := s.hash(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, at := s.table(hash).Load().find(hash, key); e != nil {
		s.remove(e, at)
	}
}

// Grow says that the response with a key takes so many bytes more, or less, than when it was set.
func (s *Store) Grow(key string, delta int64) {
	hash := s.hash(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.table(hash).Load().find(hash, key)
	if e == nil {
		return
	}
	delta = max(delta, -e.cost)
	e.cost += delta
	s.bytes += delta
	s.queue(e).bytes += delta
	s.evict()
}

// Resize changes the limit, and evicts at once what is too much for it.
func (s *Store) Resize(limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.evict()
}

// All goes through the responses, without a lock. It may miss those that come meanwhile.
func (s *Store) All() iter.Seq[*stored.Response] {
	return func(yield func(*stored.Response) bool) {
		for i := range s.tables {
			t := s.tables[i].Load()
			for j := range t.slots {
				if e := t.slots[j].Load(); e != nil && !yield(e.r) {
					return
				}
			}
		}
	}
}

// Stats says how much it holds.
func (s *Store) Stats() stored.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return stored.Stats{Objects: int64(s.objects), Bytes: s.bytes + s.index, Limit: s.limit, Evicted: s.evicted}
}
