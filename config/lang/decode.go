package lang

import (
	"encoding"
	"fmt"
	"reflect"
)

// Decode decodes the node into what a pointer points to. It is strict, and reports everything that is wrong at once, as
// Errors.
//
// Struct fields are named by the tag `yaml:"name,option…"`. The options are
//
//	short     takes the value when the struct is written as a single value or a list
//	required  must be written
//	inline    on a map[string]T: takes the keys that no other field has; on a struct: its fields belong to this one
//	self      on a Node: takes the struct's own node
//	off       on a bool: becomes true when the struct is written as `off`
//
// and `enum:"a,b"`, `min:"1"` and `max:"10"` bound the values. A type with UnmarshalText takes single values through it; a
// type with Default gets that called before, and one with Validate after. A slice takes one value for a list of one.
func (n Node) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("config: Decode needs a pointer, not %T", into))
	}
	d := &decoder{infos: map[reflect.Type]*structInfo{}}
	d.decode(n, v.Elem(), bounds{})
	return d.errs.Err()
}

// decoder is one run of Decode.
type decoder struct {
	errs    Errors
	skipped int // values that were wrong in the tree already
	infos   map[reflect.Type]*structInfo
}

// failures counts what could not be decoded.
func (d *decoder) failures() int { return len(d.errs) + d.skipped }

// bounds are the tags of a field that hold for its values.
type bounds struct {
	enum     []string
	min, max string
}

var (
	nodeType   = reflect.TypeFor[Node]()
	secretType = reflect.TypeFor[Secret]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// Defaulter is a configuration struct with defaults. Default is called on a zero value, before it is decoded.
type Defaulter interface{ Default() }

// Validator is a configuration struct that checks itself. Validate is called after decoding when nothing was wrong with the
// struct so far; it returns plain errors, or those of FieldErrorf, joined.
type Validator interface{ Validate() error }

// add notes an error.
func (d *decoder) add(e *Error) { d.errs = append(d.errs, e) }

// decode decodes a node into a settable value.
func (d *decoder) decode(n Node, v reflect.Value, b bounds) {
	t := v.Type()
	switch {
	case t == nodeType:
		v.Set(reflect.ValueOf(n))
	case t.Kind() == reflect.Pointer:
		d.decodePointer(n, v, b)
	case n.Kind() == NodeMissing:
	case n.v.broken:
		d.skipped++
	case n.Kind() == NodeScalar && takesText(t):
		d.decodeText(n, v, b)
	case isOpaque(t):
		d.wrongType(n, t)
	case t.Kind() == reflect.Struct:
		d.decodeStruct(n, v)
	case t.Kind() == reflect.Slice:
		d.decodeSlice(n, v, b)
	case t.Kind() == reflect.Map:
		d.decodeMap(n, v, b)
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		if x := d.decodeAny(n); x != nil {
			v.Set(reflect.ValueOf(x))
		} else {
			v.SetZero()
		}
	default:
		d.decodeScalar(n, v, b)
	}
}

// takesText reports whether a type takes single values through UnmarshalText.
func takesText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isOpaque reports whether a type has no other form than text.
func isOpaque(t reflect.Type) bool {
	return takesText(t) && (t.Kind() != reflect.Struct || !hasTags(t)) && t.Kind() != reflect.Slice && t.Kind() != reflect.Map
}

// hasTags reports whether a struct type has fields that are decoded.
func hasTags(t reflect.Type) bool {
	for f := range t.Fields() {
		if _, ok := f.Tag.Lookup("yaml"); ok {
			return true
		}
	}
	return false
}

// decodePointer decodes into a new value, which begins with the default that the pointer has.
func (d *decoder) decodePointer(n Node, v reflect.Value, b bounds) {
	if n.IsZero() {
		return
	}
	fresh := reflect.New(v.Type().Elem())
	if !v.IsNil() {
		fresh.Elem().Set(v.Elem())
	}
	d.decode(n, fresh.Elem(), b)
	v.Set(fresh)
}

// decodeSlice decodes a list, or one value for a list of one.
func (d *decoder) decodeSlice(n Node, v reflect.Value, b bounds) {
	t := v.Type()
	items := n.Items()
	switch n.Kind() {
	case NodeNull:
		v.SetZero()
		return
	case NodeMap:
		if !takesMap(t.Elem()) {
			d.wrongType(n, t)
			return
		}
		items = []Node{n}
	case NodeScalar:
		items = []Node{n}
	}
	out := reflect.MakeSlice(t, len(items), len(items))
	for i, item := range items {
		if t.Elem().Kind() != reflect.Slice && item.Kind() == NodeList && !takesList(t.Elem()) {
			d.wrongType(item, t.Elem())
			continue
		}
		d.decode(item, out.Index(i), b)
	}
	v.Set(out)
}

// takesList reports whether a type of list items may itself be written as a list.
func takesList(t reflect.Type) bool {
	return t == nodeType || t.Kind() == reflect.Interface || t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer
}

// takesMap reports whether a type of list items may be written as an object.
func takesMap(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		return t == nodeType || hasTags(t)
	case reflect.Pointer, reflect.Slice:
		return takesMap(t.Elem())
	}
	return t.Kind() == reflect.Map || t.Kind() == reflect.Interface
}

// decodeMap decodes an object into a map.
func (d *decoder) decodeMap(n Node, v reflect.Value, b bounds) {
	t := v.Type()
	switch n.Kind() {
	case NodeNull:
		v.SetZero()
		return
	case NodeMap:
	default:
		d.wrongType(n, t)
		return
	}
	out := reflect.MakeMapWithSize(t, n.Len())
	for name, item := range n.Fields() {
		key := reflect.New(t.Key()).Elem()
		if !d.decodeKey(n.Key(name), key) {
			continue
		}
		elem := reflect.New(t.Elem()).Elem()
		d.decode(item, elem, b)
		out.SetMapIndex(key, elem)
	}
	v.Set(out)
}

// decodeKey decodes the key of a map.
func (d *decoder) decodeKey(key Node, v reflect.Value) bool {
	before := d.failures()
	d.decode(key, v, bounds{})
	return d.failures() == before
}
