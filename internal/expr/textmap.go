package expr

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"cardea.dev/cardea/filter"
)

// textMap is a part of an exchange as a map of texts to CEL: its fields, parameters, cookies or tags. A missing key is "", which is why it is not a
// CEL Mapper: to those a missing key is an error.
type textMap struct {
	ex   *filter.Exchange
	part section
}

// section is which part of an exchange a textMap is.
type section int

const (
	headerFields section = iota
	queryParameters
	cookies
	pathParameters
	responseFields
	identityTags
)

var (
	_ traits.Indexer     = (*textMap)(nil)
	_ traits.FieldTester = (*textMap)(nil)
	_ traits.Container   = (*textMap)(nil)
	_ traits.Sizer       = (*textMap)(nil)
	_ traits.Iterable    = (*textMap)(nil)
	_ traits.Foldable    = (*textMap)(nil)
)

// find returns the text of a key.
func (m *textMap) find(key string) (string, bool) {
	switch m.part {
	case headerFields:
		if m.ex.Request == nil {
			return "", false
		}
		if len(key) == 4 && strings.EqualFold(key, "host") {
			return hostField(m.ex)
		}
		return fieldFold(m.ex.Request.Header, key)
	case queryParameters:
		return findQuery(rawQuery(m.ex), key)
	case cookies:
		if m.ex.Request == nil {
			return "", false
		}
		return findCookie(m.ex.Request.Header, key)
	case pathParameters:
		if m.ex.Params == nil {
			return "", false
		}
		return m.ex.Params.Get(key)
	case identityTags:
		if m.ex.Identity == nil {
			return "", false
		}
		value, ok := m.ex.Identity.Tags[key]
		return value, ok
	}
	if m.ex.Response == nil {
		return "", false
	}
	return fieldFold(m.ex.Response.Header, key)
}

// fieldFold returns a field by a name in any case. It makes no canonical name where a short look will do.
func fieldFold(h http.Header, name string) (string, bool) {
	var buf [64]byte
	if len(name) > len(buf) {
		return field(h, textproto.CanonicalMIMEHeaderKey(name))
	}
	upper := true
	for i := range len(name) {
		c := name[i]
		switch {
		case upper && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case !upper && c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		buf[i] = c
		upper = c == '-'
	}
	switch values := h[string(buf[:len(name)])]; len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	}
	return field(h, string(buf[:len(name)]))
}

// all yields all keys and texts, by key.
func (m *textMap) all() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, key := range m.keys() {
			if value, ok := m.find(key); ok && !yield(key, value) {
				return
			}
		}
	}
}

// keys lists the keys in order. Field names are in lower case.
func (m *textMap) keys() []string {
	switch m.part {
	case headerFields:
		if m.ex.Request != nil {
			return fieldNames(m.ex.Request.Header)
		}
	case responseFields:
		if m.ex.Response != nil {
			return fieldNames(m.ex.Response.Header)
		}
	case identityTags:
		if m.ex.Identity != nil {
			return slices.Sorted(maps.Keys(m.ex.Identity.Tags))
		}
	case queryParameters:
		values, _ := url.ParseQuery(rawQuery(m.ex))
		return slices.Sorted(maps.Keys(values))
	case cookies:
		if m.ex.Request != nil {
			return cookieNames(m.ex.Request)
		}
	case pathParameters:
		if p, ok := m.ex.Params.(interface {
			All() iter.Seq2[string, string]
		}); ok {
			return slices.Sorted(maps.Keys(maps.Collect(p.All())))
		}
	}
	return nil
}

// fieldNames lists the names of fields in lower case.
func fieldNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	return names
}

// cookieNames lists the names of cookies.
func cookieNames(r *http.Request) []string {
	var names []string
	for _, c := range r.Cookies() {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Get returns the text of a key, "" for one that is missing.
func (m *textMap) Get(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	value, _ := m.find(string(name))
	return types.String(value)
}

// IsSet reports whether a key is there, for optional look-ups.
func (m *textMap) IsSet(key ref.Val) ref.Val { return m.Contains(key) }

// Contains reports whether a key is there.
func (m *textMap) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	_, found := m.find(string(name))
	return types.Bool(found)
}

// Size returns the number of keys.
func (m *textMap) Size() ref.Val { return types.Int(len(m.keys())) }

// Iterator iterates over the keys.
func (m *textMap) Iterator() traits.Iterator { return m.plain().Iterator() }

// Fold visits all keys and texts.
func (m *textMap) Fold(f traits.Folder) {
	for key, value := range m.all() {
		if !f.FoldEntry(types.String(key), types.String(value)) {
			return
		}
	}
}

// plain returns the map as one of CEL's own.
func (m *textMap) plain() traits.Mapper {
	return types.NewStringStringMap(types.DefaultTypeAdapter, maps.Collect(m.all()))
}

// ConvertToNative returns the map as one of Go's.
func (m *textMap) ConvertToNative(t reflect.Type) (any, error) {
	v, err := m.plain().ConvertToNative(t)
	if err != nil {
		return nil, fmt.Errorf("cannot convert a map of texts: %w", err)
	}
	return v, nil
}

// ConvertToType converts to a CEL type.
func (m *textMap) ConvertToType(t ref.Type) ref.Val { return m.plain().ConvertToType(t) }

// Equal compares with another map.
func (m *textMap) Equal(other ref.Val) ref.Val {
	if o, ok := other.(*textMap); ok {
		other = o.plain()
	}
	return m.plain().Equal(other)
}

// Type is CEL's type of maps.
func (m *textMap) Type() ref.Type { return types.MapType }

// Value returns the map as one of Go's.
func (m *textMap) Value() any { return maps.Collect(m.all()) }
