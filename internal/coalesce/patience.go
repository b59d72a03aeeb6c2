package coalesce

import "time"

// allowance is the part of the time, one in so many, for which readers may hold others up beyond their patience: none is always as fast as
// the others.
const allowance = 4

// stall waits for the readers that are furthest behind, or cuts those that have held others up for too long.
func (s *stream) stall() {
	if s.waiting == 0 {
		s.room.Wait()
		return
	}
	begin := time.Now()
	least := s.hindmost(begin)
	if least <= 0 && len(s.behind) > 0 {
		s.cut(begin)
		return
	}
	timer := time.AfterFunc(least, s.wake)
	s.room.Wait()
	timer.Stop()
	took := time.Since(begin)
	for _, c := range s.behind {
		c.held += took
	}
}

// hindmost finds the readers that are furthest behind. It returns for how long one of them may still hold others up, at least.
func (s *stream) hindmost(now time.Time) time.Duration {
	s.behind = s.behind[:0]
	least := s.patience/4 + 10*time.Millisecond // then it is looked again
	for c := range s.readers {
		if (c.at == s.front || c.at.gone) && !c.reading.Load() { // else it is not slow: it has not got its turn yet
			s.behind = append(s.behind, c)
			least = min(least, s.allowed(c, now))
		}
	}
	return least
}

// allowed is for how long a reader may still hold others up. With each that was cut it is half as long, so that many of them cannot take turns.
func (s *stream) allowed(c *cursor, now time.Time) time.Duration {
	return (s.patience+now.Sub(s.begun)/allowance)>>min(s.cuts, 62) - c.held
}

// cut ends the readers among those furthest behind that have held others up for too long.
func (s *stream) cut(now time.Time) {
	cuts := 0
	for _, c := range s.behind {
		if s.allowed(c, now) <= 0 {
			c.err = ErrSlow
			s.remove(c)
			cuts++
		}
	}
	s.cuts += cuts // those that were behind together are judged alike
}
