package cache

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/coalesce"
	"cardea.dev/cardea/internal/repeat"
	"cardea.dev/cardea/internal/stored"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("cache", filter.Cache, build) }

// policy is the policy as it runs on a route.
type policy struct {
	cache      *cache.Cache
	sizes      config.Cache
	generation uint64
	adopt      sync.Once

	shared, own rules.Settings // for what is for all, and for one caller's own
	key         *keyer
	per         bool // each caller has answers of his own
	methods     []string
	maxBody     int64
	maxObject   int64
	early       float64
	wait        time.Duration
	graceSaid   bool             // grace is configured, and so is for failures that the service answers with, too
	bypass      filter.Condition // may be nil
	storeWhen   filter.Condition // may be nil
	name        string           // in Cache-Status; "": none

	authentication *filter.Authentication
	route          string
	group          group
	rest           func(*filter.Exchange) (*http.Response, func(), error)
	ctx            context.Context // ends with the policy
	end            context.CancelFunc
	background     sync.WaitGroup
	states         filter.Slot[state]
	now            func() time.Time
	log            *slog.Logger
	metrics        *metrics
}

type (
	group  = coalesce.Group[string, *answer]
	fetch  = coalesce.Fetch[string, *answer]
	reader = coalesce.Reader[string, *answer]
)

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c, time.Now)
	if err != nil {
		return nil, err
	}
	return &filter.Filter{Request: p.request, Response: p.response, Finish: p.finish, Close: p.close, Explain: p.explain}, nil
}

func newPolicy(env *filter.Env, c *Config, now func() time.Time) (*policy, error) {
	p := &policy{
		per: c.Per == "identity", maxBody: int64(c.MaxBody), maxObject: int64(c.MaxObject), early: float64(c.RefreshEarly), wait: c.Wait.Std(), graceSaid: c.Grace != nil,
		route: env.Route.Name, rest: env.Rest, now: now, log: env.Log, name: c.StatusHeader, authentication: env.Authentication(),
	}
	if p.name == "off" {
		p.name = ""
	}
	for _, m := range c.Methods {
		p.methods = append(p.methods, strings.ToUpper(m))
	}
	p.shared = settings(c, p.methods)
	p.own = p.shared
	p.own.Private = true
	if err := p.compile(env, c); err != nil {
		return nil, err
	}
	sizes, err := env.Cache(c.Use)
	if err != nil {
		return nil, config.FieldErrorf("use", "%w", err)
	}
	p.sizes = sizes
	if p.cache, err = cache.Open(env, c.Use, &sizes, now); err != nil {
		if sizes.Self.Pos().Line > 0 {
			return nil, sizes.Self.Locate(err)
		}
		return nil, config.FieldErrorf("use", "%w", err)
	}
	p.generation = p.cache.Next()
	p.group.Options = coalesce.Options{Buffer: 256 << 10, Patience: 2 * time.Second}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.states = filter.NewSlot[state](env)
	p.metrics = newMetrics(env)
	return p, nil
}

// settings are what the rules need to know.
func settings(c *Config, methods []string) rules.Settings {
	s := rules.Settings{
		Override: c.Override, MaxTTL: c.MaxTTL.Std(), Heuristic: float64(c.Heuristic), Grace: defaultGrace, WhileRevalidate: c.StaleWhileRevalidate.Std(),
		IgnoreRequest: c.Requests == "ignore", StripCookies: c.Cookies == "strip", Methods: methods,
	}
	if c.Grace != nil {
		s.Grace = c.Grace.Std()
	}
	if c.TTL != nil {
		s.TTL = c.TTL.of
	}
	for _, name := range c.Targets {
		s.Targets = append(s.Targets, http.CanonicalHeaderKey(name))
	}
	return s
}

// compile compiles what is written in expressions.
func (p *policy) compile(env *filter.Env, c *Config) (err error) {
	if p.key, err = newKeyer(env, c); err != nil {
		return err
	}
	if c.Bypass != "" {
		if p.bypass, err = env.Expr.Condition(c.Bypass); err != nil {
			return config.FieldErrorf("bypass", "%w", err)
		}
		for _, name := range env.Expr.Names(c.Bypass) {
			if ofAnswer(name) {
				return config.FieldErrorf("bypass", "there is no answer yet when it is asked, and so no %s; `store_when` is about answers", name)
			}
		}
	}
	if c.StoreWhen != "" {
		if p.storeWhen, err = env.Expr.Condition(c.StoreWhen); err != nil {
			return config.FieldErrorf("store_when", "%w", err)
		}
	}
	return nil
}

// ofAnswer says whether a variable is known only when there is an answer.
func ofAnswer(name string) bool {
	name, _, _ = strings.Cut(name, "[")
	name, _, _ = strings.Cut(name, ".")
	return slices.Contains([]string{"response", "status", "error", "endpoint"}, name)
}

// lookup is a request as it is looked up.
type lookup struct {
	q          rules.Request
	settings   *rules.Settings
	key        []byte // the primary key
	found      cache.Found
	now        time.Time
	why        string // it was not answered from what is stored
	method     string // that answers are stored for
	body       []byte // of the request, where it counts
	authorized bool
	alone      bool // its answer is not to be shared with others
}

var lookups = sync.Pool{New: func() any { return &lookup{key: make([]byte, 0, 512)} }}

func (l *lookup) release() {
	if cap(l.key) > 8<<10 {
		return
	}
	*l = lookup{key: l.key[:0]}
	lookups.Put(l)
}

// request answers the exchange from what is stored, has it wait for what is being fetched, or lets it go on.
func (p *policy) request(ex *filter.Exchange) error {
	p.adopt.Do(func() { p.cache.Configure(p.generation, &p.sizes) })
	if why := p.unfit(ex); why != "" {
		return p.pass(ex, filter.CacheBypass, why)
	}
	l := lookups.Get().(*lookup)
	defer l.release()
	if why, err := p.read(ex, l); why != "" || err != nil {
		if err != nil {
			return err
		}
		return p.pass(ex, filter.CacheBypass, why)
	}
	if answered, err := p.fromStored(ex, l); answered || err != nil {
		return err
	}
	switch {
	case l.q.OnlyIfCached(l.settings):
		p.metrics.outcome(filter.CacheMiss)
		ex.Cached = filter.Cached{Outcome: filter.CacheMiss, Why: l.why}
		return filter.Reject(filter.NotCached, "")
	case ex.Request.Method == http.MethodHead:
		return p.passHead(ex, l)
	case p.rest == nil, !l.settings.IgnoreRequest && l.q.Control.Has(rules.NoStore), ex.Request.Header["If-Match"] != nil, ex.Request.Header["If-Unmodified-Since"] != nil:
		return p.pass(ex, filter.CacheMiss, l.why)
	}
	return p.fetched(ex, l)
}

// unfit says why a request has nothing to do with the cache, or "".
func (p *policy) unfit(ex *filter.Exchange) string {
	r := ex.Request
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !get && !slices.Contains(p.methods, r.Method):
		return "method"
	case get && r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody:
		return "body"
	case !get && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		return "grpc" // its body may go on for as long as the answer does: to read it first is to wait for ever
	case r.Header["Upgrade"] != nil:
		return "upgrade"
	}
	for i := range len(ex.Original.Query) {
		if c := ex.Original.Query[i]; c <= ' ' || c == 0x7f {
			return "url"
		}
	}
	if p.bypass != nil {
		if holds, err := p.bypass(ex); holds || err != nil {
			return "bypass"
		}
	}
	return ""
}

// read finds out what a request asks the cache for. Why says that it is not one for the cache.
func (p *policy) read(ex *filter.Exchange, l *lookup) (why string, err error) {
	digest := ""
	if len(p.methods) > 0 && ex.Request.Method != http.MethodGet && ex.Request.Method != http.MethodHead {
		body, whole, err := repeat.Take(ex.Request, p.maxBody)
		switch {
		case err != nil:
			return "", err
		case !whole:
			return "body", nil
		}
		l.body = body
		digest = bodyDigest(ex.Request, l.body)
	}
	p.prepare(ex, l, digest)
	l.found, l.key = p.cache.Find(ex.Context(), l.key, ex.Request.Header)
	return "", nil
}

// prepare fills in what a request says by itself.
func (p *policy) prepare(ex *filter.Exchange, l *lookup, digest string) {
	r := ex.Request
	l.q, l.now, l.method = rules.ParseRequest(r), p.now(), r.Method
	if l.method == http.MethodHead {
		l.method = http.MethodGet
	}
	l.authorized = r.Header["Authorization"] != nil || ex.Identity != nil && p.authentication.Knows(ex)
	l.settings = &p.shared
	if p.per && (l.authorized || r.Header["Cookie"] != nil) {
		l.settings = &p.own
	}
	l.key = p.key.append(l.key[:0], ex, digest)
}

// fromStored answers a request with what is stored, if that may be used.
func (p *policy) fromStored(ex *filter.Exchange, l *lookup) (answered bool, err error) {
	r := l.found.Response
	if r == nil {
		l.why = "uri-miss"
		if l.found.Known {
			l.why = "vary-miss"
		}
		return false, nil
	}
	use, why := rules.Judge(l.settings, &l.q, r, l.now)
	if use < rules.Stale && !l.found.Behind {
		if better := p.cache.Renewed(ex.Context(), r); better != nil {
			r, l.found.Response = better, better
			use, why = rules.Judge(l.settings, &l.q, r, l.now)
		}
	}
	l.why = string(why)
	switch use {
	case rules.Fresh:
		if p.early > 0 && float64(r.Left(l.now)) < p.early*float64(r.Terms.Lifetime) {
			p.refresh(ex, l)
		}
		return p.serve(ex, l, r, filter.CacheHit, ""), nil
	case rules.Stale:
		return p.serve(ex, l, r, filter.CacheStale, "stale"), nil
	case rules.StaleWhileRevalidate:
		p.refresh(ex, l)
		return p.serve(ex, l, r, filter.CacheStale, "stale"), nil
	case rules.Gone:
		l.found.Response = nil
	}
	l.alone = r.Terms.Flags&(stored.NoCache|stored.Unkeyed) != 0
	return false, nil
}

// pass lets an exchange go on by itself. Nothing of its answer is stored.
func (p *policy) pass(ex *filter.Exchange, outcome filter.CacheOutcome, why string) error {
	s := newState()
	s.forward = why
	ex.Cached = filter.Cached{Outcome: outcome, Why: why}
	p.metrics.outcome(outcome)
	p.states.Set(ex, s)
	return nil
}

// passHead lets a HEAD go on. Its answer says something about what is stored (RFC 9111, section 4.3.5).
func (p *policy) passHead(ex *filter.Exchange, l *lookup) error {
	old, asked := l.found.Response, l.q
	if err := p.pass(ex, filter.CacheMiss, l.why); err != nil || old == nil {
		return err
	}
	s := p.states.Get(ex)
	s.head = &rules.Exchanged{
		Request: &http.Request{Method: http.MethodGet, Header: ex.Request.Header.Clone()}, Asked: &asked, Authorized: l.authorized, Requested: l.now,
	}
	s.old, s.settings = old, l.settings
	return nil
}

// close ends what the policy does in the background, and waits for what it has begun.
func (p *policy) close() error {
	p.end()
	p.group.Wait()
	p.background.Wait()
	return nil
}
