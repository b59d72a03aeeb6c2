package externalauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define(method, filter.Authenticate, build) }

const method = "external_auth"

// policy is one configured policy on one route.
type policy struct {
	authorizer authorizer
	whom       string // the authorizer, for people
	timeout    time.Duration
	open       bool // without an answer, requests pass
	body       int64
	bodyText   string
	cache      *cache           // nil: none
	removed    []string         // fields of the client's that never reach the upstream
	own        filter.OwnFields // of those, what is removed before the authorizer is asked: all but credentials, which it has to see
	accepted   filter.Slot[verdict]
	down       atomic.Bool // there was no answer the last time
	unknown    *filter.Identity
	metrics    *metrics
	log        *slog.Logger
}

// authorizer is who is asked. The context ends when the time is over or the client has left.
type authorizer interface {
	ask(ctx context.Context, ex *filter.Exchange, body []byte) (*verdict, error)
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p := &policy{
		timeout: time.Duration(c.Timeout), open: c.OnFailure == "allow", body: int64(c.Body), bodyText: c.Body.String(),
		removed: c.reserved(), accepted: filter.NewSlot[verdict](env), unknown: &filter.Identity{Method: method},
		metrics: newMetrics(env), log: env.Log,
	}
	early := slices.DeleteFunc(slices.Clone(p.removed), func(name string) bool { return name == "Authorization" || name == "Cookie" })
	p.own = filter.NewOwnFields(early...)
	var errs []error
	var err error
	connect := newForward
	if c.GRPC != "" {
		connect = newCheck
	}
	if p.authorizer, p.whom, err = connect(env, c, p.unknown); err != nil {
		errs = append(errs, err)
	}
	if c.Cache != nil {
		if p.cache, err = newCache(env, c.Cache); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	f := env.Join(method, filter.Authenticator{Authenticate: p.authenticate, Explain: p.explain})
	p.shield(f)
	f.Response = p.response
	return f, nil
}

// shield removes what the upstream must only get from the authorizer, also where another policy has accepted the request already and
// the authorizer is not asked.
func (p *policy) shield(f *filter.Filter) {
	request, explain := f.Request, f.Explain
	f.Request = func(ex *filter.Exchange) error {
		p.own.Clean(ex.Request)
		return request(ex)
	}
	f.Explain = func(ex *filter.Exchange) filter.Verdict {
		p.own.Clean(ex.Request)
		return explain(ex)
	}
}

// authenticate asks whether the request may pass.
func (p *policy) authenticate(ex *filter.Exchange) (*filter.Identity, error) {
	if ex.Dry {
		return nil, filter.ErrUnsaid
	}
	body, err := p.takeBody(ex)
	if err != nil {
		return nil, err
	}
	v, err := p.find(ex, body)
	if err != nil {
		return p.failed(ex, err)
	}
	if v.denied != nil {
		return nil, v.denied.refusal()
	}
	v.apply(ex.Request, p.removed)
	if len(v.client) > 0 {
		p.accepted.Set(ex, v)
	}
	return v.identity, nil
}

// find returns what the authorizer says, or has said lately.
func (p *policy) find(ex *filter.Exchange, body []byte) (*verdict, error) {
	if p.cache == nil {
		return p.ask(ex, body)
	}
	k, ok := p.cache.keyOf(ex)
	if !ok {
		return p.ask(ex, body)
	}
	if v := p.cache.get(k); v != nil {
		p.metrics.remembered(v)
		return v, nil
	}
	v, shared, err := p.cache.share(ex.Context(), k, func() (*verdict, error) { return p.ask(ex, body) })
	if shared && err == nil {
		p.metrics.remembered(v)
	}
	return v, err
}

// ask asks the authorizer.
func (p *policy) ask(ex *filter.Exchange, body []byte) (*verdict, error) {
	ctx, cancel := context.WithTimeout(ex.Context(), p.timeout)
	defer cancel()
	began := time.Now()
	v, err := p.authorizer.ask(ctx, ex, body)
	switch {
	case err == nil:
		p.metrics.duration.Observe(time.Since(began).Seconds())
		p.metrics.answered(v)
		if p.down.Load() && p.down.Swap(false) {
			p.log.Info("the authorizer answers again", "route", ex.Route.Name, "authorizer", p.whom)
		}
		return v, nil
	case ex.Context().Err() != nil:
		return nil, filter.Reject(filter.ClientClosed, "").Because(err) // the engine knows whether it was rather a limit of the route's
	case ctx.Err() != nil:
		err = fmt.Errorf("there was no answer within %s: %w", p.timeout, err)
	}
	p.metrics.duration.Observe(time.Since(began).Seconds())
	return nil, fmt.Errorf("cannot ask %s: %w", p.whom, err)
}

// failed says what becomes of a request that could not be asked about.
func (p *policy) failed(ex *filter.Exchange, err error) (*filter.Identity, error) {
	var refused *filter.Error
	if errors.As(err, &refused) && refused.Code == filter.ClientClosed && ex.Context().Err() != nil {
		return nil, err
	}
	if !p.down.Swap(true) {
		p.log.Warn("the authorizer does not answer", "route", ex.Route.Name, "authorizer", p.whom, "error", err, "requests_pass", p.open)
	}
	if !p.open {
		p.metrics.unavailable.Inc()
		return nil, filter.Reject(filter.AuthUnavailable, "").Because(err)
	}
	p.metrics.unasked.Inc()
	nothing := verdict{}
	nothing.apply(ex.Request, p.removed)
	return p.unknown, nil
}

// explain says what cannot be said.
func (p *policy) explain(*filter.Exchange) (*filter.Identity, error) {
	otherwise := "refused"
	if p.open {
		otherwise = "let pass"
	}
	return nil, fmt.Errorf("%s is asked, and without an answer the request is %s; what it says %w", p.whom, otherwise, filter.ErrUnsaid)
}

// metrics count what was found out.
type metrics struct {
	allowed, denied                     prometheus.Counter
	rememberedAllowed, rememberedDenied prometheus.Counter
	unavailable, unasked                prometheus.Counter
	duration                            prometheus.Observer
}

func newMetrics(env *filter.Env) *metrics {
	vec := env.Metrics.Counter("external_auth_requests_total", "Requests that an authorizer was to decide about, by route and result.", "route", "result")
	result := func(name string) prometheus.Counter { return vec.WithLabelValues(env.Route.Name, name) }
	return &metrics{
		allowed: result("allowed"), denied: result("denied"),
		rememberedAllowed: result("allowed_from_cache"), rememberedDenied: result("denied_from_cache"),
		unavailable: result("unavailable"), unasked: result("allowed_unasked"),
		duration: env.Metrics.Histogram("external_auth_duration_seconds", "Time until an authorizer has answered, or was given up, by route.",
			prometheus.DefBuckets, "route").WithLabelValues(env.Route.Name),
	}
}

func (m *metrics) answered(v *verdict) {
	if v.denied != nil {
		m.denied.Inc()
		return
	}
	m.allowed.Inc()
}

func (m *metrics) remembered(v *verdict) {
	if v.denied != nil {
		m.rememberedDenied.Inc()
		return
	}
	m.rememberedAllowed.Inc()
}
