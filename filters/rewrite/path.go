package rewrite

import (
	"fmt"
	"net/url"
	"strings"
)

// prefix is the segments that a path may begin with.
type prefix []prefixSegment

type prefixSegment struct {
	text string // decoded
	any  bool
}

// newPrefix reads a prefix of the configuration. "/" is one of no segments.
func newPrefix(source string) (prefix, error) {
	if !strings.HasPrefix(source, "/") {
		return nil, fmt.Errorf("%q does not begin with a slash", source)
	}
	var p prefix
	trimmed := strings.Trim(source, "/")
	for more := trimmed != ""; more; {
		var s string
		s, trimmed, more = strings.Cut(trimmed, "/")
		switch {
		case s == "":
			return nil, fmt.Errorf("%q has an empty segment", source)
		case s == "*" || s[0] == '{' && s[len(s)-1] == '}':
			p = append(p, prefixSegment{any: true})
			continue
		case strings.ContainsAny(s, "*{}?#"):
			return nil, fmt.Errorf("%q is not a prefix: * and {name} stand for whole segments, and ? and # are no part of a path", source)
		}
		text, err := url.PathUnescape(s)
		if err != nil {
			return nil, fmt.Errorf("%q has a %% without two hexadecimal digits; write %%25 for a percent sign", source)
		}
		p = append(p, prefixSegment{text: text})
	}
	return p, nil
}

// cut takes the prefix away from an escaped path. What is left begins with a slash or is empty.
func (p prefix) cut(path string) (rest string, found bool) {
	rest = path
	for _, s := range p {
		if rest == "" || rest[0] != '/' {
			return path, false
		}
		text, after := rest[1:], ""
		if i := strings.IndexByte(text, '/'); i >= 0 {
			text, after = text[:i], text[i:]
		}
		if !s.fits(text) {
			return path, false
		}
		rest = after
	}
	return rest, true
}

// fits says whether an escaped segment is the one that is meant.
func (s *prefixSegment) fits(escaped string) bool {
	if s.any {
		return escaped != ""
	}
	if strings.IndexByte(escaped, '%') < 0 {
		return escaped == s.text
	}
	text, err := url.PathUnescape(escaped)
	return err == nil && text == s.text
}
