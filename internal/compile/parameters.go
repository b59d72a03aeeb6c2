package compile

import (
	"slices"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/router"
)

// parameters are those that the paths of some routes have.
type parameters struct {
	names   []string
	unknown bool // a path could not be read
}

// collectParameters notes for each policy and target the parameters of all routes that it holds for. One that is inherited may ask
// for what only some of them have.
func (c *compiler) collectParameters(flat []*flatRoute) {
	c.parameters = map[config.Node]*parameters{}
	for _, f := range flat {
		names := parameterNames(f.rules)
		note := func(node config.Node) {
			known := c.parameters[node]
			if known == nil {
				known = &parameters{}
				c.parameters[node] = known
			}
			for _, name := range names {
				if !slices.Contains(known.names, name) {
					known.names = append(known.names, name)
				}
			}
			known.unknown = known.unknown || f.unread
		}
		for _, p := range f.policies {
			if p.node != c.empty {
				note(p.node)
			}
		}
		note(f.target)
	}
}

// expressions are what a policy or target compiles its expressions by: they know the parameters that it can ask for.
func (c *compiler) expressions(node config.Node) filter.Expressions {
	if known := c.parameters[node]; known != nil && !known.unknown {
		return c.expr.Routed(known.names)
	}
	return c.expr
}

// conditionExpressions are what the condition of a match is compiled by. Where there are routes inside, it holds for their paths too.
func (c *compiler) conditionExpressions(outer []router.Rule, r *config.Route, m *config.Match) filter.Expressions {
	names, read := parameterNames(outer), true
	note := func(paths []string) {
		for _, text := range paths {
			path, err := router.ParsePath(text)
			names, read = append(names, path.Params()...), read && err == nil
		}
	}
	note(m.Path)
	var inside func(routes []config.Route)
	inside = func(routes []config.Route) {
		for i := range routes {
			for _, inner := range routes[i].Match {
				note(inner.Path)
			}
			inside(routes[i].Routes)
		}
	}
	inside(r.Routes)
	if !read {
		return c.expr
	}
	return c.expr.Routed(names).Matching()
}

// parameterNames are the parameters of the paths of some rules.
func parameterNames(rules []router.Rule) (names []string) {
	for i := range rules {
		names = append(names, rules[i].Path.Params()...)
	}
	return names
}
