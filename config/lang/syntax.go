package lang

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// syntaxError turns an error of the YAML parser into one of ours, in words that say what to do.
func syntaxError(src *source, err error) *Error {
	var at interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &at) {
		return src.errorf(0, 0, "the file cannot be read as YAML: %s", err)
	}
	line, column := 0, 0
	if t := at.GetToken(); t != nil && t.Position != nil {
		line, column = t.Position.Line, t.Position.Column
	}
	line = min(line, len(src.lines))
	message := at.GetMessage()
	for _, known := range syntaxTexts {
		if strings.Contains(message, known.says) && (known.when == nil || known.when(src, line, column)) {
			l, c := known.find(src, line, column)
			e := src.errorf(l, c, "%s", known.message)
			e.Hint = known.hint
			if src.withinText(l, c) {
				e.Message, e.Hint = "a bracket or brace cannot stand in a text without quotes here", "put quotes around the whole text"
			}
			return e
		}
	}
	return src.errorf(line, column, "this is not YAML: %s", message)
}

// syntaxText is what we say for what the parser says.
type syntaxText struct {
	says, message, hint string
	find                func(src *source, line, column int) (int, int)
	when                func(src *source, line, column int) bool // nil: always
}

// syntaxTexts are the commonest mistakes.
var syntaxTexts = []syntaxText{
	{"cannot start any token", "a tab cannot indent; YAML indents by spaces", "replace the tab by spaces", findTab, nil},
	{"mapping value is not allowed", "a key is not possible here", "check the indentation, and put quotes around a text that contains `: `", findSecondColon, nil},
	{"or ']' must be specified", "the list that `[` opened is not closed", "add a `,` or a `]`", findOpener, nil},
	{"or '}' must be specified", "the object that `{` opened is not closed", "add a `,` or a `}`", findOpener, nil},
	{"end character of double-quoted", "the text that `\"` opened is not closed", "add a `\"`; write `\\\"` for a quote within the text", atToken, nil},
	{"end character of single-quoted", "the text that `'` opened is not closed", "add a `'`; write `''` for a quote within the text", atToken, nil},
	{"invalid tag character", "`!` begins a tag here", "put quotes around the whole text", atToken, nil},
	{"is a reserved character", "a text cannot begin with this character", "put quotes around the text", atToken, nil},
	{"non-map value is specified", "a list item stands where a key with its value belongs", "check the indentation", atToken, isListItem},
	{"non-map value is specified", "a text stands where a key with its value belongs", "write `key: value`, with a space after the colon", atToken, nil},
	{"unexpected key name", "a key is missing its colon", "write `key: value`, with a space after the colon", atToken, nil},
	{"value is not allowed in this context", "nothing can follow the value here", "put quotes around the whole text", atToken, followsText},
	{"value is not allowed in this context", "the indentation of this line fits none of the lines above", "keys of one object begin in the same column", atToken, nil},
	{"sequence end token", "the list that `[` opened is not closed", "add a `]`", findOpener, nil},
	{"mapping end token", "the object that `{` opened is not closed", "add a `}`", findOpener, nil},
	{"character corresponding to", "nothing was opened that this bracket closes", "remove it, or put quotes around the text", atToken, nil},
	{"invalid key for this map", "a key must be a plain text", "", atToken, nil},
	{"unexpected scalar value", "a value is not possible here", "check the indentation and the quotes", atToken, nil},
	{"implicit line break", "a key must stand on one line", "", atToken, nil},
	{"sequence entries are not allowed", "a list is not possible here", "begin the list on a line of its own", atToken, nil},
	{"sequence was used where mapping", "a list item stands where a key belongs", "check the indentation", atToken, nil},
	{"map key-value is pre-defined", "a key is not possible here", "check the indentation", atToken, nil},
	{"could not find flow map content", "the object that `{` opened is not closed", "add a `}`", findOpener, nil},
}

// withinText reports whether a bracket or brace at a place has text right before it, as in {match: /users/{id}}.
func (s *source) withinText(line, column int) bool {
	if line == 0 {
		return false
	}
	text := s.lines[line-1]
	at := byteOffset(text, column)
	return at > 0 && at < len(text) && strings.IndexByte("{[", text[at]) >= 0 && strings.IndexByte(" \t,:{[", text[at-1]) < 0
}

// isListItem reports whether a list item begins at a place.
func isListItem(src *source, line, column int) bool {
	return line > 0 && strings.HasPrefix(src.lines[line-1][byteOffset(src.lines[line-1], column):]+" ", "- ")
}

// followsText reports whether something stands before a place on its line.
func followsText(src *source, line, column int) bool {
	return line > 0 && strings.TrimSpace(src.lines[line-1][:byteOffset(src.lines[line-1], column)]) != ""
}

// atToken takes the parser's word for where the mistake is.
func atToken(_ *source, line, column int) (int, int) { return line, column }

// findOpener finds the bracket that is still open where the mistake was noticed.
func findOpener(src *source, line, column int) (int, int) {
	var open []*token.Position
	for _, t := range lexer.Tokenize(strings.Join(src.lines, "\n")) {
		if p := t.Position; p.Line > line || p.Line == line && p.Column > column {
			break
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open = append(open, t.Position)
		case token.MappingEndType, token.SequenceEndType:
			open = open[:max(0, len(open)-1)]
		}
	}
	// A bracket that was noticed within another one's line break belongs to what comes after.
	for len(open) > 0 && open[len(open)-1].Line == line && open[0].Line < line {
		open = open[:len(open)-1]
	}
	if len(open) == 0 {
		return line, column
	}
	last := open[len(open)-1]
	return last.Line, last.Column
}

// findTab finds the tab at the beginning of a line.
func findTab(src *source, line, column int) (int, int) {
	for number := max(1, line); number <= len(src.lines); number++ {
		text := src.lines[number-1]
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if i := strings.IndexByte(indent, '\t'); i >= 0 {
			return number, i + 1
		}
	}
	return line, column
}

// findSecondColon finds the key that is one too many: the second on the line, or one on a later line that continues the
// value. The parser names the value in which it stands.
func findSecondColon(src *source, line, column int) (int, int) {
	for number := max(1, line); number <= len(src.lines) && number <= line+50; number++ {
		text := src.lines[number-1]
		from := 0
		if number == line {
			from = byteOffset(text, column)
		}
		if key, ok := plainKey(text[from:]); ok {
			return number, len([]rune(text[:from+key])) + 1
		}
	}
	return line, column
}

// plainKey finds where a plain key begins in a stretch of a line.
func plainKey(text string) (int, bool) {
	if trimmed := strings.TrimSpace(text); trimmed == "" || trimmed[0] == '#' {
		return 0, false
	}
	colon := strings.Index(text+" ", ": ")
	if colon < 0 {
		return 0, false
	}
	key := strings.LastIndexAny(text[:colon], " \t") + 1
	return key, key < colon
}
