package authorize

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// rule is a condition as it runs. An empty list asks for nothing.
type rule struct {
	methods, consumers, groups, allGroups, scopes []string

	when   filter.Condition // nil: none
	source string           // of when, as it was written
	hides  bool             // that is not all: it has references to the environment or to files, whose texts may be secrets
	shown  []shown          // what when looks at, for explanations; nothing where it hides

	asksWho bool // it asks who calls
}

// shown is a value that operators may see.
type shown struct {
	name  string
	value filter.Value
}

// result is what a condition comes to.
type result int

const (
	fails      result = iota
	lacksScope        // all holds but that the caller's scopes do not suffice
	unsure            // it cannot be said: an expression cannot be evaluated
	holds
)

// newRule makes a rule of its configuration.
func newRule(env *filter.Env, c *Rule) (rule, error) {
	r := rule{methods: c.Methods, consumers: c.Consumers, groups: c.Groups, allGroups: c.AllGroups, scopes: c.Scopes}
	r.asksWho = len(r.consumers)+len(r.groups)+len(r.allGroups)+len(r.scopes) > 0
	var errs []error
	for i, name := range c.Consumers {
		if env.Consumers.Named(name) == nil {
			errs = append(errs, c.errorAt(fmt.Sprintf("consumers[%d]", i), fmt.Errorf("there is no consumer %q", name)))
		}
	}
	if strings.TrimSpace(c.When) == "" {
		return r, errors.Join(errs...)
	}
	when, err := env.Expr.Condition(c.When)
	if err != nil {
		return r, errors.Join(append(errs, c.errorAt("when", err))...)
	}
	written := c.written()
	r.when, r.source, r.hides = when, strings.Join(strings.Fields(written), " "), written != c.When
	for _, name := range env.Expr.Names(c.When) {
		r.asksWho = r.asksWho || ofCaller(name)
		if r.hides || !mayBeShown(name) {
			continue
		}
		if value, err := env.Expr.Value(name); err == nil {
			r.shown = append(r.shown, shown{name, value})
		}
	}
	return r, errors.Join(errs...)
}

// written is the expression as it may be seen.
func (r *Rule) written() string {
	node := r.Self
	if node.Kind() == config.NodeMap {
		node = node.Field("when")
	}
	return node.Shown()
}

// errorAt gives an error its place in the rule, of which the short form has but one.
func (r *Rule) errorAt(path string, err error) error {
	if r.Self.Kind() == config.NodeMap {
		return r.Self.Locate(config.FieldErrorf(path, "%w", err))
	}
	return r.Self.Locate(err)
}

// mayBeShown says whether operators may see what a name stands for: not what could be a secret, as fields and cookies could, nor all claims.
func mayBeShown(name string) bool {
	root, _, _ := strings.Cut(strings.ReplaceAll(name, "[", "."), ".")
	switch root {
	case "header", "query", "cookie", "response":
		return false
	case "jwt", "path":
		return root != name
	case "identity":
		return name != "identity.claims" && name != "identity.tags"
	}
	return true
}

// ofCaller says whether a name stands for something of the caller.
func ofCaller(name string) bool {
	root, _, _ := strings.Cut(strings.ReplaceAll(name, "[", "."), ".")
	return root == "jwt" || root == "identity"
}

// test says what a rule comes to. What it wants of the scopes is asked last, so that one who lacks nothing else can be told.
func (r *rule) test(ex *filter.Exchange) (result, error) {
	if len(r.methods) > 0 && !hasMethod(r.methods, ex.Original.Method) {
		return fails, nil
	}
	if !r.admits(ex.Identity) {
		return fails, nil
	}
	enough := len(r.scopes) == 0 || ex.Identity != nil && containsAll(ex.Identity.Scopes, r.scopes)
	if r.when == nil {
		return r.bounded(enough), nil
	}
	held, err := r.when(ex)
	switch {
	case err != nil && !enough:
		return fails, nil
	case err != nil:
		return unsure, err
	case !held:
		return fails, nil
	}
	return r.bounded(enough), nil
}

// hasMethod says whether a method is in a list. GET stands for HEAD, too, as in the match of a route.
func hasMethod(list []string, method string) bool {
	return slices.Contains(list, method) || method == http.MethodHead && slices.Contains(list, http.MethodGet)
}

// bounded is what a rule comes to of which all but the scopes holds.
func (r *rule) bounded(enough bool) result {
	if enough {
		return holds
	}
	return lacksScope
}

// admits says whether the caller is one of those that the rule names.
func (r *rule) admits(id *filter.Identity) bool {
	if len(r.consumers)+len(r.groups)+len(r.allGroups) == 0 {
		return true
	}
	if id == nil {
		return false
	}
	return (len(r.consumers) == 0 || slices.Contains(r.consumers, id.Consumer)) &&
		(len(r.groups) == 0 || containsAny(id.Groups, r.groups)) &&
		containsAll(id.Groups, r.allGroups)
}

// containsAny says whether a list has one of those wanted.
func containsAny(list, wanted []string) bool {
	for _, w := range wanted {
		if slices.Contains(list, w) {
			return true
		}
	}
	return false
}

// containsAll says whether a list has all those wanted.
func containsAll(list, wanted []string) bool {
	for _, w := range wanted {
		if !slices.Contains(list, w) {
			return false
		}
	}
	return true
}
