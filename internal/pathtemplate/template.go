// Package pathtemplate makes paths and queries of URLs out of templates, whose values are made fit for the place where they stand: none can lead out of
// its segment or parameter. It is for policies and targets that make requests.
package pathtemplate

import (
	"fmt"
	"net/url"
	"strings"

	"cardea.dev/cardea/filter"
)

// Piece is a part of a path or query to be made: a text that is escaped already, or a value.
type Piece struct {
	text   string
	value  filter.Value // nil for a text
	source string       // of the value, for operators
	escape escape
}

// Pieces are a path or a query.
type Pieces []Piece

// escape is how a value is made fit.
type escape int

const (
	segment  escape = iota // it stays within its segment of the path
	segments               // its slashes are the path's
	whole                  // it is a path already
	query                  // it stays within its parameter of the query
)

// New compiles a template of a path. What follows a "?" is the query; asked says whether there is one. Own compiles values of the caller's own, as for
// filter.Expressions.
func New(env *filter.Env, source string, own func(source string) (filter.Value, error)) (path, queryPieces Pieces, asked bool, err error) {
	parts, err := Parts(env, source, own)
	if err != nil {
		return nil, nil, false, err
	}
	if len(parts) == 0 || parts[0].Value != nil || parts[0].Text[0] != '/' {
		return nil, nil, false, fmt.Errorf("%q does not begin with a slash", source)
	}
	for _, part := range parts {
		if part.Value != nil {
			p := Value(env, part)
			if asked {
				p.escape = query
				queryPieces = append(queryPieces, p)
			} else {
				path = append(path, p)
			}
			continue
		}
		before, after := part.Text, ""
		if asked {
			before, after = "", part.Text
		} else if i := strings.IndexByte(before, '?'); i >= 0 {
			before, after, asked = before[:i], before[i+1:], true
		}
		if path, err = path.AppendText(before); err != nil {
			return nil, nil, false, err
		}
		if after, err = escapeText(after, isQueryChar); err != nil {
			return nil, nil, false, err
		}
		queryPieces = queryPieces.appendEscaped(after)
	}
	return path, queryPieces, asked, path.Check()
}

// Parts compiles a template of a path, in which "{path.rest...}" is a value that keeps its slashes.
func Parts(env *filter.Env, source string, own func(source string) (filter.Value, error)) (filter.Parts, error) {
	return env.Expr.Parts(source, func(source string) (filter.Value, error) {
		plain, found := strings.CutSuffix(source, "...")
		plain = strings.TrimSpace(plain)
		if own != nil {
			if v, err := own(plain); v != nil || err != nil {
				return v, err
			}
		}
		if !found {
			return nil, nil
		}
		return env.Expr.Value(plain)
	})
}

// Value readies a value for its place in a path. The route's match says which parameters hold several segments.
func Value(env *filter.Env, part filter.Part) Piece {
	p := Piece{source: part.Text, value: part.Value}
	if p.source == "path" { // the variable for the path that was asked for, escaped and normalised
		p.escape = whole
	} else if plain, found := strings.CutSuffix(p.source, "..."); found {
		p.source, p.escape = strings.TrimSpace(plain), segments
	} else if strings.Contains(env.Route.Match, "{"+strings.TrimPrefix(p.source, "path.")+"...}") {
		p.escape = segments
	}
	return p
}

// AppendText adds a text of the configuration, which becomes a part of a path.
func (ps Pieces) AppendText(text string) (Pieces, error) {
	escaped, err := escapeText(text, isSegmentChar)
	return ps.appendEscaped(escaped), err
}

func (ps Pieces) appendEscaped(text string) Pieces {
	if text == "" {
		return ps
	}
	return append(ps, Piece{text: text})
}

// Check looks for dot segments in what is known of a path.
func (ps Pieces) Check() error {
	var b strings.Builder
	for _, p := range ps {
		if b.WriteString(p.text); p.text == "" {
			b.WriteByte('x')
		}
	}
	if hasDots(b.String()) {
		return fmt.Errorf("the path has a segment `.` or `..`")
	}
	return nil
}

// Literal is how all that can be made begins: the text before the first value.
func (ps Pieces) Literal() string {
	if len(ps) == 0 {
		return ""
	}
	return ps[0].text
}

// Pattern is the path or query with something in the place of each value. It is false where a value may be more than a part of a segment or parameter.
func (ps Pieces) Pattern(hole string) (string, bool) {
	var b strings.Builder
	for _, p := range ps {
		switch {
		case p.value == nil:
			b.WriteString(p.text)
		case p.escape == segments || p.escape == whole:
			return "", false
		default:
			b.WriteString(hole)
		}
	}
	return b.String(), true
}

// Join makes the path or query for an exchange, in a buffer that may be nil. It fails when a value is missing, or cannot stand where it should.
func (ps Pieces) Join(ex *filter.Exchange, b []byte) (string, error) {
	if len(ps) == 1 && ps[0].value == nil {
		return ps[0].text, nil
	}
	var err error
	for i := range ps {
		if b, err = ps[i].Append(b, ex); err != nil {
			return "", err
		}
	}
	return string(b), nil
}

// Append appends the piece for an exchange. It fails when the value is missing, or cannot stand where it should.
func (p *Piece) Append(b []byte, ex *filter.Exchange) ([]byte, error) {
	if p.value == nil {
		return append(b, p.text...), nil
	}
	v, _ := p.value(ex)
	if p.escape == query {
		return AppendQuery(b, v), nil
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

// Finish makes a path of what was put together: it has a slash in front, and one only, lest it is taken for an authority.
func Finish(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		if path != "" {
			return "", badPath(fmt.Errorf("the new path, %q, does not begin with a slash", path))
		}
		return "/", nil
	}
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	if hasDots(path) {
		return "", badPath(fmt.Errorf("the new path, %q, has a segment . or ..", path))
	}
	return path, nil
}

// SetPath gives a URL an escaped path.
func SetPath(u *url.URL, escaped string) error {
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return badPath(err)
	}
	u.Path, u.RawPath = plain, ""
	if u.EscapedPath() != escaped {
		u.RawPath = escaped
	}
	return nil
}
