package cors

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says which web pages of other origins may call, and what they may see. The short form is Origins.
type Config struct {
	// Origins are the origins that may call: "https://app.example.com", "https://*.example.com" for the hosts below one,
	// "http://localhost:*" for any port, "null", or "*" for all. It is required.
	Origins []string `yaml:"origins,short,required"`

	// Methods are the methods that may be used: [GET, POST]. By default, and with "*", all that the route takes. An empty list
	// allows none but those for which browsers do not ask.
	Methods []string `yaml:"methods"`

	// Headers are the fields that requests may have, besides those that browsers always allow: [Authorization, Content-Type]. By
	// default, and with "*", all. An empty list allows none.
	Headers []string `yaml:"headers"`

	// Expose are the fields of answers that pages may read, besides those that browsers always show: [X-Total-Count]. "*" is
	// all, and does not go with Credentials. By default none.
	Expose []string `yaml:"expose"`

	// Credentials says whether browsers may send cookies, logins and client certificates along. By default false.
	Credentials bool `yaml:"credentials"`

	// MaxAge is how long browsers may remember the answer to a preflight; they have bounds of their own (Chromium 2h, Firefox
	// 24h). By default 10m. With 0 or `off` they ask before every request.
	MaxAge config.Duration `yaml:"max_age"`

	// PrivateNetwork says whether pages of the public Internet may call, when the gateway is in a private network. By default
	// false.
	PrivateNetwork bool `yaml:"private_network"`

	// Enforce refuses requests whose origin is not allowed, instead of leaving it to the browser to withhold the answer. By
	// default false. Preflights that are not allowed are refused in any case.
	Enforce bool `yaml:"enforce"`
}

// Default sets 10m for MaxAge.
func (c *Config) Default() { c.MaxAge = config.Duration(10 * time.Minute) }

// Validate checks the origins, names and what does not go together.
func (c *Config) Validate() error {
	var errs []error
	fail := func(field, format string, args ...any) {
		errs = append(errs, config.FieldErrorf(field, format, args...))
	}
	if len(c.Origins) == 0 {
		fail("origins", "no origin is named")
	}
	for i, text := range c.Origins {
		if _, err := parseOrigin(text); err != nil {
			fail(index("origins", i), "%w", err)
		}
		if text == "*" && len(c.Origins) > 1 {
			fail(index("origins", i), "`*` allows every origin already, and must stand alone")
		}
		if (text == "*" || text == "null") && c.Credentials {
			fail(index("origins", i), "%q does not go with `credentials`: any page could use its visitors' logins; name the origins", text)
		}
	}
	if c.Credentials && slices.Contains(c.Expose, "*") {
		fail("expose", "`*` means nothing to browsers with `credentials`; name the fields")
	}
	errs = append(errs, checkNames("methods", c.Methods), checkNames("headers", c.Headers), checkNames("expose", c.Expose))
	return errors.Join(errs...)
}

// checkNames says what is wrong with a list of methods or fields.
func checkNames(field string, names []string) error {
	var errs []error
	for i, name := range names {
		if !httpguts.ValidHeaderFieldName(name) {
			errs = append(errs, config.FieldErrorf(index(field, i), "%q cannot be the name of a method or field", name))
		}
		if name == "*" && len(names) > 1 {
			errs = append(errs, config.FieldErrorf(index(field, i), "`*` stands for all already, and must stand alone"))
		}
	}
	return errors.Join(errs...)
}

// upper returns the methods in upper case. Methods have case (RFC 9110, section 9.1), but one in lower case is a mistake.
func upper(methods []string) []string {
	methods = slices.Clone(methods)
	for i, m := range methods {
		methods[i] = strings.ToUpper(m)
	}
	return methods
}
