package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Where OpenAPI's schemas have schemas in them.
var (
	single = []string{"additionalProperties", "additionalItems", "items", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"}
	lists  = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	named  = []string{"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
)

// part is a schema of OpenAPI that is made one of JSON Schema.
type part struct {
	v    any
	refs []Location // where its references lead, and those of the schemas in it
	err  error
}

// prepare changes a schema of OpenAPI, and all that it refers to, into one of JSON Schema. References wait until the schema is done, so that long
// chains of them are no deep calls. What is wrong is kept with the part.
func (s *Set) prepare(at Location) {
	s.waiting = append(s.waiting, at)
	if d, err := s.doc(at.File); err == nil && d.whole && s.parts[at] == nil {
		s.waiting = append(s.waiting, s.components(at.File)...) // any of them may have an anchor
	}
	for len(s.waiting) > 0 {
		next := s.waiting[len(s.waiting)-1]
		s.waiting = s.waiting[:len(s.waiting)-1]
		if s.parts[next] != nil {
			continue
		}
		d, err := s.doc(next.File)
		if err != nil {
			s.parts[next] = &part{err: err}
			continue
		}
		v, ok := lookup(d.doc, next.Pointer)
		if !ok {
			s.parts[next] = &part{err: fmt.Errorf("%s has nothing at #%s", next.File, next.Pointer)}
			continue
		}
		_, _ = s.prepareValue(next, v) // its error is that of the part
	}
}

// components are the schemas that a document has for others to refer to.
func (s *Set) components(name string) (all []Location) {
	at := Location{File: name}.At("components", "schemas")
	v, _ := s.files.Lookup(at)
	for name := range object(v) {
		all = append(all, at.At(name))
	}
	return all
}

// prepareValue changes a schema, and those in it, and returns where their references lead.
func (s *Set) prepareValue(at Location, v any) ([]Location, error) {
	if p := s.parts[at]; p != nil {
		return p.refs, p.err
	}
	p := &part{v: v}
	s.parts[at] = p
	switch v := v.(type) {
	case bool:
	case map[string]any:
		p.err = s.prepareObject(at, v, p)
	default:
		p.err = fmt.Errorf("%s: expected a schema, which is an object", at)
	}
	return p.refs, p.err
}

func (s *Set) prepareObject(at Location, o map[string]any, p *part) error {
	if s.opts.Dialect == OpenAPI31 && !s.docs[at.File].whole {
		plain(o)
	}
	if ref, is := o["$ref"].(string); is {
		if err := s.prepareRef(at, ref, o, p); err != nil {
			return err
		}
		if s.opts.Dialect == OpenAPI30 {
			maps.DeleteFunc(o, func(key string, _ any) bool { return key != "$ref" })
			return nil // what stands beside is ignored
		}
	}
	if err := s.prepareParts(at, o, p); err != nil {
		return err
	}
	s.tidy(at, o)
	s.direct(at, o)
	s.discriminate(at, o, p)
	if s.opts.Dialect == OpenAPI30 {
		allowNull(o)
	}
	return nil
}

// prepareRef has what a schema refers to be prepared, and writes the reference for the compiler.
func (s *Set) prepareRef(at Location, ref string, o map[string]any, p *part) error {
	if s.opts.Dialect == OpenAPI31 && strings.HasPrefix(ref, "https://json-schema.org/draft/") {
		return nil // the compiler has JSON Schema's own schemas
	}
	to, err := s.files.Resolve(at, ref)
	if err != nil {
		return err
	}
	if _, err := s.files.Lookup(to); err != nil {
		return fmt.Errorf("%s: the $ref %q leads nowhere: %w", at, ref, err)
	}
	address, err := s.refer(to, p)
	if err == nil && !s.docs[at.File].whole { // where a schema may have a base of its own, the reference is one from there
		o["$ref"] = address
	}
	return err
}

// refer has a place be prepared, and returns how the compiler finds it.
func (s *Set) refer(to Location, p *part) (string, error) {
	if _, err := s.doc(to.File); err != nil {
		return "", err
	}
	p.refs = append(p.refs, to)
	s.waiting = append(s.waiting, to)
	return s.address(to), nil
}

func (s *Set) prepareParts(at Location, o map[string]any, p *part) error {
	one := func(v any, tokens ...string) error {
		refs, err := s.prepareValue(at.At(tokens...), v)
		p.refs = append(p.refs, refs...)
		return err
	}
	for _, key := range single {
		if v, is := o[key].(map[string]any); is {
			if err := one(v, key); err != nil {
				return err
			}
		}
	}
	for _, key := range lists {
		list, _ := o[key].([]any)
		for i, v := range list {
			if err := one(v, key, itoa(i)); err != nil {
				return err
			}
		}
	}
	for _, key := range named {
		all, _ := o[key].(map[string]any)
		for name, v := range all {
			if err := one(v, key, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidy leaves out what many documents have although their version does not, and what says nothing.
func (s *Set) tidy(at Location, o map[string]any) {
	switch required := o["required"].(type) {
	case bool: // of draft 3, and of Swagger's parameters
		delete(o, "required")
	case []any:
		if o["required"] = distinct(required); len(required) == 0 {
			delete(o, "required")
		}
	}
	if enum, is := o["enum"].([]any); is {
		o["enum"] = distinct(enum)
	}
	if !s.docs[at.File].whole { // it counts at the start of a document only, and this is a part of one
		delete(o, "$schema")
	}
	if s.opts.Dialect != OpenAPI30 {
		return
	}
	for _, side := range []string{"Minimum", "Maximum"} {
		if _, has := o[strings.ToLower(side)]; !has {
			if _, flag := o["exclusive"+side].(bool); flag {
				delete(o, "exclusive"+side)
			}
		}
	}
	delete(o, "id") // it is no keyword in 3.0
}

// distinct are the values of a list, each once.
func distinct(list []any) (own []any) {
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		text, _ := json.Marshal(v) // it was read from JSON, or YAML that is as JSON
		if n, is := v.(json.Number); is {
			text = []byte(rational(string(n)).RatString())
		}
		if !seen[string(text)] {
			own = append(own, v)
		}
		seen[string(text)] = true
	}
	return own
}

// direct has `required` not ask for properties that are not for the direction.
func (s *Set) direct(at Location, o map[string]any) {
	required, _ := o["required"].([]any)
	properties, _ := o["properties"].(map[string]any)
	var left []any
	for _, name := range required {
		key, _ := name.(string)
		if _, has := properties[key]; has && s.marked(at.At("properties", key), 0) {
			continue
		}
		left = append(left, name)
	}
	if len(left) == 0 {
		delete(o, "required")
		return
	}
	o["required"] = left
}

// marker is the keyword of what is not for the direction.
func (o Options) marker() string {
	if o.Direction == Request {
		return "readOnly"
	}
	return "writeOnly"
}

// marked says whether the schema at a place says that its value is not for the direction.
func (s *Set) marked(at Location, depth int) bool {
	v, err := s.files.Lookup(at)
	o, ok := v.(map[string]any)
	if err != nil || !ok || depth > 20 {
		return false
	}
	if on, _ := o[s.opts.marker()].(bool); on {
		return true
	}
	if ref, is := o["$ref"].(string); is {
		to, err := s.files.Resolve(at, ref)
		return err == nil && s.marked(to, depth+1)
	}
	all, _ := o["allOf"].([]any)
	for i := range all {
		if s.marked(at.At("allOf", itoa(i)), depth+1) {
			return true
		}
	}
	return false
}

// chosen is the keyword that stands for a discriminator with its alternatives: from the property's value to a $ref.
const chosen = "x-cardea-chosen"

// discriminate has a discriminator choose among alternatives that are all references.
func (s *Set) discriminate(at Location, o map[string]any, p *part) {
	d, _ := o["discriminator"].(map[string]any)
	property, _ := d["propertyName"].(string)
	if property == "" {
		return
	}
	original, _ := s.files.Lookup(at)
	for _, key := range []string{"oneOf", "anyOf"} {
		list, _ := object(original)[key].([]any)
		refs := map[string]any{}
		for _, item := range list {
			ref, _ := object(item)["$ref"].(string)
			if ref == "" {
				refs = nil
				break
			}
			refs[ref[strings.LastIndex(ref, "/")+1:]] = ref
		}
		if len(refs) == 0 {
			continue
		}
		mapping, _ := d["mapping"].(map[string]any)
		for value, to := range mapping {
			if text, _ := to.(string); text != "" {
				refs[value] = alternative(refs, text)
			}
		}
		delete(o, key)
		o[chosen] = map[string]any{"property": property, "refs": s.alternatives(at, refs, p)}
		return
	}
}

// alternative is where a value of a mapping leads: to a reference, or the name of a schema.
func alternative(refs map[string]any, text string) string {
	if ref, ok := refs[text].(string); ok {
		return ref
	}
	if !strings.ContainsAny(text, "/#.") {
		text = "#/components/schemas/" + text
	}
	return text
}

// alternatives writes references for the compiler. Those that lead nowhere are left out.
func (s *Set) alternatives(at Location, refs map[string]any, p *part) map[string]any {
	known := map[string]any{}
	for value, ref := range refs {
		to, err := s.files.Resolve(at, ref.(string))
		if err != nil || !s.files.Has(to) {
			continue
		}
		if address, err := s.refer(to, p); err == nil {
			known[value] = address
		}
	}
	return known
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// allowNull writes what `nullable` means in JSON Schema: null passes, whatever stands beside.
func allowNull(o map[string]any) {
	on, _ := o["nullable"].(bool)
	delete(o, "nullable")
	if !on {
		return
	}
	if t, is := o["type"].(string); is {
		o["type"] = []any{t, "null"}
	}
	if enum, is := o["enum"].([]any); is && !slices.Contains(enum, nil) {
		o["enum"] = append(slices.Clone(enum), nil)
	}
	inner := map[string]any{}
	for _, key := range []string{"allOf", "anyOf", "oneOf", "not", chosen} {
		if v, has := o[key]; has {
			inner[key] = v
			delete(o, key)
		}
	}
	if len(inner) > 0 {
		o["anyOf"] = []any{map[string]any{"enum": []any{nil}}, inner}
	}
}
