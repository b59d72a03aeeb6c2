package authorize

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Allow says which requests may pass: those for which all the keys hold, and one of Any if there are some. The short form is Any.
type Allow struct {
	Rule `yaml:",inline"`

	// Any are conditions of which one must hold, besides the other keys: ['jwt.role == "admin"', {groups: [staff]}]. By default none, and
	// then the other keys decide.
	Any []Rule `yaml:"any,short"`

	// Message is what clients who are refused are told, in one sentence. By default "The caller may not do this."
	Message string `yaml:"message"`
}

// Deny says which requests may not pass: those for which all the keys hold, and one of Any if there are some. The short form is Any.
type Deny struct {
	Rule `yaml:",inline"`

	// Any are conditions of which one must hold, besides the other keys: ['jwt.trial == true', {consumers: [acme]}]. By default none, and
	// then the other keys decide.
	Any []Rule `yaml:"any,short"`

	// Message is what clients who are refused are told, in one sentence. By default "The caller may not do this."
	Message string `yaml:"message"`
}

// Rule is a condition on a request. All its keys must hold. The short form is When.
type Rule struct {
	// When is a CEL expression that must be true: 'jwt.role == "admin"'. One that cannot be evaluated lets no request pass. By default none.
	When string `yaml:"when,short"`

	// Groups are groups of which the caller must be in one. By default any caller will do.
	Groups []string `yaml:"groups"`

	// AllGroups are groups of which the caller must be in each. By default none.
	AllGroups []string `yaml:"all_groups"`

	// Scopes are scopes of which the caller's credential must have each. By default none.
	Scopes []string `yaml:"scopes"`

	// Consumers are consumers of which the caller must be one. By default any caller will do.
	Consumers []string `yaml:"consumers"`

	// Methods are methods of which the request's must be one, as the client sent it: [GET, POST]. GET stands for HEAD too. By default any.
	Methods []string `yaml:"methods"`

	// Self is the rule as it was written.
	Self config.Node `yaml:",self"`
}

// Validate checks that there is a condition.
func (c *Allow) Validate() error { return validate(&c.Rule, c.Any, "allow") }

// Validate checks that there is a condition.
func (c *Deny) Validate() error { return validate(&c.Rule, c.Any, "deny") }

// Validate checks that there is a condition.
func (r *Rule) Validate() error {
	if r.empty() {
		return errors.New("no condition is named: write a CEL expression, or an object with `when`, `groups`, `all_groups`, `scopes`, `consumers` or `methods`")
	}
	return r.check()
}

// validate checks what is at the top, where the keys may be left to the list.
func validate(r *Rule, more []Rule, kind string) error {
	if r.empty() && len(more) == 0 {
		return fmt.Errorf("no condition is named: write `%[1]s: 'jwt.role == \"admin\"'`, or `%[1]s: {groups: […]}`", kind)
	}
	return r.check()
}

// empty says whether a rule has no condition.
func (r *Rule) empty() bool {
	return strings.TrimSpace(r.When) == "" && len(r.Groups)+len(r.AllGroups)+len(r.Scopes)+len(r.Consumers)+len(r.Methods) == 0
}

// check checks what is in the lists.
func (r *Rule) check() error {
	var errs []error
	for _, l := range []struct {
		key   string
		texts []string
		fault func(string) string
	}{
		{"groups", r.Groups, faultOfName},
		{"all_groups", r.AllGroups, faultOfName},
		{"consumers", r.Consumers, faultOfName},
		{"scopes", r.Scopes, faultOfScope},
		{"methods", r.Methods, faultOfMethod},
	} {
		for i, text := range l.texts {
			if fault := l.fault(text); fault != "" {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%d]", l.key, i), "%s", fault))
			}
		}
	}
	return errors.Join(errs...)
}

func faultOfName(text string) string {
	if text == "" {
		return "the name is empty"
	}
	return ""
}

// faultOfScope says what is wrong with a scope (RFC 6749, section 3.3).
func faultOfScope(text string) string {
	if text == "" {
		return "the scope is empty"
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return fmt.Sprintf("%q is no scope: one has neither spaces, quotes, backslashes nor characters outside of ASCII; several are a list", text)
		}
	}
	return ""
}

func faultOfMethod(text string) string {
	switch {
	case !httpguts.ValidHeaderFieldName(text):
		return fmt.Sprintf("%q is no method", text)
	case text != strings.ToUpper(text):
		return fmt.Sprintf("%q is no method that clients send: methods have case; did you mean %q?", text, strings.ToUpper(text))
	}
	return ""
}
