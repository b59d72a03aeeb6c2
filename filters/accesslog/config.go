package accesslog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/config"
)

// Config says where and how exchanges are logged. The short form is the file.
type Config struct {
	// File is the file that lines are appended to; a relative name starts at the configuration's directory. "stdout" and "stderr"
	// are the process's own. By default "stdout".
	File string `yaml:"file,short"`

	// Format is how a line looks: "json", "logfmt" (key=value), or Apache's "common" or "combined". By default "json".
	Format string `yaml:"format" enum:"json,logfmt,common,combined"`

	// Fields are the fields of a line, in their order. By default all. Only for json and logfmt.
	Fields []string `yaml:"fields"`

	// Add are further fields: name and value, a variable such as "header.x-tenant" or a CEL expression. By default none. Only for
	// json and logfmt.
	Add map[string]string `yaml:"add"`

	// Sample is the share of exchanges that is logged. By default 100%; 0 logs only errors and slow ones.
	Sample config.Share `yaml:"sample" min:"0" max:"1"`

	// KeepErrors logs exchanges with a status of 500 or more, and those whose answer broke off, whatever Sample says. By default true.
	KeepErrors bool `yaml:"keep_errors"`

	// Slow logs exchanges that took at least this long, whatever Sample says. By default 1s; "off" treats them as all others.
	Slow config.Duration `yaml:"slow"`

	// When is a CEL condition: only exchanges for which it holds are logged, errors and slow ones included. By default all.
	When string `yaml:"when"`

	// Query says whether the query is logged. By default true.
	Query bool `yaml:"query"`

	// Redact are the query parameters whose values are shown as "***", without regard to case. By default names under which
	// credentials travel: access_token, token, id_token, refresh_token, api_key, apikey, key, code, password, secret, client_secret,
	// signature, sig, x-amz-signature, x-amz-credential, x-amz-security-token, x-goog-signature. An empty list redacts nothing but
	// what the route's own policies, such as api_key, take credentials from.
	Redact []string `yaml:"redact"`
}

// Default sets JSON to standard output, of everything.
func (c *Config) Default() {
	c.File = "stdout"
	c.Format = "json"
	c.Sample = 1
	c.KeepErrors = true
	c.Slow = config.Duration(time.Second)
	c.Query = true
	c.Redact = []string{
		"access_token", "token", "id_token", "refresh_token", "api_key", "apikey", "key", "code", "password", "secret", "client_secret",
		"signature", "sig", "x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature",
	}
}

// Validate checks the names of fields.
func (c *Config) Validate() error {
	var errs []error
	if c.File == "" {
		errs = append(errs, config.FieldErrorf("file", "the file has no name"))
	}
	if c.Format == "common" || c.Format == "combined" {
		if len(c.Fields) > 0 {
			errs = append(errs, config.FieldErrorf("fields", "the format %s has fields of its own; choose json or logfmt", c.Format))
		}
		if len(c.Add) > 0 {
			errs = append(errs, config.FieldErrorf("add", "the format %s takes no further fields; choose json or logfmt", c.Format))
		}
	}
	for i, name := range c.Fields {
		if fieldNamed(name) == nil {
			errs = append(errs, &config.FieldError{
				Path: fmt.Sprintf("fields[%d]", i), Err: fmt.Errorf("there is no field %q", name),
				Expected: "one of " + strings.Join(fieldNames(), ", "),
			})
		}
	}
	return errors.Join(append(errs, c.checkAdd()...)...)
}

// checkAdd checks the further fields.
func (c *Config) checkAdd() []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Add)) {
		at := fmt.Sprintf("add[%q]", name)
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" || name == "" {
			errs = append(errs, config.FieldErrorf(at, "%q cannot be the name of a field: use letters, digits, _ . and -", name))
		}
		if fieldNamed(name) != nil {
			errs = append(errs, config.FieldErrorf(at, "there is a field %q already", name))
		}
		switch strings.ToLower(strings.TrimSpace(c.Add[name])) {
		case "header.authorization", "header.proxy-authorization", "header.cookie":
			errs = append(errs, config.FieldErrorf(at, "%s holds credentials, which do not belong in a log", c.Add[name]))
		}
	}
	return errs
}
