package rewrite

import (
	"fmt"
	"strings"

	"cardea.dev/cardea/filter"
)

// part is a part of a template: a text, or an expression that stood in braces.
type part struct {
	text       string
	expression bool
}

// split takes a template apart. "{{" and "}}" are braces. Values are escaped each by itself, which a filter.Template, that gives
// the whole text, does not allow.
func split(source string) ([]part, error) {
	var parts []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case c != '{' && c != '}':
			text.WriteByte(c)
		case i+1 < len(source) && source[i+1] == c:
			text.WriteByte(c)
			i++
		case c == '}':
			return nil, fmt.Errorf("%q has a closing brace without an opening one; write }} for a brace", source)
		default:
			end := closing(source, i+1)
			if end < 0 {
				return nil, fmt.Errorf("%q has a brace that is never closed; write {{ for a brace", source)
			}
			flush()
			parts = append(parts, part{strings.TrimSpace(source[i+1 : end]), true})
			i = end
		}
	}
	flush()
	return parts, nil
}

// closing finds the brace that closes an expression, or -1. Braces in the texts of the expression do not count.
func closing(source string, begin int) int {
	depth, quote := 0, byte(0)
	for i := begin; i < len(source); i++ {
		c := source[i]
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}

// piece is a part of a path or query to be made: a text that is escaped already, or a value.
type piece struct {
	text   string
	value  filter.Value // nil for a text or group
	source string       // of the value, for operators
	escape escape
	group  int // of a regular expression, from 1; 0 for none
}

// escape is how a value is made fit.
type escape int

const (
	segment  escape = iota // it stays within its segment of the path
	segments               // its slashes are the path's
	whole                  // it is a path already
	query                  // it stays within its parameter of the query
)

// newValue readies an expression for its place in a path. The route's match says which parameters hold several segments.
func newValue(env *filter.Env, source string) (piece, error) {
	p := piece{source: source}
	if source == "path" { // the variable for the path that was asked for, escaped and normalised
		p.escape = whole
	} else if plain, found := strings.CutSuffix(source, "..."); found {
		p.source, p.escape = strings.TrimSpace(plain), segments
	} else if name, found := strings.CutPrefix(source, "path."); found && strings.Contains(env.Route.Match, "{"+name+"...}") {
		p.escape = segments
	}
	value, err := env.Expr.Value(p.source)
	if err != nil {
		return piece{}, err
	}
	p.value = value
	return p, nil
}

// append appends the piece for an exchange. It fails when the value is missing, or cannot stand where it should.
func (p *piece) append(b []byte, ex *filter.Exchange) ([]byte, error) {
	if p.value == nil {
		return append(b, p.text...), nil
	}
	v, _ := p.value(ex)
	if p.escape == query {
		return appendQuery(b, v), nil
	}
	if v == "" && p.escape != segments {
		return b, badPath(fmt.Errorf("%s is missing or empty", p.source))
	}
	if p.escape == whole && strings.HasPrefix(v, "/") && !strings.ContainsAny(v, "?#") {
		return append(b, v...), nil
	}
	if !fitsPath(v) {
		return b, badPath(fmt.Errorf("%s is %q, which cannot stand in a path", p.source, v))
	}
	return appendSegment(b, v, p.escape == segments), nil
}

// badPath is the refusal of a request of which no path can be made.
func badPath(cause error) *filter.Error {
	return filter.Reject(filter.BadPath, "A part of the request cannot stand in the path that it is meant for.").Because(cause)
}
