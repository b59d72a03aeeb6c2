package stored

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Fields are header fields in little room, in the order of their names.
type Fields struct {
	*fields           // nil: there are none
	_       [0]func() // not to be compared
}

// fields have all names and values as parts of one text: first the names, one for each value, then the values. Values are kept as a header has them, so that a hit makes
// nothing.
type fields struct {
	text   string
	ends   []uint32 // of the names, which are canonical
	values []string // in the order that they came in
}

// NewFields makes Fields of a header, which it copies.
func NewFields(h http.Header) Fields {
	count := 0
	for _, values := range h {
		count += len(values)
	}
	names, values := make([]string, 0, count), make([]string, 0, count)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			names, values = append(names, name), append(values, v)
		}
	}
	return FieldsOf(names, values)
}

// FieldsOf makes Fields of names and values as At has given them: the names canonical and sorted. It copies both.
func FieldsOf(names, values []string) Fields {
	if len(names) == 0 {
		return Fields{}
	}
	length := 0
	for i := range names {
		length += len(names[i]) + len(values[i])
	}
	var text strings.Builder
	text.Grow(length)
	f := &fields{ends: make([]uint32, len(names)), values: make([]string, len(names))}
	for i, name := range names {
		text.WriteString(name)
		f.ends[i] = uint32(text.Len())
	}
	for _, v := range values[:len(names)] {
		text.WriteString(v)
	}
	f.text = text.String()
	rest := f.text[f.ends[len(names)-1]:]
	for i := range f.values {
		n := len(values[i])
		f.values[i], rest = rest[:n], rest[n:]
	}
	return Fields{fields: f}
}

// name is that of the i-th value.
func (f *fields) name(i int) string {
	if i == 0 {
		return f.text[:f.ends[0]]
	}
	return f.text[f.ends[i-1]:f.ends[i]]
}

// end is where the values of the i-th one's name end.
func (f *fields) end(i int, name string) int {
	end := i + 1
	for end < len(f.ends) && f.name(end) == name {
		end++
	}
	return end
}

// Get returns the first value of a field, or "". The name is canonical.
func (f *Fields) Get(name string) string {
	for i := range f.Len() {
		if f.name(i) == name {
			return f.values[i]
		}
	}
	return ""
}

// Values returns all values of a field. They may not be changed.
func (f *Fields) Values(name string) []string {
	for i := range f.Len() {
		if f.name(i) == name {
			end := f.end(i, name)
			return f.values[i:end:end]
		}
	}
	return nil
}

// Len is how many values there are.
func (f *Fields) Len() int {
	if f.fields == nil {
		return 0
	}
	return len(f.values)
}

// At returns a field, with one value.
func (f *Fields) At(i int) (name, value string) { return f.name(i), f.values[i] }

// AddTo sets all fields in a header. The values are shared: who wants to change one puts another slice in its place.
func (f *Fields) AddTo(h http.Header) {
	for i := 0; i < f.Len(); {
		name := f.name(i)
		end := f.end(i, name)
		h[name] = f.values[i:end:end]
		i = end
	}
}

// Header returns the fields as a header of its own.
func (f *Fields) Header() http.Header {
	h := make(http.Header, f.Len())
	f.AddTo(h)
	return h
}
