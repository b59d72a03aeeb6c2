package oidc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
	"cardea.dev/cardea/internal/redis"
)

const kind = "oidc"

// Kind is the kind of this policy.
func Kind() filter.Kind {
	return filter.Define(kind, filter.Authenticate, func(env *filter.Env, c *Config) (*filter.Filter, error) {
		return build(env, c, time.Now)
	})
}

// policy is the policy as it runs.
type policy struct {
	issuer, clientID, clientSecret string
	scopes                         []string
	parameters                     map[string]string
	redirect                       string // the whole URL of the callback; "" to make one for each request

	callbackPath, logoutPath, backchannelPath string
	home                                      string // the beginning of the route
	landing                                   string // after a logout

	refreshes, userInfo bool
	outage              time.Duration
	limits              limits

	plain, secure *jar // for http and https
	codec         *codec
	attempts      *sealer
	store         store
	provider      *provider
	renewals      *renewals
	used          *cache[name, struct{}] // states of logins that have ended
	cover         *coverage

	joined  func(*filter.Exchange) error
	renewed filter.Slot[[]string] // fields Set-Cookie
	events  *prometheus.CounterVec
	route   string
	log     *slog.Logger
	now     func() time.Time
	buffers sync.Pool
}

func build(env *filter.Env, c *Config, now func() time.Time) (*filter.Filter, error) {
	p := &policy{
		issuer: c.Issuer, clientID: c.ClientID, clientSecret: c.ClientSecret.Reveal(), parameters: c.Parameters, redirect: c.RedirectURL,
		landing: c.AfterLogout, refreshes: c.Refresh, userInfo: c.UserInfo, outage: time.Duration(c.Outage),
		limits: limits{time.Duration(c.Session.Lifetime), time.Duration(c.Session.Idle)},
		route:  env.Route.Name, log: env.Log, now: now, buffers: sync.Pool{New: func() any { return new([]byte) }},
		events: env.Metrics.Counter("oidc_events_total", "What became of logins, sessions and logouts, by route and event.", "route", "event"),
	}
	p.scopes = slices.Clone(c.Scopes)
	if !slices.Contains(p.scopes, "openid") {
		p.scopes = append([]string{"openid"}, p.scopes...)
	}
	p.place(env, c)
	if err := p.keep(env, c); err != nil {
		return nil, err
	}
	p.renewed = filter.NewSlot[[]string](env)
	f := env.Join(kind, filter.Authenticator{
		Authenticate: p.authenticate,
		Challenge: func(*filter.Error) string {
			return `Cookie realm="` + kind + `", cookie-name="` + p.plain.session + `"`
		},
		Invite:  p.invite,
		Explain: p.explain(env.Authentication()),
	})
	p.joined = f.Request
	f.Request, f.Response = p.request, p.response
	f.Explain = p.explainAll(f.Explain)
	return f, nil
}

// place finds the paths that the policy answers itself.
func (p *policy) place(env *filter.Env, c *Config) {
	base := env.Route.Prefix + "/.oidc"
	p.home = env.Route.Prefix + "/"
	if !localReference(p.home) {
		p.home = "/"
	}
	p.callbackPath = base + "/callback"
	if u, err := url.Parse(c.RedirectURL); err == nil && c.RedirectURL != "" {
		p.callbackPath = u.EscapedPath()
	}
	set := func(path *string, to string) {
		if to != "" {
			*path = to
		}
	}
	p.logoutPath, p.backchannelPath = base+"/logout", base+"/backchannel-logout"
	set(&p.callbackPath, c.Callback)
	set(&p.logoutPath, c.Logout)
	set(&p.backchannelPath, c.BackchannelLogout)
}

// keep takes hold of what the policies of an application share, and what outlives a reload.
func (p *policy) keep(env *filter.Env, c *Config) (err error) {
	id := sha256.Sum256([]byte(c.Issuer + "\n" + c.ClientID))
	application := kind + ":" + hex.EncodeToString(id[:])
	p.plain, p.secure = newJar(hex.EncodeToString(id[:4]), false), newJar(hex.EncodeToString(id[:4]), true)
	secrets, err := p.secrets(env, c, application)
	if err != nil {
		return err
	}
	p.codec = &codec{
		context: c.Issuer + "\n" + c.ClientID, issuer: c.Issuer, groups: c.Groups, forward: c.Forward, consumers: env.Consumers,
		opened: newCache[uint64, *opened](maxOpened), seed: maphash.MakeSeed(),
	}
	if p.codec.sealer, err = newSealer(secrets, "session"); err != nil {
		return err
	}
	if p.attempts, err = newSealer(secrets, "login"); err != nil {
		return err
	}
	p.provider, err = filter.Keep(env, kind+":provider:"+c.Issuer, func() (*provider, error) { return newProvider(c.Issuer, p.now), nil })
	if err != nil {
		return err
	}
	p.renewals, err = filter.Keep(env, application+":renewals", func() (*renewals, error) { return newRenewals(), nil })
	if err != nil {
		return err
	}
	p.used, err = filter.Keep(env, application+":states", func() (*cache[name, struct{}], error) { return newCache[name, struct{}](maxSeen), nil })
	if err != nil {
		return err
	}
	p.cover, err = filter.Keep(env, application+":"+p.callbackPath, func() (*coverage, error) { return &coverage{}, nil })
	if err != nil {
		return err
	}
	if covers(env.Route, p.callbackPath) {
		p.cover.by.Store(true)
	}
	p.store, err = p.newStore(env, c, application)
	return err
}

// secrets are what cookies are encrypted with.
func (p *policy) secrets(env *filter.Env, c *Config, application string) ([]string, error) {
	if len(c.Secret) > 0 {
		all := make([]string, len(c.Secret))
		for i, s := range c.Secret {
			all[i] = s.Reveal()
		}
		return all, nil
	}
	made, err := filter.Keep(env, application+":secret", func() (string, error) {
		env.Log.Warn("oidc has no secret: one is made at random, so logins end with this process, and other gateways do not know them",
			"issuer", c.Issuer, "client_id", c.ClientID, "route", env.Route.Name)
		return random(), nil
	})
	return []string{made}, err
}

// newStore returns where sessions are kept.
func (p *policy) newStore(env *filter.Env, c *Config, application string) (store, error) {
	if c.Session.Store.Reveal() == inCookies {
		revoked, err := filter.Keep(env, application+":revocations", func() (*revocations, error) { return newRevocations(), nil })
		if err != nil {
			return nil, err
		}
		jtis, err := filter.Keep(env, application+":jtis", func() (*cache[name, struct{}], error) { return newCache[name, struct{}](maxSeen), nil })
		return &cookies{codec: p.codec, limits: p.limits, revoked: revoked, jtis: jtis, now: p.now}, err
	}
	s, err := redis.Kept(env, c.Session.Store)
	return &shared{server: s, codec: p.codec, limits: p.limits, prefix: "cardea:" + application[:len(kind)+17] + ":", now: p.now}, err
}

// coverage says whether a route with the policy matches the callback.
type coverage struct {
	by, warned atomic.Bool
}

// covers says whether a route matches all that is at a path, as far as its text tells.
func covers(route *filter.Route, path string) bool {
	for match := range strings.SplitSeq(route.Match, " | ") {
		pattern := match[max(strings.LastIndexByte(match, ' ')+1, 0):]
		if i := strings.IndexByte(pattern, '/'); i >= 0 {
			pattern = pattern[i:]
		}
		prefix, all := strings.CutSuffix(pattern, "/**")
		if pattern == path || all && strings.HasPrefix(path, prefix+"/") || strings.ContainsAny(pattern, "{~*") && !all {
			return true
		}
	}
	return route.Match == ""
}

// warnUncovered tells operators, once, that nobody will be there when browsers come back.
func (p *policy) warnUncovered() {
	if !p.cover.by.Load() && p.cover.warned.CompareAndSwap(false, true) {
		p.log.Warn("no route with this oidc policy seems to match its callback path: logins will end at another route, or at none",
			"callback", p.callbackPath, "route", p.route)
	}
}

// answers returns what answers a path in the policy's stead of the target, or nil.
func (p *policy) answers(path string) func(*filter.Exchange) error {
	switch path {
	case p.callbackPath:
		return p.callback
	case p.logoutPath:
		return p.logout
	case p.backchannelPath:
		return p.backchannel
	}
	return nil
}

// request is the request phase.
func (p *policy) request(ex *filter.Exchange) error {
	if own := p.answers(ex.Original.Path); own != nil {
		return own(ex)
	}
	if err := p.joined(ex); err != nil {
		return err
	}
	p.strip(ex)
	return nil
}

// strip keeps the policy's cookies from the upstream.
func (p *policy) strip(ex *filter.Exchange) {
	if ex.Request.Header["Cookie"] != nil {
		p.plain.strip(ex.Request.Header)
		p.secure.strip(ex.Request.Header)
	}
}

// jar is that of the request's scheme.
func (p *policy) jar(ex *filter.Exchange) *jar {
	if ex.Original.Scheme == "https" || strings.HasPrefix(p.redirect, "https:") {
		return p.secure
	}
	return p.plain
}

// authenticate finds the session of a request, and renews it where that is due.
func (p *policy) authenticate(ex *filter.Exchange) (*filter.Identity, error) {
	buf := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buf)
	*buf = p.jar(ex).gather(ex.Request.Header, (*buf)[:0])
	if len(*buf) == 0 {
		return nil, nil
	}
	s, err := p.store.find(ex.Context(), *buf)
	if err != nil {
		return nil, filter.Reject(filter.AuthUnavailable, "").Because(err)
	}
	if s == nil {
		return nil, nil
	}
	now, err := p.current(ex, s)
	if err != nil || now == nil {
		return nil, err
	}
	if now != s || p.store.idles(now, p.now()) {
		if err := p.reissue(ex, now); err != nil {
			return nil, err
		}
	}
	if now.forward != nil {
		ex.Request.Header["Authorization"] = slices.Clone(now.forward)
	}
	return now.identity, nil
}

// reissue gives the browser a new cookie of a session that has changed, or that would end for idleness.
func (p *policy) reissue(ex *filter.Exchange, s *session) error {
	if !p.inCookies() {
		return nil // its renewal has kept it already
	}
	seen := *s
	seen.Seen = p.now().UnixMilli()
	text, ok, err := p.store.renew(ex.Context(), &seen)
	if err != nil || !ok {
		return err
	}
	fields, ok := p.jar(ex).write(text, ex.Request.Header, p.limits.left(s, p.now()))
	if !ok {
		return filter.Reject(filter.LoginFailed, "").Because(fmt.Errorf("the session takes %d bytes, more than cookies can hold", len(text)))
	}
	p.renewed.Set(ex, &fields)
	return nil
}

// inCookies says whether the browser has the sessions.
func (p *policy) inCookies() bool {
	_, ok := p.store.(*cookies)
	return ok
}

// response is the response phase.
func (p *policy) response(ex *filter.Exchange) error {
	fields := p.renewed.Get(ex)
	if fields == nil || ex.Response == nil {
		return nil
	}
	if ex.Response.Header == nil {
		ex.Response.Header = http.Header{}
	}
	cacheable.Private(ex.Response.Header) // nobody else may be given the cookie
	ex.Response.Header["Set-Cookie"] = append(slices.Clip(ex.Response.Header["Set-Cookie"]), *fields...)
	return nil
}

// count counts an event.
func (p *policy) count(event string) { p.events.WithLabelValues(p.route, event).Inc() }

// explain says what authenticate would find.
func (p *policy) explain(group *filter.Authentication) func(*filter.Exchange) (*filter.Identity, error) {
	return func(ex *filter.Exchange) (*filter.Identity, error) {
		text := p.jar(ex).gather(ex.Request.Header, nil)
		if len(text) == 0 {
			return nil, nil
		}
		if !p.inCookies() {
			return nil, fmt.Errorf("the session is in the store: %w", filter.ErrUnsaid)
		}
		s := p.codec.open(text)
		why := "the cookie is not of this gateway's making, or of a secret that it no longer knows"
		if s != nil {
			if why = p.limits.over(s, p.now()); why == "" && p.store.(*cookies).revoked.over(s) {
				why = "the session was logged out"
			}
		}
		switch {
		case why != "" && (group.Optional || group.Any):
			return nil, nil
		case why != "":
			return nil, filter.Reject(filter.LoginRequired, "").Because(errors.New(why))
		case p.due(s, p.now()):
			return nil, fmt.Errorf("the session of %s has to be renewed: %w", s.subject, filter.ErrUnsaid)
		}
		return s.identity, nil
	}
}

// explainAll says what request would do.
func (p *policy) explainAll(joined func(*filter.Exchange) filter.Verdict) func(*filter.Exchange) filter.Verdict {
	return func(ex *filter.Exchange) filter.Verdict {
		switch ex.Original.Path {
		case p.callbackPath:
			return filter.Verdict{Action: filter.Answers, Note: "the provider sends browsers back here after a login"}
		case p.logoutPath:
			return filter.Verdict{Action: filter.Answers, Note: "ends the session, here and at the provider"}
		case p.backchannelPath:
			return filter.Verdict{Action: filter.Answers, Note: "the provider sends word here of sessions that have ended"}
		}
		v := joined(ex)
		p.strip(ex)
		return v
	}
}
