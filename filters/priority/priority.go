package priority

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says how important requests are. The short form is Rules.
type Config struct {
	// Rules are asked in order; the first that holds gives the class. Requests for which none holds are normal. A class alone is a rule that
	// always holds.
	Rules []Rule `yaml:"rules,short,required"`
}

// Rule gives a class to the requests for which a condition holds. The short form is Class.
type Rule struct {
	// When is a condition in CEL. By default the rule holds for every request; such a rule stands last.
	When string `yaml:"when"`

	// Class is how important the requests are: "low", "normal", "high" or "critical".
	Class string `yaml:"class,short,required" enum:"low,normal,high,critical"`

	// Self is where the rule is written.
	Self config.Node `yaml:",self"`
}

// Validate checks that each rule can be reached.
func (c *Config) Validate() error {
	if len(c.Rules) == 0 {
		return config.FieldErrorf("rules", "there is no rule; write a class, as in `priority: high`")
	}
	for i, r := range c.Rules[:len(c.Rules)-1] {
		if strings.TrimSpace(r.When) == "" {
			return config.FieldErrorf(fmt.Sprintf("rules[%d]", i), "this rule has no condition, so that those after it are never asked; put it last")
		}
	}
	return nil
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("priority", filter.Limit, build).WithEarly() }

// rule is a rule as it runs.
type rule struct {
	when  filter.Condition // nil: it always holds
	class filter.Priority
	note  string // for operators
	late  bool   // it asks who calls
}

// rules are asked in order.
type rules []rule

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	var all rules
	var errs []error
	for i, r := range c.Rules {
		made, err := newRule(env, r)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("rules[%d].when", i), "%w", err))
		}
		made.note = fmt.Sprintf("%s, by rule %d%s", r.Class, i+1, shown(r))
		all = append(all, made)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	first := slices.IndexFunc(all, func(r rule) bool { return r.late })
	switch first {
	case -1:
		return &filter.Filter{Early: all.filter()}, nil
	case 0:
		return all.filter(), nil
	}
	f := all.filter()
	f.Early = all[:first].filter()
	return f, nil
}

// filter is the phases in which rules are asked.
func (all rules) filter() *filter.Filter {
	return &filter.Filter{Request: all.request, Explain: all.explain}
}

func newRule(env *filter.Env, c Rule) (rule, error) {
	r := rule{class: filter.Low + filter.Priority(slices.Index(filter.Priorities(), c.Class))}
	if strings.TrimSpace(c.When) == "" {
		return r, nil
	}
	when, err := env.Expr.Condition(c.When)
	if err != nil {
		return r, err
	}
	r.when = when
	authenticates := len(env.Authentication().Methods()) > 0
	r.late = slices.ContainsFunc(env.Expr.Names(c.When), func(name string) bool {
		return begins(name, "identity") || begins(name, "jwt") || authenticates && begins(name, "header")
	})
	return r, nil
}

// begins says whether a name is a variable or something of it.
func begins(name, variable string) bool {
	rest, ok := strings.CutPrefix(name, variable)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// shown is a rule's condition for operators, or nothing where it has secrets.
func shown(r Rule) string {
	written := r.Self
	if written.Kind() == config.NodeMap {
		written = written.Field("when")
	}
	if r.When == "" || written.Shown() != r.When {
		return ""
	}
	return ": " + strings.Join(strings.Fields(r.When), " ")
}

// of returns the rule that holds, or nil.
func (all rules) of(ex *filter.Exchange) *rule {
	for i := range all {
		r := &all[i]
		if r.when == nil {
			return r
		}
		if holds, err := r.when(ex); err == nil && holds {
			return r
		}
	}
	return nil
}

// request sets the class.
func (all rules) request(ex *filter.Exchange) error {
	ex.Priority = filter.Normal
	if r := all.of(ex); r != nil {
		ex.Priority = r.class
	}
	return nil
}

// explain says which rule holds, and sets the class for what explains itself later.
func (all rules) explain(ex *filter.Exchange) filter.Verdict {
	note := "normal: no rule holds"
	ex.Priority = filter.Normal
	if r := all.of(ex); r != nil {
		ex.Priority, note = r.class, r.note
	}
	return filter.Verdict{Action: filter.Passes, Note: note}
}
