package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/redis"
)

// Config says where users log in, and how long that holds.
type Config struct {
	// Issuer is the URL of the provider, exactly as the provider itself writes it, a slash at the end included:
	// "https://idp.example.com/realms/main". Its endpoints and keys are found below it.
	Issuer string `yaml:"issuer,required"`

	// ClientID is the gateway's own name at the provider.
	ClientID string `yaml:"client_id,required"`

	// ClientSecret is what the gateway proves that with, best as ${NAME} or ${file:/path}. By default none: the client is a public one,
	// which PKCE alone protects.
	ClientSecret config.Secret `yaml:"client_secret"`

	// Scopes are what the gateway asks the provider for; "openid" is always among them. By default [openid, profile, email].
	Scopes []string `yaml:"scopes"`

	// Parameters are further parameters of the request for a login, such as {prompt: select_account}. By default none.
	Parameters map[string]string `yaml:"parameters"`

	// Callback is the path to which the provider sends the browser back. The policy answers it itself, so a route with this policy must
	// match it. By default "/.oidc/callback" below the literal path of the route: "/admin/.oidc/callback" for "/admin/**".
	Callback string `yaml:"callback"`

	// RedirectURL is the whole URL of the callback, for gateways that cannot know it: behind a proxy that is not trusted, or at another
	// port. By default the scheme and host of the request, and Callback.
	RedirectURL string `yaml:"redirect_url"`

	// Logout is the path that ends the session, here and at the provider. By default "/.oidc/logout" below the literal path of the route.
	Logout string `yaml:"logout"`

	// AfterLogout is where the browser goes after a logout: a path, or a whole URL. The provider must know it. By default nowhere: the
	// provider shows a page of its own, or else the gateway does.
	AfterLogout string `yaml:"after_logout"`

	// BackchannelLogout is the path to which the provider itself sends word of sessions that have ended. By default
	// "/.oidc/backchannel-logout" below the literal path of the route.
	BackchannelLogout string `yaml:"backchannel_logout"`

	// Secret is what the cookies are encrypted with: a text of at least 32 characters that nobody can guess, or a list of such. The
	// first encrypts and all decrypt, so a new one is put before the old one. All gateways behind one name need the same. By default one is made
	// at random, and logins end with the process.
	Secret []config.Secret `yaml:"secret"`

	// Session says where sessions are kept, and for how long.
	Session Session `yaml:"session"`

	// Refresh renews a session's tokens before the access token ends, if the provider gives refresh tokens. A user whom the provider then
	// refuses has to log in again. By default on.
	Refresh bool `yaml:"refresh"`

	// Outage is how long a session goes on after the end of its access token while the provider cannot be reached. 0 ends it at once. By default 1h.
	Outage config.Duration `yaml:"outage"`

	// UserInfo asks the provider's userinfo endpoint for further claims at each login and refresh. By default off.
	UserInfo bool `yaml:"userinfo"`

	// Groups is the claim that lists the user's groups; dots lead into objects, as in "realm_access.roles". By default "groups".
	Groups string `yaml:"groups"`

	// Forward is the token that the upstream gets in the field Authorization: "access_token", "id_token" or "off". By default "off": the
	// field stays as the client sent it.
	Forward string `yaml:"forward" enum:"off,access_token,id_token"`
}

// Session says where sessions are kept, and for how long.
type Session struct {
	// Store is where sessions are: "cookie" for encrypted cookies, which need nothing else, or a Redis or Valkey server, as
	// "redis://host:6379/0" ("rediss" for TLS), of which the cookie only has a random id. By default "cookie".
	Store config.Secret `yaml:"store,short"`

	// Lifetime is how long a session lasts at most, whatever happens in it. By default 12h.
	Lifetime config.Duration `yaml:"lifetime"`

	// Idle is how long a session lasts without a request; what a cookie says of that is right within a twentieth. 0 is no such limit. By default 1h.
	Idle config.Duration `yaml:"idle"`
}

// Default are the usual settings.
func (c *Config) Default() {
	c.Scopes = []string{"openid", "profile", "email"}
	c.Refresh, c.Outage, c.Groups, c.Forward = true, config.Duration(time.Hour), "groups", "off"
	c.Session.Default()
}

// Default are the usual settings.
func (s *Session) Default() {
	s.Store, s.Lifetime, s.Idle = inCookies, config.Duration(12*time.Hour), config.Duration(time.Hour)
}

// inCookies is the store that is the browser.
const inCookies = "cookie"

// minSecret is how long a secret must be at least.
const minSecret = 32

// maxSecrets is how many secrets there may be.
const maxSecrets = 8

// Validate checks what can be checked without the route.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, config.FieldErrorf(field, format, args...))
	}
	if err := checkIssuer(c.Issuer); err != nil {
		wrong("issuer", "%w", err)
	}
	if c.ClientID == "" {
		wrong("client_id", "the client has no name")
	}
	for field, path := range map[string]string{"callback": c.Callback, "logout": c.Logout, "backchannel_logout": c.BackchannelLogout} {
		if path != "" && !plainPath(path) {
			wrong(field, "%q is no path: expected one such as /login/done, without a query", path)
		}
	}
	if len(c.Secret) > maxSecrets {
		wrong("secret", "there are %d secrets, and at most %d make sense", len(c.Secret), maxSecrets)
	}
	for i, s := range c.Secret {
		if len(s.Reveal()) < minSecret {
			wrong(fmt.Sprintf("secret[%d]", i), "the secret has %d characters, and must have %d at least; make one with: openssl rand -base64 32", len(s.Reveal()), minSecret)
		}
	}
	if err := c.checkURLs(); err != nil {
		errs = append(errs, err)
	}
	for name := range c.Parameters {
		if slices.Contains(ownParameters, name) {
			wrong("parameters."+name, "%q is the gateway's own parameter", name)
		}
	}
	return errors.Join(errs...)
}

// ownParameters are the parameters of a request for a login that nobody else may set.
var ownParameters = []string{
	"client_id", "response_type", "response_mode", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "request", "request_uri",
}

// checkURLs checks the URLs besides the issuer.
func (c *Config) checkURLs() error {
	if c.RedirectURL != "" {
		u, err := url.Parse(c.RedirectURL)
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || !plainPath(u.EscapedPath()):
			return config.FieldErrorf("redirect_url", "%q is no URL of a callback: expected one such as https://app.example.com/login/done", c.RedirectURL)
		case c.Callback != "" && c.Callback != u.EscapedPath():
			return config.FieldErrorf("redirect_url", "its path is not %s, which callback says", c.Callback)
		}
	}
	if c.AfterLogout != "" && !localReference(c.AfterLogout) {
		u, err := url.Parse(c.AfterLogout)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return config.FieldErrorf("after_logout", "%q is neither a path nor a URL", c.AfterLogout)
		}
	}
	return nil
}

// checkIssuer checks the URL of a provider (OpenID Connect Discovery 1.0, section 2).
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q is no issuer: expected a URL such as https://idp.example.com/", issuer)
	}
	return nil
}

// Validate checks the session's settings.
func (s *Session) Validate() error {
	var errs []error
	if text := s.Store.Reveal(); text != inCookies {
		if _, err := redis.New(text); err != nil {
			errs = append(errs, config.FieldErrorf("store", "expected cookie, or the URL of a server such as redis://redis:6379/0: %w", err))
		}
	}
	if s.Lifetime <= 0 {
		errs = append(errs, config.FieldErrorf("lifetime", "a session has to end some time"))
	}
	if limit := config.Duration(365 * 24 * time.Hour); s.Lifetime > limit || s.Idle > limit {
		errs = append(errs, config.FieldErrorf("lifetime", "a session lasts a year at most"))
	}
	if s.Idle > 0 && time.Duration(s.Idle) < 20*time.Second {
		errs = append(errs, config.FieldErrorf("idle", "it is shorter than 20s, within which nobody reads a page"))
	}
	return errors.Join(errs...)
}

// plainPath says whether a text is a path as requests have it: escaped, normalised, without parts that mean anything else.
func plainPath(path string) bool {
	if !localReference(path) || strings.ContainsAny(path, "?#{}*") || strings.Contains(path, "//") || strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./") {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.EscapedPath() == path
}
