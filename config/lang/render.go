package lang

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// snippetWidth is how many characters of a line an error shows at most.
const snippetWidth = 120

// renderError writes an error for people.
func renderError(e *Error) string {
	var b strings.Builder
	if e.Pos != (Pos{}) {
		b.WriteString(e.Pos.String() + ": ")
	}
	if e.Warning {
		b.WriteString("warning: ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	e.writeSnippet(&b)
	if e.Expected != "" {
		fmt.Fprintf(&b, "\n   expected %s", e.Expected)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\n   %s", e.Hint)
	}
	for _, r := range e.Related {
		fmt.Fprintf(&b, "\n   %s: %s", r.Pos, r.Message)
		if line, _ := snippet(r.at); strings.TrimSpace(line) != "" {
			fmt.Fprintf(&b, "\n%5d | %s", r.at.line, line)
		}
	}
	return b.String()
}

// writeSnippet writes the line with a mark under what is wrong.
func (e *Error) writeSnippet(b *strings.Builder) {
	line, column := e.snippet()
	if strings.TrimSpace(line) == "" {
		return
	}
	width := max(1, e.at.width)
	if rest := utf8.RuneCountInString(line) - column + 1; width > rest {
		width = max(1, rest)
	}
	fmt.Fprintf(b, "\n%5d | %s", e.Pos.Line, line)
	fmt.Fprintf(b, "\n      | %s%s", strings.Repeat(" ", column-1), strings.Repeat("^", width))
}

// snippet returns the error's line as it is shown, and the column of what is wrong in it.
func (e *Error) snippet() (line string, column int) {
	if e.at.src == nil {
		return printable(e.Line), max(1, e.Pos.Column)
	}
	return snippet(e.at)
}

// snippet returns a place's line with secrets masked and cut to a readable width, and the place's column in it.
func snippet(at place) (line string, column int) {
	if at.src == nil || at.line < 1 || at.line > len(at.src.lines) {
		return "", 1
	}
	line, column = at.src.masked(at)
	runes := []rune(printable(line))
	column = min(max(column, 1), len(runes)+1)
	if len(runes) <= snippetWidth {
		return string(runes), column
	}
	start := max(0, min(column-1-snippetWidth/4, len(runes)-snippetWidth))
	end := min(len(runes), start+snippetWidth)
	cut := string(runes[start:end])
	column -= start
	if start > 0 {
		cut = "…" + cut
		column++
	}
	if end < len(runes) {
		cut += "…"
	}
	return cut, column
}

// printable replaces what would disturb a terminal. Each character stays one character.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, strings.TrimRight(s, "\r\n\t "))
}
