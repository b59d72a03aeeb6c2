package lang

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// structInfo is what a struct type's tags say.
type structInfo struct {
	fields []fieldInfo
	byName map[string]*fieldInfo
	names  []string // in the order of the fields
	short  *fieldInfo
	off    *fieldInfo
	self   []int      // the index of the self field; nil when there is none
	rest   *fieldInfo // the inline map, which has no name; nil when there is none
}

// fieldInfo is a field with a name.
type fieldInfo struct {
	name     string
	index    []int
	field    reflect.StructField
	owner    reflect.Type // the struct that declares it
	required bool
	bounds   bounds
}

// info returns a struct type's fields.
func (d *decoder) info(t reflect.Type) *structInfo {
	info := d.infos[t]
	if info == nil {
		info = inspect(t)
		d.infos[t] = info
	}
	return info
}

// inspect reads the tags of a struct type. It panics when they make no sense, which a test of that type shows.
func inspect(t reflect.Type) *structInfo {
	info := &structInfo{byName: map[string]*fieldInfo{}}
	info.read(t, nil)
	for i := range info.fields {
		f := &info.fields[i]
		if info.byName[f.name] != nil {
			panic(fmt.Sprintf("config: %v has two fields named %q", t, f.name))
		}
		info.byName[f.name] = f
		info.names = append(info.names, f.name)
		if hasOption(f.field, "short") {
			info.short = f
		}
	}
	return info
}

// read adds the fields of a struct type, which stand below the index.
func (info *structInfo) read(t reflect.Type, index []int) {
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("yaml")
		if tag == "-" || !f.IsExported() && !tagged {
			continue
		}
		if !tagged || !f.IsExported() {
			panic(fmt.Sprintf("config: %v.%s needs a yaml tag and a capital letter, or `yaml:\"-\"`", t, f.Name))
		}
		info.readField(t, f, append(slices.Clone(index), f.Index...))
	}
}

// readField adds one field.
func (info *structInfo) readField(t reflect.Type, f reflect.StructField, index []int) {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	fi := fieldInfo{name: name, index: index, field: f, owner: t}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "", "short":
		case "required":
			fi.required = true
		case "off":
			info.off = &fi
		case "self":
			info.self = index
		case "inline":
			switch {
			case f.Type.Kind() == reflect.Struct:
				info.read(f.Type, index)
			case f.Type.Kind() == reflect.Map && f.Type.Key() == reflect.TypeFor[string]():
				info.rest = &fi
			default:
				panic(fmt.Sprintf("config: %v.%s is inline, and neither a struct nor a map of texts to something", t, f.Name))
			}
		default:
			panic(fmt.Sprintf("config: %v.%s has the unknown option %q in its yaml tag", t, f.Name, option))
		}
	}
	fi.bounds = bounds{min: f.Tag.Get("min"), max: f.Tag.Get("max")}
	if enum := f.Tag.Get("enum"); enum != "" {
		fi.bounds.enum = strings.Split(enum, ",")
	}
	if name != "" {
		info.fields = append(info.fields, fi)
	}
}

// hasOption reports whether a field's yaml tag has an option.
func hasOption(f reflect.StructField, option string) bool {
	_, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return slices.Contains(strings.Split(options, ","), option)
}
