package externalauth

import (
	"net/url"
	"slices"
	"strings"
)

// queryEdit is how an authorizer changes the query that the upstream gets.
type queryEdit struct {
	set    []pair
	remove []string
}

// pair is a parameter of a query, decoded.
type pair struct{ name, value string }

// apply changes a query. Parameters that are not named stay as they were written.
func (e *queryEdit) apply(raw string) string {
	var parts []string
	for part := range strings.SplitSeq(raw, "&") {
		if part != "" && !e.names(part) {
			parts = append(parts, part)
		}
	}
	for _, p := range e.set {
		parts = append(parts, url.QueryEscape(p.name)+"="+url.QueryEscape(p.value))
	}
	return strings.Join(parts, "&")
}

// names says whether a part of a query is of one of the parameters that are changed.
func (e *queryEdit) names(part string) bool {
	name, _, _ := strings.Cut(part, "=")
	plain, err := url.QueryUnescape(name)
	if err != nil {
		return false
	}
	return slices.Contains(e.remove, plain) || slices.ContainsFunc(e.set, func(p pair) bool { return p.name == plain })
}
