package limit

import (
	"math"
	"math/bits"
	"strings"
	"sync"
	"time"
)

// shard is a part of a Table: a hash table with open addressing, so that a key is one place of memory. Where its state is more than one word
// it stands in words, at the same places.
type shard struct {
	mu    sync.Mutex
	raw   int64 // what the clock said last, in ticks since the start of the table
	lag   int64 // what is to be added to it: how far the clock was put back in all
	heads []head
	words []int64
	none  []int64 // the state of a key that is not known; never written
	live  int     // keys that are remembered
	hand  int     // where the next look for room begins
}

// head is a key that is remembered, or a free place. It fills a cache line: what is slow about many keys is to fetch them from memory.
type head struct {
	id      ID
	last    int64    // when its state was settled
	only    [1]int64 // the state, where it is one word
	tag     uint32   // 0: the place is free
	refused uint32
}

func (h *head) refuse() {
	if h.refused < math.MaxUint32 {
		h.refused++
	}
}

const (
	firstHeads = 4
	swept      = 4 // how many places a new key looks at, whether they are to be freed
	sampled    = 8 // among how many a new key takes the place of one
)

func newShard(t *Table) *shard {
	s := &shard{none: make([]int64, t.words)}
	s.resize(t, firstHeads)
	return s
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

// home is the place that a tag wants. A key stands at the first free place from there on.
func (s *shard) home(tag uint32) int {
	return int(uint64(tag) * uint64(len(s.heads)) >> 32)
}

// after is the place after one.
func (s *shard) after(p int) int {
	if p++; p == len(s.heads) {
		return 0
	}
	return p
}

// find returns the place of a key, settled, or a free place for it.
func (s *shard) find(t *Table, tag uint32, id ID, now int64) (int, bool) {
	for p := s.home(tag); ; p = s.after(p) {
		switch h := &s.heads[p]; {
		case h.tag == 0:
			return p, false
		case h.tag == tag && h.id == id:
			s.settle(t, p, now)
			return p, true
		}
	}
}

// settle brings the state of a key to the present.
func (s *shard) settle(t *Table, p int, now int64) {
	h := &s.heads[p]
	if h.last == now {
		return
	}
	w := s.state(t, p, true)
	for i := range t.meters {
		m := &t.meters[i]
		m.settle(w[:m.words()], h.last, now)
		w = w[m.words():]
	}
	h.last = now
}

// state returns the state of a key.
func (s *shard) state(t *Table, p int, known bool) []int64 {
	switch {
	case !known:
		return s.none
	case t.words == 1:
		return s.heads[p].only[:]
	}
	return s.words[p*t.words : (p+1)*t.words]
}

// insert makes room for a key that is not known, and returns its state.
func (s *shard) insert(t *Table, tag uint32, id ID, now int64) []int64 {
	s.sweep(t, now)
	if s.live >= t.perKeys {
		s.evict(t, now)
	}
	if (s.live+1)*5 > len(s.heads)*4 {
		s.resize(t, len(s.heads)+len(s.heads)/2)
	}
	p, _ := s.find(t, tag, id, now)
	id.text = strings.Clone(id.text) // it may be a part of a whole message's head, which would be kept with it
	s.heads[p] = head{id: id, last: now, tag: tag}
	s.live++
	if t.keys != nil {
		t.keys.Add(1)
	}
	w := s.state(t, p, true)
	clear(w)
	return w
}

// sweep forgets keys that have nothing counted.
func (s *shard) sweep(t *Table, now int64) {
	for range swept {
		p := s.next()
		if s.heads[p].tag == 0 {
			continue
		}
		s.settle(t, p, now)
		if _, share, _ := t.nearest(s.state(t, p, true)); share == 0 {
			s.remove(t, p)
		}
	}
}

// evict forgets the key that has the least of its limit used up, among a few.
func (s *shard) evict(t *Table, now int64) {
	victim, least := -1, math.Inf(1)
	for seen := 0; seen < min(sampled, s.live); {
		p := s.next()
		if s.heads[p].tag == 0 {
			continue
		}
		seen++
		s.settle(t, p, now)
		if _, share, _ := t.nearest(s.state(t, p, true)); share < least {
			victim, least = p, share
		}
	}
	s.remove(t, victim)
	if t.evicted != nil && least > 0 {
		t.evicted.Add(1)
	}
}

// next moves the hand.
func (s *shard) next() int {
	s.hand = s.after(min(s.hand, len(s.heads)-1))
	return s.hand
}

// resize makes room for more.
func (s *shard) resize(t *Table, places int) {
	heads, words := s.heads, s.words
	s.heads = make([]head, places)
	if t.words > 1 {
		s.words = make([]int64, places*t.words)
	}
	for i := range heads {
		h := &heads[i]
		if h.tag == 0 {
			continue
		}
		p := s.home(h.tag)
		for s.heads[p].tag != 0 {
			p = s.after(p)
		}
		s.heads[p] = *h
		if t.words > 1 {
			copy(s.words[p*t.words:], words[i*t.words:(i+1)*t.words])
		}
	}
}

// remove takes a key out. Those behind it that it kept from their own places move up.
func (s *shard) remove(t *Table, p int) {
	for q := s.after(p); s.heads[q].tag != 0; q = s.after(q) {
		if s.from(s.home(s.heads[q].tag), q) >= s.from(p, q) {
			s.heads[p] = s.heads[q]
			copy(s.state(t, p, true), s.state(t, q, true))
			p = q
		}
	}
	s.heads[p] = head{}
	s.live--
	if t.keys != nil {
		t.keys.Add(-1)
	}
}

// from is how many places it is from one to another, ahead.
func (s *shard) from(p, q int) int {
	if q < p {
		q += len(s.heads)
	}
	return q - p
}

// mix hashes two numbers with two secrets.
func mix(a, b, secret, other uint64) uint64 {
	hi, lo := bits.Mul64(a^secret, b^other)
	hi, lo = bits.Mul64(hi^lo^other, secret|1)
	return hi ^ lo
}
