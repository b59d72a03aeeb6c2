package ratelimit

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("rate_limit", filter.Limit, build).WithEarly() }

// policy is the policy as it runs on one route.
type policy struct {
	early     plan // before authentication; the same for all
	main      plan // after it
	overrides []override
	fields    fields
	dryRun    bool
	slot      filter.Slot[state]
	states    sync.Pool // of *state
}

// plan is the limits that a request meets, those before authentication included in policyField.
type plan struct {
	groups      []*group
	policyField []string // RateLimit-Policy
}

// override is other limits for some callers.
type override struct {
	who *limit.Who
	plan
}

// state is what the phases of one exchange tell each other.
type state struct {
	plan  *plan // the last that was reached
	taken []taken
}

// taken is what came of asking one counter.
type taken struct {
	group    *group
	id       limit.ID
	cost     int64 // that was counted
	answer   int64 // what the answer costs, as far as it is known
	decision limit.Decision
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c)
	if err != nil {
		return nil, err
	}
	f := &filter.Filter{}
	if len(p.main.groups) > 0 || len(p.overrides) > 0 {
		f.Request, f.Explain = p.requestMain, p.explainMain
	}
	if len(p.early.groups) == 0 {
		f.Response, f.Finish = p.response, p.finish
		return f, nil
	}
	f.Early = &filter.Filter{Request: p.requestEarly, Explain: p.explainEarly, Response: p.response, Finish: p.finish}
	return f, nil
}

func newPolicy(env *filter.Env, c *Config) (*policy, error) {
	p := &policy{dryRun: c.DryRun, slot: filter.NewSlot[state](env), fields: newFields(c.Headers)}
	p.states.New = func() any { return new(state) }
	b := &builder{env: env, config: c}
	if err := b.checkInherited(); err != nil {
		return nil, err
	}
	all, err := b.groups("limits", c.Limits, "")
	errs := []error{err}
	for _, g := range all {
		if g.key.Early() {
			p.early.groups = append(p.early.groups, g)
		} else {
			p.main.groups = append(p.main.groups, g)
		}
	}
	if len(c.Overrides) > 0 && len(p.main.groups) == 0 && b.said(c.Limits) && err == nil {
		errs = append(errs, config.FieldErrorf("overrides", "all limits count by address, before it is known who calls: nothing is there to override"))
	}
	p.early.policyField = p.fields.policies(p.early.groups)
	p.main.policyField = p.fields.policies(p.early.groups, p.main.groups)
	for i := range c.Overrides {
		at, o := fmt.Sprintf("overrides[%d]", i), override{who: &c.Overrides[i].Who}
		if err := o.who.Compile(env); err != nil {
			errs = append(errs, config.FieldErrorf(at, "%w", err))
		}
		if o.groups, err = b.groups(at+".limits", c.Overrides[i].Limits.Limits, o.who.String()); err != nil {
			errs = append(errs, err)
		}
		o.policyField = p.fields.policies(p.early.groups, o.groups)
		p.overrides = append(p.overrides, o)
	}
	if len(p.main.groups) == 0 && len(p.early.groups) > 0 {
		p.overrides = nil // a route that authenticates nobody
	}
	return p, errors.Join(errs...)
}

func (p *policy) requestEarly(ex *filter.Exchange) error {
	s := p.states.Get().(*state)
	p.slot.Set(ex, s)
	return p.request(ex, s, &p.early)
}

func (p *policy) requestMain(ex *filter.Exchange) error {
	s := p.slot.Get(ex)
	if s == nil {
		s = p.states.Get().(*state)
		p.slot.Set(ex, s)
	}
	return p.request(ex, s, p.planFor(ex))
}

// planFor is the limits after authentication that hold for who calls.
func (p *policy) planFor(ex *filter.Exchange) *plan {
	for i := range p.overrides {
		if o := &p.overrides[i]; o.who.Fits(ex) {
			return &o.plan
		}
	}
	return &p.main
}

// request asks the counters of a plan one after the other. When one refuses, those before it get back what they counted.
func (p *policy) request(ex *filter.Exchange, s *state, pl *plan) error {
	s.plan = pl
	first := len(s.taken)
	for i, g := range pl.groups {
		id, ok := g.key.Of(ex)
		if !ok && !g.key.Refuses() {
			continue
		}
		cost := g.cost.Of(ex)
		if cost == 0 && !g.cost.HasAnswer() {
			continue
		}
		t := taken{group: g, id: id, cost: cost}
		var err error
		if ok {
			t.decision, err = g.counter.Take(ex.Context(), id, cost)
			t.decision.Allowed = t.decision.Allowed && (cost > 0 || t.decision.Remaining > 0)
		}
		if err == nil && t.decision.Allowed {
			s.taken = append(s.taken, t)
			continue
		}
		for _, before := range s.taken[first:] {
			before.group.counter.Charge(before.id, -before.cost)
		}
		s.taken = s.taken[:first]
		if ok && err == nil {
			t.decision.Retry = longest(ex, t.decision.Retry, pl.groups[i+1:])
			s.taken = append(s.taken, t)
			s.taken[first].cost = 0
		}
		return p.refuse(ex, t, ok, err)
	}
	for i := range s.taken[first:] {
		s.taken[first+i].group.count(allowed)
	}
	return nil
}

// longest is how long a request must wait that has to wait for one counter, where further ones would refuse it for longer, as far as that is
// known at once.
func longest(ex *filter.Exchange, retry time.Duration, groups []*group) time.Duration {
	for _, g := range groups {
		id, ok := g.key.Of(ex)
		cost := g.cost.Of(ex)
		if !ok || retry < 0 || cost == 0 && !g.cost.HasAnswer() {
			continue
		}
		if d, known := g.counter.Look(id, cost); known && !d.Allowed {
			retry = max(retry, d.Retry)
		}
	}
	return retry
}

// refuse makes the refusal, or, in a dry run, tells of it.
func (p *policy) refuse(ex *filter.Exchange, t taken, ok bool, err error) error {
	g := t.group
	if err != nil {
		g.failed.Inc()
		if p.dryRun {
			return nil
		}
		return filter.Reject(filter.LimitsUnavailable, "").Because(err)
	}
	key := absent
	if ok {
		key = t.id.String()
	}
	shown := &g.limits[t.decision.Rule]
	ex.Limited = filter.Limited{Policy: "rate_limit", Limit: shown.text, Key: key, DryRun: p.dryRun}
	if p.dryRun {
		shown.counts[wouldRefuse].Inc()
		return nil
	}
	shown.counts[refused].Inc()
	if !ok {
		return filter.Reject(filter.RateLimited, "The request does not say what it is counted by.").Because(errors.New("it has no " + g.key.String()))
	}
	return t.refusal(key)
}

// absent stands for a key that is not there.
const absent = "(absent)"

// refusal is what a client gets who is over a limit.
func (t *taken) refusal(key string) *filter.Error {
	shown, d := &t.group.limits[t.decision.Rule], &t.decision
	if d.Retry < 0 {
		return filter.Reject(filter.RateLimited, "The request counts for %d, and %s never lets pass so much at once.", t.cost, shown.public).
			Because(fmt.Errorf("%s asks for %d of %s", key, t.cost, shown.text))
	}
	wait := max(limit.Seconds(d.Retry), 1)
	unit := "seconds"
	if wait == 1 {
		unit = "second"
	}
	return filter.Reject(filter.RateLimited, "%s is reached. Try again in %d %s.", upperFirst(shown.public), wait, unit).
		With("Retry-After", fmt.Sprint(wait)).
		Because(fmt.Errorf("%s has %d of %s left, and the request counts for %d", key, d.Remaining, shown.text, t.cost))
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// response learns what the answer costs, and tells the client what is left.
func (p *policy) response(ex *filter.Exchange) error {
	s := p.slot.Get(ex)
	if s == nil {
		return nil
	}
	for i := range s.taken {
		if t := &s.taken[i]; t.decision.Allowed {
			t.answer = t.group.cost.Answered(ex)
		}
	}
	for i := range s.taken {
		s.taken[i].group.cost.Hide(ex)
	}
	if !p.dryRun {
		p.fields.write(ex, s)
	}
	return nil
}

// finish charges what the answer has cost.
func (p *policy) finish(ex *filter.Exchange) {
	s := p.slot.Get(ex)
	if s == nil {
		return
	}
	for i := range s.taken {
		t := &s.taken[i]
		if cost := t.answer + t.group.cost.Finished(ex); cost > 0 && t.decision.Allowed {
			t.group.counter.Charge(t.id, cost)
		}
	}
	clear(s.taken)
	*s = state{taken: s.taken[:0]}
	p.slot.Set(ex, nil)
	p.states.Put(s)
}
