package csv

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// ToJSON reads CSV and writes it as a JSON list of objects. It streams; an error may come when rows are written already.
func ToJSON(dst io.Writer, src io.Reader, o *Options) error {
	if err := checkCharset("CSV", o.Charset); err != nil {
		return err
	}
	in := convert.NewReader(src, "CSV", o.Limits)
	br := bufio.NewReader(in)
	if begin, _ := br.Peek(3); bytes.Equal(begin, []byte{0xEF, 0xBB, 0xBF}) {
		if _, err := br.Discard(3); err != nil {
			return err
		}
	}
	r := &reader{in: in, rows: csv.NewReader(br), out: jsontext.NewEncoder(dst), o: o}
	r.rows.Comma, r.rows.ReuseRecord = o.delimiter(), true
	if err := r.header(); err != nil {
		return err
	}
	return r.all()
}

type reader struct {
	in   *convert.Reader
	rows *csv.Reader
	out  *jsontext.Encoder
	o    *Options
	root *field
}

// field is a member of the objects that are written: a column, or an object of columns.
type field struct {
	name   string
	column int
	below  []*field
	byName map[string]*field
}

func (r *reader) header() error {
	paths := make([]string, 0, len(r.o.Columns))
	for i := range r.o.Columns {
		paths = append(paths, r.o.Columns[i].Path)
	}
	if !r.o.Header {
		if len(paths) == 0 {
			return &convert.Error{Format: "CSV", Kind: convert.Unsuitable, Offset: -1, Reason: "there is no header, and columns names no columns"}
		}
		r.rows.FieldsPerRecord = len(paths)
		return r.fields(paths)
	}
	names, err := r.row()
	if err == io.EOF {
		return r.fields(nil)
	}
	if err != nil {
		return err
	}
	length := 0
	for _, name := range names {
		length += len(name)
	}
	if len(names) > mostColumns || length > mostHeader {
		return r.fail(convert.TooLarge, "the header has more than %d columns, or %d bytes", mostColumns, mostHeader)
	}
	byName := map[string]string{}
	for i := range r.o.Columns {
		byName[r.o.Columns[i].name()] = r.o.Columns[i].Path
	}
	paths = paths[:0]
	for _, name := range names {
		path, known := byName[name]
		switch {
		case known:
		case len(byName) == 0:
			path = strings.Clone(name)
		case r.o.Extra == "refuse":
			return r.fail(convert.Unsuitable, "the column %q is not known", name)
		}
		if !known && len(byName) > 0 {
			path = dropped
		}
		paths = append(paths, path)
	}
	return r.fields(paths)
}

// dropped is the path of columns that are left out; no text in UTF-8 is like it.
const dropped = "\xff"

func (r *reader) fields(paths []string) error {
	r.root = &field{byName: map[string]*field{}}
	for i, path := range paths {
		if path == dropped {
			continue
		}
		at := r.root
		steps := []string{path}
		if r.o.Nested {
			steps = strings.Split(path, ".")
		}
		if len(steps) >= r.o.Depth {
			return r.fail(convert.TooLarge, "the column %q has more than %d parts", path, r.o.Depth)
		}
		for k, step := range steps {
			last := k == len(steps)-1
			f := at.byName[step]
			if f != nil && (last || f.byName == nil) {
				return r.fail(convert.Unsuitable, "the column %q stands twice, or is a value and an object", path)
			}
			if f == nil {
				f = &field{name: step, column: i}
				if !last {
					f.byName = map[string]*field{}
				}
				at.byName[step] = f
				at.below = append(at.below, f)
			}
			at = f
		}
	}
	return nil
}

func (r *reader) all() error {
	if err := r.out.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for {
		row, err := r.row()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := r.object(r.root, row); err != nil {
			return err
		}
	}
	return r.out.WriteToken(jsontext.EndArray)
}

func (r *reader) object(f *field, row []string) error {
	if err := r.out.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, b := range f.below {
		if err := r.out.WriteToken(jsontext.String(b.name)); err != nil {
			return err
		}
		var err error
		if b.byName != nil {
			err = r.object(b, row)
		} else {
			err = r.cell(row[b.column])
		}
		if err != nil {
			return err
		}
	}
	return r.out.WriteToken(jsontext.EndObject)
}

func (r *reader) cell(s string) error {
	switch {
	case !r.o.Recognize:
	case s == "":
		return r.out.WriteToken(jsontext.Null)
	case isValue(s):
		return r.out.WriteValue(jsontext.Value(s))
	}
	return r.out.WriteToken(jsontext.String(s))
}

// isValue says whether a cell is a value other than text, as JSON writes it.
func isValue(s string) bool {
	first, last := s[0], s[len(s)-1]
	switch {
	case s == "true" || s == "false":
		return true
	case first == '-' || '0' <= first && first <= '9':
		return '0' <= last && last <= '9' && jsontext.Value(s).IsValid()
	case first == '[' && last == ']' || first == '{' && last == '}':
		return jsontext.Value(s).IsValid()
	}
	return false
}

func (r *reader) row() ([]string, error) {
	row, err := r.rows.Read()
	r.in.MarkAll()
	if err == io.EOF && r.in.Err() == nil {
		return nil, io.EOF
	}
	if err != nil {
		return nil, r.wrap(err)
	}
	for _, s := range row {
		if !utf8.ValidString(s) {
			return nil, r.fail(convert.Malformed, "the text is not in UTF-8")
		}
	}
	return row, nil
}

func (r *reader) wrap(err error) error {
	if own := r.in.Err(); own != nil {
		return own
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &convert.Error{Format: "CSV", Line: parse.Line, Offset: r.rows.InputOffset(), Reason: reason(parse.Err)}
	}
	return err
}

func reason(err error) string {
	if errors.Is(err, csv.ErrFieldCount) {
		return "the row has another number of cells than the header"
	}
	return err.Error()
}

func (r *reader) fail(kind convert.Kind, format string, args ...any) error {
	line := 0
	if r.rows.InputOffset() > 0 {
		line, _ = r.rows.FieldPos(0)
	}
	return &convert.Error{Format: "CSV", Kind: kind, Line: line, Offset: r.rows.InputOffset(), Reason: fmt.Sprintf(format, args...)}
}

func checkCharset(format, charset string) error {
	if charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii") {
		return nil
	}
	return &convert.Error{Format: format, Kind: convert.Unsupported, Offset: -1, Reason: "the charset " + charset + " is not known; UTF-8 is"}
}
