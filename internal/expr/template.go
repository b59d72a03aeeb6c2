package expr

import (
	"fmt"
	"strings"
	"unicode"

	"cardea.dev/cardea/filter"
)

// maxTemplate is how many bytes a template may have.
const maxTemplate = 1 << 20

// Template compiles a text with values in braces. A value may be anything that Value takes; braces within it must pair, but for those in its
// texts. "{{" and "}}" are braces.
func (e *Expressions) Template(source string) (filter.Template, error) {
	parts, err := e.Parts(source, nil)
	if err != nil {
		return nil, err
	}
	return parts.Template(), nil
}

// Parts compiles the parts of a template. Own compiles what is no expression to Value, and returns nil for all else; it may be nil.
func (e *Expressions) Parts(source string, own func(source string) (filter.Value, error)) (filter.Parts, error) {
	return compileParts(source, own, e.Value)
}

// compileParts compiles the parts of a template: by own what it takes, the rest by value.
func compileParts(source string, own, value func(source string) (filter.Value, error)) (filter.Parts, error) {
	pieces, err := split(source)
	if err != nil {
		return nil, err
	}
	parts := make(filter.Parts, len(pieces))
	for i, p := range pieces {
		parts[i].Text = p.text
		if !p.expression {
			continue
		}
		if parts[i].Value, err = braced(p.text, own, value); err != nil {
			return nil, within(source, p, err)
		}
	}
	return parts, nil
}

// braced compiles what stands in a template's braces.
func braced(source string, own, value func(source string) (filter.Value, error)) (filter.Value, error) {
	if own != nil {
		if v, err := own(source); v != nil || err != nil {
			return v, err
		}
	}
	return value(source)
}

// piece is a piece of a template's source.
type piece struct {
	text       string // of an expression without the spaces around it
	offset     int    // of an expression in the source
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
			inner := strings.TrimLeftFunc(source[i+1:end], unicode.IsSpace)
			pieces = append(pieces, piece{strings.TrimSpace(inner), end - len(inner), true})
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
