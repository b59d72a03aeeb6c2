package rules

import (
	"net/http"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// responseControl are the directives that count for a response: those of the first targeted field that can be read and says something, or else of Cache-Control
// (RFC 9213, section 2.2).
func responseControl(s *Settings, h http.Header) (c Control, targeted bool) {
	if s.Targets == nil {
		if lines := h["Cdn-Cache-Control"]; len(lines) > 0 {
			if c, ok := ParseTargeted(lines); ok {
				return c, true
			}
		}
		return ParseControl(h["Cache-Control"]), false
	}
	for _, name := range s.Targets {
		if lines := h[http.CanonicalHeaderKey(name)]; len(lines) > 0 {
			if c, ok := ParseTargeted(lines); ok {
				return c, true
			}
		}
	}
	return ParseControl(h["Cache-Control"]), false
}

// ParseTargeted reads the lines of a targeted field: a dictionary of structured fields. It is false for what is none, and for an empty one: the field is ignored.
func ParseTargeted(lines []string) (Control, bool) {
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dictionary.Names()) == 0 {
		return Control{}, false
	}
	c := Control{Directives: present}
	for _, name := range dictionary.Names() {
		member, _ := dictionary.Get(name)
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		c.addTyped(directiveOf(strings.ToLower(name)), item.Value)
	}
	return c, true
}

// addTyped takes a member in. One of another type than the directive's is ignored (RFC 9213, section 2.1), except where it would forbid something.
func (c *Control) addTyped(d Directive, value any) {
	switch d {
	case 0:
	case MaxAge:
		c.typedAge(d, &c.MaxAge, value)
	case SMaxAge:
		c.typedAge(d, &c.SMaxAge, value)
	case WhileRevalidate:
		c.typedAge(d, &c.WhileRevalidate, value)
	case IfError:
		c.typedAge(d, &c.IfError, value)
	case NoCache, Private:
		c.typedNames(d, value)
	case Public, Immutable, MustUnderstand:
		if value == true {
			c.Directives |= d
		}
	default:
		if value != false {
			c.Directives |= d
		}
	}
}

func (c *Control) typedAge(d Directive, to *time.Duration, value any) {
	n, ok := value.(int64)
	if !ok {
		return
	}
	*to = time.Duration(min(max(n, 0), int64(MaxDelta/time.Second))) * time.Second
	c.Directives |= d
}

func (c *Control) typedNames(d Directive, value any) {
	switch v := value.(type) {
	case bool:
		if v {
			c.Directives |= d
		}
	case string:
		c.add(map[Directive]string{NoCache: "no-cache", Private: "private"}[d], v, quoted)
	default:
		c.Directives |= d
	}
}
