package memory

// The policy is S3-FIFO (Yang and others, SOSP 2023), which moves nothing at a hit, with two differences: the small queue is smaller, and what is large must be asked for
// more often to get as far as what is not.
const (
	smallPart = 20  // the small queue has one part in so many of the limit
	promoted  = 2   // hits in the small queue that lead to the main one
	laps      = 3   // hits that count in the main queue, each for another lap
	mostHits  = 15  // hits that are counted at all: then what is asked for all the time is not written to all the time
	patience  = 128 // entries that are given another lap, at most, before one leaves in any case
)

// more is how many hits more an entry needs than one of usual size: one for each time that it is four times as large.
func (s *Store) more(e *entry) uint32 {
	mean := s.bytes / int64(max(s.objects, 1))
	k := uint32(0)
	for c := e.cost; c > 2*mean && k < 6; c /= 4 {
		k++
	}
	return k
}

// queue returns the queue that an entry is in.
func (s *Store) queue(e *entry) *queue {
	if e.main {
		return &s.main
	}
	return &s.small
}

// admit puts a new entry into a queue.
func (s *Store) admit(e *entry) {
	count, ok := s.ghosts.take(e.hash)
	switch {
	case ok && count+1 >= s.more(e):
		e.main = true
		s.main.push(e)
		return
	case ok:
		e.hits.Store(count + 1)
	}
	if e.cost > s.limit/smallPart {
		s.small.pushOldest(e) // it would push out all that is new
		return
	}
	s.small.push(e)
}

// evict lets entries go until all is within the limit.
func (s *Store) evict() {
	for s.bytes+s.index > s.limit && s.objects > 0 {
		if s.small.bytes > s.limit/smallPart || s.main.oldest == nil {
			s.leaveSmall()
		} else {
			s.leaveMain()
		}
	}
}

// leaveSmall moves the oldest of the small queue to the main one, or lets it go.
func (s *Store) leaveSmall() {
	e := s.small.oldest
	hits := e.hits.Load()
	if hits >= promoted+s.more(e) {
		s.small.remove(e)
		e.hits.Store(0)
		e.main = true
		s.main.push(e)
		return
	}
	before := s.ghosts.size()
	s.ghosts.fit(s.objects)
	s.index += s.ghosts.size() - before
	s.ghosts.put(e.hash, hits)
	s.letGo(e)
}

// leaveMain lets one of the main queue go: the oldest that was not asked for since it was looked at.
func (s *Store) leaveMain() {
	e := s.main.oldest
	for range patience {
		more := s.more(e)
		hits := min(e.hits.Load(), laps+more)
		if hits <= more {
			break
		}
		e.hits.Store(hits - 1 - more)
		s.main.remove(e)
		s.main.push(e)
		e = s.main.oldest
	}
	s.letGo(e)
}

func (s *Store) letGo(e *entry) {
	_, at := s.table(e.hash).Load().find(e.hash, e.r.Key)
	s.remove(e, at)
	s.evicted++
}
