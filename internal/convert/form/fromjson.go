package form

import (
	"io"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// FromJSON reads a JSON object and writes it as a form. It streams. Numbers keep their digits; null is left out, and so are lists and objects
// without anything in them.
func FromJSON(dst io.Writer, src io.Reader, o *Options) error {
	w := &writer{in: convert.NewJSON(src, "JSON", o.Limits), dst: dst, o: o}
	t, err := w.token()
	if err != nil {
		return err
	}
	if t.Kind() != '{' {
		return w.in.Fail(convert.Unsuitable, "a form can only be made of an object")
	}
	if err := w.object(""); err != nil {
		return err
	}
	if err := w.in.End(); err != nil {
		return err
	}
	return w.flush()
}

type writer struct {
	in    *convert.JSON
	dst   io.Writer
	o     *Options
	buf   []byte
	pairs int
}

func (w *writer) object(prefix string) error {
	for {
		t, err := w.token()
		if err != nil {
			return err
		}
		if t.Kind() == '}' {
			return nil
		}
		name, bad := w.name(prefix, t.String())
		if bad != "" {
			return w.in.Fail(convert.Unsuitable, "the name %q %s", t.String(), bad)
		}
		if t, err = w.token(); err != nil {
			return err
		}
		if err := w.value(name, t); err != nil {
			return err
		}
	}
}

// name is the name of a member in the form, or what is wrong with it.
func (w *writer) name(prefix, key string) (string, string) {
	switch w.o.Nesting {
	case "brackets":
		for _, c := range key {
			if c == '[' || c == ']' {
				return "", "has brackets of its own"
			}
		}
		switch {
		case prefix != "" && isIndex(key):
			return "", "would become an entry of a list"
		case prefix != "":
			return prefix + "[" + key + "]", ""
		case key == "":
			return "", "is empty"
		}
		return key, ""
	case "dots":
		for _, c := range key {
			if c == '.' {
				return "", "has dots of its own"
			}
		}
		if prefix != "" {
			return prefix + "." + key, ""
		}
		if key == "" {
			return "", "is empty"
		}
	}
	return key, ""
}

func (w *writer) value(name string, t jsontext.Token) error {
	switch t.Kind() {
	case 'n':
		return nil
	case '{':
		if w.o.Nesting == "none" {
			return w.in.Fail(convert.Unsuitable, "an object in an object has no form; nesting can give it one")
		}
		return w.object(name)
	case '[':
		return w.list(name)
	}
	return w.pair(name, t.String())
}

func (w *writer) list(name string) error {
	for i := 0; ; i++ {
		t, err := w.token()
		if err != nil {
			return err
		}
		switch kind := t.Kind(); {
		case kind == ']':
			return nil
		case kind == 'n':
			return w.in.Fail(convert.Unsuitable, "null in a list has no form")
		case kind != '{' && kind != '[':
			entry := name
			if w.o.Nesting == "brackets" {
				entry += "[]"
			}
			err = w.pair(entry, t.String())
		case w.o.Nesting != "brackets":
			return w.in.Fail(convert.Unsuitable, "objects and lists in a list have a form with nesting: brackets alone")
		default:
			err = w.value(name+"["+strconv.Itoa(i)+"]", t)
		}
		if err != nil {
			return err
		}
	}
}

func (w *writer) pair(name, value string) error {
	w.pairs++
	if w.pairs > w.o.Pairs {
		return w.in.Fail(convert.TooLarge, "there are more than %d pairs", w.o.Pairs)
	}
	if w.pairs > 1 {
		w.buf = append(w.buf, '&')
	}
	w.buf = append(w.buf, url.QueryEscape(name)...)
	w.buf = append(w.buf, '=')
	w.buf = append(w.buf, url.QueryEscape(value)...)
	const hold = 32 << 10
	if len(w.buf) > hold {
		return w.flush()
	}
	return nil
}

func (w *writer) flush() error {
	_, err := w.dst.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *writer) token() (jsontext.Token, error) {
	t, err := w.in.Token()
	if err == io.EOF {
		return t, w.in.Fail(convert.Malformed, "the input is empty")
	}
	return t, err
}
