package quota

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // where the system has none, as in containers

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/quota"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("quota", filter.Limit, build) }

// policy is the policy as it runs.
type policy struct {
	quotas   []rule
	counter  quota.Counter
	calendar quota.Calendar
	cost     *limit.Cost
	warnAt   float64
	headers  bool
	dryRun   bool
	allow    bool // what cannot be counted passes
	env      *filter.Env
	now      func() time.Time
	slot     filter.Slot[visit]
	visits   sync.Pool
	metrics  metrics
	toldFull atomic.Int64 // when it was last logged that there are too many keys
}

// rule is one quota.
type rule struct {
	name      string
	text      string // as it is written: "10000/month per identity"
	amount    int64
	period    quota.Period
	key       *limit.Key
	series    *quota.Series
	overrides []override
	span      atomic.Pointer[quota.Span] // the one that it was last
	bytes     bool                       // are what is counted, as clients are told
	allowed   prometheus.Counter
	refused   prometheus.Counter
	warnings  prometheus.Counter
}

// visit is what the phases of one exchange tell each other.
type visit struct {
	space   [maxQuotas]quota.Ask
	asks    []quota.Ask // of those quotas that count the request
	rules   [maxQuotas]*rule
	cost    int64
	counted bool
	known   bool // how the quotas stand
}

type metrics struct {
	unavailable prometheus.Counter
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c)
	if err != nil {
		return nil, err
	}
	f := &filter.Filter{Request: p.request, Response: p.response, Finish: p.finish, Explain: p.explain}
	return f, nil
}

// request counts a request, or refuses it.
func (p *policy) request(ex *filter.Exchange) error {
	v := p.visits.Get().(*visit)
	now := p.now()
	if absent := p.fill(ex, v, now); absent != nil {
		p.visits.Put(v)
		return p.refuseAbsent(ex, absent)
	}
	if len(v.asks) == 0 {
		p.visits.Put(v)
		return nil
	}
	p.slot.Set(ex, v)
	v.cost = min(p.cost.Of(ex), maxCost)
	need := v.cost
	if p.cost.HasAnswer() {
		need = max(need, 1)
	}
	if need == 0 {
		p.counter.Look(now, v.asks, 0)
		p.pass(v)
		return nil
	}
	refused, err := p.counter.Take(ex.Context(), now, v.asks, v.cost, need)
	switch {
	case err != nil:
		return p.unavailable(ex, err)
	case refused >= 0:
		v.known = true
		return p.refuse(ex, v.rules[refused], &v.asks[refused], now)
	}
	p.pass(v)
	p.warn(v, v.cost)
	return nil
}

// pass notes that a request passes.
func (p *policy) pass(v *visit) {
	v.counted, v.known = true, true
	for _, r := range v.rules[:len(v.asks)] {
		r.allowed.Inc()
	}
}

// fill finds out in which quotas a request counts. It returns one that refuses it as it has no key.
func (p *policy) fill(ex *filter.Exchange, v *visit, now time.Time) *rule {
	v.asks, v.counted, v.known, v.cost = v.space[:0], false, false, 0
	for i := range p.quotas {
		r := &p.quotas[i]
		id, ok := r.key.Of(ex)
		if !ok {
			if r.key.Refuses() {
				return r
			}
			continue
		}
		v.rules[len(v.asks)] = r
		v.asks = append(v.asks, quota.Ask{Series: r.series, ID: id, Amount: r.amountFor(ex), Span: r.at(p.calendar, now)})
	}
	return nil
}

// at is the span of a time.
func (r *rule) at(c quota.Calendar, now time.Time) quota.Span {
	if s := r.span.Load(); s != nil && s.Contains(now) {
		return *s
	}
	s := r.period.Span(c, now)
	r.span.Store(&s)
	return s
}

// refuse refuses a request, or in a dry run says that it would be.
func (p *policy) refuse(ex *filter.Exchange, r *rule, q *quota.Ask, now time.Time) error {
	ex.Limited = filter.Limited{Policy: "quota", Limit: r.text, Key: q.ID.String(), DryRun: p.dryRun}
	r.refused.Inc()
	if p.dryRun {
		return nil
	}
	e := filter.Reject(filter.QuotaExceeded, "").Because(errors.New(reason(r, q, now)))
	if !q.Retry.IsZero() {
		e = e.With("Retry-After", strconv.FormatInt(limit.Seconds(q.Retry.Sub(now)), 10))
	}
	return e
}

// refuseAbsent refuses a request that does not have what is counted by.
func (p *policy) refuseAbsent(ex *filter.Exchange, r *rule) error {
	ex.Limited = filter.Limited{Policy: "quota", Limit: r.text, Key: "(absent)", DryRun: p.dryRun}
	r.refused.Inc()
	if p.dryRun {
		return nil
	}
	return filter.Reject(filter.QuotaExceeded, "").Because(fmt.Errorf("the request has no %s, by which %s counts", r.key, r.name))
}

// unavailable is what becomes of a request that cannot be counted.
func (p *policy) unavailable(ex *filter.Exchange, err error) error {
	if cause := context.Cause(ex.Context()); cause != nil {
		return cause
	}
	if errors.Is(err, quota.ErrFull) {
		last, now := p.toldFull.Load(), p.now().Unix()
		if now-last >= 60 && p.toldFull.CompareAndSwap(last, now) {
			p.env.Log.Error("a quota counts as many keys as it may, and further ones are not counted", "route", p.env.Route.Name)
		}
	}
	p.metrics.unavailable.Inc()
	if p.allow || p.dryRun {
		return nil
	}
	return filter.Reject(filter.LimitsUnavailable, "").Because(err)
}

// warn tells when usage reached the share from which on there are warnings, which it does once for each key and period.
func (p *policy) warn(v *visit, cost int64) {
	if p.warnAt == 0 {
		return
	}
	for i := range v.asks {
		q, r := &v.asks[i], v.rules[i]
		from := p.threshold(q)
		if q.Used < from || q.Used-cost >= from {
			continue
		}
		r.warnings.Inc()
		p.env.Log.Warn("a quota is nearly used up", "route", p.env.Route.Name, "quota", r.text, "key", q.ID.String(), "used", q.Used, "of", q.Amount, "until", q.Reset.UTC())
	}
}

// response counts what is known once there is an answer, and tells what is left.
func (p *policy) response(ex *filter.Exchange) error {
	v := p.slot.Get(ex)
	if v != nil && v.counted {
		p.charge(v, p.cost.Answered(ex))
	}
	if ex.Response == nil {
		return nil
	}
	p.cost.Hide(ex)
	if v != nil && v.known && !p.dryRun {
		if ex.Response.Header == nil {
			ex.Response.Header = http.Header{}
		}
		p.tell(ex.Response.Header, v)
	}
	return nil
}

// finish counts what is known once all is sent.
func (p *policy) finish(ex *filter.Exchange) {
	v := p.slot.Get(ex)
	if v == nil {
		return
	}
	if v.counted {
		p.charge(v, p.cost.Finished(ex))
	}
	p.slot.Set(ex, nil)
	p.visits.Put(v)
}

// charge counts what a request has cost besides.
func (p *policy) charge(v *visit, cost int64) {
	if cost = min(cost, maxCost); cost == 0 {
		return
	}
	if err := p.counter.Charge(p.now(), v.asks, cost); err != nil {
		p.metrics.unavailable.Inc()
		return
	}
	p.warn(v, cost)
}
