package line

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// Why a request was not let in. Where its context ended it is the cause of that instead.
var (
	ErrNoLine    = errors.New("as many requests are under way as are allowed")
	ErrFull      = errors.New("as many requests are under way as are allowed, and as many wait")
	ErrDisplaced = errors.New("a more important request took its place in line")
	ErrTooLong   = errors.New("no request ended while this one waited")
)

// Want is what a request asks for.
type Want struct {
	Limit    int           // how many may be under way
	Queue    int           // how many may wait
	Wait     time.Duration // for how long; 0: without bound
	Rule     int           // which of the limits it is; a change of that is also one for those that wait under it
	Priority int8          // the higher the more important
}

// shardCount is how many parts the keys are spread over, each with a lock of its own. It is a power of two.
const shardCount = 64

// Lines are the lines of all keys. They may be used by many goroutines.
type Lines[K comparable] struct {
	hash   func(K) uint64
	shards [shardCount]shard[K]
}

// shard is a part of the keys.
type shard[K comparable] struct {
	mu     sync.Mutex
	places map[uint64]*Place[K] // by the hash of the key, which is made once: hashing keys is what costs most
	spare  []*Place[K]
	_      [64]byte // no two locks in one cache line
}

// maxSpare is how many places a shard keeps for keys to come.
const maxSpare = 64

// Place is where the requests of a key are counted. One that was entered must be left, once for each time.
type Place[K comparable] struct {
	shard *shard[K]

	// The shard's lock guards what follows.
	key         K
	hash        uint64
	same        *Place[K] // another key with this hash
	active      int
	refused     int64
	limit       int // the last that was asked with
	first, last *Waiter[K]
	length      int
	forgotten   bool // another place has the key now
}

// New returns lines without keys.
func New[K comparable]() *Lines[K] {
	seed := maphash.MakeSeed()
	l := &Lines[K]{hash: func(key K) uint64 { return maphash.Comparable(seed, key) }}
	for i := range l.shards {
		l.shards[i].places = map[uint64]*Place[K]{}
	}
	return l
}

// shard returns where a key is, and its hash.
func (l *Lines[K]) shard(key K) (*shard[K], uint64) {
	h := l.hash(key)
	return &l.shards[h%shardCount], h
}

// Enter lets a request of a key in, waits until it may be let in, or says why it is not. Who was let in must leave the place.
func (l *Lines[K]) Enter(ctx context.Context, key K, w Want) (*Place[K], error) {
	p, stand, err := l.Ask(key, w)
	if stand == nil {
		return p, err
	}
	return stand.Wait(ctx)
}

// Ask is Enter for those who want to know whether they wait. Where there is a Waiter, that is to be waited for.
func (l *Lines[K]) Ask(key K, w Want) (*Place[K], *Waiter[K], error) {
	s, h := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.at(key, h)
	p.limit = w.Limit
	if p.first != nil {
		p.adjust(w)
	}
	if p.active < w.Limit { // then nobody waits who could be let in
		p.active++
		return p, nil, nil
	}
	stand, err := p.queue(w)
	return nil, stand, err
}

// Force lets a request in whatever the limit says. It says whether that was reached.
func (l *Lines[K]) Force(key K, w Want) (p *Place[K], over bool) {
	s, h := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p = s.at(key, h)
	p.limit = w.Limit
	if p.first != nil {
		p.adjust(w)
	}
	if over = p.active >= w.Limit; over {
		p.refused++
	}
	p.active++
	return p, over
}

// Leave ends a request. Those who wait for it are let in.
func (p *Place[K]) Leave() {
	s := p.shard
	s.mu.Lock()
	p.active--
	if p.first != nil {
		p.admit()
	}
	if p.active == 0 && p.first == nil {
		s.drop(p)
	}
	s.mu.Unlock()
}

// at returns the place of a key, a new one where nothing of it is under way. Nothing else may happen between it and what makes the place
// needed: an entry or a refusal of one that is.
func (s *shard[K]) at(key K, h uint64) *Place[K] {
	if p := s.find(key, h); p != nil {
		return p
	}
	var p *Place[K]
	if n := len(s.spare); n > 0 {
		p, s.spare[n-1] = s.spare[n-1], nil
		s.spare = s.spare[:n-1]
	} else {
		p = &Place[K]{shard: s}
	}
	p.key, p.hash, p.same = key, h, s.places[h]
	s.places[h] = p
	return p
}

// find returns the place of a key, if there is one.
func (s *shard[K]) find(key K, h uint64) *Place[K] {
	for p := s.places[h]; p != nil; p = p.same {
		if p.key == key {
			return p
		}
	}
	return nil
}

// unlink has a place be found no more.
func (s *shard[K]) unlink(p *Place[K]) {
	first := s.places[p.hash]
	switch {
	case first != p:
		for first.same != p {
			first = first.same
		}
		first.same = p.same
	case p.same != nil:
		s.places[p.hash] = p.same
	default:
		delete(s.places, p.hash)
	}
	p.same = nil
}

// each calls f with the places of a shard, until that says false.
func (s *shard[K]) each(f func(*Place[K]) bool) {
	for _, p := range s.places {
		for ; p != nil; p = p.same {
			if !f(p) {
				return
			}
		}
	}
}

// drop forgets a place where nothing is under way.
func (s *shard[K]) drop(p *Place[K]) {
	if !p.forgotten {
		s.unlink(p)
	}
	*p = Place[K]{shard: p.shard}
	if len(s.spare) < maxSpare {
		s.spare = append(s.spare, p)
	}
}
