package router

import (
	"fmt"
	"slices"
	"strings"
)

// Path is a pattern of paths, made by ParsePath. The zero Path matches every path. It never changes.
type Path struct {
	segments []segment // for a regular expression: the literal segments it starts with
	rest     bool      // ends in /** or /{name...}
	restName string
	regex    *expression
	captures *captures // nil where no part has a name
}

// segmentKind says what a segment of a pattern stands for.
type segmentKind uint8

const (
	segmentLiteral segmentKind = iota // text
	segmentAffix                      // text{name}suffix
	segmentParam                      // {name} or *
)

// segment is one part of a pattern, between two slashes.
type segment struct {
	kind   segmentKind
	text   string // normal form of the literal, or of what comes before the parameter
	suffix string // normal form of what comes after the parameter
	name   string // of the parameter; empty for * and literals
	source string // as it was written
}

// ParsePath parses a pattern:
//
//	/health            this path and no other
//	/users/{id}        a parameter is one segment, never empty
//	/files/{name}.json a parameter with text around it
//	/a/*/b             any one segment
//	/files/**          /files, /files/ and all below; only at the end
//	/files/{rest...}   the same, with a name for what comes after /files/
//	~^/v[0-9]+/.*$     a regular expression (RE2) over the whole escaped path; its named groups are parameters
//
// Literal text is compared in the normal form of Normalize: /café and /caf%c3%a9 are the same pattern.
func ParsePath(pattern string) (Path, error) {
	p, err := parsePath(pattern)
	if err != nil {
		return Path{}, fmt.Errorf("cannot parse path %q: %w", pattern, err)
	}
	return p, nil
}

func parsePath(pattern string) (Path, error) {
	switch {
	case pattern == "":
		return Path{}, fmt.Errorf("it is empty; any path is /**")
	case pattern[0] == '~':
		return parseExpression(pattern[1:])
	case pattern[0] != '/':
		return Path{}, fmt.Errorf("it must start with / (or with ~ for a regular expression)")
	case strings.ContainsAny(pattern, "?#"):
		return Path{}, fmt.Errorf("a path has no ? or #; match the query by its parameters (or write %%3F, %%23)")
	}
	var p Path
	parts := strings.Split(pattern[1:], "/")
	for i, part := range parts {
		last := i == len(parts)-1
		if name, ok := restSegment(part); ok {
			if !last {
				return Path{}, fmt.Errorf("%s may stand only at the end; for one segment write * or {name}", part)
			}
			p.rest, p.restName = true, name
			break
		}
		if part == "" && !last {
			return Path{}, fmt.Errorf("it has an empty segment (//)")
		}
		s, err := parseSegment(part)
		if err != nil {
			return Path{}, err
		}
		p.segments = append(p.segments, s)
	}
	return p, p.finish()
}

// restSegment reports whether part stands for the rest of the path, and its name.
func restSegment(part string) (name string, ok bool) {
	if part == "**" {
		return "", true
	}
	inner, ok := strings.CutSuffix(part, "...}")
	if !ok {
		return "", false
	}
	name, ok = strings.CutPrefix(inner, "{")
	return name, ok && validName(name)
}

// parseSegment parses what stands between two slashes, other than a rest.
func parseSegment(part string) (segment, error) {
	s := segment{source: part}
	before, name, after, found, err := cutParam(part)
	if err != nil {
		return s, err
	}
	if s.text, err = normalText(before); err != nil {
		return s, err
	}
	if s.suffix, err = normalText(after); err != nil {
		return s, err
	}
	s.name = name
	switch {
	case !found && (s.text == "." || s.text == ".."):
		return s, fmt.Errorf("segment %q can never match: . and .. are resolved before routing", part)
	case !found:
		s.kind = segmentLiteral
	case s.text != "" || s.suffix != "":
		s.kind = segmentAffix
	default:
		s.kind = segmentParam
	}
	return s, nil
}

// cutParam splits a segment around its only parameter, {name} or *.
func cutParam(part string) (before, name, after string, found bool, err error) {
	at := strings.IndexAny(part, "{}*")
	if at < 0 {
		return part, "", "", false, nil
	}
	before, after = part[:at], part[at+1:]
	if part[at] == '}' {
		return "", "", "", false, fmt.Errorf("segment %q has a } without a {", part)
	}
	if part[at] == '{' {
		var closed bool
		if name, after, closed = strings.Cut(after, "}"); !closed {
			return "", "", "", false, fmt.Errorf("segment %q has a { without a }", part)
		}
		if err := checkName(name); err != nil {
			return "", "", "", false, err
		}
	}
	switch {
	case part[at] == '*' && strings.HasPrefix(after, "*"):
		err = fmt.Errorf("segment %q: ** must be a segment of its own, at the end", part)
	case strings.ContainsAny(after, "{*"):
		err = fmt.Errorf("segment %q has more than one parameter; use a regular expression (~)", part)
	case strings.Contains(after, "}"):
		err = fmt.Errorf("segment %q has a } without a {", part)
	}
	return before, name, after, true, err
}

// checkName returns why name cannot be the name of a parameter.
func checkName(name string) error {
	switch {
	case validName(name):
		return nil
	case name == "":
		return fmt.Errorf("a parameter needs a name between { and }; for any one segment write *")
	case strings.HasSuffix(name, "..."):
		return fmt.Errorf("{%s} must be a segment of its own, at the end, with a name of letters, digits, _ and -", name)
	case strings.Contains(name, ":"):
		return fmt.Errorf("{%s}: a parameter has no pattern; use a regular expression (~) with a named group", name)
	}
	return fmt.Errorf("{%s}: a parameter's name is made of letters, digits, _ and -, and starts with a letter or _", name)
}

// validName reports whether name can be the name of a parameter.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != ""
}

// finish checks that names are given once and notes whether there are any.
func (p *Path) finish() error {
	names := p.Params()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("it has two parameters called %s", name)
		}
	}
	p.captures = newCaptures(p)
	return nil
}

// Params returns the names of the parameters, in the order of the pattern.
func (p Path) Params() []string {
	if p.regex != nil {
		return slices.Clone(p.regex.names)
	}
	var names []string
	for _, s := range p.segments {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	if p.restName != "" {
		names = append(names, p.restName)
	}
	return names
}

// String returns the pattern as it was written, joined patterns as one. Any path is "/**".
func (p Path) String() string {
	if p.regex != nil {
		return "~" + p.regex.source
	}
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		b.WriteString(s.source)
	}
	switch {
	case p.restName != "":
		b.WriteString("/{" + p.restName + "...}")
	case p.rest || p.segments == nil:
		b.WriteString("/**")
	}
	return b.String()
}

// Pattern is the path in normal form, with hole in the place of what is not known of it. It is false where the path may have any number of segments, or is a
// regular expression.
func (p Path) Pattern(hole string) (string, bool) {
	if p.regex != nil || p.open() {
		return "", false
	}
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteString("/" + s.text)
		if s.kind != segmentLiteral {
			b.WriteString(hole + s.suffix)
		}
	}
	return b.String(), true
}

// any reports whether p matches every path.
func (p *Path) any() bool { return len(p.segments) == 0 && p.regex == nil }

// open reports whether p ends in a rest, named or not, or is any path.
func (p *Path) open() bool { return p.rest || p.any() }

// exact reports whether p is one literal path.
func (p *Path) exact() bool {
	return p.regex == nil && !p.open() && !slices.ContainsFunc(p.segments, func(s segment) bool { return s.kind != segmentLiteral })
}

// key returns the pattern in normal form and without names: two patterns with the same key match the same paths.
func (p *Path) key() string {
	if p.regex != nil {
		return p.String()
	}
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		b.WriteString(s.text)
		if s.kind != segmentLiteral {
			b.WriteString("{}" + s.suffix)
		}
	}
	if p.open() {
		b.WriteString("/**")
	}
	return b.String()
}

// Join returns the pattern of child inside p: p without its rest, continued by child. So p must end in /** or
// /{name...}, or be any path. A regular expression stands for a whole path and fits only inside any path.
func (p Path) Join(child Path) (Path, error) {
	switch {
	case p.any() && p.restName == "" || child.segments == nil && !child.rest && child.regex == nil:
		if p.any() {
			return child, nil
		}
		return p, nil
	case !p.open():
		return Path{}, fmt.Errorf("cannot continue path %s with %s: the outer path must end in /**", p, child)
	case child.regex != nil && !p.any():
		return Path{}, fmt.Errorf("cannot continue path %s with %s: a regular expression stands for the whole path", p, child)
	case child.regex != nil:
		return child, nil
	}
	joined := Path{segments: slices.Concat(p.segments, child.segments), rest: child.open(), restName: child.restName}
	if err := joined.finish(); err != nil {
		return Path{}, fmt.Errorf("cannot continue path %s with %s: %w", p, child, err)
	}
	return joined, nil
}

// matches reports whether p matches path. It serves explanations; the tree serves requests.
func (p *Path) matches(path string) bool {
	matched, all := p.compare(path)
	return all && matched == len(p.segments)
}

// compare returns how many leading segments of p match path, and whether p matches path as a whole.
func (p *Path) compare(path string) (matched int, all bool) {
	rest, more := strings.CutPrefix(path, "/")
	for i := range p.segments {
		if !more {
			return i, false
		}
		var text string
		text, rest, more = strings.Cut(rest, "/")
		if !p.segments[i].matches(text) {
			return i, false
		}
	}
	switch {
	case p.regex != nil:
		all = p.regex.re.MatchString(path)
	default:
		all = p.open() || !more
	}
	return len(p.segments), all
}

// matches reports whether s matches one segment of a path in normal form.
func (s *segment) matches(text string) bool {
	switch s.kind {
	case segmentLiteral:
		return text == s.text
	case segmentAffix:
		return strings.HasPrefix(text, s.text) && strings.HasSuffix(text, s.suffix) && splits(text, len(s.text), len(s.suffix))
	default:
		return text != ""
	}
}

// splits reports whether text has something between its first before and last after bytes, and no escape is cut in two.
func splits(text string, before, after int) bool {
	end := len(text) - after
	if end <= before {
		return false
	}
	return after == 0 || text[end-1] != '%' && (end-2 < before || text[end-2] != '%')
}
