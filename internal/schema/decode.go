package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

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
	r := readers.Get().(*reader)
	r.text, r.left, r.depth, r.b = string(text), b.Values, b.Depth, b
	r.reset(text)
	defer r.release()
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

// reader makes values of tokens. Texts and numbers are parts of the one text that is read, so that few of them are copied.
type reader struct {
	d       *jsontext.Decoder
	in      bytes.Buffer
	text    string
	left    int // values that may still come
	depth   int // objects and arrays that may still be opened
	b       Bounds
	waiting []member // of the objects and arrays that are not at their end yet
}

// member is a value of an object, or of an array, where it has no name.
type member struct {
	name  string
	value any
}

var readers = sync.Pool{New: func() any { return &reader{d: new(jsontext.Decoder)} }}

func (r *reader) reset(text []byte) {
	r.in = *bytes.NewBuffer(text)
	r.d.Reset(&r.in)
}

// release gives the reader back for another text, unless it has grown by a large one.
func (r *reader) release() {
	if len(r.text) > 64<<10 || cap(r.waiting) > 1024 {
		return
	}
	clear(r.waiting[:cap(r.waiting)])
	r.text, r.waiting = "", r.waiting[:0]
	r.reset(nil)
	readers.Put(r)
}

func (r *reader) value() (any, error) {
	kind := r.d.PeekKind()
	if kind == '"' || kind == '0' {
		return r.plain(kind)
	}
	t, err := r.d.ReadToken()
	if err != nil {
		return nil, r.malformed(err)
	}
	if err := r.count(); err != nil {
		return nil, err
	}
	switch kind {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case 'n':
		return nil, nil
	}
	return t.Bool(), nil
}

// plain reads a text or a number.
func (r *reader) plain(kind jsontext.Kind) (any, error) {
	raw, err := r.d.ReadValue()
	if err != nil {
		return nil, r.malformed(err)
	}
	if err := r.count(); err != nil {
		return nil, err
	}
	if kind == '0' {
		return r.number(r.last(raw))
	}
	return r.unquote(raw)
}

// count says whether one value more may come.
func (r *reader) count() error {
	if r.left--; r.left < 0 {
		return r.say("there are more than %d values", r.b.Values)
	}
	return nil
}

// last is the part of the text that was read last.
func (r *reader) last(raw jsontext.Value) string {
	end := int(r.d.InputOffset())
	return r.text[end-len(raw) : end]
}

func (r *reader) unquote(raw jsontext.Value) (string, error) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		plain, err := jsontext.AppendUnquote(nil, raw)
		return string(plain), err
	}
	quoted := r.last(raw)
	return quoted[1 : len(quoted)-1], nil
}

func (r *reader) object() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	start := len(r.waiting)
	for r.d.PeekKind() != '}' {
		raw, err := r.d.ReadValue()
		if err != nil {
			return nil, r.malformed(err)
		}
		name, err := r.unquote(raw)
		if err != nil {
			return nil, r.malformed(err)
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.waiting = append(r.waiting, member{name, v})
	}
	members := r.waiting[start:]
	o := make(map[string]any, len(members))
	for _, m := range members {
		o[m.name] = m.value
	}
	r.waiting = r.waiting[:start]
	return o, r.leave()
}

func (r *reader) array() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	start := len(r.waiting)
	for r.d.PeekKind() != ']' {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.waiting = append(r.waiting, member{value: v})
	}
	items := r.waiting[start:]
	a := make([]any, len(items))
	for i, item := range items {
		a[i] = item.value
	}
	r.waiting = r.waiting[:start]
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
