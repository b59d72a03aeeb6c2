package accesslog

import (
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// redactor writes queries without the values that nobody should see.
type redactor struct {
	query bool
	names []string      // lower case
	route *filter.Route // whose policies know of further names
}

func newRedactor(query bool, names []string, route *filter.Route) *redactor {
	r := &redactor{query: query, route: route}
	for _, name := range names {
		r.names = append(r.names, strings.ToLower(name))
	}
	return r
}

const hidden = "***"

// write writes a query into a text in quotes.
func (r *redactor) write(l *line, query string) {
	for query != "" {
		part, rest := query, ""
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			part, rest = query[:i], query[i:]
		}
		name, value, _ := strings.Cut(part, "=")
		if value != "" && r.hides(name) {
			l.part(name)
			l.b = append(append(l.b, '='), hidden...)
		} else {
			l.part(part)
		}
		if rest == "" {
			return
		}
		l.b = append(l.b, rest[0])
		query = rest[1:]
	}
}

// hides says whether the parameter with an encoded name is one whose value is not shown.
func (r *redactor) hides(encoded string) bool {
	named := func(name string) bool { return len(encoded) >= len(name) && encodes(encoded, name) }
	return slices.ContainsFunc(r.names, named) || slices.ContainsFunc(r.route.Concealed, named)
}

// encodes says whether a percent-encoded text stands for a name, without regard to case.
func encodes(encoded, name string) bool {
	i := 0
	for j := range len(name) {
		if i >= len(encoded) {
			return false
		}
		c := encoded[i]
		switch {
		case c == '%' && i+2 < len(encoded) && isHex(encoded[i+1]) && isHex(encoded[i+2]):
			c = unhex(encoded[i+1])<<4 | unhex(encoded[i+2])
			i += 3
		case c == '+':
			c = ' '
			i++
		default:
			i++
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[j] {
			return false
		}
	}
	return i == len(encoded)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// field writes a query as a field, unless there is none or it is not to be seen.
func (r *redactor) field(l *line, name, query string) {
	if query == "" || !r.query {
		return
	}
	l.key(name)
	l.b = append(l.b, '"')
	r.write(l, query)
	l.b = append(l.b, '"')
}

// link writes an address into a text in quotes, with its query redacted or left out.
func (r *redactor) link(l *line, address string) {
	address, query, found := strings.Cut(address, "?")
	l.part(address)
	if found && r.query {
		l.b = append(l.b, '?')
		r.write(l, query)
	}
}
