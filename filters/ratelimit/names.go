package ratelimit

import (
	"fmt"
	"strings"
	"sync"

	"cardea.dev/cardea/filter"
)

// names are the limits that have a name, in the configuration that is being built. It is kept, so that all routes see it.
type names struct {
	mu     sync.Mutex
	keeper filter.Keeper // whose configuration it is; held, so that no other has its address
	limits map[string]string
}

// claim takes a name for a limit. Others may have it if they are the same.
func (b *builder) claim(l *Limit) error {
	if l.Name == "" {
		return nil
	}
	n, err := filter.Keep(b.env, "rate_limit names", func() (*names, error) { return new(names), nil })
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keeper == nil || fmt.Sprintf("%p", n.keeper) != fmt.Sprintf("%p", b.env.Keeper) {
		n.keeper, n.limits = b.env.Keeper, map[string]string{}
	}
	same := fmt.Sprintf("%s\x00%s\x00%q\x00%s\x00%+v\x00%s", l.rate, l.Algorithm, l.Per, l.Cost, l.CostResponse, b.settings())
	other, taken := n.limits[l.Name]
	if taken && other != same {
		rate, _, _ := strings.Cut(other, "\x00")
		return fmt.Errorf("another limit is called %q, and it is not the same: it is %s, and what they are counted by, their costs and settings must be the same, too", l.Name, rate)
	}
	n.limits[l.Name] = same
	return nil
}
