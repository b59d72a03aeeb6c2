package xml

import (
	"errors"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/convert"
)

// Options are the rules by which XML becomes JSON and back. The same ones lead both ways.
type Options struct {
	// Root is the name of the root element. When set, the JSON document is what stands in the root element; XML with another root is
	// refused. By default the JSON document is an object with one member, which is the root element.
	Root string `yaml:"root"`

	// Item names the elements for the entries of a list that has no name of its own: a list that is the whole document, which also needs
	// Root, or a list in a list. By default such lists are refused.
	Item string `yaml:"item"`

	// Attributes is what the names of members that are attributes begin with. By default "@".
	Attributes string `yaml:"attributes"`

	// Text is the name of the member that is an element's text, where the element has attributes too. By default "#text".
	Text string `yaml:"text"`

	// Namespaces is what becomes of namespaces. "keep", the default, keeps prefixes in names and has declarations as attributes; "strip"
	// leaves both out, on the way to JSON.
	Namespaces string `yaml:"namespaces" enum:"keep,strip"`

	// Lists are elements that become a list even when there is only one: paths from the root as in "/orders/order", or names for anywhere.
	// Elements that repeat always become a list.
	Lists []string `yaml:"lists"`

	// Null is how null is written: "nil" as an empty element with xsi:nil="true", which becomes null again; "empty" as an empty element, which
	// becomes ""; "omit" not at all. By default "nil".
	Null string `yaml:"null" enum:"nil,empty,omit"`

	// Mixed is what becomes of text beside elements: "refuse" is an error, "join" puts it together as the member named Text and so loses where
	// it stood, "drop" leaves it out. By default "refuse".
	Mixed string `yaml:"mixed" enum:"refuse,join,drop"`

	// Recognize makes numbers and booleans of text that is written as JSON writes them. By default text stays text.
	Recognize bool `yaml:"recognize"`

	// Declaration begins XML with <?xml version="1.0" encoding="UTF-8"?>. By default true.
	Declaration bool `yaml:"declaration"`

	convert.Limits `yaml:",inline"`

	// Charset is the one that came with the input, as in a Content-Type. It goes before the one that XML declares; a byte order mark goes
	// before both.
	Charset string `yaml:"-"`
}

// Default sets the rules that the fields name.
func (o *Options) Default() {
	o.Attributes, o.Text, o.Namespaces, o.Null, o.Mixed, o.Declaration = "@", "#text", "keep", "nil", "refuse", true
	o.Limits.Default()
}

// Defaults are the rules that hold where nothing is said.
func Defaults() *Options {
	o := &Options{}
	o.Default()
	return o
}

// Validate checks that the rules can be told apart.
func (o *Options) Validate() error {
	errs := []error{o.Limits.Validate()}
	field := func(name, format string, args ...any) { errs = append(errs, config.FieldErrorf(name, format, args...)) }
	for _, n := range []struct{ field, name string }{{"root", o.Root}, {"item", o.Item}} {
		if n.name != "" && !isQName(n.name) {
			field(n.field, "%q cannot be the name of an element", n.name)
		}
	}
	switch {
	case o.Attributes == "":
		field("attributes", "must not be empty")
	case isNameStart(rune(o.Attributes[0])) || strings.ContainsRune(o.Attributes, ':'):
		field("attributes", "%q could begin the name of an element; take a sign such as @", o.Attributes)
	}
	switch {
	case o.Text == "":
		field("text", "must not be empty")
	case isNameStart(rune(o.Text[0])):
		field("text", "%q could be the name of an element; take one that begins with a sign, such as #text", o.Text)
	case o.Attributes != "" && strings.HasPrefix(o.Text, o.Attributes):
		field("text", "%q begins as the attributes do", o.Text)
	}
	return errors.Join(errs...)
}

// isList says whether an element always is a list.
func (o *Options) isList(path, name string) bool {
	for _, l := range o.Lists {
		if l == name || l == path {
			return true
		}
	}
	return false
}
