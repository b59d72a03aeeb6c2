package aggregate

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// depends is what of the client's request the answer is made of, beside its URL and what services say that they vary by: they do not see that `{header.x-tenant}`
// has led a request to them. Caches between must know.
type depends struct {
	fields []string // of the request; "*": nobody knows which
	caller bool     // it is for the one who asks
}

// note takes an expression, or a template's, into account. Names are those that it looks at, where it is no variable.
func (d *depends) note(source string, names []string) {
	source = strings.TrimSpace(source)
	if root, rest, found := strings.Cut(source, "."); found && (root == "header" || root == "cookie") && strings.IndexFunc(rest, isNoField) < 0 {
		names = append(names, source) // "header.x-tenant" is a difference to CEL
	} else if strings.HasPrefix(source, "jwt.") || strings.HasPrefix(source, "identity.") || strings.HasPrefix(source, "limit.") {
		d.caller = true
	}
	for _, name := range names {
		d.name(name)
	}
}

// name takes a name into account, such as `header["x-tenant"]`.
func (d *depends) name(name string) {
	root, rest := name, ""
	if end := strings.IndexAny(name, ".["); end >= 0 {
		root, rest = name[:end], name[end:]
	}
	switch root {
	case "identity", "jwt", "address", "limit":
		d.caller = true
	case "cookie":
		d.field("Cookie")
	case "header":
		if quoted, found := strings.CutPrefix(strings.TrimSuffix(rest, "]"), "["); found {
			rest, _ = strconv.Unquote(quoted)
		}
		if rest = strings.TrimPrefix(rest, "."); rest == "" || strings.IndexFunc(rest, isNoField) >= 0 {
			rest = "*"
		}
		d.field(http.CanonicalHeaderKey(rest))
	}
}

func (d *depends) field(name string) {
	if !slices.Contains(d.fields, name) {
		d.fields = append(d.fields, name)
	}
}

// isNoField says whether a character cannot stand in the name of a field as variables have it.
func isNoField(c rune) bool {
	return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

// maxVary is how many fields are named at most by which an answer varies.
const maxVary = 100

// vary are the fields of the request that the answer depends on: those that the services name and see, and those that the calls are made of.
func (r *run) vary() []string {
	fields := slices.Clone(r.of.depends.fields)
	seen := make(map[string]bool, len(fields))
	for _, name := range fields {
		seen[name] = true
	}
	for i := range r.results {
		for _, head := range r.heads(i) {
			for _, line := range head["Vary"] {
				for name := range strings.SplitSeq(line, ",") {
					name = http.CanonicalHeaderKey(strings.TrimSpace(name))
					if name == "" || name == "Accept" || name == "Accept-Encoding" || seen[name] { // the gateway sends these two itself
						continue
					}
					seen[name] = true
					if fields = append(fields, name); len(fields) > maxVary {
						return []string{"*"}
					}
				}
			}
		}
	}
	if seen["*"] {
		return []string{"*"}
	}
	return fields
}
