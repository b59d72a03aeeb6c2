package aggregate

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// merged is a document that is put together of others: an object of their fields, or a list of their elements.
type merged struct {
	collisions string
	begun      bool // it is known whether it is a list
	list       bool
	members    []member
	at         map[string]int // where a field is among members
}

// member is a field, or an element.
type member struct {
	name, from string
	value      []byte
}

// add adds the fields of an object, or the elements of a list. Null adds nothing.
func (m *merged) add(from string, raw []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	open, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch kind := open.Kind(); {
	case kind == 'n':
		return nil
	case kind != '{' && kind != '[':
		return fmt.Errorf("the answer of %s is neither an object nor a list, and cannot be merged", from)
	case m.begun && m.list != (kind == '['):
		return fmt.Errorf("the answer of %s cannot be merged with those before: some are objects and some are lists", from)
	default:
		m.begun, m.list = true, kind == '['
	}
	for d.PeekKind() != ']' && d.PeekKind() != '}' {
		name := ""
		if !m.list {
			token, err := d.ReadToken()
			if err != nil {
				return err
			}
			name = token.String()
		}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if m.list {
			m.members = append(m.members, member{from: from, value: bytes.Clone(value)})
		} else if err := m.put(from, name, bytes.Clone(value)); err != nil {
			return err
		}
	}
	return nil
}

// set adds a field.
func (m *merged) set(from, name string, value []byte) error {
	m.begun = true
	if m.list {
		return fmt.Errorf("the answer of %s has a key, and those that are merged are lists", from)
	}
	return m.put(from, name, value)
}

// put adds a field, by the rule for those that are there already.
func (m *merged) put(from, name string, value []byte) error {
	i, there := m.at[name]
	switch {
	case !there:
		m.at[name] = len(m.members)
		m.members = append(m.members, member{name, from, value})
	case m.collisions == "last":
		m.members[i].from, m.members[i].value = from, value
	case m.collisions == "error":
		return fmt.Errorf("%s and %s both have a field %.60q", m.members[i].from, from, name)
	}
	return nil
}

// bytes returns the document.
func (m *merged) bytes() (b []byte, err error) {
	open, end := byte('{'), byte('}')
	if m.list {
		open, end = '[', ']'
	}
	b = append(b, open)
	for i, v := range m.members {
		if i > 0 {
			b = append(b, ',')
		}
		if !m.list {
			if b, err = jsontext.AppendQuote(b, v.name); err != nil {
				return nil, err
			}
			b = append(b, ':')
		}
		b = append(b, v.value...)
	}
	return append(b, end), nil
}
