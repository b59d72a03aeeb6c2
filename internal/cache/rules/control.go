package rules

import (
	"strings"
	"time"
)

// Control are the directives of Cache-Control, or of a field that takes its place (RFC 9111, section 5.2). The zero value has none.
type Control struct {
	Directives Directive

	// MaxAge and the others are the arguments of the directives that Directives has. What is too large is forever (MaxDelta); what is no number is 0 for
	// what makes fresh, or is missing for what would only allow more.
	MaxAge, SMaxAge, MinFresh, MaxStale, WhileRevalidate, IfError time.Duration

	// NoCacheFields and PrivateFields are the names in no-cache="…" and private="…", canonical. The unqualified form is a directive.
	NoCacheFields, PrivateFields []string
}

// Directive is a set of directives.
type Directive uint32

// The directives.
const (
	MaxAge Directive = 1 << iota
	SMaxAge
	MinFresh
	MaxStale
	WhileRevalidate
	IfError
	NoCache // without names
	NoStore
	NoTransform
	OnlyIfCached
	MustRevalidate
	ProxyRevalidate
	MustUnderstand
	Private // without names
	Public
	Immutable
	present // there is a field, whatever it says
)

// MaxDelta is what lifetimes are cut to: 2^31 seconds, 68 years (RFC 9111, section 1.2.2).
const MaxDelta = (1 << 31) * time.Second

// Has says whether any of some directives is there.
func (c *Control) Has(some Directive) bool { return c.Directives&some != 0 }

// ParseControl reads the lines of a Cache-Control field. It is made for what is wrong, too: nothing that it cannot read makes a response fresher, or better known.
func ParseControl(fields []string) Control {
	var c Control
	for _, line := range fields {
		c.Directives |= present
		for line != "" {
			var name, arg string
			var kind argument
			name, arg, kind, line = nextDirective(line)
			c.add(name, arg, kind)
			if kind == unclosed {
				c.addDoubtful(line)
				break
			}
		}
	}
	return c
}

// addDoubtful takes in what comes after a quoted string that is not closed, in which it might be: what forbids counts, and what allows more does not. Quotes mean nothing
// there, so that the time is linear.
func (c *Control) addDoubtful(list string) {
	for member := range strings.SplitSeq(list, ",") {
		name, _, ok := strings.Cut(member, "=")
		name = trim(name)
		if directiveOf(name)&(Public|Immutable|MustUnderstand|MaxStale) != 0 {
			continue
		}
		kind := noArgument
		if ok {
			kind = broken
		}
		c.add(name, "", kind)
	}
}

// argument is how a directive's argument is written.
type argument uint8

const (
	noArgument argument = iota
	token
	quoted
	broken   // a quoted string that has something after it, or blanks around "="
	unclosed // a quoted string that is not closed
)

// nextDirective takes a directive from the beginning of a list. Commas in quoted strings are no separators. The argument of a quoted string is without its quotes
// and backslashes.
func nextDirective(s string) (name, arg string, kind argument, rest string) {
	i := strings.IndexAny(s, `,="`)
	if i < 0 {
		return trim(s), "", noArgument, ""
	}
	if s[i] == ',' {
		return trim(s[:i]), "", noArgument, s[i+1:]
	}
	if s[i] == '"' {
		end, kind := memberEnd(s)
		return trim(s[:i]), "", kind, after(s, end)
	}
	name = trim(s[:i])
	blank := len(name) > 0 && (s[i-1] == ' ' || s[i-1] == '\t')
	s = s[i+1:]
	end, kind := memberEnd(s)
	arg, rest = s[:end], after(s, end)
	if kind == unclosed {
		return name, "", kind, rest
	}
	blank = blank || arg != "" && (arg[0] == ' ' || arg[0] == '\t')
	arg = trim(arg)
	kind = token
	if strings.HasPrefix(arg, `"`) {
		arg, kind = unquote(arg)
	} else if strings.IndexByte(arg, '"') >= 0 {
		kind = broken
	}
	if blank {
		kind = broken
	}
	return name, arg, kind, rest
}

// memberEnd is where a member of a list ends: before the next comma that is not in a quoted string, or at the end. A string that is not closed is none, and
// hides no commas. The kind is unclosed then, and broken otherwise.
func memberEnd(s string) (int, argument) {
	in, comma := false, -1
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case in && c == '\\':
			i++
		case c == '"':
			in = !in
			comma = -1
		case c == ',' && !in:
			return i, broken
		case c == ',' && comma < 0:
			comma = i
		}
	}
	switch {
	case !in:
		return len(s), broken
	case comma < 0:
		return len(s), unclosed
	}
	return comma, unclosed
}

func after(s string, i int) string {
	if i >= len(s) {
		return ""
	}
	return s[i+1:]
}

// unquote reads a quoted string that must be all there is.
func unquote(s string) (string, argument) {
	end, escaped := -1, false
	for i := 1; i < len(s) && end < 0; i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			end = i
		}
	}
	if end < 0 {
		return s[1:], unclosed
	}
	kind := quoted
	if end != len(s)-1 {
		kind = broken
	}
	s = s[1:end]
	if !escaped {
		return s, kind
	}
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		text.WriteByte(s[i])
	}
	return text.String(), kind
}

// add takes a directive in. An argument where there should be none does not count (RFC 9111, section 5.2).
func (c *Control) add(name, arg string, kind argument) {
	d := directiveOf(name)
	switch d {
	case 0:
		return
	case NoCache:
		c.NoCacheFields = c.qualified(d, c.NoCacheFields, arg, kind)
		return
	case Private:
		c.PrivateFields = c.qualified(d, c.PrivateFields, arg, kind)
		return
	case MaxAge:
		c.least(d, &c.MaxAge, arg, kind)
	case SMaxAge:
		c.least(d, &c.SMaxAge, arg, kind)
	case MinFresh:
		c.allow(d, &c.MinFresh, arg, kind)
	case MaxStale:
		if kind == noArgument {
			arg, kind = "2147483648", token
		}
		c.allow(d, &c.MaxStale, arg, kind)
	case WhileRevalidate:
		c.allow(d, &c.WhileRevalidate, arg, kind)
	case IfError:
		c.allow(d, &c.IfError, arg, kind)
	default:
		c.Directives |= d
	}
}

// least takes the argument of a directive that makes fresh. Of several the least counts, and what is no number is 0: the response is stale (section 4.2.1).
func (c *Control) least(d Directive, to *time.Duration, arg string, kind argument) {
	value, ok := delta(arg)
	if !ok || kind == broken {
		value = 0
	}
	if c.Directives&d == 0 || value < *to {
		*to = value
	}
	c.Directives |= d
}

// allow takes the argument of a directive that allows more, or asks for it: of several the least counts, and what is no number is not there.
func (c *Control) allow(d Directive, to *time.Duration, arg string, kind argument) {
	value, ok := delta(arg)
	if !ok || kind == broken {
		return
	}
	if c.Directives&d == 0 || value < *to {
		*to = value
	}
	c.Directives |= d
}

// qualified takes the names in no-cache= and private=. What is not a list of names is the directive without any, which forbids more.
func (c *Control) qualified(d Directive, names []string, arg string, kind argument) []string {
	if kind != quoted && kind != token {
		c.Directives |= d
		return names
	}
	list, ok := fieldNames(nil, arg)
	if !ok || len(list) == 0 {
		c.Directives |= d
		return names
	}
	for _, name := range list {
		if essential(name) {
			c.Directives |= d
		}
	}
	return append(names, list...)
}

// essential says whether a response without some field would be another one, so that it cannot be stored without it.
func essential(name string) bool {
	switch name {
	case "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Date", "Transfer-Encoding", "Vary":
		return true
	}
	return false
}

var directives = [...]struct {
	name string
	d    Directive
}{
	{"max-age", MaxAge},
	{"public", Public},
	{"no-cache", NoCache},
	{"no-store", NoStore},
	{"private", Private},
	{"s-maxage", SMaxAge},
	{"must-revalidate", MustRevalidate},
	{"stale-while-revalidate", WhileRevalidate},
	{"stale-if-error", IfError},
	{"immutable", Immutable},
	{"proxy-revalidate", ProxyRevalidate},
	{"must-understand", MustUnderstand},
	{"max-stale", MaxStale},
	{"min-fresh", MinFresh},
	{"only-if-cached", OnlyIfCached},
	{"no-transform", NoTransform},
}

func directiveOf(name string) Directive {
	for i := range directives {
		if d := &directives[i]; len(d.name) == len(name) && strings.EqualFold(d.name, name) {
			return d.d
		}
	}
	return 0
}

// delta reads delta-seconds (RFC 9111, section 1.2.2).
func delta(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	const most = int64(MaxDelta / time.Second)
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), most)
	}
	return time.Duration(n) * time.Second, true
}

func trim(s string) string { return strings.Trim(s, " \t") }
