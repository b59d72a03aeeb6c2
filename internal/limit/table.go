package limit

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Table is a Counter in memory. It is made by NewTable.
//
// It remembers as many keys as Options say, in shards of which each has a lock of its own. What is not used up at all is forgotten when room
// is needed. When there is no room even so, a new key takes the place of the one that has used the least of its limit among a few: who
// makes up keys drives out other keys that were made up, and not those that are near their limit. A key that is forgotten begins anew.
//
// Time is read from a clock that may be put forward and back. When it goes back, the time since the last look is lost; when it jumps ahead,
// that is time like any other, and a key gets at most what it may have at once.
type Table struct {
	rules   []Rule
	meters  []meter
	words   int // of state, of each key
	perKeys int // how many keys a shard remembers
	seed    maphash.Seed
	secrets [2]uint64
	shift   uint // how far a hash is shifted to give its shard
	start   time.Time
	now     func() time.Time
	keys    Adder
	evicted Adder
	shards  []atomic.Pointer[shard] // made when they are used first
}

var _ Counter = (*Table)(nil)

// Options are what a Table is made with. Its zero value will do.
type Options struct {
	// MaxKeys is how many keys are remembered at most. 0: DefaultMaxKeys.
	MaxKeys int

	// Now is the clock. Nil: the computer's, which nobody puts back.
	Now func() time.Time

	// Keys is told how many keys there are more or fewer, Evicted how many were forgotten before their time. Both may be nil.
	Keys, Evicted Adder
}

// Adder is a metric that can be added to.
type Adder interface{ Add(delta float64) }

// DefaultMaxKeys is how many keys a Table remembers, unless it is told otherwise.
const DefaultMaxKeys = 1_000_000

const (
	maxShards    = 64
	keysForShard = 1024 // a table of fewer keys has fewer shards
)

// NewTable returns a Table for rules, of which there must be one at least. They must have been checked.
func NewTable(rules []Rule, o Options) *Table {
	t := &Table{
		rules: rules, seed: maphash.MakeSeed(), now: o.Now, keys: o.Keys, evicted: o.Evicted,
		start: time.Now(), secrets: [2]uint64{rand.Uint64(), rand.Uint64()},
	}
	if t.now != nil {
		t.start = t.now()
	}
	for _, r := range rules {
		m := newMeter(r)
		t.meters = append(t.meters, m)
		t.words += m.words()
	}
	keys := cmp.Or(max(0, o.MaxKeys), DefaultMaxKeys)
	shards := 1
	for shards < maxShards && shards*2*keysForShard <= keys {
		shards *= 2
	}
	t.shards = make([]atomic.Pointer[shard], shards)
	t.perKeys = (keys + shards - 1) / shards
	t.shift = uint(64 - bits.Len(uint(shards-1)))
	return t
}

// Rules are what the table was made with.
func (t *Table) Rules() []Rule { return t.rules }

// Take counts a cost, if all rules let it pass. It never fails.
func (t *Table) Take(_ context.Context, id ID, cost int64) (Decision, error) {
	s, tag := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock(t)
	i, known := s.find(t, tag, id, now)
	w := s.state(t, i, known)
	d := t.decide(w, now, max(cost, 0))
	switch {
	case !d.Allowed && known:
		s.heads[i].refuse()
	case d.Allowed && cost > 0:
		if !known {
			w = s.insert(t, tag, id, now)
		}
		t.add(w, now, cost)
	}
	return d, nil
}

// Charge counts a cost whatever the rules say.
func (t *Table) Charge(id ID, cost int64) {
	s, tag := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock(t)
	i, known := s.find(t, tag, id, now)
	switch {
	case known:
		t.add(s.state(t, i, true), now, cost)
	case cost > 0:
		t.add(s.insert(t, tag, id, now), now, cost)
	}
}

// Look says what Take would. It always can.
func (t *Table) Look(id ID, cost int64) (Decision, bool) {
	s, tag := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock(t)
	i, known := s.find(t, tag, id, now)
	return t.decide(s.state(t, i, known), now, max(cost, 0)), true
}

// decide judges a cost by all rules. What it says is left is what is left afterwards.
func (t *Table) decide(w []int64, now, cost int64) Decision {
	d := Decision{Allowed: true}
	var least, wait int64
	for i := range t.meters {
		m := &t.meters[i]
		own := w[:m.words()]
		w = w[m.words():]
		if m.allows(own, max(cost, 1)) {
			if left := m.remaining(own) - cost; d.Allowed && (i == 0 || left < least) {
				d.Rule, least = i, left
				d.Remaining, d.Reset = left, duration(m.resetAfter(own, now, cost))
			}
			continue
		}
		retry := m.retry(own, now, max(cost, 1))
		if d.Allowed || wait >= 0 && (retry < 0 || retry > wait) {
			d, wait = Decision{Rule: i, Remaining: m.remaining(own), Reset: duration(m.reset(own, now)), Retry: duration(retry)}, retry
		}
	}
	return d
}

// add counts a cost under all rules.
func (t *Table) add(w []int64, now, cost int64) {
	for i := range t.meters {
		m := &t.meters[i]
		m.add(w[:m.words()], now, cost)
		w = w[m.words():]
	}
}

// shard returns the shard of a key, and the part of the key's hash that the shard goes by.
func (t *Table) shard(id ID) (*shard, uint32) {
	hash := t.hash(id)
	at := &t.shards[hash>>t.shift]
	s := at.Load()
	if s == nil {
		at.CompareAndSwap(nil, newShard(t))
		s = at.Load()
	}
	return s, max(uint32(hash), 1)
}

// hash spreads keys over shards and places. Nobody outside can foretell it.
func (t *Table) hash(id ID) uint64 {
	if id.text != "" {
		return maphash.String(t.seed, id.text)
	}
	b := id.addr.As16()
	return mix(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), t.secrets[0], t.secrets[1])
}

// each calls f with all shards that there are, locked, and with the present of each.
func (t *Table) each(f func(s *shard, now int64)) {
	for i := range t.shards {
		s := t.shards[i].Load()
		if s == nil {
			continue
		}
		s.mu.Lock()
		f(s, s.clock(t))
		s.mu.Unlock()
	}
}

// Len is how many keys are remembered.
func (t *Table) Len() int {
	n := 0
	t.each(func(s *shard, _ int64) { n += s.live })
	return n
}

// Top lists the keys that have used most of their limits, and among equals those that were refused most.
func (t *Table) Top(n int) []Usage {
	best := ranking{most: max(n, 0)}
	t.each(func(s *shard, now int64) {
		for p := range s.heads {
			h := &s.heads[p]
			if h.tag == 0 {
				continue
			}
			s.settle(t, p, now)
			rule, share, used := t.nearest(s.state(t, p, true))
			best.add(ranked{Usage{Used: used, Limit: t.meters[rule].most, Refused: int64(h.refused)}, h.id, share})
		}
	})
	best.cut()
	top := make([]Usage, len(best.found))
	for i, f := range best.found {
		top[i] = f.Usage
		top[i].Key = f.id.String()
	}
	return top
}

// ranking finds the keys with the largest shares, in a place that does not grow with how many there are.
type ranking struct {
	most  int
	found []ranked
	least float64 // what a key must have at least, once there are enough
}

type ranked struct {
	Usage
	id    ID
	share float64
}

func (r *ranking) add(k ranked) {
	if k.share < r.least || k.share == 0 && k.Refused == 0 {
		return
	}
	r.found = append(r.found, k)
	if len(r.found) > 2*r.most+16 {
		r.cut()
	}
}

// cut leaves the best, in order.
func (r *ranking) cut() {
	slices.SortFunc(r.found, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(b.Refused, a.Refused))
	})
	if len(r.found) > r.most {
		r.found = r.found[:r.most]
	}
	if len(r.found) == r.most && r.most > 0 {
		r.least = r.found[r.most-1].share
	}
}

// nearest is the rule that has the largest share used up.
func (t *Table) nearest(w []int64) (rule int, share float64, used int64) {
	share = -1
	for i := range t.meters {
		m := &t.meters[i]
		own := w[:m.words()]
		w = w[m.words():]
		if s := m.share(own); s > share {
			rule, share, used = i, s, m.used(own)
		}
	}
	return rule, share, used
}

// Reset forgets a key.
func (t *Table) Reset(_ context.Context, key string) (bool, error) {
	found := false
	for _, id := range written(key) {
		s, tag := t.shard(id)
		s.mu.Lock()
		if i, known := s.find(t, tag, id, s.clock(t)); known {
			s.remove(t, i)
			found = true
		}
		s.mu.Unlock()
	}
	return found, nil
}

// Close says that all keys are gone.
func (t *Table) Close() error {
	if t.keys != nil {
		t.keys.Add(-float64(t.Len()))
	}
	return nil
}

// written are the IDs that are written as a text says: an address and a text may look the same.
func written(key string) []ID {
	ids := []ID{NewID(key)}
	if key == (ID{}).String() {
		ids = append(ids, ID{})
	}
	if addr, err := netip.ParseAddr(key); err == nil {
		ids = append(ids, AddressID(addr))
	}
	if p, err := netip.ParsePrefix(key); err == nil && p.Addr().Is6() && p.Bits() == 64 {
		ids = append(ids, AddressID(p.Addr()))
	}
	return ids
}
