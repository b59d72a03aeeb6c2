package quota

import "time"

const (
	jump  = time.Minute      // between two ticks: the clock was set
	quiet = 10 * time.Minute // without a jump, before anything is forgotten: so long a wrong clock may take to be put right
	often = time.Minute      // how often what is over is looked for
)

// sweeper says when to forget what is over. A clock that goes wrong for a while must not make it forget what counts.
type sweeper struct {
	last  time.Time
	since int // ticks without a jump
}

// due is asked at each tick.
func (s *sweeper) due(now time.Time) bool {
	passed := now.Round(0).Sub(s.last.Round(0)) // by the wall clock
	s.last = now
	if passed < 0 || passed > jump {
		s.since = 0
		return false
	}
	s.since++
	return s.since >= int(quiet/interval) && s.since%int(often/interval) == 0
}

// sweep forgets what is over.
func (l *Ledger) sweep() {
	now := l.o.Now()
	l.mu.Lock()
	series := append([]*Series(nil), l.series...)
	l.mu.Unlock()
	for _, s := range series {
		l.each(s, func(a *account) {
			if !a.dirty && a.over(now) {
				s.remove(a)
			}
		})
	}
}
