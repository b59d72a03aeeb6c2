package document

import (
	"fmt"
	"strconv"
	"strings"
)

// Path is a place in a document, or many places: "profile.items[0].name", "items[].price", `["odd name"].x`.
type Path []Step

// Step is one step of a Path: into a member by its name, an element by its index, or each element.
type Step struct {
	Name  string
	Index int  // where List is set; -1 means each element
	List  bool // a step into a list, not an object
}

const each = -1

// ParsePath reads a path: names with points between them, `[0]` for one element of a list (counted from 0), `[]` for each, and `["…"]`, with
// JSON's escapes, for names that have other characters than letters, digits, "_", "-", "$" and "@".
func ParsePath(s string) (Path, error) {
	if s == "" {
		return nil, fmt.Errorf("the path is empty")
	}
	var p Path
	for rest := s; rest != ""; {
		step, after, err := parseStep(rest, len(p) == 0)
		if err != nil {
			return nil, fmt.Errorf("%q is not a path: %w, at character %d", s, err, len(s)-len(rest)+1)
		}
		p, rest = append(p, step), after
	}
	return p, nil
}

func parseStep(s string, first bool) (Step, string, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		return parseBracket(inner)
	}
	if !first {
		var ok bool
		if s, ok = strings.CutPrefix(s, "."); !ok {
			return Step{}, "", fmt.Errorf(`expected "." or "["`)
		}
	}
	end := strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) })
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return Step{}, "", fmt.Errorf(`expected a name; names with other characters stand in ["…"]`)
	}
	return Step{Name: s[:end]}, s[end:], nil
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-$@", r) || r > 0x7f
}

func parseBracket(s string) (Step, string, error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return Step{}, "", fmt.Errorf("the name in quotes does not end")
		}
		name, err := nameIn(quoted)
		if err != nil {
			return Step{}, "", err
		}
		rest, ok := strings.CutPrefix(s[len(quoted):], "]")
		if !ok {
			return Step{}, "", fmt.Errorf(`expected "]"`)
		}
		return Step{Name: name}, rest, nil
	}
	inner, rest, ok := strings.Cut(s, "]")
	if !ok {
		return Step{}, "", fmt.Errorf(`expected "]"`)
	}
	if inner == "" {
		return Step{List: true, Index: each}, rest, nil
	}
	i, err := strconv.ParseUint(inner, 10, 31)
	if err != nil {
		return Step{}, "", fmt.Errorf("expected an index from 0, nothing for each element, or a name in quotes between the brackets")
	}
	return Step{List: true, Index: int(i)}, rest, nil
}

// nameIn reads a quoted name.
func nameIn(quoted string) (string, error) {
	name, err := text([]byte(quoted))
	if err != nil {
		return "", fmt.Errorf("the name in quotes is not a JSON string")
	}
	return name, nil
}

// String returns the path as ParsePath reads it.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.List && s.Index == each:
			b.WriteString("[]")
		case s.List:
			fmt.Fprintf(&b, "[%d]", s.Index)
		case s.Name == "" || strings.ContainsFunc(s.Name, func(r rune) bool { return !isNameRune(r) }):
			b.WriteByte('[')
			quoted, _ := appendText(nil, s.Name)
			b.Write(quoted)
			b.WriteByte(']')
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.Name)
		}
	}
	return b.String()
}

// Get returns the value at the path. With `[]` in it, that is the list of all the values that there are.
func (p Path) Get(v any) (any, bool) {
	for i, s := range p {
		if s.List && s.Index == each {
			return p[i+1:].all(v)
		}
		var ok bool
		if v, ok = s.get(v); !ok {
			return nil, false
		}
	}
	return v, true
}

func (s Step) get(v any) (any, bool) {
	if !s.List {
		m, _ := v.(map[string]any)
		member, ok := m[s.Name]
		return member, ok
	}
	list, _ := v.([]any)
	if s.Index >= len(list) {
		return nil, false
	}
	return list[s.Index], true
}

// all gathers what the rest of a path finds in each element, in one list however many `[]` follow.
func (p Path) all(v any) (any, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	found := []any{}
	many := p.many()
	for _, item := range list {
		got, ok := p.Get(item)
		switch {
		case !ok:
		case many:
			found = append(found, got.([]any)...)
		default:
			found = append(found, got)
		}
	}
	return found, true
}

// many says whether the path may lead to more than one place.
func (p Path) many() bool {
	for _, s := range p {
		if s.List && s.Index == each {
			return true
		}
	}
	return false
}
