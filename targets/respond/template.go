package respond

import (
	"errors"
	"fmt"
	"strings"

	"cardea.dev/cardea/filter"
)

// newTemplate compiles a text with values in braces, each escaped. "{{" and "}}" are braces. Without escaping it is what Expressions
// makes of it.
func newTemplate(expr filter.Expressions, source string, escape func(string) string) (filter.Template, error) {
	if escape == nil {
		return expr.Template(source)
	}
	type part struct {
		text  string
		value filter.Value
	}
	var parts []part
	var text strings.Builder
	for rest := source; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			text.WriteString(rest)
			break
		}
		text.WriteString(rest[:i])
		brace := rest[i]
		rest = rest[i+1:]
		if rest != "" && rest[0] == brace {
			text.WriteByte(brace)
			rest = rest[1:]
			continue
		}
		if brace == '}' {
			return nil, errors.New("a closing brace without an opening one; write }} for a brace")
		}
		end := closing(rest)
		if end < 0 {
			return nil, fmt.Errorf("the brace before %.40q is not closed; write {{ for a brace", rest)
		}
		value, err := expr.Value(strings.TrimSpace(rest[:end]))
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{text.String(), value})
		text.Reset()
		rest = rest[end+1:]
	}
	tail := text.String()
	return func(ex *filter.Exchange) string {
		var b strings.Builder
		for i := range parts {
			s, _ := parts[i].value(ex)
			b.WriteString(parts[i].text)
			b.WriteString(escape(s))
		}
		b.WriteString(tail)
		return b.String()
	}, nil
}

// closing finds the brace that closes an expression. Braces in its texts do not count.
func closing(s string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
