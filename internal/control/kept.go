package control

import (
	"cmp"
	"slices"

	"cardea.dev/cardea/filter"
)

// Limiters lists what counts by key, by name. Those that only old exchanges still use are among them.
func (g *Gateway) Limiters() []filter.Limiter {
	return kept(g, func(l filter.Limiter) string { return l.Limiter().Name })
}

// Caches lists the caches of responses, by name. Those that only old exchanges still use are among them.
func (g *Gateway) Caches() []filter.ResponseCache {
	return kept(g, func(c filter.ResponseCache) string { return c.ResponseCache().Name })
}

// kept lists what policies keep of a type, by name.
func kept[T any](g *Gateway, nameOf func(T) string) []T {
	type named struct {
		name string
		it   T
	}
	var found []named
	g.Keeper.Each(func(v any) {
		if it, ok := v.(T); ok {
			found = append(found, named{nameOf(it), it})
		}
	})
	slices.SortStableFunc(found, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	all := make([]T, len(found))
	for i, f := range found {
		all[i] = f.it
	}
	return all
}
