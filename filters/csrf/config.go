package csrf

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says which other sites may send. An empty object trusts none. The short form is TrustedOrigins.
type Config struct {
	// TrustedOrigins are the other origins whose pages may send requests: "https://app.example.com", or "https://*.example.com" for the
	// hosts below one. By default none: only pages of the host itself.
	TrustedOrigins []string `yaml:"trusted_origins,short"`

	// Token asks those that do not say where they come from for a token, which they got in a cookie. An empty object takes its defaults.
	// By default none is asked for, and such requests pass: they are from programs, or from browsers older than 2020.
	Token *Token `yaml:"token"`
}

// Token is a random value that a request must show twice: in a cookie and in a header.
type Token struct {
	// Cookie is the name of the cookie. By default "__Host-csrf_token"; names with that prefix are safe from other hosts of the domain,
	// and need https.
	Cookie string `yaml:"cookie"`

	// Header is the name of the header. By default "X-CSRF-Token".
	Header string `yaml:"header"`
}

// Default sets the names.
func (t *Token) Default() { t.Cookie, t.Header = "__Host-csrf_token", "X-CSRF-Token" }

// Validate checks the names.
func (t *Token) Validate() error {
	var errs []error
	if !httpguts.ValidHeaderFieldName(t.Cookie) {
		errs = append(errs, config.FieldErrorf("cookie", "%q cannot be the name of a cookie", t.Cookie))
	}
	if !httpguts.ValidHeaderFieldName(t.Header) {
		errs = append(errs, config.FieldErrorf("header", "%q cannot be the name of a field", t.Header))
	}
	if strings.EqualFold(t.Header, "Cookie") {
		errs = append(errs, config.FieldErrorf("header", "browsers send Cookie by themselves, so it proves nothing"))
	}
	return errors.Join(errs...)
}

// Validate checks the origins.
func (c *Config) Validate() error {
	var errs []error
	for i, text := range c.TrustedOrigins {
		if _, err := parseOrigin(text); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("trusted_origins[%d]", i), "%w", err))
		}
	}
	return errors.Join(errs...)
}
