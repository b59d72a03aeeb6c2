package compile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/router"
)

// matchRules are the rules of one match: one for each of its paths. What is wrong with it goes to f.
func (c *compiler) matchRules(f *flatRoute, m *config.Match, at string, expr filter.Expressions) []router.Rule {
	c.doubts(f.node.At(at), m)
	rule, errs := conditions(f.node.At(at), m, expr)
	var rules []router.Rule
	paths := m.Path
	if len(paths) == 0 {
		rules = append(rules, rule)
	}
	for i, text := range paths {
		path, err := router.ParsePath(text)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("path[%d]", i), "%w", err))
			continue
		}
		rule.Path = path
		rules = append(rules, rule)
	}
	for _, e := range f.node.At(at).Locate(errors.Join(errs...)) {
		told := func(found *config.Error) bool { return found.Path == e.Path }
		if !slices.ContainsFunc(f.errs, told) { // by reading, in other words
			f.errs = append(f.errs, e)
		}
	}
	return rules
}

// doubts warns of what is possible in a match, but probably not meant.
func (c *compiler) doubts(match config.Node, m *config.Match) {
	warn := func(field, format string, args ...any) {
		for _, w := range match.Locate(config.FieldErrorf(field, format, args...)) {
			w.Warning = true
			c.warnings = append(c.warnings, w)
		}
	}
	for i, method := range m.Method {
		known := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
		if near := config.Suggest(method, known); near != "" && !slices.Contains(known, method) {
			warn(fmt.Sprintf("method[%d]", i), "%q is no usual method; did you mean %s?", method, near)
		}
	}
	for i, path := range m.Path {
		if _, name, found := strings.Cut(path, "/:"); found && path[0] == '/' {
			name, _, _ = strings.Cut(name, "/")
			warn(fmt.Sprintf("path[%d]", i), "\":%s\" stands for itself; a parameter is written {%s}", name, name)
		}
	}
}

// conditions are those of a match but its path.
func conditions(match config.Node, m *config.Match, expr filter.Expressions) (router.Rule, []error) {
	var errs []error
	rule := router.Rule{Methods: upper(m.Method), Hosts: m.Host}
	values := func(field string, from map[string]config.ValueMatch, name func(string) string) (rules []router.ValueRule) {
		for _, key := range slices.Sorted(maps.Keys(from)) {
			rules = append(rules, valueRule(name(key), from[key], match.Field(field).Field(key)))
		}
		return rules
	}
	same := func(name string) string { return name }
	rule.Headers = append(values("header", m.Header, http.CanonicalHeaderKey), acceptRules(m.Accept)...)
	rule.Queries = values("query", m.Query, same)
	rule.Cookies = values("cookie", m.Cookie, same)
	for _, p := range m.Address {
		rule.Addresses = append(rule.Addresses, p.Prefix)
	}
	if m.When != "" {
		when, err := expr.Condition(m.When)
		if err != nil {
			errs = append(errs, config.FieldErrorf("when", "%w", err))
		} else {
			rule.When, rule.WhenText = onExchange(when), cmp.Or(match.Field("when").Text(), m.When)
		}
	}
	return rule, errs
}

// onExchange makes a condition of the router of one over exchanges. What cannot be said does not hold.
func onExchange(when filter.Condition) func(*router.Request) bool {
	return func(r *router.Request) bool {
		ex, _ := r.Subject.(*filter.Exchange)
		holds, err := when(ex)
		return holds && err == nil
	}
}

// valueRule is the rule for a condition on a value. What comes from a variable or file, or is a password by its name, is shown nowhere:
// matches name routes, in logs and metrics.
func valueRule(name string, m config.ValueMatch, node config.Node) router.ValueRule {
	v := router.ValueRule{Name: name}
	for _, part := range []config.Node{node, node.Field("is"), node.Field("matches")} {
		if shown := part.Shown(); shown != part.Text() || strings.Contains(shown, "${") {
			v.Shown = shown
		}
	}
	switch {
	case m.Present != nil && *m.Present:
		v.Present = 1
	case m.Present != nil:
		v.Present = -1
	case m.Matches != "":
		v.Matches, _ = regexp.Compile(`^(?:` + m.Matches + `)$`) // that it compiles was checked when it was read
	case m.Is != nil:
		v.Is = *m.Is
	}
	return v
}

// acceptRules is the condition that Accept names one of some media types.
func acceptRules(types []string) []router.ValueRule {
	if len(types) == 0 {
		return nil
	}
	quoted := make([]string, len(types))
	for i, t := range types {
		quoted[i] = regexp.QuoteMeta(t)
	}
	re := regexp.MustCompile(`(?i)(?:^|,)[ \t]*(?:` + strings.Join(quoted, "|") + `)[ \t]*(?:[;,]|$)`)
	return []router.ValueRule{{Name: "Accept", Matches: re}}
}

func upper(methods []string) []string {
	out := slices.Clone(methods)
	for i := range out {
		out[i] = strings.ToUpper(out[i])
	}
	return out
}

// matchText is what a route without a name is called: its match.
func matchText(r *config.Route, rules []router.Rule) string {
	if len(rules) == 0 {
		return r.Self.Pos().String()
	}
	return rules[0].String()
}
