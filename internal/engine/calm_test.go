package engine

import (
	"testing"
	"time"

	"cardea.dev/cardea/filter"
)

func TestOutagesAreLoggedInPart(t *testing.T) {
	c, now := newCalm(), time.Unix(1000, 0)
	admitted := func(code filter.Code, times int) (n, silent int) {
		for range times {
			if before, ok := c.admit(code, now); ok {
				n++
				silent += before
			}
		}
		return n, silent
	}
	if n, silent := admitted(filter.UpstreamReset, 1000); n != loggedPerSecond || silent != 0 {
		t.Errorf("%d were logged, and %d said not to be", n, silent)
	}
	if n, silent := admitted(filter.UpstreamTimeout, 1); n != 1 || silent != 990 {
		t.Errorf("of another code %d were logged, and %d said not to be", n, silent)
	}
	now = now.Add(time.Second)
	if n, silent := admitted(filter.UpstreamReset, 3); n != 3 || silent != 0 {
		t.Errorf("a second later %d were logged, and %d said not to be", n, silent)
	}
}
