package oidc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

const (
	maxLogoutBody = 64 << 10
	logoutAge     = 10 * time.Minute // of a logout token at most
	clockSkew     = 2 * time.Minute
)

// goodbye is shown after a logout where nothing else is.
const goodbye = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Logged out</title></head>
<body><h1>Logged out</h1><p>You are logged out.</p></body></html>
`

// logout ends the session here, and then at the provider (OpenID Connect RP-Initiated Logout 1.0).
func (p *policy) logout(ex *filter.Exchange) error {
	if m := ex.Original.Method; m != http.MethodGet && m != http.MethodPost {
		return filter.Reject(filter.MethodNotAllowed, "").With("Allow", "GET, POST")
	}
	if ex.Request.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return filter.Reject(filter.AccessDenied, "Another site cannot log you out.").Because(errors.New("the logout was asked for by another site"))
	}
	s, err := p.store.find(ex.Context(), p.jar(ex).gather(ex.Request.Header, nil))
	if err == nil && s != nil {
		err = p.store.end(ex.Context(), s)
		p.count("logout")
	}
	if err != nil {
		return filter.Reject(filter.AuthUnavailable, "").Because(err)
	}
	to := p.afterLogout(ex, s)
	if to == "" {
		answer(ex, http.StatusOK, goodbye)
	} else {
		answer(ex, http.StatusSeeOther, "")
		ex.Response.Header.Set("Location", to)
	}
	if gone := p.jar(ex).expire(ex.Request.Header, 0); gone != nil {
		ex.Response.Header["Set-Cookie"] = gone
	}
	return nil
}

// afterLogout is where the browser goes: to the provider, which sends it on.
func (p *policy) afterLogout(ex *filter.Exchange, s *session) string {
	d, err := p.provider.get(ex.Context())
	if err != nil || d.endSession == "" || s == nil {
		return p.landing
	}
	u, err := url.Parse(d.endSession)
	if err != nil {
		return p.landing
	}
	q := u.Query()
	q.Set("client_id", p.clientID)
	q.Set("id_token_hint", s.IDToken)
	if to := p.landing; to != "" {
		if strings.HasPrefix(to, "/") {
			back, err := p.redirectURL(ex)
			if err != nil {
				return p.landing
			}
			to = strings.TrimSuffix(back, p.callbackPath) + to
		}
		q.Set("post_logout_redirect_uri", to)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// backchannel takes word from the provider that sessions have ended (OpenID Connect Back-Channel Logout 1.0, section 2.5).
func (p *policy) backchannel(ex *filter.Exchange) error {
	if ex.Original.Method != http.MethodPost {
		return filter.Reject(filter.MethodNotAllowed, "").With("Allow", "POST")
	}
	token, err := logoutToken(ex.Request)
	if err != nil {
		return badLogout(err)
	}
	d, err := p.provider.get(ex.Context())
	if err != nil {
		return p.unavailable(err)
	}
	ctx, cancel := p.provider.background()
	defer cancel()
	t, err := d.verifier(p.clientID, p.now).VerifyLogout(ctx, token)
	if err != nil {
		return badLogout(brief("cannot accept the logout token", err))
	}
	now := p.now()
	if t.IssuedAt.IsZero() || now.Sub(t.IssuedAt) > logoutAge || t.IssuedAt.Sub(now) > clockSkew {
		return badLogout(fmt.Errorf("the logout token was issued at %s", t.IssuedAt.UTC().Format(time.RFC3339)))
	}
	fresh, err := p.store.first(ctx, t.TokenID, logoutAge+clockSkew)
	if err == nil && !fresh {
		return badLogout(errors.New("the logout token was used before"))
	}
	if err == nil {
		err = p.store.endAll(ctx, t.SessionID, t.Subject)
	}
	if err != nil {
		return filter.Reject(filter.AuthUnavailable, "").Because(err)
	}
	p.count("backchannel_logout")
	answer(ex, http.StatusOK, "")
	return nil
}

// logoutToken takes the token from the form that the provider posts.
func logoutToken(r *http.Request) (string, error) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return "", errors.New("the logout is no form")
	}
	if r.Body == nil {
		return "", errors.New("the logout has no body")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLogoutBody+1))
	if err != nil {
		return "", fmt.Errorf("cannot read the logout: %w", err)
	}
	if len(body) > maxLogoutBody {
		return "", errors.New("the logout is too large")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return "", errors.New("the logout has no token")
	}
	return form.Get("logout_token"), nil
}

// badLogout refuses a logout token.
func badLogout(why error) error {
	return filter.Reject(filter.BadRequest, "The logout token is not valid.").With("Cache-Control", "no-store").Because(why)
}
