package rewrite

import (
	"fmt"
	"strings"

	"cardea.dev/cardea/filter"
)

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

// compile compiles a template of a path, in which "{path.rest...}" is a value that keeps its slashes.
func compile(env *filter.Env, source string) (filter.Parts, error) {
	return env.Expr.Parts(source, func(source string) (filter.Value, error) {
		plain, found := strings.CutSuffix(source, "...")
		if !found {
			return nil, nil
		}
		return env.Expr.Value(strings.TrimSpace(plain))
	})
}

// newValue readies a value for its place in a path. The route's match says which parameters hold several segments.
func newValue(env *filter.Env, part filter.Part) piece {
	p := piece{source: part.Text, value: part.Value}
	if p.source == "path" { // the variable for the path that was asked for, escaped and normalised
		p.escape = whole
	} else if plain, found := strings.CutSuffix(p.source, "..."); found {
		p.source, p.escape = strings.TrimSpace(plain), segments
	} else if name, found := strings.CutPrefix(p.source, "path."); found && strings.Contains(env.Route.Match, "{"+name+"...}") {
		p.escape = segments
	}
	return p
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
