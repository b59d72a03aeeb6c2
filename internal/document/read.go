package document

import (
	"encoding/json"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Read reads the one document that a stream consists of, as nil, bool, string, json.Number, []any and map[string]any. What is wrong
// with the document is an *Error; what the stream failed with comes as it is.
func Read(r io.Reader, l Limits) (any, error) {
	s := newScanner(r, l)
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	if err := s.end(); err != nil {
		return v, err
	}
	return v, s.settle()
}

func (s *scanner) value() (any, error) {
	k, raw, err := s.next()
	if err != nil {
		return nil, err
	}
	switch k {
	case '{':
		return s.object()
	case '[':
		return s.list()
	}
	v, err := scalar(k, raw)
	if err == nil {
		err = s.add(scalarSize(v, len(raw)))
	}
	return v, err
}

// scalar makes a value of a token's raw form.
func scalar(k jsontext.Kind, raw []byte) (any, error) {
	switch k {
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case '0':
		return json.Number(raw), nil
	case '"':
		return text(raw)
	}
	return nil, nil
}

// text returns what a quoted string says.
func text(raw []byte) (string, error) {
	if plain(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return string(b), err
}

// plain says whether nothing in a valid quoted string is escaped.
func plain(raw []byte) bool {
	for _, c := range raw {
		if c == '\\' {
			return false
		}
	}
	return true
}

func (s *scanner) object() (any, error) {
	m := map[string]any{}
	if err := s.add(mapHead); err != nil {
		return nil, err
	}
	for s.dec.PeekKind() != '}' {
		_, raw, err := s.next()
		if err != nil {
			return nil, err
		}
		name, err := s.name(raw)
		if err != nil {
			return nil, err
		}
		if m[name], err = s.value(); err != nil {
			return nil, err
		}
		if err := s.add(growth(len(m))); err != nil {
			return nil, err
		}
	}
	_, _, err := s.next()
	return m, err
}

// name returns what a quoted name says. Those that were there a moment ago are not made again, since the objects of a list mostly have the same.
func (s *scanner) name(raw []byte) (string, error) {
	known := &s.known[(len(raw)+int(raw[1])+int(raw[len(raw)-2]))%len(s.known)]
	if plain(raw) && *known == string(raw[1:len(raw)-1]) {
		return *known, nil
	}
	name, err := text(raw)
	*known = name
	if err == nil {
		err = s.add(textSize(len(name)))
	}
	return name, err
}

func (s *scanner) list() (any, error) {
	list := []any{}
	if err := s.add(listHead); err != nil {
		return nil, err
	}
	for s.dec.PeekKind() != ']' {
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		before := cap(list)
		list = append(list, v)
		if err := s.add(item * (cap(list) - before)); err != nil {
			return nil, err
		}
	}
	_, _, err := s.next()
	return list, err
}
