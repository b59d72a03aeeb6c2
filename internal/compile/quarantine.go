package compile

import (
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/router"
)

// What quarantine leaves out must not make way for a wider route, whose policies may be weaker. So a stand-in refuses its requests.

// standIn refuses in the place of a route that was left out, under the root's policies that watch and guard.
func (c *compiler) standIn(f *flatRoute, why error) *engine.Route {
	brief, _, _ := strings.Cut(why.Error(), "\n") // each log line has it; all is told in the list of what was left out
	route := &engine.Route{
		Route:  filter.Route{Name: f.name, Match: matchTexts(f.cover), Where: f.node.Pos().String()},
		Target: engine.StandIn{Why: brief}, TargetKind: "left_out", StandIn: true,
	}
	_ = c.guard(route) // what is wrong with the root has been told
	return route
}

// wideRules are rules for at least all requests that a route is meant for. Of what is wrong with its match, nothing counts but what can be
// read of host and path.
func (f *flatRoute) wideRules(outer *flatRoute, r *config.Route) []router.Rule {
	about := func(part string) bool {
		return slices.ContainsFunc(f.errs, func(e *config.Error) bool { return aboutMatch(r, e, part) })
	}
	switch {
	case outer.unread:
		return outer.cover
	case !about(""):
		return f.rules
	}
	var all []router.Rule
	for _, m := range append(r.Match, config.Match{})[:max(1, len(r.Match))] {
		hosts := m.Host
		if about(".host") {
			hosts = nil
		}
		for _, text := range append(m.Path, "/**")[:max(1, len(m.Path))] {
			all = append(all, wideWithin(outer.cover, hosts, text)...)
		}
	}
	return all
}

// wideWithin are rules for some hosts and a path, or at least the beginning of it, within those of an outer route.
func wideWithin(outer []router.Rule, hosts []string, text string) (all []router.Rule) {
	if len(outer) == 0 {
		outer = []router.Rule{{}}
	}
	path, err := router.ParsePath(text)
	if err != nil {
		path, _ = router.ParsePath(literalStart(text))
	}
	for i := range outer {
		wide := router.Rule{Hosts: nearest(outer[i].Hosts, hosts), Path: outer[i].Path}
		if joined, err := wide.Path.Join(path); err == nil {
			wide.Path = joined
		}
		all = append(all, wide)
	}
	return all
}

// literalStart is the pattern of all below the literal segments that a pattern begins with which is wrong further on. Of expressions,
// nothing is certain.
func literalStart(text string) string {
	start := ""
	for segment := range strings.SplitSeq(strings.TrimPrefix(text, "/"), "/") {
		next := start + "/" + segment
		if _, err := router.ParsePath(next + "/**"); err != nil || !strings.HasPrefix(text, "/") || strings.ContainsAny(segment, "{}*") {
			break
		}
		start = next
	}
	return start + "/**"
}

// aboutMatch reports whether an error is about a part of a route's match, such as ".path", or about a match as a whole.
func aboutMatch(r *config.Route, e *config.Error, part string) bool {
	match, found := strings.CutPrefix(e.Path, r.Self.Path()+".match")
	if i := strings.IndexByte(match, ']'); strings.HasPrefix(match, "[") && i > 0 {
		match = match[i+1:]
	}
	return found && (match == "" || strings.HasPrefix(match, part))
}

// newTable makes the table of routes and stand-ins. Where a route matches all that a stand-in does, there is no need of that one.
func newTable(rules, standIns []router.Rule) (*router.Table, []router.Conflict) {
	table, conflicts := router.New(rules)
	for len(standIns) > 0 && len(conflicts) == 0 {
		with, found := router.New(slices.Concat(rules, standIns))
		if len(found) == 0 {
			return with, nil
		}
		needless := make([]bool, len(rules)+len(standIns))
		for _, conflict := range found { // of two rules one is a stand-in, and comes last: the routes alone are not in conflict
			needless[max(conflict.A, conflict.B)] = true
		}
		var left []router.Rule
		for i := range standIns {
			if !needless[len(rules)+i] {
				left = append(left, standIns[i])
			}
		}
		if len(left) == len(standIns) {
			return with, nil // a route loses a part to a stand-in, as it would have to the route in whose place that is
		}
		standIns = left
	}
	return table, conflicts
}
