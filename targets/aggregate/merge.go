package aggregate

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// merged is a document that is put together of others: an object of their fields, or a list of their elements. It holds no bytes of its own.
type merged struct {
	collisions string
	memory     *memory
	begun      bool // it is known whether it is a list
	list       bool
	parts      [][]byte // the elements of each list
	members    []member
	at         map[string]int // where a field is among members
}

// member is a field.
type member struct {
	name, from string
	value      []byte
}

// memberSize is about what a field takes, apart from its name: in members, in at, and in the decoder.
const memberSize = 192

// add adds the fields of an object, or the elements of a list. Null adds nothing.
func (m *merged) add(from string, raw []byte) error {
	list := raw[0] == '['
	switch {
	case raw[0] == 'n':
		return nil
	case raw[0] != '{' && !list:
		return fmt.Errorf("the answer of %s is neither an object nor a list, and cannot be merged", from)
	case m.begun && m.list != list:
		return fmt.Errorf("the answer of %s cannot be merged with those before: some are objects and some are lists", from)
	}
	if m.begun, m.list = true, list; list {
		if elements := bytes.TrimSpace(raw[1 : len(raw)-1]); len(elements) > 0 {
			m.parts = append(m.parts, elements)
		}
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		named := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		end := d.InputOffset()
		if err := m.put(from, named, raw[end-int64(len(value)):end]); err != nil {
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
		if err := m.memory.take(memberSize + int64(len(name))); err != nil {
			return err
		}
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
func (m *merged) bytes() ([]byte, error) {
	size := 2
	for _, part := range m.parts {
		size += len(part) + 1
	}
	for i := range m.members {
		size += len(m.members[i].name) + len(m.members[i].value) + 4
	}
	b, err := m.memory.buffer(int64(size))
	if err != nil {
		return nil, err
	}
	if m.list {
		b = append(b, '[')
		for i, part := range m.parts {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, part...)
		}
		return append(b, ']'), nil
	}
	b = append(b, '{')
	for i := range m.members {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = jsontext.AppendQuote(b, m.members[i].name); err != nil {
			return nil, err
		}
		b = append(append(b, ':'), m.members[i].value...)
	}
	return append(b, '}'), nil
}
