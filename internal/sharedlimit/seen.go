package sharedlimit

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"cardea.dev/cardea/internal/limit"
)

// maxSeen is how many keys are remembered for operators.
const maxSeen = 4096

// seen remembers what the store said of keys, for operators: of as many as there is room for. When there is none, one of a few that are picked
// at random goes, the one that used least.
type seen struct {
	mu   sync.Mutex
	keys map[limit.ID]*usage
}

type usage struct {
	used, limit, refused int64
	until                time.Time // what was used is all given back by then
}

func newSeen() *seen { return &seen{keys: map[limit.ID]*usage{}} }

func (s *seen) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

// note remembers a decision.
func (s *seen) note(id limit.ID, d limit.Decision, most int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.keys[id]
	if u == nil {
		if len(s.keys) >= maxSeen {
			s.evict()
		}
		u = &usage{}
		s.keys[id] = u
	}
	u.used, u.limit, u.until = max(0, most-d.Remaining), most, now.Add(d.Reset)
	if !d.Allowed {
		u.refused++
	}
}

// evict makes room for one. The order of maps is random enough.
func (s *seen) evict() {
	var victim limit.ID
	least, looked := int64(-1), 0
	for id, u := range s.keys {
		if least < 0 || u.used+u.refused < least {
			victim, least = id, u.used+u.refused
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(s.keys, victim)
}

// top lists the keys that used most.
func (s *seen) top(n int, now time.Time) []limit.Usage {
	s.mu.Lock()
	var all []limit.Usage
	for id, u := range s.keys {
		if now.Before(u.until) {
			all = append(all, limit.Usage{Key: id.String(), Used: u.used, Limit: u.limit, Refused: u.refused})
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b limit.Usage) int {
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Key, b.Key))
	})
	return all[:min(max(n, 0), len(all))]
}

// forget forgets a key. It says whether there was something.
func (s *seen) forget(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.keys {
		if id.String() == key {
			delete(s.keys, id)
			return true
		}
	}
	return false
}
