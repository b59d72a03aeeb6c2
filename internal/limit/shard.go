package limit

import (
	"math"
	"sync"
	"time"
)

// shard is a part of a Table. Its keys stand in heads, found by way of index. Where their state is more than one word it stands in words, at
// the same places.
type shard struct {
	mu    sync.Mutex
	raw   int64 // what the clock said last, in ticks since the start of the table
	lag   int64 // what is to be added to it: how far the clock was put back in all
	index []uint64
	heads []head
	words []int64
	none  []int64 // the state of a key that is not known; never written
	free  []uint32
	live  int // keys that are remembered
	hand  int // where the next look for room begins
}

// head is a key that is remembered. It fills a cache line: what is slow about many keys is to fetch them from memory.
type head struct {
	id      ID
	last    int64    // when its state was settled; unused: the place is free
	only    [1]int64 // the state, where it is one word
	tag     uint32
	refused uint32
}

// unused is no time.
const unused = -1

func (h *head) refuse() {
	if h.refused < math.MaxUint32 {
		h.refused++
	}
}

const (
	firstIndex = 8 // a power of two, as all sizes of the index
	swept      = 2 // how many keys a new one looks at, whether they are to be forgotten
	sampled    = 8 // among how many a new key takes the place of one
)

func newShard(t *Table) *shard {
	return &shard{index: make([]uint64, firstIndex), none: make([]int64, t.words)}
}

// clock reads the time, in ticks. It never goes back.
func (s *shard) clock(t *Table) int64 {
	var raw int64
	if t.now == nil {
		raw = int64(time.Since(t.start) / tick)
	} else {
		raw = int64(t.now().Sub(t.start) / tick)
	}
	if raw < s.raw {
		s.lag += s.raw - raw
	}
	s.raw = raw
	return raw + s.lag
}

// An entry of the index is the tag of a key, and one more than its place; 0 is none. A key stands at the first free place from the one that
// its tag says.

// find returns the place of a key, settled.
func (s *shard) find(t *Table, tag uint32, id ID, now int64) (int, bool) {
	mask := uint32(len(s.index) - 1)
	for p := tag & mask; ; p = (p + 1) & mask {
		e := s.index[p]
		if e == 0 {
			return 0, false
		}
		if uint32(e>>32) != tag {
			continue
		}
		if i := int(uint32(e)) - 1; s.heads[i].id == id {
			s.settle(t, i, now)
			return i, true
		}
	}
}

// settle brings the state of a key to the present.
func (s *shard) settle(t *Table, i int, now int64) {
	h := &s.heads[i]
	if h.last == now {
		return
	}
	w := s.state(t, i, true)
	for j := range t.meters {
		m := &t.meters[j]
		m.settle(w[:m.words()], h.last, now)
		w = w[m.words():]
	}
	h.last = now
}

// state returns the state of a key.
func (s *shard) state(t *Table, i int, known bool) []int64 {
	switch {
	case !known:
		return s.none
	case t.words == 1:
		return s.heads[i].only[:]
	}
	return s.words[i*t.words : (i+1)*t.words]
}

// insert makes room for a key that is not known, and returns its state.
func (s *shard) insert(t *Table, tag uint32, id ID, now int64) []int64 {
	i := s.room(t, now)
	s.heads[i] = head{id: id, last: now, tag: tag}
	s.live++
	if t.keys != nil {
		t.keys.Add(1)
	}
	if (s.live+1)*4 > len(s.index)*3 {
		s.grow()
	}
	s.enter(tag, i)
	w := s.state(t, i, true)
	clear(w)
	return w
}

// room finds a place for a key.
func (s *shard) room(t *Table, now int64) int {
	s.sweep(t, now)
	switch {
	case len(s.free) > 0:
		i := s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		return int(i)
	case len(s.heads) < t.perKeys:
		s.heads = append(s.heads, head{})
		if t.words > 1 {
			s.words = append(s.words, s.none...)
		}
		return len(s.heads) - 1
	}
	return s.evict(t, now)
}

// sweep forgets keys that have nothing counted.
func (s *shard) sweep(t *Table, now int64) {
	for range min(swept, len(s.heads)) {
		i := s.next()
		if s.heads[i].last == unused {
			continue
		}
		s.settle(t, i, now)
		if _, share, _ := t.nearest(s.state(t, i, true)); share == 0 {
			s.remove(t, i)
			s.free = append(s.free, uint32(i))
		}
	}
}

// evict forgets the key that has the least of its limit used up, among a few. All places are taken.
func (s *shard) evict(t *Table, now int64) int {
	victim, least := 0, math.Inf(1)
	for range sampled {
		i := s.next()
		s.settle(t, i, now)
		if _, share, _ := t.nearest(s.state(t, i, true)); share < least {
			victim, least = i, share
		}
	}
	s.remove(t, victim)
	if t.evicted != nil {
		t.evicted.Add(1)
	}
	return victim
}

func (s *shard) next() int {
	s.hand++
	if s.hand >= len(s.heads) {
		s.hand = 0
	}
	return s.hand
}

// enter puts a key into the index, which has room.
func (s *shard) enter(tag uint32, i int) {
	mask := uint32(len(s.index) - 1)
	p := tag & mask
	for s.index[p] != 0 {
		p = (p + 1) & mask
	}
	s.index[p] = uint64(tag)<<32 | uint64(i+1)
}

// grow doubles the index.
func (s *shard) grow() {
	old := s.index
	s.index = make([]uint64, 2*len(old))
	for _, e := range old {
		if e != 0 {
			s.enter(uint32(e>>32), int(uint32(e))-1)
		}
	}
}

// remove takes a key out. Its place is for the caller to use.
func (s *shard) remove(t *Table, i int) {
	mask := uint32(len(s.index) - 1)
	p := s.heads[i].tag & mask
	for int(uint32(s.index[p]))-1 != i {
		p = (p + 1) & mask
	}
	// Those behind it that it kept from their own places move up.
	for q := (p + 1) & mask; s.index[q] != 0; q = (q + 1) & mask {
		home := uint32(s.index[q]>>32) & mask
		if (q-home)&mask >= (q-p)&mask {
			s.index[p] = s.index[q]
			p = q
		}
	}
	s.index[p] = 0
	s.heads[i] = head{last: unused}
	s.live--
	if t.keys != nil {
		t.keys.Add(-1)
	}
}
