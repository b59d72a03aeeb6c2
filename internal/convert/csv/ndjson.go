package csv

import (
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// ToNDJSON reads a JSON list and writes its entries one a line. It streams: each line is handed on as soon as it was read.
func ToNDJSON(dst io.Writer, src io.Reader, l *convert.Limits) error {
	in := convert.NewJSON(src, "JSON", *l)
	t, err := in.Token()
	if err == io.EOF {
		return in.Fail(convert.Malformed, "the input is empty")
	}
	if err != nil {
		return err
	}
	if t.Kind() != '[' {
		return in.Fail(convert.Unsuitable, "NDJSON can only be made of a list")
	}
	var line jsontext.Value
	for in.PeekKind() != ']' {
		v, err := in.Value()
		if err != nil {
			return early(in, err)
		}
		if line, err = jsontext.AppendFormat(line[:0], v); err != nil {
			return err
		}
		line = append(line, '\n')
		if _, err := dst.Write(line); err != nil {
			return err
		}
	}
	if _, err := in.Token(); err != nil {
		return early(in, err)
	}
	return in.End()
}

func early(in *convert.JSON, err error) error {
	if err == io.EOF {
		return in.Fail(convert.Malformed, "the input ends too early")
	}
	return err
}

// FromNDJSON reads JSON values, one a line, and writes them as a JSON list. It streams.
func FromNDJSON(dst io.Writer, src io.Reader, l *convert.Limits) error {
	in := convert.NewJSON(src, "NDJSON", *l)
	out := jsontext.NewEncoder(dst)
	if err := out.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for {
		v, err := in.Value()
		if err == io.EOF {
			return out.WriteToken(jsontext.EndArray)
		}
		if err != nil {
			return err
		}
		if err := out.WriteValue(v); err != nil {
			return err
		}
	}
}
