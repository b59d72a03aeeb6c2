package form

import (
	"errors"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/convert"
)

// Options are the rules by which a form becomes JSON and back. The same ones lead both ways.
type Options struct {
	// Nesting is how names tell of objects and lists within each other: "none", the default, takes names as they are; "brackets" is
	// a[b][]=1, "dots" is a.b=1.
	Nesting string `yaml:"nesting" enum:"none,brackets,dots"`

	// Lists are names that become a list even when they stand once, as they are written in JSON: a.b for b in a. Names that repeat, and
	// those that end in [] with brackets, always become one.
	Lists []string `yaml:"lists"`

	// Pairs is how many names with values a form may have. By default 1000.
	Pairs int `yaml:"pairs"`

	convert.Limits `yaml:",inline"`

	// Charset is the one that came with the input, as in a Content-Type. UTF-8 alone is accepted.
	Charset string `yaml:"-"`
}

// Default sets the rules that the fields name.
func (o *Options) Default() {
	o.Nesting, o.Pairs = "none", 1000
	o.Limits.Default()
}

// Defaults are the rules that hold where nothing is said.
func Defaults() *Options {
	o := &Options{}
	o.Default()
	return o
}

// Validate checks the bounds.
func (o *Options) Validate() error {
	var errs []error
	if o.Pairs < 1 {
		errs = append(errs, config.FieldErrorf("pairs", "must be 1 or more"))
	}
	return errors.Join(append(errs, o.Limits.Validate())...)
}

func (o *Options) checkCharset(format, charset string) error {
	if charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii") {
		return nil
	}
	return &convert.Error{Format: format, Kind: convert.Unsupported, Offset: -1, Reason: "the charset " + charset + " is not known; forms are in UTF-8"}
}
