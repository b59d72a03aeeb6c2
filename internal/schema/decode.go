package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds are how much a JSON text may hold. What is 0 has a bound that is far away.
type Bounds struct {
	Depth  int // of objects and arrays in each other
	Values int // in all
}

// maxDigits is how many digits a number may have, and maxExponent how far its exponent may be from 0. Checks are exact, so that a number of few bytes
// with an exponent of a million would take megabytes.
const (
	maxDigits   = 2000
	maxExponent = 500
)

// Decode reads a JSON text strictly: one value, no name twice in an object, no invalid UTF-8. Objects are map[string]any, arrays []any, and numbers
// json.Number. Its error is a *Malformed.
func Decode(text []byte, b Bounds) (any, error) {
	if b.Depth == 0 {
		b.Depth = 1000
	}
	if b.Values == 0 {
		b.Values = 10_000_000
	}
	r := reader{d: jsontext.NewDecoder(bytes.NewBuffer(text)), left: b.Values, depth: b.Depth, b: b}
	v, err := r.value()
	if err == nil {
		if _, end := r.d.ReadToken(); end != io.EOF {
			err = &Malformed{Reason: fmt.Sprintf("there is more than one JSON value (byte %d)", r.d.InputOffset())}
		}
	}
	return v, err
}

// Malformed says why a text is not the JSON that is wanted. It quotes nothing of the text but the names that lead to the place.
type Malformed struct {
	Pointer string
	Reason  string
}

// Error says what is wrong, and where.
func (m *Malformed) Error() string {
	if m.Pointer == "" {
		return m.Reason
	}
	return m.Reason + " at " + m.Pointer
}

// reader makes values of tokens.
type reader struct {
	d     *jsontext.Decoder
	left  int // values that may still come
	depth int // objects and arrays that may still be opened
	b     Bounds
	names [32]string // that came last
}

func (r *reader) value() (any, error) {
	t, err := r.d.ReadToken()
	if err != nil {
		return nil, r.malformed(err)
	}
	if r.left--; r.left < 0 {
		return nil, r.say("there are more than %d values", r.b.Values)
	}
	switch t.Kind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return t.String(), nil
	case '0':
		return r.number(t.String())
	case 'n':
		return nil, nil
	}
	return t.Bool(), nil
}

func (r *reader) object() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	o := map[string]any{}
	for r.d.PeekKind() != '}' {
		name, err := r.d.ReadValue()
		if err != nil {
			return nil, r.malformed(err)
		}
		key, err := r.name(name)
		if err != nil {
			return nil, r.malformed(err)
		}
		if o[key], err = r.value(); err != nil {
			return nil, err
		}
	}
	return o, r.leave()
}

// name reads a name. The objects of a list mostly have the same ones, each of which is made a string once.
func (r *reader) name(quoted jsontext.Value) (string, error) {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		plain, err := jsontext.AppendUnquote(nil, quoted)
		return string(plain), err
	}
	plain := quoted[1 : len(quoted)-1]
	if len(plain) == 0 {
		return "", nil
	}
	known := &r.names[(len(plain)*7+int(plain[0])*3+int(plain[len(plain)-1]))%len(r.names)]
	if string(plain) != *known {
		*known = string(plain)
	}
	return *known, nil
}

func (r *reader) array() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	a := []any{}
	for r.d.PeekKind() != ']' {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, r.leave()
}

func (r *reader) enter() error {
	if r.depth--; r.depth < 0 {
		return r.say("it is nested more than %d deep", r.b.Depth)
	}
	return nil
}

func (r *reader) leave() error {
	r.depth++
	if _, err := r.d.ReadToken(); err != nil {
		return r.malformed(err)
	}
	return nil
}

// number checks that a number can be computed with.
func (r *reader) number(text string) (any, error) {
	if !computable(text) {
		return nil, r.say("the number has more than %d digits, or an exponent beyond %d", maxDigits, maxExponent)
	}
	return json.Number(text), nil
}

func computable(text string) bool {
	at := strings.IndexAny(text, "eE")
	if at < 0 {
		return len(text) <= maxDigits
	}
	e, err := strconv.Atoi(text[at+1:])
	return at <= maxDigits && err == nil && e <= maxExponent && e >= -maxExponent
}

// say makes an error at where the reader is.
func (r *reader) say(format string, args ...any) error {
	return &Malformed{Pointer: cut(string(r.d.StackPointer()), 200), Reason: fmt.Sprintf(format, args...)}
}

// malformed says what the tokenizer found, without its quotes of the text.
func (r *reader) malformed(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &Malformed{Reason: "it ends too early to be JSON"}
	case errors.Is(err, jsontext.ErrDuplicateName):
		m := &Malformed{Reason: "a name stands twice in an object"}
		if errors.As(err, &syntax) {
			m.Pointer = cut(string(syntax.JSONPointer), 200)
		}
		return m
	case errors.As(err, &syntax) && strings.Contains(syntax.Error(), "UTF-8"):
		return &Malformed{Reason: fmt.Sprintf("it is not valid UTF-8 (byte %d)", syntax.ByteOffset)}
	case errors.As(err, &syntax):
		return &Malformed{Reason: fmt.Sprintf("it is not JSON (byte %d)", syntax.ByteOffset)}
	}
	return &Malformed{Reason: "it is not JSON"}
}

// cut shortens a text, between characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
