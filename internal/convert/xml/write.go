package xml

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// start writes a start tag and leaves it open for attributes.
func (e *encoder) start(name string) error {
	if n := len(e.open); n > 0 {
		parent := &e.open[n-1]
		if parent.hasText && e.o.Mixed == "refuse" {
			return e.fail("%s has text and elements, and mixed does not allow both", parent.name)
		}
		parent.hasChild = true
		e.closeTag(parent)
	}
	e.raw("<")
	e.raw(name)
	e.open = append(e.open, frame{name: name, inTag: true, tagEnd: e.position()})
	if len(e.open) == 1 {
		for _, a := range e.rootAttrs {
			if err := e.attribute(a.Name, a.Value); err != nil {
				return err
			}
		}
	}
	return e.bound()
}

func (e *encoder) closeTag(f *frame) {
	if f.inTag {
		e.raw(">")
		f.inTag = false
	}
}

// attribute writes an attribute of the open element, or keeps it for the element's end when its start tag is closed already.
func (e *encoder) attribute(name, value string) error {
	f := &e.open[len(e.open)-1]
	// JSON has no name twice; only those of the root element that come from elsewhere can meet one.
	if len(e.open) == 1 && len(f.attrs) >= len(e.rootAttrs) && slices.ContainsFunc(e.rootAttrs, func(a Attr) bool { return a.Name == name }) {
		return e.fail("the attribute %s stands twice", name)
	}
	if name == "xmlns" || strings.HasPrefix(name, "xmlns:") {
		if err := e.declare(f, name, value); err != nil {
			return err
		}
	}
	f.attrs = append(f.attrs, name)
	if !f.inTag {
		var err error
		f.late, err = e.appendAttribute(f.late, name, value)
		return err
	}
	var err error
	e.buf, err = e.appendAttribute(e.buf, name, value)
	f.tagEnd = e.position()
	return err
}

func (e *encoder) declare(f *frame, name, uri string) error {
	prefix := strings.TrimPrefix(strings.TrimPrefix(name, "xmlns"), ":")
	switch {
	case f.hasChild:
		return e.fail("the namespace declaration %s must stand before the element's elements", name)
	case !mayDeclare(prefix, uri):
		return e.fail("%s=%q is no namespace declaration that XML allows", name, uri)
	}
	e.scope.declare(prefix, uri)
	f.declared = append(f.declared, prefix)
	return nil
}

func (e *encoder) appendAttribute(b []byte, name, value string) ([]byte, error) {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, '=', '"')
	b, bad := appendEscaped(b, value, true)
	if bad >= 0 {
		return b, e.fail("the attribute %s has the character U+%04X, which XML cannot hold", name, bad)
	}
	return append(b, '"'), nil
}

// text writes text of the open element.
func (e *encoder) text(s string) error {
	if s == "" {
		return nil
	}
	f := &e.open[len(e.open)-1]
	if f.hasChild && e.o.Mixed == "refuse" {
		return e.fail("%s has text and elements, and mixed does not allow both", f.name)
	}
	f.hasText = true
	e.closeTag(f)
	var bad rune
	if e.buf, bad = appendEscaped(e.buf, s, false); bad >= 0 {
		return e.fail("the text has the character U+%04X, which XML cannot hold", bad)
	}
	return e.bound()
}

// end ends the open element.
func (e *encoder) end() error {
	f := e.open[len(e.open)-1]
	if err := e.checkNames(&f); err != nil {
		return err
	}
	if f.inTag {
		e.raw("/>")
	} else {
		e.raw("</")
		e.raw(f.name)
		e.raw(">")
	}
	if len(f.late) > 0 {
		if f.tagEnd < e.flushed {
			return e.fail("%s has attributes after more content than is held (limits: buffer); attributes come first in long elements", f.name)
		}
		e.buf = slices.Insert(e.buf, int(f.tagEnd-e.flushed), f.late...)
	}
	for _, prefix := range f.declared {
		e.scope.forget(prefix)
	}
	e.open = e.open[:len(e.open)-1]
	return e.bound()
}

// checkNames says whether the prefixes of an element are declared, and whether its attributes differ.
func (e *encoder) checkNames(f *frame) error {
	if e.o.Namespaces == "strip" && !strings.Contains(f.name, ":") && len(f.attrs) == 0 {
		return nil
	}
	if prefix, _, found := strings.Cut(f.name, ":"); found && !e.scope.knows(prefix) {
		return e.fail("the prefix %s is not declared (a member named as an attribute, %sxmlns:%s)", prefix, e.o.Attributes, prefix)
	}
	if bad := e.scope.checkAttributes(f.attrs); bad != "" {
		return e.fail("%s", bad)
	}
	return nil
}

func (e *encoder) position() int64 { return e.flushed + int64(len(e.buf)) }

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

// bound keeps what is held within its bound, and the latest half of it for attributes that come late.
func (e *encoder) bound() error {
	most := int(e.o.Buffer)
	if len(e.buf) <= most {
		return nil
	}
	return e.flush(most / 2)
}

// flush writes all but the last bytes.
func (e *encoder) flush(keep int) error {
	n := len(e.buf) - keep
	if _, err := e.dst.Write(e.buf[:n]); err != nil {
		return err
	}
	e.flushed += int64(n)
	e.buf = append(e.buf[:0], e.buf[n:]...)
	return nil
}

// appendEscaped appends text, or the value of an attribute. It returns the character that XML cannot hold, or -1.
func appendEscaped(b []byte, s string, quoted bool) ([]byte, rune) {
	from := 0
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		as := ""
		switch {
		case r == '<':
			as = "&lt;"
		case r == '>':
			as = "&gt;"
		case r == '&':
			as = "&amp;"
		case r == '\r':
			as = "&#xD;"
		case quoted && r == '"':
			as = "&quot;"
		case quoted && r == '\n':
			as = "&#xA;"
		case quoted && r == '\t':
			as = "&#x9;"
		case !isChar(r):
			return b, r
		}
		if as != "" {
			b = append(append(b, s[from:i]...), as...)
			from = i + n
		}
		i += n
	}
	return append(b, s[from:]...), -1
}
