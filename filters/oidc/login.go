package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cardea.dev/cardea/filter"
)

// loginTime is how long a login may take.
const loginTime = 10 * time.Minute

// attempt is what the browser keeps, encrypted, of a login that has begun. Its cookie belongs to one state, so the logins of several tabs do
// not meet.
type attempt struct {
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Return   string `json:"r"`
	Redirect string `json:"u"`
	Ends     int64  `json:"e"` // in s since 1970
}

// newState makes a state, which begins with the time.
func newState(now time.Time) string { return strconv.FormatInt(now.Unix(), 36) + "-" + random() }

// validState says whether a text can be a state.
func validState(s string) bool {
	return len(s) > 40 && len(s) < 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

// invite sends browsers to the login, and nobody else.
func (p *policy) invite(ex *filter.Exchange) *filter.Error {
	if !navigates(ex.Request) {
		return nil
	}
	if ex.Dry {
		return filter.Reject(filter.LoginRequired, "").Because(fmt.Errorf("there is no session: the browser is sent to the login at %s", p.issuer))
	}
	d, err := p.provider.reach(ex.Context())
	if err != nil {
		return p.unavailable(err)
	}
	redirect, err := p.redirectURL(ex)
	if err != nil {
		return filter.Reject(filter.BadRequest, "").Because(err)
	}
	p.warnUncovered()
	now := p.now()
	state := newState(now)
	a := &attempt{Nonce: random(), Verifier: oauth2.GenerateVerifier(), Return: p.returnTo(ex), Redirect: redirect, Ends: now.Add(loginTime).Unix()}
	j := p.jar(ex)
	e := filter.Reject(filter.LoginRequired, "").
		With("Location", p.loginURL(d, state, a)).
		With("Cache-Control", "no-store").
		With("Set-Cookie", j.set(j.login+state, p.sealAttempt(a, state), loginTime))
	for _, old := range surplus(j.logins(ex.Request.Header)) {
		e = e.With("Set-Cookie", j.set(j.login+old, "", 0))
	}
	p.count("login_started")
	return e
}

// surplus are the states of logins that have to make place for a new one: the oldest.
func surplus(states []string) []string {
	if len(states) < maxLogins {
		return nil
	}
	slices.Sort(states) // they begin with the time
	return states[:len(states)-maxLogins+1]
}

// sealAttempt encrypts an attempt for the cookie of its state.
func (p *policy) sealAttempt(a *attempt, state string) string {
	plain, _ := json.Marshal(a) // texts and a number: it cannot fail
	return p.attempts.seal(plain, p.codec.context+"\n"+state)
}

// loginURL is where the browser logs in (OpenID Connect Core 1.0, section 3.1.2.1; RFC 7636).
func (p *policy) loginURL(d *discovered, state string, a *attempt) string {
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	for name, value := range p.parameters {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return p.oauth(d, a.Redirect).AuthCodeURL(state, options...)
}

// oauth is the gateway as a client of the provider.
func (p *policy) oauth(d *discovered, redirect string) *oauth2.Config {
	c := &oauth2.Config{ClientID: p.clientID, ClientSecret: p.clientSecret, Endpoint: d.endpoint, RedirectURL: redirect, Scopes: p.scopes}
	if c.ClientSecret == "" {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return c
}

// redirectURL is where the provider sends the browser back.
func (p *policy) redirectURL(ex *filter.Exchange) (string, error) {
	if p.redirect != "" {
		return p.redirect, nil
	}
	host := ex.Original.Host
	if asked := strings.ToLower(ex.Request.Host); asked == host || strings.HasPrefix(asked, host+":") {
		host = asked // with its port
	}
	if !filter.ValidHost(host) {
		return "", fmt.Errorf("the host %q cannot be in a URL", host)
	}
	return ex.Original.Scheme + "://" + host + p.callbackPath, nil
}

// callback is where the provider sends the browser back.
func (p *policy) callback(ex *filter.Exchange) error {
	if ex.Original.Method != http.MethodGet {
		return filter.Reject(filter.MethodNotAllowed, "").With("Allow", "GET")
	}
	state, a, q, err := p.attempt(ex)
	if err != nil {
		return p.failed(err)
	}
	j := p.jar(ex)
	done := j.set(j.login+state, "", 0)
	s, err := p.logIn(ex, a, q)
	if err != nil {
		return p.failed(err).With("Set-Cookie", done)
	}
	return p.welcome(ex, s, a.Return, done)
}

// failed is a login that failed.
func (p *policy) failed(err error) *filter.Error {
	p.count("login_failed")
	var e *filter.Error
	if !errors.As(err, &e) {
		e = filter.Reject(filter.LoginFailed, "").Because(err)
	}
	return e.With("Cache-Control", "no-store").With("Referrer-Policy", "no-referrer")
}

// unavailable is a login that cannot be, since the provider cannot be reached.
func (p *policy) unavailable(err error) *filter.Error {
	return filter.Reject(filter.AuthUnavailable, "The login is not available at the moment.").With("Retry-After", "5").Because(err)
}

// attempt finds the login that a browser comes back from, by the state and its cookie. It is good once.
func (p *policy) attempt(ex *filter.Exchange) (state string, a *attempt, q url.Values, err error) {
	q, err = url.ParseQuery(ex.Original.Query)
	if err != nil || len(q["state"]) != 1 || !validState(q.Get("state")) {
		return "", nil, nil, errors.New("the address has no state that the gateway could have made")
	}
	state = q.Get("state")
	sealed := find(ex.Request.Header["Cookie"], p.jar(ex).login, state)
	if sealed == "" {
		return "", nil, nil, errors.New("the browser has begun no such login, or has ended it, or did so too long ago")
	}
	plain, ok := p.attempts.open([]byte(sealed), p.codec.context+"\n"+state)
	a = &attempt{}
	if !ok || json.Unmarshal(plain, a) != nil {
		return "", nil, nil, errors.New("the login's cookie is not of the gateway's making, or of a secret that it no longer knows")
	}
	if p.now().Unix() >= a.Ends {
		return "", nil, nil, errors.New("the login took too long")
	}
	if !p.used.add(nameOf("state", state), struct{}{}) {
		return "", nil, nil, errors.New("the login has been ended before")
	}
	return state, a, q, nil
}

// logIn makes a session of what the provider says by the browser.
func (p *policy) logIn(ex *filter.Exchange, a *attempt, q url.Values) (*session, error) {
	if code := q.Get("error"); code != "" {
		e := filter.Reject(filter.LoginFailed, "The login was refused: %s.", shown(code))
		return nil, e.Because(fmt.Errorf("the provider refuses the login: %s: %s", shown(code), quoted(q.Get("error_description"))))
	}
	d, err := p.provider.get(ex.Context())
	if err != nil {
		return nil, p.unavailable(err)
	}
	if iss, said := q["iss"]; (said || d.saysIssuer) && (len(iss) != 1 || iss[0] != p.issuer) {
		return nil, errors.New("the answer is of another provider (RFC 9207)")
	}
	if len(q["code"]) != 1 {
		return nil, errors.New("the provider's answer has no code")
	}
	ctx, cancel := p.provider.background()
	defer cancel()
	tokens, err := p.oauth(d, a.Redirect).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, p.refusedCode(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if err := p.verify(ctx, d, raw, tokens.AccessToken, a.Nonce); err != nil {
		return nil, brief("cannot accept the ID token", err)
	}
	return p.session(ctx, d, nil, tokens, raw)
}

// refusedCode tells a provider that refuses a code from one that is out of order.
func (p *policy) refusedCode(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError {
		return fmt.Errorf("the provider gives no tokens for the code: %s %s", shown(refused.ErrorCode), quoted(refused.ErrorDescription))
	}
	return p.unavailable(brief("cannot get tokens", err))
}

// verify verifies an ID token (OpenID Connect Core 1.0, section 3.1.3.7). Where a nonce is given it must be in it.
func (p *policy) verify(ctx context.Context, d *discovered, raw, access, nonce string) error {
	if raw == "" {
		return errors.New("the provider has given none")
	}
	t, err := d.verifier(p.clientID, p.now).Verify(ctx, raw)
	if err != nil {
		return err
	}
	var claims struct {
		Party string `json:"azp"`
	}
	if err := t.Claims(&claims); err != nil {
		return err
	}
	switch {
	case nonce != "" && t.Nonce != nonce:
		return errors.New("its nonce is of another login")
	case claims.Party != "" && claims.Party != p.clientID, claims.Party == "" && len(t.Audience) > 1:
		return fmt.Errorf("it is meant for the client %s", quoted(claims.Party))
	case t.IssuedAt.After(p.now().Add(5 * time.Minute)):
		return errors.New("it was issued in the future: the clocks differ")
	case t.Subject == "" || len(t.Subject) > 255:
		return errors.New("it has no subject")
	case t.AccessTokenHash != "":
		return t.VerifyAccessToken(access)
	}
	return nil
}

// session makes a session of tokens that were verified: a new one, or one in the place of before.
func (p *policy) session(ctx context.Context, d *discovered, before *session, tokens *oauth2.Token, raw string) (*session, error) {
	now := p.now().UnixMilli()
	s := &session{ID: random(), Created: now}
	if before != nil {
		*s = session{ID: before.ID, Created: before.Created, Version: before.Version + 1, Refresh: before.Refresh, Scope: before.Scope, UserInfo: before.UserInfo}
	}
	s.Seen, s.IDToken = now, raw
	if !tokens.Expiry.IsZero() {
		s.Ends = tokens.Expiry.Unix()
	}
	if p.codec.forward == "access_token" {
		s.Access = tokens.AccessToken
	}
	if tokens.RefreshToken != "" && p.refreshes {
		s.Refresh = tokens.RefreshToken
	}
	if scope, _ := tokens.Extra("scope").(string); scope != "" {
		s.Scope = scope
	} else if before == nil {
		s.Scope = strings.Join(p.scopes, " ") // all that were asked for (RFC 6749, section 5.1)
	}
	if p.userInfo {
		if err := p.askUserInfo(ctx, d, s, tokens); err != nil {
			return nil, err
		}
	}
	if err := p.codec.complete(s); err != nil {
		return nil, err
	}
	return s, nil
}

// askUserInfo adds what the userinfo endpoint says (OpenID Connect Core 1.0, section 5.3).
func (p *policy) askUserInfo(ctx context.Context, d *discovered, s *session, tokens *oauth2.Token) error {
	info, err := d.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return brief("cannot get the userinfo", err)
	}
	claims, err := claimsOf(s.IDToken)
	if err != nil {
		return err
	}
	if info.Subject != claims["sub"] {
		return errors.New("the userinfo is of somebody else")
	}
	if err := info.Claims(&s.UserInfo); err != nil {
		return fmt.Errorf("cannot read the userinfo: %w", err)
	}
	return nil
}

// welcome keeps a new session and sends the browser to where it wanted to go. The session has an id of its own: what the browser had
// before is no part of it.
func (p *policy) welcome(ex *filter.Exchange, s *session, to, done string) error {
	if before, err := p.store.find(ex.Context(), p.jar(ex).gather(ex.Request.Header, nil)); err == nil && before != nil {
		_ = p.store.end(ex.Context(), before) // as far as the store can be reached: the next line says so
	}
	text, err := p.store.begin(ex.Context(), s)
	if err != nil {
		var refused *filter.Error
		if !errors.As(err, &refused) {
			err = filter.Reject(filter.AuthUnavailable, "").Because(err)
		}
		return p.failed(err).With("Set-Cookie", done)
	}
	fields, ok := p.jar(ex).write(text, ex.Request.Header, p.limits.left(s, p.now()))
	if !ok {
		return p.failed(fmt.Errorf("the session takes %d bytes, more than cookies can hold: keep sessions in Redis, or forward no token", len(text))).With("Set-Cookie", done)
	}
	p.count("login_completed")
	answer(ex, http.StatusSeeOther, "")
	h := ex.Response.Header
	h["Set-Cookie"] = append(fields, done)
	h.Set("Location", to)
	h.Set("Referrer-Policy", "no-referrer") // the address has the code in it
	return nil
}

// answer sets a response of the policy's own. A text is a small page.
func answer(ex *filter.Exchange, status int, text string) {
	h := http.Header{"Cache-Control": {"no-store"}}
	body := http.NoBody
	resp := &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: body, Request: ex.Request}
	if text != "" {
		h.Set("Content-Type", "text/html; charset=utf-8")
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
	ex.Response = resp
}

// shown makes a provider's error code fit to be shown (RFC 6749, section 4.1.2.1): the codes there are have letters and underscores only.
func shown(code string) string {
	if code == "" || len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "unknown_error"
	}
	return code
}

// quoted makes a provider's text fit for the log.
func quoted(text string) string {
	return strconv.QuoteToASCII(text[:min(len(text), 200)])
}
