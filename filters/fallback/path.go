package fallback

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// path makes the path of a request to another upstream, and its query.
type path []piece

// piece is a part of a path.
type piece struct {
	filter.Part
	escape func(string) string // of a value
	empty  bool                // the value may be
}

// newPath compiles a template. Values stay in their segment, but for `path`, which is the path that was asked for, and for parameters of the route that have
// several segments.
func newPath(env *filter.Env, source string) (path, error) {
	parts, err := env.Expr.Parts(source, func(source string) (filter.Value, error) {
		plain, found := strings.CutSuffix(source, "...")
		if !found {
			return nil, nil
		}
		return env.Expr.Value(strings.TrimSpace(plain))
	})
	if err != nil {
		return nil, err
	}
	var p path
	query := false
	for _, part := range parts {
		one := piece{Part: part, escape: url.PathEscape}
		name, parameter := strings.CutPrefix(part.Text, "path.")
		switch {
		case part.Value == nil:
			query = query || strings.Contains(part.Text, "?")
		case query:
			one.escape, one.empty = url.QueryEscape, true
		case part.Text == "path":
			one.escape = func(s string) string { return s } // it is escaped and normalised
		case strings.HasSuffix(part.Text, "..."), parameter && strings.Contains(env.Route.Match, "{"+name+"...}"):
			one.escape, one.empty = escapeSegments, true
		}
		p = append(p, one)
	}
	return p, nil
}

func escapeSegments(s string) string {
	segments := strings.Split(s, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.Join(segments, "/")
}

// set sets the path of a request's URL. It fails when a value is missing, or would lead out of the path.
func (p path) set(ex *filter.Exchange, to *url.URL) error {
	var b strings.Builder
	for i := range p {
		if p[i].Value == nil {
			b.WriteString(p[i].Text)
			continue
		}
		s, _ := p[i].Value(ex)
		if s == "" && !p[i].empty {
			return fmt.Errorf("cannot make its path: %s is missing or empty", p[i].Text)
		}
		b.WriteString(p[i].escape(s))
	}
	u, err := url.ParseRequestURI(b.String())
	if err != nil {
		return fmt.Errorf("cannot make its path: %w", err)
	}
	isSlash := func(r rune) bool { return r == '/' || r == '\\' }
	if slices.ContainsFunc(strings.FieldsFunc(u.Path, isSlash), func(s string) bool { return s == "." || s == ".." }) {
		return fmt.Errorf("cannot make its path: %q leads out of it", u.Path)
	}
	to.Path, to.RawPath = u.Path, u.RawPath
	if u.RawQuery != "" || u.ForceQuery {
		to.RawQuery = u.RawQuery
	}
	return nil
}
