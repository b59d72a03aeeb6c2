package lang

import (
	"encoding"
	"reflect"
	"strconv"
)

// OrReference allows a text with `${…}` besides what a value looks like. Types that give their own schema use it.
func OrReference(forms ...*SchemaNode) *SchemaNode {
	return anyOf(append(forms, &SchemaNode{Ref: "#/$defs/" + referenceDef})...)
}

// basicSchema is the schema of a basic type.
func basicSchema(t reflect.Type, b bounds) *SchemaNode {
	s := &SchemaNode{}
	switch t.Kind() {
	case reflect.Bool:
		return OrReference(&SchemaNode{Type: "boolean"}, &SchemaNode{Enum: []any{"on", "off"}})
	case reflect.String:
		if len(b.enum) == 0 {
			return &SchemaNode{Type: []string{"string", "number", "boolean"}}
		}
		for _, word := range b.enum {
			s.Enum = append(s.Enum, word)
		}
		return OrReference(s)
	case reflect.Float32, reflect.Float64:
		s.Type = "number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.Type, s.Minimum = "integer", new(float64)
	default:
		s.Type = "integer"
	}
	if low, ok := bound(t, b.min); ok {
		s.Minimum = &low
	}
	if high, ok := bound(t, b.max); ok {
		s.Maximum = &high
	}
	return OrReference(s)
}

// defaultsOf is a struct as its Default leaves it, and those of the structs in it.
func defaultsOf(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	d := &decoder{infos: map[reflect.Type]*structInfo{}}
	d.setDefaults(v)
	return v
}

// defaultValue is a field's default for JSON; nil when it is the zero value, or not said in one value.
func defaultValue(v reflect.Value) any {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.IsZero() || v.Type() == nodeType || v.Type() == secretType {
		return nil
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil && len(text) > 0 {
			return string(text)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return v.Interface()
	case reflect.Slice:
		return defaultList(v)
	}
	return nil
}

// defaultList is the default of a list; nil when an item is not said in one value.
func defaultList(v reflect.Value) any {
	list := make([]any, v.Len())
	for i := range list {
		if list[i] = defaultValue(v.Index(i)); list[i] == nil && v.Index(i).Kind() != reflect.Struct {
			list[i] = v.Index(i).Interface()
		} else if list[i] == nil {
			return nil
		}
	}
	return list
}

// formatDefault writes a default for the reference.
func formatDefault(x any) string {
	switch x := x.(type) {
	case nil:
		return ""
	case string:
		return "`" + scalarText(x, false) + "`"
	case []any:
		text := ""
		for i, item := range x {
			if s := formatDefault(item); s != "" {
				if i > 0 {
					text += ", "
				}
				text += s
			}
		}
		return text
	case float64:
		return "`" + strconv.FormatFloat(x, 'g', -1, 64) + "`"
	}
	return "`" + quoteAny(x) + "`"
}
