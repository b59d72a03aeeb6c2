package call

import (
	"strings"

	"cardea.dev/cardea/filter"
)

// Plan is what operators are told of the call before it is made.
func (n *Call) Plan(name string) filter.Call {
	up := n.Upstream.Name()
	path := strings.TrimPrefix(n.Shown(), up)
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	return filter.Call{Name: name, Upstream: up, Method: n.Method, Path: filter.Brief(path), Operation: n.Operation, When: n.condition}
}

// Shown is the upstream, and path and query as they are written, without values of the query that are no templates: they may be secret.
func (n *Call) Shown() string {
	path, query, asks := strings.Cut(n.Text, "?")
	if !asks {
		return path
	}
	return path + "?" + concealed(query)
}

// concealed is a query without values that are no templates.
func concealed(query string) string {
	var b strings.Builder
	depth, inValue, literal := 0, false, false
	for i := range len(query) {
		switch c := query[i]; {
		case c == '{', depth > 0:
			switch c {
			case '{':
				depth++
			case '}':
				depth--
			}
			literal = false
			b.WriteByte(c)
		case c == '&':
			inValue, literal = false, false
			b.WriteByte(c)
		case c == '=' && !inValue:
			inValue = true
			b.WriteByte(c)
		case !inValue:
			b.WriteByte(c)
		case !literal:
			literal = true
			b.WriteString("…")
		}
	}
	return b.String()
}
