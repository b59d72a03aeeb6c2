package engine

import (
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

// calm keeps an outage from filling the operational log, and exchanges from waiting for it: of the failures with one code only so
// many are logged in a second. The access log, the metrics and explain have all of them.
type calm struct {
	mu     sync.Mutex
	second int64
	logged map[filter.Code]int // within that second
	silent int                 // failures that were not logged since one was
}

// loggedPerSecond is how many failures with one code are logged in a second.
const loggedPerSecond = 10

func newCalm() *calm { return &calm{logged: map[filter.Code]int{}} }

// admit says whether a failure is to be logged, and then how many before it were not.
func (c *calm) admit(code filter.Code, now time.Time) (silent int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if second := now.Unix(); second != c.second {
		c.second = second
		clear(c.logged)
	}
	if c.logged[code] >= loggedPerSecond {
		c.silent++
		return 0, false
	}
	c.logged[code]++
	silent, c.silent = c.silent, 0
	return silent, true
}
