package xml

import (
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// FromJSON reads a JSON document and writes it as XML. It streams: an error may come when a part is written already, but not before about
// half of Limits.Buffer is.
func FromJSON(dst io.Writer, src io.Reader, o *Options) error {
	e := newEncoder(dst, src, o)
	if o.Declaration {
		e.raw(declaration)
	}
	if err := e.document(); err != nil {
		return err
	}
	if err := e.in.End(); err != nil {
		return err
	}
	return e.flush(0)
}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Attr is an attribute as it is written.
type Attr struct{ Name, Value string }

// WriteElement reads a JSON document and writes it as the content of an element of that name with these attributes, without a declaration.
// Namespaces that stand around the element are given by prefix.
func WriteElement(dst io.Writer, src io.Reader, name string, attrs []Attr, around map[string]string, o *Options) error {
	inner := *o
	inner.Root = name
	return writeInside(dst, src, attrs, around, &inner)
}

// WriteDocument is FromJSON without a declaration, inside of another document.
func WriteDocument(dst io.Writer, src io.Reader, around map[string]string, o *Options) error {
	return writeInside(dst, src, nil, around, o)
}

func writeInside(dst io.Writer, src io.Reader, attrs []Attr, around map[string]string, o *Options) error {
	e := newEncoder(dst, src, o)
	for prefix, uri := range around {
		e.scope.declare(prefix, uri)
	}
	e.rootAttrs = attrs
	if err := e.document(); err != nil {
		return err
	}
	if err := e.in.End(); err != nil {
		return err
	}
	return e.flush(0)
}

type encoder struct {
	in        *convert.JSON
	o         *Options
	dst       io.Writer
	buf       []byte
	flushed   int64 // bytes that are written to dst
	open      []frame
	scope     scope
	rootAttrs []Attr
}

// frame is an element whose end is not written.
type frame struct {
	name     string
	tagEnd   int64 // where its attributes end, in bytes from the start of the output
	inTag    bool  // its start tag is not closed
	late     []byte
	hasText  bool
	hasChild bool
	attrs    []string
	declared []string
}

func newEncoder(dst io.Writer, src io.Reader, o *Options) *encoder {
	return &encoder{in: convert.NewJSON(src, "JSON", o.Limits), o: o, dst: dst, scope: newScope()}
}

// document writes what the whole JSON document is.
func (e *encoder) document() error {
	t, err := e.token()
	if err != nil {
		return err
	}
	switch {
	case t.Kind() == '[' && (e.o.Root == "" || e.o.Item == ""):
		return e.fail("a list can be a document only where root and item name its elements")
	case t.Kind() == '[':
		if err := e.start(e.o.Root); err != nil {
			return err
		}
		if err := e.list(e.o.Item); err != nil {
			return err
		}
		return e.end()
	case e.o.Root != "":
		return e.value(e.o.Root, t)
	case t.Kind() != '{':
		return e.fail("the document must be an object with one member, the root element, where root does not name it")
	}
	return e.rootMember()
}

func (e *encoder) rootMember() error {
	t, err := e.token()
	if err != nil {
		return err
	}
	if t.Kind() == '}' {
		return e.fail("the document has no member, and an XML document must have a root element")
	}
	name := t.String()
	if e.isAttribute(name) || name == e.o.Text {
		return e.fail("the document is no element, and so has no attributes or text: %q", name)
	}
	if t, err = e.token(); err != nil {
		return err
	}
	if t.Kind() == '[' {
		return e.fail("the root element cannot be a list")
	}
	if err := e.value(e.elementName(name), t); err != nil {
		return err
	}
	if t, err = e.token(); err != nil {
		return err
	}
	if t.Kind() != '}' {
		return e.fail("the document has several members, and an XML document has one root element; root can name one around them")
	}
	return nil
}

func (e *encoder) isAttribute(name string) bool { return strings.HasPrefix(name, e.o.Attributes) }

func (e *encoder) elementName(key string) string { return escapeName(key, e.o.Namespaces == "keep") }

// value writes the value that begins with t as an element, or as several when it is a list.
func (e *encoder) value(name string, t jsontext.Token) error {
	switch t.Kind() {
	case '[':
		return e.list(name)
	case '{':
		return e.object(name)
	case 'n':
		return e.null(name)
	}
	text := t.String()
	if err := e.start(name); err != nil {
		return err
	}
	if err := e.text(text); err != nil {
		return err
	}
	return e.end()
}

func (e *encoder) list(name string) error {
	for {
		t, err := e.token()
		if err != nil {
			return err
		}
		if t.Kind() == ']' {
			return nil
		}
		if t.Kind() == '[' {
			err = e.nested(name)
		} else {
			err = e.value(name, t)
		}
		if err != nil {
			return err
		}
	}
}

func (e *encoder) nested(name string) error {
	if e.o.Item == "" {
		return e.fail("a list in a list has no form in XML unless item names its elements")
	}
	if err := e.start(name); err != nil {
		return err
	}
	if err := e.list(e.o.Item); err != nil {
		return err
	}
	return e.end()
}

func (e *encoder) object(name string) error {
	if err := e.start(name); err != nil {
		return err
	}
	for {
		t, err := e.token()
		if err != nil {
			return err
		}
		if t.Kind() == '}' {
			return e.end()
		}
		if err := e.member(t.String()); err != nil {
			return err
		}
	}
}

func (e *encoder) member(key string) error {
	t, err := e.token()
	if err != nil {
		return err
	}
	plain := key == e.o.Text || e.isAttribute(key)
	switch {
	case plain && (t.Kind() == '{' || t.Kind() == '['):
		return e.fail("an attribute or text must be a string, number or boolean")
	case plain && t.Kind() == 'n':
		return nil
	case key == e.o.Text:
		return e.text(t.String())
	case plain:
		return e.attribute(e.elementName(strings.TrimPrefix(key, e.o.Attributes)), t.String())
	}
	return e.value(e.elementName(key), t)
}

func (e *encoder) null(name string) error {
	if e.o.Null == "omit" && len(e.open) > 0 {
		return nil
	}
	if err := e.start(name); err != nil {
		return err
	}
	if e.o.Null == "nil" {
		if err := e.attribute("xmlns:xsi", xsi); err != nil {
			return err
		}
		if err := e.attribute("xsi:nil", "true"); err != nil {
			return err
		}
	}
	return e.end()
}

// xsi is the namespace of xsi:nil.
const xsi = "http://www.w3.org/2001/XMLSchema-instance"

func (e *encoder) token() (jsontext.Token, error) {
	t, err := e.in.Token()
	if err == io.EOF {
		return t, e.in.Fail(convert.Malformed, "the input is empty")
	}
	return t, err
}

func (e *encoder) fail(format string, args ...any) error {
	return e.in.Fail(convert.Unsuitable, format, args...)
}
