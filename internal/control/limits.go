package control

import (
	"cmp"
	"slices"

	"cardea.dev/cardea/filter"
)

// Limiters lists what counts by key, by name. Those that only old exchanges still use are among them.
func (g *Gateway) Limiters() []filter.Limiter {
	type named struct {
		name string
		filter.Limiter
	}
	var found []named
	g.Keeper.Each(func(v any) {
		if l, ok := v.(filter.Limiter); ok {
			found = append(found, named{l.Limiter().Name, l})
		}
	})
	slices.SortStableFunc(found, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	limiters := make([]filter.Limiter, len(found))
	for i, f := range found {
		limiters[i] = f.Limiter
	}
	return limiters
}
