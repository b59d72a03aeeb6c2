package quota

import (
	"math"
	"slices"
	"strconv"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/quota"
)

// maxCost is the most that one request costs.
const maxCost = quota.Most >> 8

// cost is how much a request counts.
type cost struct {
	fixed int64
	set   bool
	value filter.Value
	bytes bool // those that were sent
	after bool
}

// newCost compiles a cost. "" is none.
func newCost(env *filter.Env, source string, after bool) (cost, error) {
	if source == "" {
		return cost{}, nil
	}
	if source == "bytes" && after {
		return cost{bytes: true, set: true}, nil
	}
	if n, err := strconv.ParseFloat(source, 64); err == nil && !after {
		return cost{fixed: rounded(n), set: true}, nil
	}
	value, err := env.Expr.Value(source)
	return cost{value: value, set: true, after: after}, err
}

// given says whether a cost was said.
func (c *cost) given() bool { return c.set }

// of is what a request costs.
func (c *cost) of(ex *filter.Exchange) int64 {
	if c.value == nil {
		return c.fixed
	}
	text, ok := c.value(ex)
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case ok && err == nil && !math.IsNaN(n):
		return rounded(n)
	case c.after && ex.Err != nil: // the gateway answers: nobody could say
		return 0
	}
	return 1
}

// rounded is a cost as it counts: whole, rounded up, and never below 0.
func rounded(n float64) int64 { return int64(math.Ceil(min(max(n, 0), maxCost))) }

// override is another amount for some requests.
type override struct {
	amount    int64
	consumers []string
	groups    []string
	tags      map[string]string
	when      filter.Condition
}

// amountFor is how much may be used of a quota by a request's key.
func (r *rule) amountFor(ex *filter.Exchange) int64 {
	for i := range r.overrides {
		if o := &r.overrides[i]; o.holds(ex) {
			return o.amount
		}
	}
	return r.amount
}

func (o *override) holds(ex *filter.Exchange) bool {
	id := ex.Identity
	if id == nil && len(o.consumers)+len(o.groups)+len(o.tags) > 0 {
		return false
	}
	if len(o.consumers) > 0 && !slices.Contains(o.consumers, id.Consumer) {
		return false
	}
	if len(o.groups) > 0 && !slices.ContainsFunc(o.groups, func(g string) bool { return slices.Contains(id.Groups, g) }) {
		return false
	}
	for name, want := range o.tags {
		if got, ok := id.Tags[name]; !ok || got != want {
			return false
		}
	}
	if o.when == nil {
		return true
	}
	holds, err := o.when(ex)
	return err == nil && holds
}
