package config

import (
	"errors"
	"strings"
	"time"

	"cardea.dev/cardea/config/lang"
)

// Default listens on port 8080 of all addresses.
func (c *Config) Default() {
	l := Listener{Address: ":8080"}
	l.Default()
	c.Listen = []Listener{l}
}

// Default sets 30s for Drain.
func (s *Shutdown) Default() { s.Drain = Duration(30 * time.Second) }

// Validate checks the status.
func (a *ErrorAnswer) Validate() error {
	var errs []error
	if a.Status != 0 && (a.Status < 400 || a.Status > 599) {
		errs = append(errs, FieldErrorf("status", "%d is not the status of an error, which is from 400 to 599", a.Status))
	}
	if a.ContentType != "" && a.Body == "" {
		errs = append(errs, FieldErrorf("content_type", "a content type needs a body"))
	}
	return errors.Join(errs...)
}

// checkErrorNames checks that the names of errors are codes, statuses or classes.
func (c *Config) checkErrorNames() error {
	var errs []error
	for name := range c.Errors {
		if name == "" || name[0] < '1' || name[0] > '9' {
			continue // a code; the catalogue of codes is elsewhere
		}
		if name != "4xx" && name != "5xx" && !(len(name) == 3 && (name[0] == '4' || name[0] == '5') && isDigits(name)) {
			errs = append(errs, FieldErrorf("errors"+lang.KeyPath(name), "%q is no error: write a code such as route_not_found, a status such as 404, or 4xx or 5xx", name))
		}
	}
	return errors.Join(errs...)
}

// isDigits reports whether a text consists of digits.
func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
