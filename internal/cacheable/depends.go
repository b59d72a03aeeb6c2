package cacheable

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Depends is what of the client's request an answer is made of, beside its URL and what services say that they vary by: they do not see that `{header.x-tenant}`
// has led a request to them, or stands in what becomes of their answer. Caches must know.
type Depends struct {
	Fields []string // of the request, canonical; "*": nobody knows which
	Caller bool     // it is for the one who asks
}

// Say says it in the head of an answer.
func (d *Depends) Say(h http.Header) {
	Vary(h, d.Fields...)
	if d.Caller {
		Private(h)
	}
}

// Note takes an expression, or a template's, into account. Names are those that it looks at, where it is no variable.
func (d *Depends) Note(source string, names []string) {
	source = strings.TrimSpace(source)
	if root, rest, found := strings.Cut(source, "."); found && (root == "header" || root == "cookie") && strings.IndexFunc(rest, isNoField) < 0 {
		names = append(names, source) // "header.x-tenant" is a difference to CEL
	} else if strings.HasPrefix(source, "jwt.") || strings.HasPrefix(source, "identity.") || strings.HasPrefix(source, "limit.") {
		d.Caller = true
	}
	for _, name := range names {
		d.name(name)
	}
}

// name takes a name into account, such as `header["x-tenant"]`.
func (d *Depends) name(name string) {
	root, rest := name, ""
	if end := strings.IndexAny(name, ".["); end >= 0 {
		root, rest = name[:end], name[end:]
	}
	switch root {
	case "identity", "jwt", "address", "limit":
		d.Caller = true
	case "cookie":
		d.Field("Cookie")
	case "header":
		if quoted, found := strings.CutPrefix(strings.TrimSuffix(rest, "]"), "["); found {
			rest, _ = strconv.Unquote(quoted)
		}
		if rest = strings.TrimPrefix(rest, "."); rest == "" || strings.IndexFunc(rest, isNoField) >= 0 {
			rest = "*"
		}
		d.Field(http.CanonicalHeaderKey(rest))
	}
}

// Field takes a field of the request into account, by its canonical name. "*" is any of them.
func (d *Depends) Field(name string) {
	if !slices.Contains(d.Fields, name) {
		d.Fields = append(d.Fields, name)
	}
}

// isNoField says whether a character cannot stand in the name of a field as variables have it.
func isNoField(c rune) bool {
	return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}
