package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/router"
)

// flatRoute is a route with all that it inherits.
type flatRoute struct {
	name     string
	named    bool   // the name was given
	scope    string // what the place is called that its own policies are written at; "" for the root
	outer    bool   // there are routes inside, which inherit its policies
	node     config.Node
	rules    []router.Rule
	cover    []router.Rule     // the rules, or wider ones where its match is wrong
	policies map[string]policy // the nearest of each kind; without those that are off
	kind     string            // of the target
	target   config.Node
	unread   bool          // a path of its match, or of an outer route's, could not be read
	errs     config.Errors // what is wrong with this route alone
	adrift   error         // why it cannot run though nothing is wrong with it: something that it builds on is
}

// policy is where a policy is configured.
type policy struct {
	node  config.Node
	scope string // the place, by name
}

// where tells it.
func (c *compiler) where(p policy) string {
	if p.node == c.empty {
		return "the default"
	}
	return p.node.Pos().String()
}

// root is what all routes inherit: the policies at the root, and those that hold unless the configuration says otherwise.
func (c *compiler) root() *flatRoute {
	root := &flatRoute{policies: map[string]policy{}}
	for _, k := range c.Kinds.Filters {
		if k.IsOnByDefault() {
			root.policies[k.Name()] = policy{node: c.empty}
		}
	}
	c.inherit(root, root, c.cfg.Policies)
	return root
}

// flatten makes a list of the tree of routes: of each that has a target of its own, or inherits one and has no routes inside.
func (c *compiler) flatten() []*flatRoute {
	root := c.root()
	c.errs = append(c.errs, root.errs...)
	var flat []*flatRoute
	for i := range c.cfg.Routes {
		flat = append(flat, c.flattenRoute(root, root, &c.cfg.Routes[i])...)
	}
	return flat
}

func (c *compiler) flattenRoute(root, outer *flatRoute, r *config.Route) []*flatRoute {
	f := &flatRoute{name: r.Name, named: r.Name != "", node: r.Self, kind: outer.kind, target: outer.target}
	f.adrift = outer.adrift
	if outer != root && len(outer.errs) > 0 {
		f.adrift = fmt.Errorf("the outer route %s is wrong", outer.name)
	}
	f.errs = c.foundBelow(r.Self.Path())
	f.policies = maps.Clone(outer.policies)
	f.rules = c.rules(f, outer.rules, r)
	f.unread = outer.unread || slices.ContainsFunc(f.errs, func(e *config.Error) bool { return aboutMatch(r, e, ".path") })
	f.cover = f.wideRules(outer, r)
	if f.name == "" {
		f.name = matchText(r, f.rules)
	}
	f.scope, f.outer = c.scopeOf(f.name), len(r.Routes) > 0
	own := c.inherit(f, outer, r.Rest)
	var flat []*flatRoute
	if own || len(r.Routes) == 0 {
		flat = append(flat, f)
	}
	for i := range r.Routes {
		flat = append(flat, c.flattenRoute(root, f, &r.Routes[i])...)
	}
	if len(flat) > 0 && flat[0] != f {
		flat[0].errs = append(flat[0].errs, f.errs...) // f itself does not run, but what is wrong with it must be told
	}
	return flat
}

// scopeOf returns a name for a place with policies that no other place has.
func (c *compiler) scopeOf(name string) string {
	if c.scopes[name]++; c.scopes[name] > 1 {
		return fmt.Sprintf("%s #%d", name, c.scopes[name])
	}
	return name
}

// inherit lays a route's own keys over what it inherits. It says whether a target is among them.
func (c *compiler) inherit(f, outer *flatRoute, rest map[string]config.Node) (target bool) {
	var targets []string
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		node := rest[key]
		if _, ok := c.filters[key]; ok {
			if node.IsOff() {
				delete(f.policies, key)
			} else {
				f.policies[key] = policy{node, f.scope}
			}
			continue
		}
		if c.isTarget(key) && f != outer {
			targets = append(targets, key)
			f.kind, f.target = key, node
			continue
		}
		f.errs = append(f.errs, c.unknownKey(f, outer, key, node))
	}
	if len(targets) > 1 {
		f.errs = append(f.errs, rest[targets[1]].Errorf("a route has one target, and this one has %s", strings.Join(targets, " and ")))
	}
	return len(targets) > 0
}

func (c *compiler) isTarget(key string) bool {
	return slices.ContainsFunc(c.targetNames(), func(name string) bool { return name == key })
}

func (c *compiler) targetNames() []string {
	var names []string
	for _, k := range c.Kinds.Targets {
		names = append(names, k.Name())
	}
	return names
}

// unknownKey is the error for a key that is neither a setting, nor a policy, nor a target.
func (c *compiler) unknownKey(f, outer *flatRoute, key string, node config.Node) *config.Error {
	known := slices.Sorted(maps.Keys(c.filters))
	if f == outer { // the root
		if c.isTarget(key) {
			return node.Errorf("%q is a target: it belongs in a route", key)
		}
		settings := []string{"listen", "admin", "upstreams", "consumers", "consumer_files", "store", "routes", "errors", "tracing", "shutdown"}
		e := c.cfg.Self.UnknownKey(key, append(known, settings...))
		e.Expected = strings.Join(settings, ", ") + ", or a policy such as cors or log"
		return e
	}
	e := f.node.UnknownKey(key, slices.Concat(known, []string{"name", "match", "routes"}, c.targetNames()))
	e.Expected = "name, match, routes, a target (" + strings.Join(c.targetNames(), ", ") + "), or a policy such as cors or log"
	if slices.Contains([]string{"host", "path", "method", "header", "query", "cookie", "accept", "address", "when"}, key) {
		e.Hint = "conditions belong in `match`"
	}
	return e
}

// rules are the rules of a route: its matches, each within each of the outer route's.
func (c *compiler) rules(f *flatRoute, outer []router.Rule, r *config.Route) []router.Rule {
	if len(outer) == 0 {
		outer = []router.Rule{{}}
	}
	if len(r.Match) == 0 {
		return outer
	}
	var all []router.Rule
	for i := range r.Match {
		at := "match"
		if r.Self.Field("match").Kind() == config.NodeList {
			at = fmt.Sprintf("match[%d]", i)
		}
		for _, inner := range c.matchRules(f, &r.Match[i], at, c.conditionExpressions(outer, r, &r.Match[i])) {
			for _, o := range outer {
				joined, err := within(o, inner)
				if err != nil {
					f.errs = append(f.errs, r.Self.Locate(config.FieldErrorf(at+".path", "%w", err))...)
					continue
				}
				all = append(all, joined)
			}
		}
	}
	return all
}

// within lays the conditions of an inner route's rule over those of the outer route's.
func within(outer, inner router.Rule) (router.Rule, error) {
	path, err := outer.Path.Join(inner.Path)
	if err != nil {
		return router.Rule{}, err
	}
	both := router.Rule{
		Path:      path,
		Hosts:     nearest(outer.Hosts, inner.Hosts),
		Methods:   nearest(outer.Methods, inner.Methods),
		Addresses: nearest(outer.Addresses, inner.Addresses),
		Headers:   overlay(outer.Headers, inner.Headers),
		Queries:   overlay(outer.Queries, inner.Queries),
		Cookies:   overlay(outer.Cookies, inner.Cookies),
		When:      outer.When, WhenText: outer.WhenText,
	}
	switch {
	case inner.When == nil:
	case outer.When == nil:
		both.When, both.WhenText = inner.When, inner.WhenText
	default:
		both.When = func(r *router.Request) bool { return outer.When(r) && inner.When(r) }
		both.WhenText = "(" + outer.WhenText + ") && (" + inner.WhenText + ")"
	}
	return both, nil
}

func nearest[T any](outer, inner []T) []T {
	if len(inner) > 0 {
		return inner
	}
	return outer
}

// overlay returns the conditions of both; of those on the same name the inner one.
func overlay(outer, inner []router.ValueRule) []router.ValueRule {
	all := slices.Clone(inner)
	for _, o := range outer {
		if !slices.ContainsFunc(inner, func(i router.ValueRule) bool { return i.Name == o.Name }) {
			all = append(all, o)
		}
	}
	return all
}
