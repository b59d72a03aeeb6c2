package document

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind says what is wrong with a document.
type Kind int

// The kinds of errors.
const (
	Invalid   Kind = iota // it is not a document
	Truncated             // it ends too early
	TooLarge              // it is longer than allowed
	TooDeep               // it nests deeper than allowed
	Unfit                 // it is a document, but not one that an edit can be done to
)

// Error says what is wrong with a document, and where. It quotes no more than a few characters of the document.
type Error struct {
	Kind    Kind
	Offset  int64  // bytes before the place; -1 where it is not known
	Pointer string // the value in which it is, as a JSON pointer (RFC 6901), shortened; "" for the whole
	Reason  string // what is wrong, and what was expected
}

// Error says what is wrong and where.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Reason)
	if e.Pointer != "" {
		fmt.Fprintf(&b, ", in %s", e.Pointer)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ", at byte %d", e.Offset)
	}
	return b.String()
}

func tooLong(size int64) string { return fmt.Sprintf("the document is longer than %d bytes", size) }
func tooDeep(depth int) string  { return fmt.Sprintf("the document nests deeper than %d levels", depth) }

// wrap makes an *Error of what jsontext says, and leaves alone what the source of the bytes failed with.
func wrap(err, source error) error {
	if source != nil && errors.Is(err, source) {
		return source
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	syntax := (*jsontext.SyntacticError)(nil)
	if !errors.As(err, &syntax) {
		if errors.Is(err, io.EOF) {
			return &Error{Kind: Truncated, Reason: "the document is empty"}
		}
		return err
	}
	e := &Error{Offset: syntax.ByteOffset, Pointer: shortPointer(syntax.JSONPointer)}
	e.Kind, e.Reason = reason(syntax.Err)
	return e
}

func reason(err error) (Kind, string) {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Truncated, "the document ends too early"
	case errors.Is(err, jsontext.ErrDuplicateName):
		return Invalid, "a name stands twice in one object"
	case errors.Is(err, jsontext.ErrNonStringName):
		return Invalid, "the name of a member must be a string"
	case err == nil:
		return Invalid, "it is not JSON"
	}
	text := err.Error()
	if strings.Contains(text, "max depth") {
		return TooDeep, tooDeep(maxDepth)
	}
	if strings.Contains(text, `'\ufeff'`) || strings.Contains(text, `'\xef'`) {
		return Invalid, "it begins with a byte order mark, which JSON does not"
	}
	return Invalid, shorten(text, 120)
}

// shortPointer bounds how much of the names in a document shows.
func shortPointer(p jsontext.Pointer) string {
	const tokens, size = 16, 32
	var b strings.Builder
	n := 0
	for token := range p.Tokens() {
		if n++; n > tokens {
			b.WriteString("/…")
			break
		}
		b.WriteByte('/')
		b.WriteString(visible(shorten(escapePointer(token), size)))
	}
	return b.String()
}

func escapePointer(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// visible replaces what would be unsafe in a log or a terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
