package expr

import (
	"fmt"
	"strings"

	"cardea.dev/cardea/filter"
)

// maxTemplate is how many bytes a template may have.
const maxTemplate = 1 << 20

// TemplateOptions changes what a template knows and makes.
type TemplateOptions struct {
	// Names gives values to names of the caller's own, which go before the variables: "user", "profile.segment". It is asked with what
	// stands in braces when that is a name, and returns false for one that it does not know. May be nil.
	Names func(name string) (filter.Value, bool)

	// Escape is applied to the values, not to the text around them: url.PathEscape for a path. May be nil.
	Escape func(value string) string
}

// Template compiles a text with values in braces. A value may be anything that Value takes; braces within it must pair, but for those in its
// texts. "{{" and "}}" are braces.
func (e *Expressions) Template(source string) (filter.Template, error) {
	return e.TemplateWith(source, TemplateOptions{})
}

// TemplateWith is Template with options.
func (e *Expressions) TemplateWith(source string, o TemplateOptions) (filter.Template, error) {
	parts, err := e.parts(source, o)
	if err != nil {
		return nil, err
	}
	switch {
	case len(parts) == 0:
		return func(*filter.Exchange) string { return "" }, nil
	case len(parts) == 1 && parts[0].value == nil:
		constant := parts[0].text
		return func(*filter.Exchange) string { return constant }, nil
	case len(parts) == 1:
		value := parts[0].value
		return func(ex *filter.Exchange) string { s, _ := value(ex); return s }, nil
	}
	return func(ex *filter.Exchange) string { return render(parts, ex) }, nil
}

// Constant returns the text that a template always makes. It is false for one with values in it, or that is wrong.
func (e *Expressions) Constant(source string) (string, bool) {
	pieces, err := split(source)
	if err != nil {
		return "", false
	}
	text := ""
	for _, p := range pieces {
		if p.expression {
			return "", false
		}
		text += p.text
	}
	return text, true
}

// part is a piece of a template: a text, or a value.
type part struct {
	text  string
	value filter.Value
}

// render makes the text of a template with several parts.
func render(parts []part, ex *filter.Exchange) string {
	var space [256]byte
	out := space[:0]
	for i := range parts {
		if parts[i].value == nil {
			out = append(out, parts[i].text...)
			continue
		}
		s, _ := parts[i].value(ex)
		out = append(out, s...)
	}
	return string(out)
}

// parts compiles the pieces of a template.
func (e *Expressions) parts(source string, o TemplateOptions) ([]part, error) {
	pieces, err := split(source)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(pieces))
	for i, p := range pieces {
		if !p.expression {
			parts[i].text = p.text
			continue
		}
		value, err := e.braced(p.text, o)
		if err != nil {
			return nil, within(source, p, err)
		}
		parts[i].value = value
	}
	return parts, nil
}

// braced compiles what stands in a template's braces.
func (e *Expressions) braced(source string, o TemplateOptions) (filter.Value, error) {
	value, err := e.named(source, o)
	if err != nil || o.Escape == nil {
		return value, err
	}
	escape := o.Escape
	return func(ex *filter.Exchange) (string, bool) {
		s, ok := value(ex)
		if s == "" {
			return s, ok
		}
		return escape(s), ok
	}, nil
}

// named compiles a name of the caller's own, or else a value.
func (e *Expressions) named(source string, o TemplateOptions) (filter.Value, error) {
	if name := strings.TrimSpace(source); o.Names != nil && isName(name, "-.") {
		if value, ok := o.Names(name); ok {
			return value, nil
		}
	}
	return e.Value(source)
}

// piece is a piece of a template's source.
type piece struct {
	text       string
	offset     int // of text in the source
	expression bool
}

// split takes a template apart. Neighbouring texts are one piece.
func split(source string) ([]piece, error) {
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("the template has %d bytes; the limit is %d", len(source), maxTemplate)
	}
	if !strings.ContainsAny(source, "{}") {
		if source == "" {
			return nil, nil
		}
		return []piece{{text: source}}, nil
	}
	var pieces []piece
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			pieces = append(pieces, piece{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case c != '{' && c != '}':
			text.WriteByte(c)
		case i+1 < len(source) && source[i+1] == c:
			text.WriteByte(c)
			i++
		case c == '}':
			return nil, &Error{Source: source, Offset: i, Width: 1, Message: "a closing brace without an opening one", Hint: "write }} for a brace"}
		default:
			end, err := closing(source, i+1)
			if err != nil {
				return nil, err
			}
			flush()
			pieces = append(pieces, piece{source[i+1 : end], i + 1, true})
			i = end
		}
	}
	flush()
	return pieces, nil
}

// closing finds the brace that closes an expression which begins at an offset. It knows CEL's texts, in which braces mean nothing.
func closing(source string, begin int) (int, error) {
	depth := 0
	for i := begin; i < len(source); i++ {
		switch c := source[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if strings.TrimSpace(source[begin:i]) == "" {
					return 0, &Error{Source: source, Offset: begin - 1, Width: i - begin + 2, Message: "nothing stands in these braces", Hint: "write {{ and }} for braces"}
				}
				return i, nil
			}
			depth--
		case '\'', '"':
			end := textEnd(source, i, isRaw(source[begin:i]))
			if end < 0 {
				return 0, &Error{Source: source, Offset: i, Width: 1, Message: "this text has no end", Hint: "write {{ for a brace"}
			}
			i = end
		}
	}
	return 0, &Error{Source: source, Offset: begin - 1, Width: 1, Message: "this brace is never closed", Hint: "write {{ for a brace"}
}

// isRaw reports whether a CEL text whose quote follows is raw: r"…", and br"…" in any case and order.
func isRaw(before string) bool {
	n := len(before)
	for n > 0 && n > len(before)-2 && strings.IndexByte("rRbB", before[n-1]) >= 0 {
		n--
	}
	if n > 0 && isWord(before[n-1]) {
		return false // the end of a name
	}
	return strings.ContainsAny(before[n:], "rR")
}

// textEnd returns where the last quote of a CEL text is that begins at an offset, or -1.
func textEnd(source string, begin int, raw bool) int {
	quote := source[begin : begin+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(source[begin:], triple) {
		quote = triple
	}
	for i := begin + len(quote); i < len(source); i++ {
		switch {
		case source[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(source[i:], quote):
			return i + len(quote) - 1
		case source[i] == '\n' && len(quote) == 1:
			return -1
		}
	}
	return -1
}
