package headers

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// newChanges readies the changes to the request or response.
func newChanges(env *filter.Env, message string, c *Changes) (changes, error) {
	var all changes
	var errs []error
	for _, name := range c.Remove {
		if prefix, found := strings.CutSuffix(name, "*"); found {
			all.prefixes = append(all.prefixes, prefix)
		} else {
			all.remove = append(all.remove, http.CanonicalHeaderKey(name))
		}
	}
	for _, p := range c.parts() {
		for _, name := range slices.Sorted(maps.Keys(p.fields)) {
			f, err := newField(env, p.action, name, p.fields[name])
			switch {
			case err != nil:
				errs = append(errs, config.FieldErrorf(message+"."+p.path(name), "%w", err))
			case f.name == "Host":
				all.host = &f.values[0]
			default:
				all.fields = append(all.fields, f)
			}
		}
	}
	return all, errors.Join(errs...)
}

// newField readies the change of one field.
func newField(env *filter.Env, action action, name string, texts []string) (field, error) {
	f := field{action: action, name: http.CanonicalHeaderKey(name)}
	constant := make([]string, 0, len(texts))
	for _, text := range texts {
		parts, err := env.Expr.Parts(text, nil)
		if err != nil {
			return field{}, err
		}
		plain, ok := parts.Constant()
		if !ok {
			f.values = append(f.values, value{template: parts.Template()})
			continue
		}
		if err := checkText(f.name, plain); err != nil {
			return field{}, err
		}
		plain = strings.Trim(plain, " \t")
		constant = append(constant, plain)
		f.values = append(f.values, value{constant: plain})
	}
	if len(constant) == len(texts) {
		f.constant = slices.Clip(constant)
	}
	return f, nil
}

// checkText says why a text cannot be the value of a field.
func checkText(name, text string) error {
	switch {
	case !httpguts.ValidHeaderFieldValue(text):
		return fmt.Errorf("the value of %s has a control character", name)
	case name == "Host" && !filter.ValidHost(text):
		return fmt.Errorf("%q is not a host", text)
	}
	return nil
}

// note says for operators what is changed, by name.
func note(c *Config) string {
	var parts []string
	for _, message := range []struct {
		name    string
		changes *Changes
	}{{"request", &c.Request}, {"answer", &c.Response}} {
		var verbs []string
		say := func(verb string, names []string) {
			if len(names) > 0 {
				verbs = append(verbs, verb+" "+strings.Join(names, ", "))
			}
		}
		say("removes", message.changes.Remove)
		say("sets", slices.Sorted(maps.Keys(message.changes.Set)))
		say("defaults", slices.Sorted(maps.Keys(message.changes.Default)))
		say("adds", slices.Sorted(maps.Keys(message.changes.Add)))
		if len(verbs) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", message.name, strings.Join(verbs, ", ")))
		}
	}
	return strings.Join(parts, "; ")
}
