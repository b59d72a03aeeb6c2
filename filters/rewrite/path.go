package rewrite

import (
	"fmt"
	"net/url"
	"strings"

	"cardea.dev/cardea/filter"
)

// newPath readies a template of a path. What follows a "?" is the query; asked says whether there is one.
func newPath(env *filter.Env, source string) (path, queryPieces []piece, asked bool, err error) {
	parts, err := compile(env, source)
	if err != nil {
		return nil, nil, false, err
	}
	if len(parts) == 0 || parts[0].Value != nil || parts[0].Text[0] != '/' {
		return nil, nil, false, fmt.Errorf("%q does not begin with a slash", source)
	}
	for _, part := range parts {
		if part.Value != nil {
			p := newValue(env, part)
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
		if before, err = escapeText(before, isSegmentChar); err != nil {
			return nil, nil, false, err
		}
		if after, err = escapeText(after, isQueryChar); err != nil {
			return nil, nil, false, err
		}
		path = appendText(path, before)
		queryPieces = appendText(queryPieces, after)
	}
	return path, queryPieces, asked, checkTexts(path)
}

func appendText(pieces []piece, text string) []piece {
	if text == "" {
		return pieces
	}
	return append(pieces, piece{text: text})
}

// checkTexts looks for dot segments in what is known of a path.
func checkTexts(path []piece) error {
	var b strings.Builder
	for _, p := range path {
		if b.WriteString(p.text); p.text == "" {
			b.WriteByte('x')
		}
	}
	if hasDots(b.String()) {
		return fmt.Errorf("the path has a segment `.` or `..`")
	}
	return nil
}

// escapeText brings a text of the configuration into the form in which paths and queries are sent. Escapes in it stay.
func escapeText(text string, plain func(byte) bool) (string, error) {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '%':
			decoded, ok := hexByte(text[i+1:])
			if !ok {
				return "", fmt.Errorf("%q has a %% without two hexadecimal digits; write %%25 for a percent sign", text)
			}
			if decoded < 0x20 || decoded == 0x7f {
				return "", fmt.Errorf("%q has a control character", text)
			}
			i += 2
			if isUnreserved(decoded) {
				b = append(b, decoded)
			} else {
				b = appendEscaped(b, decoded)
			}
		case c < 0x20 || c == 0x7f:
			return "", fmt.Errorf("%q has a control character", text)
		case c == '#':
			return "", fmt.Errorf("%q has a #, which is not sent to servers; write %%23 for the character", text)
		case c == '/', plain(c):
			b = append(b, c)
		default:
			b = appendEscaped(b, c)
		}
	}
	return string(b), nil
}

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

// finish makes a path of what was put together: it has a slash in front, and one only, lest it is taken for an authority.
func finish(path string) (string, error) {
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

// setPath gives a URL an escaped path.
func setPath(u *url.URL, escaped string) error {
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
