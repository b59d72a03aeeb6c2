package lang

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// SchemaOptions are what Schema and Reference know besides the types.
type SchemaOptions struct {
	// Comments are the texts of ReadComments.
	Comments map[string]string
	// Routes is the struct of routes.
	Routes reflect.Type
	// Policies are the structs of the policies, by name. They are keys of the root and of routes, and can be `off`.
	Policies map[string]reflect.Type
	// Targets are the structs of the targets, by name. They are keys of routes, and can be `off`.
	Targets map[string]reflect.Type
	// Root are further keys of the root, by name.
	Root map[string]reflect.Type
	// ID is the schema's own URL. It may be empty.
	ID string
	// Title is the schema's title.
	Title string
}

// SchemaNode is a JSON Schema (2020-12). Its zero value allows everything.
type SchemaNode struct {
	Schema               string                 `json:"$schema,omitempty"`
	ID                   string                 `json:"$id,omitempty"`
	Ref                  string                 `json:"$ref,omitempty"`
	Title                string                 `json:"title,omitempty"`
	Description          string                 `json:"description,omitempty"`
	Type                 any                    `json:"type,omitempty"` // a string, or a list of them
	Enum                 []any                  `json:"enum,omitempty"`
	Pattern              string                 `json:"pattern,omitempty"`
	Minimum              *float64               `json:"minimum,omitempty"`
	Maximum              *float64               `json:"maximum,omitempty"`
	Default              any                    `json:"default,omitempty"`
	AnyOf                []*SchemaNode          `json:"anyOf,omitempty"`
	Items                *SchemaNode            `json:"items,omitempty"`
	Properties           map[string]*SchemaNode `json:"properties,omitempty"`
	PatternProperties    map[string]*SchemaNode `json:"patternProperties,omitempty"`
	Required             []string               `json:"required,omitempty"`
	AdditionalProperties any                    `json:"additionalProperties,omitempty"` // a *SchemaNode, or false
	Defs                 map[string]*SchemaNode `json:"$defs,omitempty"`
}

// Schemer is a type that gives its own schema. SchemaOf is called on a zero value.
type Schemer interface{ SchemaOf() *SchemaNode }

// JSON renders the schema for a file.
func (s *SchemaNode) JSON() []byte {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // all its values are plain
	}
	return append(text, '\n')
}

// Schema makes the JSON Schema of a configuration struct, with that of everything in it.
func Schema(root reflect.Type, opts SchemaOptions) *SchemaNode {
	g := &schemaMaker{root: root, opts: opts, defs: map[string]*SchemaNode{}, names: map[reflect.Type]string{}}
	g.defs[referenceDef] = &SchemaNode{Type: "string", Pattern: `\$\{`, Description: "A text with ${NAME}, ${NAME:-default} or ${file:/path} in it."}
	s := g.object(root)
	s.Schema, s.ID, s.Title, s.Defs = "https://json-schema.org/draft/2020-12/schema", opts.ID, opts.Title, g.defs
	s.Description = plainComment(opts.Comments[commentKey(root, "")], "", "")
	return s
}

// referenceDef is the definition of a text with `${…}`, which may stand for any single value.
const referenceDef = "reference"

// schemaMaker is one run of Schema.
type schemaMaker struct {
	root  reflect.Type
	opts  SchemaOptions
	defs  map[string]*SchemaNode
	names map[reflect.Type]string
}

// of makes the schema of a type.
func (g *schemaMaker) of(t reflect.Type, b bounds) *SchemaNode {
	if x, ok := reflect.New(t).Interface().(Schemer); ok && t.Kind() != reflect.Pointer {
		return x.SchemaOf()
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return g.of(t.Elem(), b)
	case t == nodeType, t.Kind() == reflect.Interface:
		return &SchemaNode{}
	case t.Kind() == reflect.Struct && hasTags(t):
		return g.reference(t)
	case isOpaque(t):
		return &SchemaNode{Type: []string{"string", "number", "boolean"}}
	case t.Kind() == reflect.Slice:
		return g.list(t, b)
	case t.Kind() == reflect.Map:
		return &SchemaNode{Type: []string{"object", "null"}, AdditionalProperties: g.of(t.Elem(), b)}
	case t.Kind() == reflect.Struct:
		return g.reference(t)
	}
	return basicSchema(t, b)
}

// list makes the schema of a list, which may be written as one value.
func (g *schemaMaker) list(t reflect.Type, b bounds) *SchemaNode {
	item := g.of(t.Elem(), b)
	return anyOf(item, &SchemaNode{Type: []string{"array", "null"}, Items: item})
}

// reference returns a reference to a struct's definition, which it makes when there is none.
func (g *schemaMaker) reference(t reflect.Type) *SchemaNode {
	name, ok := g.names[t]
	if !ok {
		name = g.defName(t)
		g.names[t] = name
		def := &SchemaNode{}
		g.defs[name] = def
		*def = *g.structure(t)
	}
	return &SchemaNode{Ref: "#/$defs/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")}
}

// defName is the name of a struct's definition: "config.Route", or its whole import path when two packages are called alike.
func (g *schemaMaker) defName(t reflect.Type) string {
	name := t.String()
	if g.defs[name] != nil || t.Name() == "" {
		name = t.PkgPath() + "." + t.Name() + "-" + strconv.Itoa(len(g.defs))
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("[]{}* \"`", r) {
			return '_'
		}
		return r
	}, name)
}

// structure makes the schema of a struct: an object, or one of its short forms.
func (g *schemaMaker) structure(t reflect.Type) *SchemaNode {
	object := g.object(t)
	description := object.Description
	object.Description = ""
	forms := []*SchemaNode{object}
	info := inspect(t)
	if takesText(t) {
		forms = append(forms, &SchemaNode{Type: []string{"string", "number", "boolean"}})
	} else if info.short != nil {
		forms = append(forms, g.of(info.short.field.Type, info.short.bounds))
	}
	if info.off != nil {
		forms = append(forms, &SchemaNode{Enum: []any{"off", false}})
	}
	if !hasRequired(t) {
		forms = append(forms, &SchemaNode{Enum: []any{"on", true}})
	}
	s := anyOf(forms...)
	s.Description = description
	return s
}

// object makes the schema of a struct that is written as an object.
func (g *schemaMaker) object(t reflect.Type) *SchemaNode {
	info := inspect(t)
	s := &SchemaNode{Type: "object", Properties: map[string]*SchemaNode{}, AdditionalProperties: false}
	s.Description = plainComment(g.opts.Comments[commentKey(t, "")], "", "")
	defaults := defaultsOf(t)
	for _, f := range info.fields {
		p := g.of(f.field.Type, f.bounds)
		if text := g.opts.Comments[commentKey(f.owner, f.field.Name)]; text != "" {
			p = withDescription(p, plainComment(text, f.field.Name, f.name))
		}
		if d := defaultValue(defaults.FieldByIndex(f.index)); d != nil {
			p = withDescription(p, p.Description)
			p.Default = d
		}
		s.Properties[f.name] = p
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	if info.rest != nil {
		g.extend(t, s)
	}
	slices.Sort(s.Required)
	return s
}

// extend adds the keys that come from elsewhere.
func (g *schemaMaker) extend(t reflect.Type, s *SchemaNode) {
	switch t {
	case g.root:
		g.addKeys(s, g.opts.Policies, true)
		g.addKeys(s, g.opts.Root, false)
		s.PatternProperties = map[string]*SchemaNode{"^x-": {}}
	case g.opts.Routes:
		g.addKeys(s, g.opts.Policies, true)
		g.addKeys(s, g.opts.Targets, true)
	default:
		s.AdditionalProperties = g.rest(inspect(t).rest)
	}
}

// rest makes the schema of the keys that no field has.
func (g *schemaMaker) rest(f *fieldInfo) *SchemaNode {
	s := g.of(f.field.Type.Elem(), bounds{})
	if s.Ref != "" {
		return s // what it refers to says what it is
	}
	return withDescription(s, plainComment(g.opts.Comments[commentKey(f.owner, f.field.Name)], f.field.Name, otherKeys))
}

// otherKeys is how the keys that no field has are called.
const otherKeys = "Other keys"

// addKeys adds policies or targets, which can be switched.
func (g *schemaMaker) addKeys(s *SchemaNode, types map[string]reflect.Type, canBeOff bool) {
	for name, t := range types {
		p := g.of(t, bounds{})
		if canBeOff {
			p = anyOf(p, &SchemaNode{Enum: []any{"off", false}})
		}
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		s.Properties[name] = withDescription(p, plainComment(g.opts.Comments[commentKey(t, "")], "", ""))
	}
}

// hasRequired reports whether a struct type cannot take its defaults alone.
func hasRequired(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !hasTags(t) {
		return true
	}
	return slices.ContainsFunc(inspect(t).fields, func(f fieldInfo) bool { return f.required })
}

// withDescription returns a copy of a schema with a description.
func withDescription(s *SchemaNode, text string) *SchemaNode {
	c := *s
	c.Description = text
	return &c
}

// anyOf makes the schema of alternatives. Alternatives of alternatives are alternatives.
func anyOf(forms ...*SchemaNode) *SchemaNode {
	if len(forms) == 1 {
		c := *forms[0]
		return &c
	}
	all := &SchemaNode{}
	for _, f := range forms {
		if len(f.AnyOf) > 0 && f.Description == "" && f.Default == nil {
			all.AnyOf = append(all.AnyOf, f.AnyOf...)
		} else {
			all.AnyOf = append(all.AnyOf, f)
		}
	}
	return all
}
