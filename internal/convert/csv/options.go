package csv

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/convert"
)

// Options are the rules by which a list of objects becomes CSV and back. The same ones lead both ways.
type Options struct {
	// Columns are the columns in their order. By default, CSV is made with the members of the first rows (Sample), in the order in which they
	// first appear; and CSV is read with the names in its header.
	Columns []Column `yaml:"columns"`

	// Sample is how many rows are looked at for the columns, when Columns does not name them. By default 100.
	Sample int `yaml:"sample"`

	// Extra is what becomes of members that are no column: "refuse" is an error, "drop" leaves them out. By default "refuse" where the columns
	// are found in the first rows, and "drop" where Columns names them.
	Extra string `yaml:"extra" enum:"refuse,drop"`

	// Delimiter stands between cells. By default a comma; "\t" is a tab.
	Delimiter string `yaml:"delimiter"`

	// Header says that the first row has the columns' names. By default true.
	Header bool `yaml:"header"`

	// Nested makes paths of columns: a.b is the member b of the object a. By default true. When false, a dot is a dot, and objects are written
	// into their cell as JSON, as lists always are.
	Nested bool `yaml:"nested"`

	// Formulas is what becomes of text that spreadsheets would take for a formula since it begins with =, +, -, @, a tab or a return:
	// "keep" leaves it as it is, "escape" puts an apostrophe before it, which stays there when it is read again. By default "keep".
	Formulas string `yaml:"formulas" enum:"keep,escape"`

	// Recognize makes numbers, booleans, lists and objects of cells that are written as JSON writes them, and null of empty ones. By default
	// cells are text.
	Recognize bool `yaml:"recognize"`

	convert.Limits `yaml:",inline"`

	// Charset is the one that came with the input, as in a Content-Type. UTF-8 alone is accepted.
	Charset string `yaml:"-"`
}

// What a header may have: each row has as many cells or names, so that a long header and short rows would make much of little.
const (
	mostColumns = 1000
	mostHeader  = 64 << 10
)

// Column is a column of CSV. The short form is Path.
type Column struct {
	// Path is the member: order.id is the member id of the object order.
	Path string `yaml:"path,short,required"`

	// Name is what the header says. By default Path.
	Name string `yaml:"name"`
}

func (c *Column) name() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Path
}

// Default sets the rules that the fields name.
func (o *Options) Default() {
	o.Sample, o.Delimiter, o.Header, o.Nested, o.Formulas = 100, ",", true, true, "keep"
	o.Limits.Default()
}

// Defaults are the rules that hold where nothing is said.
func Defaults() *Options {
	o := &Options{}
	o.Default()
	return o
}

// Validate checks the columns and the delimiter.
func (o *Options) Validate() error {
	errs := []error{o.Limits.Validate()}
	field := func(name, format string, args ...any) { errs = append(errs, config.FieldErrorf(name, format, args...)) }
	if len(o.Columns) > mostColumns {
		field("columns", "must be %d or fewer", mostColumns)
	}
	names, paths := map[string]bool{}, map[string]bool{}
	for i := range o.Columns {
		c := &o.Columns[i]
		if names[c.name()] || paths[c.Path] {
			field(fmt.Sprintf("columns[%d]", i), "the column %q stands twice", c.name())
		}
		names[c.name()], paths[c.Path] = true, true
	}
	if r, n := utf8.DecodeRuneInString(o.Delimiter); n == 0 || n != len(o.Delimiter) || r == '"' || r == '\r' || r == '\n' || r == utf8.RuneError {
		field("delimiter", "must be one character, and neither a quote nor a line's end")
	}
	if o.Sample < 1 {
		field("sample", "must be 1 or more")
	}
	return errors.Join(errs...)
}

func (o *Options) delimiter() rune {
	r, _ := utf8.DecodeRuneInString(o.Delimiter)
	return r
}
