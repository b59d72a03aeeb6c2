package convert

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// JSON reads the tokens of a JSON input within its bounds.
type JSON struct {
	*jsontext.Decoder
	in     *Reader
	format string
	depth  int
}

// NewJSON returns a JSON of src. Duplicate names and invalid UTF-8 are errors.
func NewJSON(src io.Reader, format string, l Limits) *JSON {
	in := NewReader(src, format, l)
	return &JSON{Decoder: jsontext.NewDecoder(in), in: in, format: format, depth: l.Depth}
}

// Token reads the next token, which is good until the next is read. At the input's end it returns io.EOF.
func (j *JSON) Token() (jsontext.Token, error) {
	j.in.Mark(j.InputOffset())
	t, err := j.ReadToken()
	if err == nil && j.StackDepth() > j.depth {
		return t, j.tooDeep()
	}
	return t, j.wrap(err)
}

// Value reads the next value as a whole, which is good until the next is read. At the input's end it returns io.EOF.
func (j *JSON) Value() (jsontext.Value, error) {
	j.in.Mark(j.InputOffset())
	v, err := j.ReadValue()
	if err == nil && depth(v) > j.depth-j.StackDepth() {
		return v, j.tooDeep()
	}
	return v, j.wrap(err)
}

// End says whether there is nothing more.
func (j *JSON) End() error {
	_, err := j.Token()
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	return j.Fail(Malformed, "there is more after the document's end")
}

// Fail makes an error at the place of the last token.
func (j *JSON) Fail(kind Kind, format string, args ...any) error {
	return &Error{
		Format: j.format, Kind: kind, Offset: j.InputOffset(), Path: string(j.StackPointer()), Reason: fmt.Sprintf(format, args...),
	}
}

func (j *JSON) wrap(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if own := j.in.Err(); own != nil {
		return own
	}
	e := &Error{Format: j.format, Offset: j.InputOffset(), Path: string(j.StackPointer()), Reason: err.Error()}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		e.Offset, e.Path = syntax.ByteOffset, string(syntax.JSONPointer)
		if syntax.Err != nil {
			e.Reason = syntax.Err.Error()
		}
	}
	if err == io.ErrUnexpectedEOF || errors.Is(err, io.ErrUnexpectedEOF) {
		e.Reason = "the input ends too early"
	}
	return e
}

func (j *JSON) tooDeep() error {
	return &Error{
		Format: j.format, Kind: TooLarge, Offset: j.InputOffset(),
		Reason: fmt.Sprintf("objects and lists stand in each other more than %d deep", j.depth),
	}
}

// depth is how deep objects and lists stand in each other in a value.
func depth(v jsontext.Value) (most int) {
	deep, inString := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			deep++
			most = max(most, deep)
		case c == '}' || c == ']':
			deep--
		}
	}
	return most
}
