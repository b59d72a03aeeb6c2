package fault

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/pace"
)

// rule is a Rule as it runs.
type rule struct {
	when      filter.Condition // nil: any
	fields    []field
	share     float64
	delay     Range
	abort     *Abort
	bandwidth pace.Rate
	truncate  int64 // -1: not at all
	text      string
	always    bool
}

// field is a condition on a field.
type field struct {
	name    string // canonical
	is      *string
	matches *regexp.Regexp
	present *bool
}

func newRule(env *filter.Env, c *Rule, at string) (rule, error) {
	r := rule{share: float64(c.Share), delay: c.Delay, abort: c.Abort, truncate: -1, text: c.text(), always: !c.conditional()}
	if c.Truncate != nil {
		r.truncate = int64(*c.Truncate)
	}
	r.bandwidth = pace.Rate{PerSecond: c.Bandwidth.PerSecond(), Burst: int64(c.Bandwidth.Burst)}
	if c.When != "" {
		when, err := env.Expr.Condition(c.When)
		if err != nil {
			return r, config.FieldErrorf(at+"when", "%w", err)
		}
		r.when = when
	}
	for name, m := range c.Header {
		f := field{name: http.CanonicalHeaderKey(name), is: m.Is, present: m.Present}
		if m.Matches != "" {
			expression, err := regexp.Compile("^(?:" + m.Matches + ")$")
			if err != nil {
				return r, config.FieldErrorf(at+fmt.Sprintf("header[%q]", name), "%w", err)
			}
			f.matches = expression
		}
		r.fields = append(r.fields, f)
	}
	return r, nil
}

// text is what the rule does, for people.
func (r *Rule) text() string {
	var parts []string
	if r.Delay.Most > 0 {
		parts = append(parts, "a delay of "+r.Delay.String())
	}
	switch a := r.Abort; {
	case a == nil:
	case a.Reset:
		parts = append(parts, "the connection is cut")
	default:
		parts = append(parts, fmt.Sprintf("status %d", a.Status))
	}
	if !r.Bandwidth.IsZero() {
		parts = append(parts, "an answer at "+r.Bandwidth.String())
	}
	if r.Truncate != nil {
		parts = append(parts, "an answer cut after "+r.Truncate.String())
	}
	return strings.Join(parts, ", ")
}

// fits says whether the request is one that the rule is for.
func (r *rule) fits(ex *filter.Exchange) bool {
	for i := range r.fields {
		if !r.fields[i].fits(ex.Request.Header) {
			return false
		}
	}
	if r.when == nil {
		return true
	}
	ok, err := r.when(ex)
	return ok && err == nil
}

func (f *field) fits(h http.Header) bool {
	values := h[f.name]
	switch {
	case f.present != nil:
		return *f.present == (len(values) > 0)
	case f.is != nil:
		return slices.Contains(values, *f.is)
	}
	return slices.ContainsFunc(values, f.matches.MatchString)
}
