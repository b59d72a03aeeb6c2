package signature

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxMembers is how many members a dictionary, and how many items a list may have.
const maxMembers = 64

// value is a bare item of structured fields (RFC 9651, section 3.3). Decimals, dates and display strings are not taken: nothing here
// has them.
type value struct {
	kind byte   // of the kinds below
	text string // of a string or token, or the bytes
	n    int64  // of an integer; 0 or 1 of a boolean
}

// The kinds of values.
const (
	integer = 'i'
	text    = 's'
	token   = 't'
	binary  = 'b'
	boolean = '?'
)

// parameter is a parameter of an item or a list.
type parameter struct {
	name  string
	value value
}

// item is an item with its parameters.
type item struct {
	value
	parameters []parameter
}

// member is a member of a dictionary: an item, or a list of items, whose parameters are those of the first.
type member struct {
	key  string
	list bool
	item
	items []item
}

// parseDictionary reads a dictionary (RFC 9651, section 4.2.2). A key that is there twice is refused, and not replaced: who signs twice by one
// name wants two readers to see different things.
func parseDictionary(field string) (all []member, err error) {
	p := &reader{rest: strings.Trim(field, " ")}
	for {
		m := member{}
		if m.key, err = p.key(); err != nil {
			return nil, err
		}
		for i := range all {
			if all[i].key == m.key {
				return nil, fmt.Errorf("%q is there twice", m.key)
			}
		}
		if len(all) == maxMembers {
			return nil, fmt.Errorf("there are more than %d members", maxMembers)
		}
		if err := p.member(&m); err != nil {
			return nil, err
		}
		all = append(all, m)
		p.skip(" \t")
		if p.rest == "" {
			return all, nil
		}
		if !p.take(',') {
			return nil, p.wrong()
		}
		p.skip(" \t")
	}
}

// reader reads structured fields.
type reader struct{ rest string }

func (p *reader) wrong() error {
	if p.rest == "" {
		return errors.New("it ends too early")
	}
	return fmt.Errorf("it is not well formed at %.20q", p.rest)
}

func (p *reader) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *reader) skip(set string) { p.rest = strings.TrimLeft(p.rest, set) }

// while takes characters as long as they are wanted.
func (p *reader) while(wanted func(c byte) bool) string {
	n := 0
	for n < len(p.rest) && wanted(p.rest[n]) {
		n++
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return isLower(c) || c >= 'A' && c <= 'Z' }

func (p *reader) key() (string, error) {
	if p.rest == "" || !isLower(p.rest[0]) && p.rest[0] != '*' {
		return "", p.wrong()
	}
	return p.while(func(c byte) bool { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 }), nil
}

// member reads what follows a key.
func (p *reader) member(m *member) (err error) {
	if !p.take('=') {
		m.value = value{kind: boolean, n: 1}
		m.parameters, err = p.parameters()
		return err
	}
	if !p.take('(') {
		m.item, err = p.item()
		return err
	}
	m.list = true
	for {
		p.skip(" ")
		if p.take(')') {
			m.parameters, err = p.parameters()
			return err
		}
		if len(m.items) == maxMembers {
			return fmt.Errorf("there are more than %d components", maxMembers)
		}
		i, err := p.item()
		if err != nil {
			return err
		}
		m.items = append(m.items, i)
		if p.rest == "" || p.rest[0] != ' ' && p.rest[0] != ')' {
			return p.wrong()
		}
	}
}

func (p *reader) item() (i item, err error) {
	if i.value, err = p.bare(); err != nil {
		return i, err
	}
	i.parameters, err = p.parameters()
	return i, err
}

func (p *reader) parameters() (all []parameter, err error) {
	for p.take(';') {
		p.skip(" ")
		one := parameter{value: value{kind: boolean, n: 1}}
		if one.name, err = p.key(); err != nil {
			return nil, err
		}
		if p.take('=') {
			if one.value, err = p.bare(); err != nil {
				return nil, err
			}
		}
		for i := range all {
			if all[i].name == one.name {
				return nil, fmt.Errorf("the parameter %q is there twice", one.name)
			}
		}
		if all = append(all, one); len(all) > maxMembers {
			return nil, fmt.Errorf("there are more than %d parameters", maxMembers)
		}
	}
	return all, nil
}

func (p *reader) bare() (value, error) {
	if p.rest == "" {
		return value{}, p.wrong()
	}
	switch c := p.rest[0]; {
	case c == '"':
		return p.string()
	case c == ':':
		return p.binary()
	case c == '?':
		if len(p.rest) < 2 || p.rest[1] != '0' && p.rest[1] != '1' {
			return value{}, p.wrong()
		}
		v := value{kind: boolean, n: int64(p.rest[1] - '0')}
		p.rest = p.rest[2:]
		return v, nil
	case isDigit(c) || c == '-':
		return p.integer()
	case isAlpha(c) || c == '*':
		return value{kind: token, text: p.while(func(c byte) bool {
			return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
		})}, nil
	}
	return value{}, p.wrong()
}

func (p *reader) integer() (value, error) {
	minus := p.take('-')
	digits := p.while(isDigit)
	if digits == "" || len(digits) > 15 || strings.HasPrefix(p.rest, ".") {
		return value{}, errors.New("a number is not an integer of at most 15 digits")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if minus {
		n = -n
	}
	return value{kind: integer, n: n}, err
}

func (p *reader) string() (value, error) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return value{kind: text, text: b.String()}, nil
		case c == '\\':
			if i++; i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				return value{}, errors.New("a string has a wrong escape")
			}
			b.WriteByte(p.rest[i])
		case c < ' ' || c > '~':
			return value{}, errors.New("a string has characters that are not ASCII")
		default:
			b.WriteByte(c)
		}
	}
	return value{}, errors.New("a string does not end")
}

func (p *reader) binary() (value, error) {
	encoded, rest, ok := strings.Cut(p.rest[1:], ":")
	if !ok {
		return value{}, errors.New("a sequence of bytes does not end")
	}
	bytes, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return value{}, errors.New("a sequence of bytes is not base64")
	}
	p.rest = rest
	return value{kind: binary, text: string(bytes)}, nil
}

// write writes a value as RFC 9651, section 4.1.3 has it.
func (v value) write(b *strings.Builder) {
	switch v.kind {
	case integer:
		b.WriteString(strconv.FormatInt(v.n, 10))
	case text:
		b.WriteByte('"')
		for i := range len(v.text) {
			if c := v.text[i]; c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(v.text[i])
		}
		b.WriteByte('"')
	case token:
		b.WriteString(v.text)
	case binary:
		b.WriteByte(':')
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(v.text)))
		b.WriteByte(':')
	case boolean:
		b.WriteByte('?')
		b.WriteByte('0' + byte(v.n))
	}
}

func writeParameters(b *strings.Builder, all []parameter) {
	for _, p := range all {
		b.WriteByte(';')
		b.WriteString(p.name)
		if p.value.kind != boolean || p.value.n == 0 {
			b.WriteByte('=')
			p.value.write(b)
		}
	}
}

func (i *item) write(b *strings.Builder) {
	i.value.write(b)
	writeParameters(b, i.parameters)
}

// writeList writes a list with its parameters.
func (m *member) writeList(b *strings.Builder) {
	b.WriteByte('(')
	for i := range m.items {
		if i > 0 {
			b.WriteByte(' ')
		}
		m.items[i].write(b)
	}
	b.WriteByte(')')
	writeParameters(b, m.parameters)
}

// parameter returns a parameter of a kind; false where there is none, and an error where it is of another kind.
func (i *item) parameter(name string, kind byte) (v value, found bool, err error) {
	for _, p := range i.parameters {
		if p.name != name {
			continue
		}
		if p.value.kind != kind {
			return v, false, fmt.Errorf("the parameter %q is of a wrong type", name)
		}
		return p.value, true, nil
	}
	return v, false, nil
}
