package upstreamauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/oauth"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return kind("upstream_auth", time.Now) }

// kind is Kind with a name and a clock.
func kind(name string, now func() time.Time) filter.Kind {
	return filter.Define(name, filter.Dispatch, func(env *filter.Env, c *Config) (*filter.Filter, error) { return build(env, c, now) })
}

// policy is one configured policy on one route.
type policy struct {
	fixed  []field
	tokens tokens  // nil: none
	signer *signer // nil: none
	sent   filter.Slot[sent]
	again  func(*filter.Exchange) (*http.Response, error)
	note   string
}

// field is a field that never changes. Its value is full, so that appending to it copies it.
type field struct {
	name  string
	value []string
}

// sent is what a request was sent with.
type sent struct {
	subject string // the caller's token, which was exchanged
	grant   *oauth.Grant
}

// tokens are where tokens come from.
type tokens interface {
	// token returns the token for a request, whose bearer token is the subject.
	token(ctx context.Context, subject string) (*oauth.Grant, error)
	// suspect says that a service has refused a token. It says whether there is another to be had.
	suspect(s *sent) bool
	// fromCaller says whether the caller's own token is needed.
	fromCaller() bool
	// state says for operators what is kept.
	state() string
}

func build(env *filter.Env, c *Config, now func() time.Time) (*filter.Filter, error) {
	p := &policy{again: env.Again}
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		p.fixed = append(p.fixed, field{http.CanonicalHeaderKey(name), []string{c.Header[name].Reveal()}})
	}
	f := &filter.Filter{Request: p.request, Explain: p.explain}
	var err error
	switch {
	case c.Basic != nil:
		p.fixed = append(p.fixed, field{"Authorization", []string{c.Basic.value()}})
		p.note = "Authorization is the user " + c.Basic.Username + "'s"
	case c.Bearer != "":
		p.fixed = append(p.fixed, field{"Authorization", []string{"Bearer " + c.Bearer.Reveal()}})
		p.note = "Authorization is a bearer token that does not change"
	case c.AWS != nil:
		p.signer = newSigner(c.AWS)
		p.note = "the request is signed for " + c.AWS.Service + " in " + c.AWS.Region + ", with the Host " + p.signer.host
	case c.ClientCredentials != nil:
		p.tokens, err = clientCredentials(env, c.ClientCredentials, now)
		p.note = "Authorization is a token of the client " + c.ClientCredentials.ClientID
	case c.TokenExchange != nil:
		p.tokens, err = tokenExchange(env, c.TokenExchange, now)
		p.note = "Authorization is a token that the client " + c.TokenExchange.ClientID + " gets for the caller's"
	}
	if err != nil {
		return nil, err
	}
	if p.tokens != nil {
		p.sent = filter.NewSlot[sent](env)
		f.Response = p.response
	}
	if names := slices.Sorted(maps.Keys(c.Header)); len(names) > 0 {
		p.note = strings.TrimPrefix(p.note+", and ", ", and ") + strings.Join(names, ", ") + " set"
	}
	return f, nil
}

// request puts the credentials in place of what the client sent.
func (p *policy) request(ex *filter.Exchange) error {
	h := ex.Request.Header
	if p.tokens != nil {
		if err := p.authorize(ex); err != nil {
			return err
		}
	}
	for i := range p.fixed {
		h[p.fixed[i].name] = p.fixed[i].value
	}
	if p.signer != nil {
		return p.signer.request(ex)
	}
	return nil
}

// authorize gives the request a token.
func (p *policy) authorize(ex *filter.Exchange) error {
	s := &sent{}
	if p.tokens.fromCaller() {
		if s.subject = bearer(ex.Request.Header); s.subject == "" {
			return filter.Reject(filter.TokenExchangeRejected, "").With("WWW-Authenticate", "Bearer").Because(errNoToken)
		}
	}
	var err error
	if s.grant, err = p.tokens.token(ex.Context(), s.subject); err != nil {
		return p.failure(ex, err)
	}
	ex.Request.Header["Authorization"] = s.grant.Authorization
	p.sent.Set(ex, s)
	return nil
}

var errNoToken = errors.New("there is no bearer token in Authorization to exchange")

// failure says why there is no token.
func (p *policy) failure(ex *filter.Exchange, err error) error {
	if ex.Context().Err() != nil {
		return err // the client has left, or a limit has passed
	}
	var refused *oauth.Error
	if p.tokens.fromCaller() && errors.As(err, &refused) && (refused.Code == "invalid_grant" || refused.Code == "invalid_request") {
		// RFC 8693, section 2.2.2: so servers say that the caller's token is not good.
		return filter.Reject(filter.TokenExchangeRejected, "").With("WWW-Authenticate", `Bearer error="invalid_token"`).Because(err)
	}
	return filter.Reject(filter.UpstreamAuthFailed, "").Because(err)
}

// bearer is the bearer token of a request, or "".
func bearer(h http.Header) string {
	values := h["Authorization"]
	if len(values) != 1 || len(values[0]) < len("Bearer ") || !strings.EqualFold(values[0][:len("Bearer ")], "Bearer ") {
		return ""
	}
	if token := strings.TrimLeft(values[0][len("Bearer "):], " "); len(token) <= maxSubject && isToken(token) {
		return token
	}
	return ""
}

// maxSubject bounds the caller's token.
const maxSubject = 16 << 10

// response gives a request that the service refused its token a new one, once, if it can be sent again. Otherwise the next request gets it.
func (p *policy) response(ex *filter.Exchange) error {
	fresh := p.another(ex)
	if fresh == nil {
		return nil // the service's own answer says more
	}
	if ex.Response.Body != nil {
		_ = ex.Response.Body.Close()
	}
	ex.Request.Header["Authorization"] = fresh.Authorization
	if again := ex.Request.GetBody; again != nil {
		body, err := again()
		if err != nil {
			return err
		}
		ex.Request.Body = body
	}
	resp, err := p.again(ex)
	if err != nil {
		return err
	}
	ex.Response = resp
	return nil
}

// another returns another token for a request of which the service has refused the first one, or nil where that is not so, or is of no use.
func (p *policy) another(ex *filter.Exchange) *oauth.Grant {
	s := p.sent.Get(ex)
	byGateway := ex.Err != nil || ex.Upstream == ""
	if s == nil || byGateway || ex.Response.StatusCode != http.StatusUnauthorized {
		return nil
	}
	if !p.tokens.suspect(s) || !repeatable(ex.Request) || p.again == nil {
		return nil
	}
	fresh, err := p.tokens.token(ex.Context(), s.subject)
	if err != nil || fresh.Value == s.grant.Value {
		return nil
	}
	return fresh
}

// repeatable says whether a request can be sent again.
func repeatable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	note := p.note
	if p.tokens != nil {
		if p.tokens.fromCaller() && bearer(ex.Request.Header) == "" {
			return filter.Verdict{Action: filter.Rejects, Note: errNoToken.Error()}
		}
		note += "; " + p.tokens.state()
	}
	return filter.Verdict{Action: filter.Changes, Note: note}
}
