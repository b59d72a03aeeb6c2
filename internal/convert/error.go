package convert

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what is wrong with an input, so that a caller can choose a status.
type Kind int

// The kinds of errors.
const (
	Malformed   Kind = iota // the input is not of its format
	Unsuitable              // the input is of its format, and the rules have no form for it in the other
	Refused                 // the input uses a part of its format that is never accepted: DTDs, entities, files
	TooLarge                // the input is beyond a bound
	Unsupported             // the input's charset or media type is not known
)

// Error says why an input cannot be converted.
type Error struct {
	Format string // of the input: XML, JSON, SOAP, form, CSV, NDJSON
	Kind   Kind
	Offset int64  // in bytes from the start of the input; -1 when unknown
	Line   int    // from 1; 0 when unknown
	Path   string // to the element or member: /order/line; "" when unknown
	Reason string
}

// Error says format, place and reason.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Format)
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ", byte %d", e.Offset)
	}
	if e.Path != "" {
		b.WriteString(", at " + clip(e.Path))
	}
	return b.String() + ": " + clip(e.Reason)
}

// clip keeps what an input chose from filling logs.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// AsError finds the Error in an error.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
