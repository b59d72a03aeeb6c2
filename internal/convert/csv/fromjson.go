package csv

import (
	"encoding/csv"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// FromJSON reads a JSON list of objects and writes it as CSV. It streams; an error may come when rows are written already.
func FromJSON(dst io.Writer, src io.Reader, o *Options) error {
	w := &writer{in: convert.NewJSON(src, "JSON", o.Limits), out: csv.NewWriter(dst), dst: dst, o: o, at: map[string]int{}}
	w.out.Comma, w.out.UseCRLF = o.delimiter(), true
	if err := w.begin(); err != nil {
		return err
	}
	for {
		more, err := w.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if err := w.writeSample(); err != nil {
		return err
	}
	if err := w.in.End(); err != nil {
		return err
	}
	w.out.Flush()
	return w.out.Error()
}

type writer struct {
	in     *convert.JSON
	out    *csv.Writer
	dst    io.Writer
	o      *Options
	names  []string       // of columns
	at     map[string]int // path to column
	named  int            // bytes of their names
	fixed  bool           // the columns are known
	sample [][]cell
	held   int64
	row    []cell
	cells  []string
}

// cell is a value with the path of its column.
type cell struct{ path, text string }

func (w *writer) begin() error {
	t, err := w.in.Token()
	if err == io.EOF {
		return w.in.Fail(convert.Malformed, "the input is empty")
	}
	if err != nil {
		return err
	}
	if t.Kind() != '[' {
		return w.in.Fail(convert.Unsuitable, "CSV can only be made of a list of objects")
	}
	if len(w.o.Columns) == 0 {
		return nil
	}
	for i := range w.o.Columns {
		w.column(w.o.Columns[i].Path, w.o.Columns[i].name())
	}
	return w.header()
}

func (w *writer) column(path, name string) {
	w.at[path] = len(w.names)
	w.names = append(w.names, name)
	w.named += len(name)
}

func (w *writer) header() error {
	w.fixed = true
	if !w.o.Header || len(w.names) == 0 {
		return nil
	}
	return w.write(w.names)
}

// write writes a row. One that is a single empty cell is written in quotes, since readers skip empty lines.
func (w *writer) write(row []string) error {
	if len(row) == 0 {
		return nil
	}
	if len(row) != 1 || row[0] != "" {
		return w.out.Write(row)
	}
	w.out.Flush()
	if err := w.out.Error(); err != nil {
		return err
	}
	_, err := io.WriteString(w.dst, "\"\"\r\n")
	return err
}

// next reads a row, and writes it unless it belongs to the sample.
func (w *writer) next() (bool, error) {
	t, err := w.token()
	if err != nil {
		return false, err
	}
	switch t.Kind() {
	case ']':
		return false, nil
	case '{':
	default:
		return false, w.in.Fail(convert.Unsuitable, "CSV can only be made of a list of objects, and this entry is none")
	}
	w.row = w.row[:0]
	if err := w.object(""); err != nil {
		return false, err
	}
	if w.fixed {
		return true, w.writeRow(w.row)
	}
	return true, w.keep()
}

// cellCost is what a cell takes in memory beside its text.
const cellCost = 64

// keep adds the row to the sample, and writes the sample when it is complete.
func (w *writer) keep() error {
	for _, c := range w.row {
		if _, found := w.at[c.path]; !found {
			w.column(c.path, c.path)
		}
		w.held += int64(len(c.path)+len(c.text)) + cellCost
	}
	w.sample = append(w.sample, append([]cell(nil), w.row...))
	switch {
	case len(w.names) > mostColumns || w.named > mostHeader:
		return w.in.Fail(convert.TooLarge, "the first rows have more than %d members, or names of more than %d bytes in all", mostColumns, mostHeader)
	case w.held > int64(w.o.Buffer):
		return w.in.Fail(convert.TooLarge, "the first rows take more than %d bytes; columns or a smaller sample would need less", int64(w.o.Buffer))
	case len(w.sample) >= w.o.Sample:
		return w.writeSample()
	}
	return nil
}

func (w *writer) writeSample() error {
	if w.fixed {
		return nil
	}
	if err := w.header(); err != nil {
		return err
	}
	for _, row := range w.sample {
		if err := w.writeRow(row); err != nil {
			return err
		}
	}
	w.sample = nil
	return nil
}

func (w *writer) writeRow(row []cell) error {
	if w.cells == nil {
		w.cells = make([]string, len(w.names))
	}
	clear(w.cells)
	for _, c := range row {
		i, found := w.at[c.path]
		switch {
		case found:
			w.cells[i] = c.text
		case w.o.Extra == "refuse" || w.o.Extra == "" && len(w.o.Columns) == 0:
			return w.in.Fail(convert.Unsuitable, "the member %q is no column: none of the first %d rows has it", c.path, w.o.Sample)
		}
	}
	return w.write(w.cells)
}

// object reads the members of an object into the row.
func (w *writer) object(prefix string) error {
	for {
		t, err := w.token()
		if err != nil {
			return err
		}
		if t.Kind() == '}' {
			return nil
		}
		path := prefix + t.String()
		if w.o.Nested && strings.Contains(t.String(), ".") && len(w.o.Columns) == 0 {
			return w.in.Fail(convert.Unsuitable, "the name %q has a dot, which stands between the parts of a path", t.String())
		}
		if err := w.member(path); err != nil {
			return err
		}
	}
}

func (w *writer) member(path string) error {
	_, isColumn := w.at[path]
	kind := w.in.PeekKind()
	if kind == '{' && w.o.Nested && !(isColumn && len(w.o.Columns) > 0) {
		if _, err := w.token(); err != nil {
			return err
		}
		return w.object(path + ".")
	}
	v, err := w.in.Value()
	if err != nil {
		return err
	}
	if w.fixed && !isColumn && w.o.Extra == "drop" {
		return nil
	}
	text, err := w.text(v)
	w.row = append(w.row, cell{path, text})
	return err
}

func (w *writer) text(v jsontext.Value) (string, error) {
	switch v.Kind() {
	case 'n':
		return "", nil
	case '"':
		b, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return "", w.in.Fail(convert.Malformed, "%v", err)
		}
		return w.guard(string(b)), nil
	case '{', '[':
		compact := v.Clone()
		err := compact.Compact()
		return string(compact), err
	}
	return string(v), nil
}

// guard keeps text from being taken for a formula.
func (w *writer) guard(s string) string {
	if w.o.Formulas == "escape" && s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (w *writer) token() (jsontext.Token, error) {
	t, err := w.in.Token()
	if err == io.EOF {
		return t, w.in.Fail(convert.Malformed, "the input ends too early")
	}
	return t, err
}
