package router

import (
	"net/http"
	"slices"
)

// Methods returns the methods for which r would find a route if all else stayed the same, sorted. None: no route at
// all is there for r, whatever its method. It serves answers of 405 and OPTIONS, and is not meant for every request.
// A rule without methods stands for GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.
func (t *Table) Methods(r *Request) []string {
	var set methodSet
	t.search(&search{Request: r, allow: &set})
	if r.Params != nil {
		r.Params.Reset()
	}
	slices.Sort(set.names)
	return set.names
}

// methodSet collects methods.
type methodSet struct{ names []string }

// add adds the methods of the rules in l whose other conditions hold.
func (m *methodSet) add(l *leaf, r *Request) {
	for _, c := range l.rules {
		if !c.holds(r) {
			continue
		}
		if len(c.Methods) == 0 {
			m.insert(http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
				http.MethodOptions)
		}
		m.insert(c.Methods...)
		if slices.Contains(c.Methods, http.MethodGet) {
			m.insert(http.MethodHead)
		}
	}
}

func (m *methodSet) insert(names ...string) {
	for _, name := range names {
		if !slices.Contains(m.names, name) {
			m.names = append(m.names, name)
		}
	}
}

// methodBits is a set of common methods.
type methodBits uint16

// bitOf returns the bit of a common method, and 0 for others.
func bitOf(method string) methodBits {
	switch method {
	case http.MethodGet:
		return 1 << 0
	case http.MethodHead:
		return 1 << 1
	case http.MethodPost:
		return 1 << 2
	case http.MethodPut:
		return 1 << 3
	case http.MethodPatch:
		return 1 << 4
	case http.MethodDelete:
		return 1 << 5
	case http.MethodOptions:
		return 1 << 6
	}
	return 0
}

// answeredBits returns the bits of the common methods that a rule with methods answers.
func answeredBits(methods []string) (bits methodBits) {
	if len(methods) == 0 {
		return ^methodBits(0)
	}
	for _, method := range methods {
		bits |= bitOf(method)
		if method == http.MethodGet {
			bits |= bitOf(http.MethodHead)
		}
	}
	return bits
}
