package line

import (
	"cmp"
	"slices"
)

// State is what is known of a key.
type State[K comparable] struct {
	Key     K
	Active  int   // under way
	Waiting int   // in line
	Limit   int   // that was asked with last
	Refused int64 // since something of the key has been under way
}

// Look tells the state of a key, without changing it.
func (l *Lines[K]) Look(key K) State[K] {
	s, h := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.find(key, h); p != nil {
		return p.state()
	}
	return State[K]{Key: key}
}

func (p *Place[K]) state() State[K] {
	return State[K]{Key: p.key, Active: p.active, Waiting: p.length, Limit: p.limit, Refused: p.refused}
}

// Len is how many keys there are.
func (l *Lines[K]) Len() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.each(func(*Place[K]) bool { n++; return true })
		s.mu.Unlock()
	}
	return n
}

// Top lists the n keys of which most is under way or waits.
func (l *Lines[K]) Top(n int) []State[K] {
	var all []State[K]
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.each(func(p *Place[K]) bool { all = append(all, p.state()); return true })
		s.mu.Unlock()
	}
	slices.SortStableFunc(all, func(a, b State[K]) int {
		return cmp.Or(cmp.Compare(b.Active+b.Waiting, a.Active+a.Waiting), cmp.Compare(b.Refused, a.Refused))
	})
	return slices.Clone(all[:max(0, min(n, len(all)))])
}

// Forget counts nothing of a key any more: what is under way of it ends uncounted, and those who wait are let in, up to the limit. Is tells
// which key is meant. False: nothing of it is under way.
func (l *Lines[K]) Forget(is func(K) bool) bool {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		var found *Place[K]
		s.each(func(p *Place[K]) bool {
			if is(p.key) {
				found = p
			}
			return found == nil
		})
		if found != nil {
			s.renew(found)
		}
		s.mu.Unlock()
		if found != nil {
			return true
		}
	}
	return false
}

// renew puts another place where p is, with those who wait there.
func (s *shard[K]) renew(p *Place[K]) {
	s.unlink(p)
	p.forgotten = true
	if p.first == nil {
		return
	}
	fresh := s.at(p.key, p.hash)
	fresh.first, fresh.last, fresh.length, fresh.limit = p.first, p.last, p.length, p.limit
	p.first, p.last, p.length = nil, nil, 0
	for w := fresh.first; w != nil; w = w.next {
		w.place = fresh
	}
	fresh.admit()
}
