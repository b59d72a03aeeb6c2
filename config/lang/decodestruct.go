package lang

import (
	"reflect"
)

// decodeStruct decodes an object, or the short form of one.
func (d *decoder) decodeStruct(n Node, v reflect.Value) {
	info := d.info(v.Type())
	d.setDefaults(v)
	if info.self != nil {
		v.FieldByIndex(info.self).Set(reflect.ValueOf(n))
	}
	before := d.failures()
	switch n.Kind() {
	case NodeMap:
		d.decodeFields(n, v, info)
	case NodeNull:
		d.wrongType(n, v.Type())
	default:
		d.decodeShort(n, v, info)
	}
	if d.failures() == before {
		d.validate(n, v)
	}
}

// setDefaults calls Default of a struct that is still zero, and of the structs in it.
func (d *decoder) setDefaults(v reflect.Value) {
	if x, ok := v.Addr().Interface().(Defaulter); ok && v.IsZero() {
		x.Default()
	}
	for f := range v.Type().Fields() {
		if f.Type.Kind() == reflect.Struct && f.IsExported() && f.Type != nodeType && hasTags(f.Type) {
			d.setDefaults(v.FieldByIndex(f.Index))
		}
	}
}

// validate calls Validate and places what it returns. Warnings do not count.
func (d *decoder) validate(n Node, v reflect.Value) {
	if x, ok := v.Addr().Interface().(Validator); ok {
		d.errs = append(d.errs, n.Locate(x.Validate())...)
	}
}

// decodeShort decodes a struct that is written as a single value or a list.
func (d *decoder) decodeShort(n Node, v reflect.Value, info *structInfo) {
	switch {
	case n.IsOff() && info.off != nil:
		v.FieldByIndex(info.off.index).SetBool(true)
		return
	case n.IsOn() && !isBool(info.short):
		d.missing(n, info)
		return
	case info.short == nil || n.Kind() == NodeList && !takesMany(info.short.field.Type):
		d.wrongType(n, v.Type())
		return
	}
	d.decode(n, v.FieldByIndex(info.short.index), info.short.bounds)
	for _, f := range info.fields {
		if f.required && f.name != info.short.name {
			d.missingField(n, f)
		}
	}
}

// isBool reports whether a field is true or false.
func isBool(f *fieldInfo) bool {
	if f == nil {
		return false
	}
	t := f.field.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Bool
}

// takesMany reports whether a field of this type may be written as a list.
func takesMany(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Interface:
		return true
	case reflect.Pointer:
		return takesMany(t.Elem())
	case reflect.Struct:
		if t == nodeType {
			return true
		}
		if hasTags(t) {
			short := inspect(t).short
			return short != nil && takesMany(short.field.Type)
		}
	}
	return false
}

// decodeFields decodes the keys of an object.
func (d *decoder) decodeFields(n Node, v reflect.Value, info *structInfo) {
	for name, item := range n.Fields() {
		f := info.byName[name]
		switch {
		case f != nil:
			d.decode(item, v.FieldByIndex(f.index), f.bounds)
		case info.rest != nil:
			d.decodeRest(name, item, v.FieldByIndex(info.rest.index))
		default:
			d.add(n.UnknownKey(name, info.names))
		}
	}
	d.missing(n, info)
}

// decodeRest decodes a key that no field has into the map for such keys.
func (d *decoder) decodeRest(name string, item Node, rest reflect.Value) {
	if rest.IsNil() {
		rest.Set(reflect.MakeMap(rest.Type()))
	}
	elem := reflect.New(rest.Type().Elem()).Elem()
	d.decode(item, elem, bounds{})
	rest.SetMapIndex(reflect.ValueOf(name), elem)
}

// missing reports the required fields that are not there.
func (d *decoder) missing(n Node, info *structInfo) {
	for _, f := range info.fields {
		if f.required && n.Field(f.name).IsZero() {
			d.missingField(n, f)
		}
	}
}

// missingField reports one required field that is not there, at the key of the object that lacks it.
func (d *decoder) missingField(n Node, f fieldInfo) {
	e := n.named().Errorf("the key %q is missing", f.name)
	e.Path = n.Path()
	e.Expected = "`" + f.name + ": …`, " + describe(f.field.Type, f.bounds)
	d.add(e)
}

// named returns the key under which the node stands, for errors about what is not in it; the node itself when it has none.
func (n Node) named() Node {
	if n.v != nil && n.v.name != nil {
		return Node{n.v.name}
	}
	return n
}

// UnknownKey makes the error for a key of an object that nothing knows. The known keys are named, and the nearest is
// suggested.
func (n Node) UnknownKey(name string, known []string) *Error {
	key := n.Key(name)
	e := key.Errorf("unknown key %q", name)
	e.Expected = oneOf(known)
	e.Hint = didYouMean(Suggest(name, known))
	if len(known) == 0 {
		e.Expected = "no keys"
	}
	return e
}
