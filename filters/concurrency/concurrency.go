package concurrency

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/line"
)

// kindName is the kind's name.
const kindName = "concurrency"

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define(kindName, filter.Limit, build).WithEarly() }

// policy is the policy as it runs.
type policy struct {
	key        *limit.Key
	limiter    *limiter
	info       *filter.LimiterInfo
	wants      []line.Want // of each rule: the limit, and the overrides
	overrides  []*limit.Who
	retryAfter string
	dryRun     bool
	taken      filter.Slot[line.Place[limit.ID]]

	full, displaced, late, absent, dry prometheus.Counter
	waited                             prometheus.Observer
	waiting                            prometheus.Gauge
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	key, err := limit.NewKey(env, c.KeyConfig)
	if err != nil {
		return nil, err
	}
	p := &policy{key: key, retryAfter: c.retryAfter(), dryRun: c.DryRun, taken: filter.NewSlot[line.Place[limit.ID]](env)}
	p.wants = []line.Want{{Limit: c.Limit, Queue: c.Queue, Wait: c.Wait.Std()}}
	for i := range c.Overrides {
		o := &c.Overrides[i]
		if err := o.Compile(env); err != nil {
			return nil, config.FieldErrorf(fmt.Sprintf("overrides[%d]", i), "%w", err)
		}
		p.overrides = append(p.overrides, &o.Who)
		p.wants = append(p.wants, line.Want{Limit: o.Limit, Queue: c.Queue, Wait: c.Wait.Std(), Rule: i + 1})
	}
	if p.limiter, p.info, err = keptLimiter(env, newInfo(env.Scope, c.text(key.String()), key.String()), c.Absent); err != nil {
		return nil, err
	}
	p.measure(env)
	f := &filter.Filter{Request: p.request, Finish: p.finish, Explain: p.explain}
	if c.Upgraded == "release" {
		f.Response = p.answered
	}
	if key.Early() && len(c.Overrides) == 0 {
		return &filter.Filter{Early: f}, nil
	}
	return f, nil
}

func (p *policy) measure(env *filter.Env) {
	refusals := env.Metrics.Counter("concurrency_refusals_total", "Requests that a limit of concurrency refused, or would have in a dry run, by route and reason.", "route", "reason")
	count := func(reason string) prometheus.Counter { return refusals.WithLabelValues(env.Route.Name, reason) }
	p.full, p.displaced, p.late, p.absent, p.dry = count("full"), count("displaced"), count("timeout"), count("absent"), count("dry_run")
	p.waited = env.Metrics.Histogram("concurrency_wait_seconds", "How long requests waited in line for others of their key to end, by route.", nil, "route").
		WithLabelValues(env.Route.Name)
	p.waiting = env.Metrics.Gauge("concurrency_waiting", "Requests that wait in line for others of their key to end, by route.", "route").WithLabelValues(env.Route.Name)
}

// request takes a place, or waits for one.
func (p *policy) request(ex *filter.Exchange) error {
	id, counted := p.key.Of(ex)
	if !counted {
		return p.uncounted(ex)
	}
	p.limiter.tell(p.info)
	want := p.want(ex)
	if p.dryRun {
		place, over := p.limiter.lines.Force(id, want)
		p.taken.Set(ex, place)
		if over {
			p.dry.Inc()
			p.mark(ex, id.String())
		}
		return nil
	}
	place, waits, err := p.limiter.lines.Ask(id, want)
	if waits != nil {
		began := time.Now()
		p.waiting.Inc()
		place, err = waits.Wait(ex.Context())
		p.waiting.Dec()
		p.waited.Observe(time.Since(began).Seconds())
	}
	if err != nil {
		return p.refuse(ex, id, want, err)
	}
	p.taken.Set(ex, place)
	return nil
}

// want is what the caller may have.
func (p *policy) want(ex *filter.Exchange) line.Want {
	w := p.wants[0]
	for i, who := range p.overrides {
		if who.Fits(ex) {
			w = p.wants[i+1]
			break
		}
	}
	w.Priority = int8(ex.Priority)
	return w
}

// finish gives the place back. A request that was refused has none.
func (p *policy) finish(ex *filter.Exchange) {
	if place := p.taken.Get(ex); place != nil {
		p.taken.Set(ex, nil)
		place.Leave()
	}
}

// answered gives the place of a connection back that is upgraded.
func (p *policy) answered(ex *filter.Exchange) error {
	if ex.Response != nil && ex.Response.StatusCode == 101 {
		p.finish(ex)
	}
	return nil
}

// uncounted is what becomes of a request whose key is absent.
func (p *policy) uncounted(ex *filter.Exchange) error {
	if !p.key.Refuses() {
		return nil
	}
	if p.dryRun {
		p.dry.Inc()
		p.mark(ex, "")
		return nil
	}
	p.absent.Inc()
	p.mark(ex, "")
	return p.reject(fmt.Errorf("the request has no %s", p.key))
}

// refuse says why a request has no place. A client that left or a time that is over tell for themselves.
func (p *policy) refuse(ex *filter.Exchange, id limit.ID, want line.Want, err error) error {
	switch {
	case errors.Is(err, line.ErrNoLine), errors.Is(err, line.ErrFull):
		p.full.Inc()
	case errors.Is(err, line.ErrDisplaced):
		p.displaced.Inc()
	case errors.Is(err, line.ErrTooLong):
		p.late.Inc()
	default:
		return err
	}
	key := id.String()
	p.mark(ex, key)
	return p.reject(fmt.Errorf("%s may have %d under way: %w", key, want.Limit, err))
}

func (p *policy) reject(cause error) error {
	return filter.Reject(filter.ConcurrencyLimited, "").Because(cause).With("Retry-After", p.retryAfter)
}

// mark notes the limit. What was refused is not hidden by what only would have been.
func (p *policy) mark(ex *filter.Exchange, key string) {
	if !p.dryRun || ex.Limited.Policy == "" {
		ex.Limited = filter.Limited{Policy: kindName, Limit: p.info.Limit, Key: key, DryRun: p.dryRun}
	}
}
