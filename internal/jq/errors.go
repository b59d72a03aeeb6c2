package jq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// Error says what is wrong with the source of a program, and where.
type Error struct {
	Line, Column int    // from 1; 0 where the place is not known
	Reason       string // what is wrong
	Excerpt      string // the line that it is in
}

// Error says what is wrong and where.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("%s at line %d, column %d", e.Reason, e.Line, e.Column)
}

// RunError says why a run failed. It may quote the input: it is for operators, not for clients.
type RunError struct {
	Exceeded bool   // a bound was reached
	Reason   string // what went wrong
}

// Error says what went wrong.
func (e *RunError) Error() string { return e.Reason }

func syntaxError(source string, err error) error {
	parse := (*gojq.ParseError)(nil)
	if !errors.As(err, &parse) {
		return &Error{Reason: err.Error()}
	}
	return place(source, max(0, parse.Offset-len(parse.Token)), parse.Error())
}

// compileError finds the name that is not known, where it is one.
func compileError(source string, err error) error {
	reason := err.Error()
	if unseen := (*unseenError)(nil); errors.As(err, &unseen) {
		return place(source, max(0, indexWord(source, unseen.name)), reason)
	}
	if _, name, ok := strings.Cut(reason, "not defined: "); ok {
		name, _, _ = strings.Cut(name, "/")
		if i := indexWord(source, name); i >= 0 {
			return place(source, i, reason)
		}
	}
	return &Error{Reason: reason}
}

// indexWord finds a name that is not part of a longer one.
func indexWord(source, name string) int {
	for from := 0; ; {
		i := strings.Index(source[from:], name)
		if i < 0 || name == "" {
			return -1
		}
		begin, end := from+i, from+i+len(name)
		if (begin == 0 || !isWord(source[begin-1])) && (end == len(source) || !isWord(source[end])) {
			return begin
		}
		from = end
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func place(source string, offset int, reason string) *Error {
	offset = min(offset, len(source))
	begin := strings.LastIndexByte(source[:offset], '\n') + 1
	line, _, _ := strings.Cut(source[begin:], "\n")
	return &Error{
		Line:    strings.Count(source[:offset], "\n") + 1,
		Column:  utf8.RuneCountInString(source[begin:offset]) + 1,
		Reason:  reason,
		Excerpt: line,
	}
}

// runError bounds what a failed run says. The context's own error stays what it is.
func runError(ctx context.Context, s *steps, err error) error {
	if s.left < 0 {
		return &RunError{Exceeded: true, Reason: "the program does not come to an end: it was stopped"}
	}
	if ctxErr := ctx.Err(); ctxErr != nil && errors.Is(err, ctxErr) {
		return ctxErr
	}
	const most = 200
	reason := describe(err)
	if len(reason) > most {
		reason = strings.ToValidUTF8(reason[:most], "") + "…"
	}
	return &RunError{Reason: reason}
}

// describe says what a run failed with. The values that programs fail with may be large, and are shown from their beginning only.
func describe(err error) string {
	if halt := (*gojq.HaltError)(nil); errors.As(err, &halt) {
		if halt.Value() == nil {
			return "the program halted"
		}
		return "the program halted with " + gojq.Preview(halt.Value())
	}
	if v := gojq.ValueError(nil); errors.As(err, &v) {
		if text, ok := v.Value().(string); ok {
			return text
		}
		return "the program failed with " + gojq.Preview(v.Value())
	}
	return err.Error()
}
