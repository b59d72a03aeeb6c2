package token

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/place"
)

// Token is a token that was found good. It is shared by all requests with it.
type Token struct {
	*Claims

	issuer   string // that consumers name
	fields   []string
	identity atomic.Pointer[known]
}

// known is an identity with the consumers that it was made with.
type known struct {
	consumers filter.Consumers
	identity  *filter.Identity
}

// Policy is what policies that take tokens do with a request.
type Policy struct {
	method   string
	settings *Settings
	places   []place.Place
	fields   []string         // of claims_to_headers, in canonical form
	own      filter.OwnFields // the same
	claims   []string         // each's claim
	prover   *prover          // nil: no proofs
	env      *filter.Env
	find     Find
	now      func() time.Time
}

// Find returns the token that a raw one is. Its characters are not checked yet. With dry it fetches and keeps nothing, and returns filter.ErrUnsaid where it would have to.
type Find func(ex *filter.Exchange, raw string, dry bool) (*Token, error)

// NewPolicy makes a policy, which is called method.
func NewPolicy(env *filter.Env, method string, s *Settings, now func() time.Time) (*Policy, error) {
	p := &Policy{method: method, settings: s, env: env, now: now}
	for _, text := range s.In {
		at, err := place.Parse(text)
		if err != nil {
			return nil, err
		}
		p.places = append(p.places, at)
		if name := at.Parameter(); name != "" {
			env.Route.Conceal(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.ClaimsToHeaders)) {
		p.fields = append(p.fields, http.CanonicalHeaderKey(name))
		p.claims = append(p.claims, s.ClaimsToHeaders[name])
	}
	p.own = filter.NewOwnFields(p.fields...)
	if s.DPoP == nil {
		return p, nil
	}
	seen, err := filter.Keep(env, "token:proofs", func() (*Replays, error) { return NewReplays(), nil })
	p.prover = &prover{
		required: s.DPoP.Mode == "required", maxAge: time.Duration(s.DPoP.MaxAge), leeway: time.Duration(s.Leeway),
		seen: seen, method: method, now: now,
	}
	return p, err
}

// Filter makes the filter, with how tokens are found good.
func (p *Policy) Filter(find Find) *filter.Filter {
	p.find = find
	f := p.env.Join(p.method, filter.Authenticator{
		Authenticate: func(ex *filter.Exchange) (*filter.Identity, error) { return p.authenticate(ex, false) },
		Explain:      func(ex *filter.Exchange) (*filter.Identity, error) { return p.authenticate(ex, true) },
		Challenge:    p.challenge,
	})
	if len(p.fields) == 0 {
		return f
	}
	// Also where another policy has accepted the request already, and this one is not asked.
	request, explain := f.Request, f.Explain
	f.Request = func(ex *filter.Exchange) error {
		p.own.Clean(ex.Request)
		return request(ex)
	}
	f.Explain = func(ex *filter.Exchange) filter.Verdict {
		p.own.Clean(ex.Request)
		return explain(ex)
	}
	return f
}

// authenticate finds the caller.
func (p *Policy) authenticate(ex *filter.Exchange, dry bool) (*filter.Identity, error) {
	s, err := take(ex.Request, p.places, p.prover != nil)
	proofs := ex.Request.Header[proofField]
	if !p.settings.Forward {
		p.strip(ex.Request)
	}
	switch {
	case err != nil:
		return nil, Invalid("%w", err)
	case s.raw == "":
		return nil, nil
	}
	t, err := p.find(ex, s.raw, dry)
	if err != nil {
		return nil, err
	}
	if err := p.confirm(ex, s, proofs, t); err != nil {
		return nil, err
	}
	if err := p.checkScopes(t); err != nil {
		return nil, err
	}
	for i, name := range p.fields {
		if t.fields[i] != "" {
			ex.Request.Header[name] = []string{t.fields[i]}
		}
	}
	return p.identify(t), nil
}

// strip removes all tokens, and the proof that came with one.
func (p *Policy) strip(r *http.Request) {
	for i := range p.places {
		remove(r, &p.places[i])
	}
	if p.prover != nil {
		delete(r.Header, proofField)
	}
}

// confirm checks that the caller has what the token is bound to.
func (p *Policy) confirm(ex *filter.Exchange, s shown, proofs []string, t *Token) error {
	switch {
	case s.scheme == dpop && t.KeyThumbprint == "":
		return Invalid("the token is not bound to a key, and cannot be shown with the scheme DPoP")
	case s.scheme == dpop:
		if err := p.prover.check(ex, proofs, s.raw, t.KeyThumbprint); err != nil {
			return err
		}
	case t.KeyThumbprint != "":
		return Invalid("the token is bound to a key, and must be shown with a proof and the scheme DPoP")
	case p.prover != nil && p.prover.required:
		return Invalid("the token is shown as Bearer, wanted DPoP")
	}
	if t.CertThumbprint != "" {
		return certificate(ex.Request, t.CertThumbprint)
	}
	return nil
}

// checkScopes checks that the token is good for what is wanted.
func (p *Policy) checkScopes(t *Token) error {
	for _, scope := range p.settings.Scopes {
		if !slices.Contains(t.Scopes, scope) {
			wanted := strings.Join(p.settings.Scopes, " ")
			challenge := fmt.Sprintf(`%s error="insufficient_scope", scope=%q`, p.scheme(), wanted)
			return filter.Reject(filter.InsufficientScope, "").With("Www-Authenticate", challenge).
				Because(fmt.Errorf("the scopes are [%s], wanted %s", strings.Join(t.Scopes, " "), wanted))
		}
	}
	return nil
}

// identify returns who the caller is. It is made once for each token and configuration.
func (p *Policy) identify(t *Token) *filter.Identity {
	k := t.identity.Load()
	if k != nil && k.consumers == p.env.Consumers {
		return k.identity
	}
	subject := t.subject(p.settings)
	id := &filter.Identity{Subject: subject, Groups: t.groups(p.settings.GroupsClaim), Scopes: t.Scopes, Claims: t.Map, Method: p.method}
	credential := p.env.Consumers.Credential(filter.SubjectCredential, filter.NewCredentialID(t.issuer+" "+subject))
	if credential != nil && !credential.Expired(p.now()) {
		id.Consumer, id.Tags = credential.Consumer.Name, credential.Consumer.Tags
		for _, group := range credential.Consumer.Groups {
			if !slices.Contains(id.Groups, group) {
				id.Groups = append(id.Groups, group)
			}
		}
	}
	t.identity.Store(&known{p.env.Consumers, id})
	return id
}

// subject is the caller's name.
func (c *Claims) subject(s *Settings) string {
	v, _ := c.At(s.SubjectClaim)
	if texts := values(v); len(texts) == 1 {
		return texts[0]
	}
	return ""
}

// Accept makes a token of claims, if the rules of the settings hold for them. Who issued it is what consumers name.
func (s *Settings) Accept(t *Token, c *Claims, issuer string, now time.Time) error {
	if err := c.CheckTimes(now, time.Duration(s.Leeway)); err != nil {
		return err
	}
	if err := c.checkRequired(s.RequiredClaims); err != nil {
		return err
	}
	t.Claims, t.issuer = c, issuer
	for _, name := range slices.Sorted(maps.Keys(s.ClaimsToHeaders)) {
		value, err := c.headerValue(s.ClaimsToHeaders[name])
		if err != nil {
			return Invalid("%w", err)
		}
		t.fields = append(t.fields, value)
	}
	return nil
}

// scheme is the scheme of challenges.
func (p *Policy) scheme() string {
	if p.prover != nil && p.prover.required {
		return dpop
	}
	return bearer
}

// challenge says what is wanted (RFC 6750, section 3; RFC 9449, section 7.1).
func (p *Policy) challenge(why *filter.Error) string {
	var reason string
	if why != nil {
		reason = ` error="invalid_token", error_description="` + description(why) + `"`
		if isProof(why) {
			return dpop + ` error="invalid_dpop_proof", error_description="` + description(why) + `", algs="` + proofAlgorithms + `"`
		}
	}
	switch {
	case p.prover == nil:
		return bearer + reason
	case p.prover.required:
		if reason != "" {
			reason += ","
		}
		return dpop + reason + ` algs="` + proofAlgorithms + `"`
	}
	return bearer + reason + `, ` + dpop + ` algs="` + proofAlgorithms + `"`
}

// description is what the client may know.
func description(why *filter.Error) string {
	detail := why.Detail
	if detail == "" {
		detail = why.Code.Info().Detail
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, detail)
}

// isProof says whether a proof is refused.
func isProof(why *filter.Error) bool {
	_, ok := why.Cause.(*proofError)
	return ok
}
