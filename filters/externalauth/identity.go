package externalauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// canonical is the identity's fields with canonical names.
func (id Identity) canonical() Identity {
	out := Identity{
		Subject: http.CanonicalHeaderKey(id.Subject), Consumer: http.CanonicalHeaderKey(id.Consumer),
		Groups: http.CanonicalHeaderKey(id.Groups), Scopes: http.CanonicalHeaderKey(id.Scopes),
	}
	for claim, name := range id.Claims {
		if out.Claims == nil {
			out.Claims = map[string]string{}
		}
		out.Claims[claim] = http.CanonicalHeaderKey(name)
	}
	return out
}

// none says whether no field tells who calls.
func (id *Identity) none() bool {
	return id.Subject == "" && id.Consumer == "" && id.Groups == "" && id.Scopes == "" && len(id.Claims) == 0
}

// identify makes an identity of the fields of an answer. But says why the caller cannot be accepted in spite of it.
func identify(h http.Header, fields *Identity, consumers filter.Consumers, unknown *filter.Identity) (id *filter.Identity, but string) {
	if fields.none() {
		return unknown, ""
	}
	id = &filter.Identity{
		Method: method, Subject: value(h, fields.Subject), Groups: list(h, fields.Groups, ","), Scopes: list(h, fields.Scopes, ", "),
	}
	for claim, name := range fields.Claims {
		if v := value(h, name); v != "" {
			if id.Claims == nil {
				id.Claims = map[string]any{}
			}
			id.Claims[claim] = v
		}
	}
	name := value(h, fields.Consumer)
	if name == "" {
		return id, ""
	}
	consumer := consumers.Named(name)
	if consumer == nil {
		return nil, fmt.Sprintf("it names the consumer %q, and there is none of that name", name)
	}
	id.Consumer, id.Tags = consumer.Name, consumer.Tags
	for _, group := range consumer.Groups {
		if !slices.Contains(id.Groups, group) {
			id.Groups = append(id.Groups, group)
		}
	}
	return id, ""
}

// value is the value of a field, "" where there is none.
func value(h http.Header, name string) string {
	if values := h[name]; name != "" && len(values) > 0 {
		return strings.Clone(strings.TrimSpace(values[0]))
	}
	return ""
}

// list are the parts of a field's values, between any of some separators.
func list(h http.Header, name, separators string) []string {
	if name == "" {
		return nil
	}
	var all []string
	for _, v := range h[name] {
		for _, part := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, strings.Clone(part))
			}
		}
	}
	return all
}
