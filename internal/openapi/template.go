package openapi

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// template is a path template: "/users/{id}/files/{name}.{ext}".
type template struct {
	segments [][]piece
	names    []string // of the parameters, in their order
	literals int      // for precedence: the more, the more specific
}

// piece is a part of a segment: a text, or a parameter.
type piece struct {
	text  string
	param bool
}

func parseTemplate(path string) (*template, error) {
	t := &template{}
	for segment := range strings.SplitSeq(path[1:], "/") {
		var pieces []piece
		for segment != "" {
			before, rest, found := strings.Cut(segment, "{")
			if before != "" {
				pieces = append(pieces, piece{text: before})
				t.literals += len(before) + 1
			}
			if !found {
				break
			}
			name, after, closed := strings.Cut(rest, "}")
			switch {
			case !closed || name == "":
				return nil, errors.New("the path has a brace that is not closed, or nothing in braces")
			case len(pieces) > 0 && pieces[len(pieces)-1].param:
				return nil, errors.New("the path has two parameters with nothing between them")
			}
			pieces = append(pieces, piece{name, true})
			t.names = append(t.names, name)
			segment = after
		}
		t.segments = append(t.segments, pieces)
	}
	return t, nil
}

// match matches an escaped path, and returns the parameters' values as they came.
func (t *template) match(path string) ([]string, bool) {
	if path == "" || path[0] != '/' {
		return nil, false
	}
	if !t.may(path[1:]) {
		return nil, false
	}
	var values []string
	rest := path[1:]
	for i, pieces := range t.segments {
		segment, after, more := strings.Cut(rest, "/")
		if more == (i == len(t.segments)-1) {
			return nil, false
		}
		var ok bool
		if values, ok = matchSegment(pieces, segment, values); !ok {
			return nil, false
		}
		rest = after
	}
	return values, true
}

// may says whether a path may match, by its segments without a parameter. It turns most away at little cost.
func (t *template) may(rest string) bool {
	for _, pieces := range t.segments {
		segment := rest
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			segment, rest = rest[:i], rest[i+1:]
		}
		if len(pieces) == 1 && !pieces[0].param && segment != pieces[0].text && strings.IndexByte(segment, '%') < 0 && strings.IndexByte(pieces[0].text, '%') < 0 {
			return false
		}
	}
	return true
}

// matchSegment matches one segment. A parameter ends at the last place where the text after it stands.
func matchSegment(pieces []piece, segment string, values []string) ([]string, bool) {
	if len(pieces) == 1 && pieces[0].param {
		return append(values, segment), segment != ""
	}
	if len(pieces) == 0 || len(pieces) == 1 {
		want := ""
		if len(pieces) == 1 {
			want = pieces[0].text
		}
		return values, segment == want || unescapedPath(segment) == unescapedPath(want)
	}
	for i, p := range pieces {
		if !p.param {
			if !strings.HasPrefix(segment, p.text) {
				return nil, false
			}
			segment = segment[len(p.text):]
			continue
		}
		end := len(segment)
		if i+1 < len(pieces) {
			end = strings.LastIndex(segment, pieces[i+1].text)
		}
		if end < 1 {
			return nil, false
		}
		values, segment = append(values, segment[:end]), segment[end:]
	}
	return values, segment == ""
}

func unescapedPath(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// match matches an escaped path after one of the bases; nil: those of the operation's servers.
func (o *Operation) match(path string, bases []string) ([]string, bool) {
	if bases == nil {
		bases = o.bases
	}
	slashes := strings.Count(path, "/") - len(o.template.segments) // that are left for a base
	for _, base := range bases {
		if below, ok := strings.CutPrefix(path, base); ok && strings.Count(base, "/") == slashes {
			if values, ok := o.template.match(below); ok {
				return values, true
			}
		}
	}
	return nil, false
}

// Values are the values of the path's parameters for a request that is known to be for the operation: what the template has at the end of the path,
// where it does not match the whole after a server's base.
func (o *Operation) Values(path string, bases []string) ([]string, bool) {
	if values, ok := o.match(path, bases); ok {
		return values, true
	}
	for i := range path {
		if path[i] == '/' {
			if values, ok := o.template.match(path[i:]); ok {
				return values, true
			}
		}
	}
	return nil, false
}

// serverURLs are the URLs of the servers of a document, a path or an operation.
func serverURLs(o map[string]any) (urls []string) {
	all, _ := o["servers"].([]any)
	for _, v := range all {
		server, _ := v.(map[string]any)
		urls = append(urls, expand(server)...)
	}
	return urls
}

// expand puts the values of variables into a server's URL: all that may be, the defaults first, but not too many.
func expand(server map[string]any) []string {
	urls := []string{text(server, "url")}
	variables := object(server, "variables")
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		variable, _ := variables[name].(map[string]any)
		values := []string{text(variable, "default")}
		enum, _ := variable["enum"].([]any)
		for _, one := range enum {
			if s, ok := one.(string); ok && !slices.Contains(values, s) {
				values = append(values, s)
			}
		}
		var next []string
		for _, u := range urls {
			for _, value := range values {
				if len(next) < 64 {
					next = append(next, strings.ReplaceAll(u, "{"+name+"}", value))
				}
			}
		}
		urls = next
	}
	return urls
}

// serverPaths are the paths of servers, without a slash at the end.
func serverPaths(o map[string]any) (paths []string) {
	for _, text := range serverURLs(o) {
		var path string
		if u, err := url.Parse(text); err == nil {
			path = u.EscapedPath()
		} else if _, rest, is := strings.Cut(text, "://"); is { // "https://host:{port}/v1" without a value
			_, path, _ = strings.Cut(rest, "/")
		} else {
			continue
		}
		path = "/" + strings.Trim(path, "/.")
		path = strings.TrimSuffix(path, "/")
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}
