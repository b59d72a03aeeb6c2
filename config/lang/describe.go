package lang

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// describe says in words what may be written for a type.
func describe(t reflect.Type, b bounds) string {
	if len(b.enum) > 0 && t.Kind() == reflect.String {
		return oneOf(b.enum)
	}
	text := describeType(t, 0)
	switch {
	case b.min != "" && b.max != "":
		text += fmt.Sprintf(", from %s to %s", b.min, b.max)
	case b.min != "":
		text += fmt.Sprintf(", at least %s", b.min)
	case b.max != "":
		text += fmt.Sprintf(", at most %s", b.max)
	}
	return text
}

// describeType is describe without bounds. The depth ends short forms that hold each other.
func describeType(t reflect.Type, depth int) string {
	if x, ok := reflect.New(t).Interface().(Expecter); ok && t.Kind() != reflect.Pointer {
		return x.Expected()
	}
	switch t {
	case nodeType:
		return "a value"
	case reflect.TypeFor[netip.Addr]():
		return "an IP address such as 192.0.2.7"
	case reflect.TypeFor[netip.AddrPort]():
		return "an address with a port such as 192.0.2.7:80"
	case reflect.TypeFor[netip.Prefix]():
		return "a range of addresses such as 10.0.0.0/8"
	case reflect.TypeFor[time.Time]():
		return "a time such as 2026-01-31T12:00:00Z"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describeType(t.Elem(), depth)
	case reflect.Slice:
		return describeList(t, depth)
	case reflect.Map:
		return "an object with names as keys, each with " + describeType(t.Elem(), depth+1)
	case reflect.Struct:
		return describeStruct(t, depth)
	}
	return describeBasic(t)
}

// describeBasic says what may be written for a basic type.
func describeBasic(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a value"
}

// describeList says what may be written for a list.
func describeList(t reflect.Type, depth int) string {
	elem := describeType(t.Elem(), depth+1)
	if depth > 0 {
		return elem
	}
	return elem + ", or a list of them"
}

// describeStruct says what may be written for a struct: its short form, or an object with its keys.
func describeStruct(t reflect.Type, depth int) string {
	if !hasTags(t) {
		return "a text"
	}
	info := inspect(t)
	object := "an object"
	if n := len(info.names); n > 0 && depth == 0 {
		object = "an object with keys such as " + strings.Join(info.names[:min(n, 4)], ", ")
		if n <= 4 {
			object = "an object with the keys " + strings.Join(info.names, ", ")
		}
	}
	switch {
	case info.short == nil || depth > 2:
		return object
	case len(info.short.bounds.enum) > 0:
		return oneOf(info.short.bounds.enum) + "; or " + object
	}
	return describeType(info.short.field.Type, depth+1) + ", or " + object
}
