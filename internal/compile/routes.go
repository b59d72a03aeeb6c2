package compile

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/target"
)

// buildRoutes builds all routes and the table that finds them.
func (c *compiler) buildRoutes(s *engine.Snapshot) {
	var rules, standIns []router.Rule
	var owners []*flatRoute
	add := func(to []router.Rule, route *engine.Route, from []router.Rule) []router.Rule {
		for _, rule := range from {
			rule.Value, rule.Name = len(s.Routes), route.Name
			to = append(to, rule)
		}
		s.Routes = append(s.Routes, route)
		return to
	}
	flat := c.uniqueNames(c.flatten())
	c.clientCertificates(flat)
	c.collectParameters(flat)
	for _, f := range flat {
		route := c.buildRoute(f)
		why := cmp.Or(f.errs.Err(), f.adrift)
		if why == nil {
			rules = add(rules, route, f.rules)
			owners = append(owners, slices.Repeat([]*flatRoute{f}, len(f.rules))...)
			continue
		}
		if len(f.errs) == 0 && !c.Quarantine {
			continue // what is wrong has been told where it is
		}
		c.refuse("route", f.name, f.node, why)
		if c.Quarantine {
			standIns = add(standIns, c.standIn(f, why), f.cover)
		}
	}
	var conflicts []router.Conflict
	s.Table, conflicts = newTable(rules, standIns)
	for _, found := range conflicts {
		a, b := owners[found.A], owners[found.B]
		c.errs = append(c.errs, b.node.Errorf("%s", found.Reason).RelatedAt(a.node, "%s", "the other route is here"))
	}
}

// uniqueNames makes sure that no two routes are called the same. Names that were given come first; the others get a number.
func (c *compiler) uniqueNames(flat []*flatRoute) []*flatRoute {
	taken := make(map[string]*flatRoute, len(flat))
	for _, f := range flat {
		if !f.named {
			continue
		}
		if other := taken[f.name]; other != nil {
			e := f.node.At("name").Errorf("two routes are called %q", f.name)
			f.errs = append(f.errs, e.RelatedAt(other.node.At("name"), "the other is here"))
			continue
		}
		taken[f.name] = f
	}
	last := map[string]int{} // the number that was given last, by name
	for _, f := range flat {
		if f.named {
			continue
		}
		for name := f.name; taken[f.name] != nil; {
			last[name] = max(last[name], 1) + 1
			f.name = fmt.Sprintf("%s #%d", name, last[name])
		}
		taken[f.name] = f
	}
	return flat
}

// buildRoute builds the policies and the target of a route. What is wrong with them goes to f.
func (c *compiler) buildRoute(f *flatRoute) *engine.Route {
	route := &engine.Route{Route: filter.Route{
		Name: f.name, Match: matchTexts(f.rules), Where: f.node.Pos().String(), Prefix: commonPrefix(f.rules),
	}}
	route.ExplicitOPTIONS = slices.ContainsFunc(f.rules, func(r router.Rule) bool { return slices.Contains(r.Methods, "OPTIONS") })
	env := c.env(&route.Route)
	env.Again = func(ex *filter.Exchange) (*http.Response, error) { return route.Target.Serve(ex) }
	c.adrift = nil
	route.Steps = c.steps(f, env, filter.Dispatch, route)
	route.TargetKind = f.kind
	route.Target = c.buildTarget(f, env)
	if f.adrift == nil {
		f.adrift = c.adrift
	}
	route.Slots = env.Slots()
	return route
}

// steps builds the policies of a route up to a stage, in the order in which they run. Those of a route with a target may send exchanges there.
func (c *compiler) steps(f *flatRoute, env *filter.Env, last filter.Stage, route *engine.Route) []engine.Step {
	var steps, early []engine.Step
	for _, kind := range c.order {
		p, ok := f.policies[kind.Name()]
		if !ok || kind.Stage() > last && !kind.HasEarly() {
			continue
		}
		env.Expr, env.Scope = c.expressions(p.node), p.scope
		env.Answer, env.Taken = c.known(f, p)
		if route != nil {
			env.Rest = func(ex *filter.Exchange) (*http.Response, func(), error) { return route.Rest(kind.Name(), c.Log, ex) }
			env.Mend = func(ex *filter.Exchange, failed error) (*http.Response, func(), error) {
				return route.Mend(kind.Name(), c.Log, ex, failed)
			}
			env.Reroute = func(ex *filter.Exchange, serve func(*filter.Exchange) (*http.Response, error)) (*http.Response, func(), error) {
				return route.Reroute(kind.Name(), c.Log, ex, serve)
			}
		}
		built, errs := build(c, env, p.node, kind.Build)
		if errs != nil {
			f.errs = append(f.errs, errs...)
			continue
		}
		step := engine.Step{Filter: *built, Kind: kind.Name(), Stage: kind.Stage(), Where: c.where(p)}
		if built.Early != nil {
			early = append(early, engine.Step{Filter: *built.Early, Kind: step.Kind, Stage: filter.Guard, Where: step.Where})
		}
		switch {
		case built.Early != nil && built.Request == nil && built.Response == nil && built.Finish == nil && built.Close == nil:
		case kind.Stage() > last:
			if built.Close != nil {
				_ = built.Close()
			}
		default:
			steps = append(steps, step)
		}
	}
	guarded := slices.IndexFunc(steps, func(s engine.Step) bool { return s.Stage > filter.Guard })
	if guarded < 0 {
		guarded = len(steps)
	}
	return slices.Insert(steps, guarded, early...)
}

func (c *compiler) buildTarget(f *flatRoute, env *filter.Env) target.Target {
	for _, kind := range c.Kinds.Targets {
		if kind.Name() != f.kind {
			continue
		}
		env.Expr = c.expressions(f.target)
		t, errs := build(c, env, f.target, kind.Build)
		f.errs = append(f.errs, errs...)
		return t
	}
	if f.node.Kind() != config.NodeMap {
		return nil // it is no route at all, as has been told
	}
	e := f.node.Errorf("the route has no target: nothing says what answers its requests")
	e.Expected = "one of " + strings.Join(c.targetNames(), ", ")
	f.errs = append(f.errs, e)
	return nil
}

// matchTexts is what rules match, in one line.
func matchTexts(rules []router.Rule) string {
	texts := make([]string, len(rules))
	for i := range rules {
		texts[i] = rules[i].String()
	}
	return strings.Join(texts, " | ")
}

// unmatched is the route of requests that match none: the root's policies that watch and guard, and a refusal.
func (c *compiler) unmatched() *engine.Route {
	route := &engine.Route{Route: filter.Route{Name: ""}, Target: engine.Refusal{}, TargetKind: "refusal"}
	c.errs = append(c.errs, c.guard(route)...)
	return route
}

// guard gives a route the root's policies that watch and guard.
func (c *compiler) guard(route *engine.Route) config.Errors {
	root := c.root()
	root.errs = nil // flatten has told them
	env := c.env(&route.Route)
	route.Steps = c.steps(root, env, filter.Guard, nil)
	route.Slots = env.Slots()
	return root.errs
}

// commonPrefix is the literal path before the rest, where all rules share one.
func commonPrefix(rules []router.Rule) string {
	prefix := ""
	for i := range rules {
		p, ok := strings.CutSuffix(rules[i].Path.String(), "/**")
		if !ok || strings.ContainsAny(p, "{*~") || i > 0 && p != prefix {
			return ""
		}
		prefix = p
	}
	return prefix
}
