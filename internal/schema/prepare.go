package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Where OpenAPI's schemas have schemas in them.
var (
	single = []string{"additionalProperties", "additionalItems", "items", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"}
	lists  = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	named  = []string{"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
)

// prepare changes a schema of OpenAPI, and all that it refers to, into one of JSON Schema.
func (s *Set) prepare(at Location) error {
	if s.prepared[at] {
		return nil
	}
	s.prepared[at] = true
	doc, err := s.doc(at.File)
	if err != nil {
		return err
	}
	v, ok := lookup(doc, at.Pointer)
	if !ok {
		return fmt.Errorf("%s has nothing at #%s", at.File, at.Pointer)
	}
	o, ok := v.(map[string]any)
	if !ok {
		if _, is := v.(bool); is {
			return nil
		}
		return fmt.Errorf("%s: expected a schema, which is an object", at)
	}
	if ref, is := o["$ref"].(string); is {
		if err := s.prepareRef(at, ref); err != nil {
			return err
		}
		if s.opts.Dialect == OpenAPI30 {
			return nil // what stands beside is ignored
		}
	}
	if err := s.prepareParts(at, o); err != nil {
		return err
	}
	s.tidy(o)
	s.direct(at, o)
	s.discriminate(at, o)
	if s.opts.Dialect == OpenAPI30 {
		allowNull(o)
	}
	return nil
}

// prepareRef prepares what a schema refers to. Anchors are the compiler's to find.
func (s *Set) prepareRef(at Location, ref string) error {
	to, err := at.Resolve(ref)
	if err != nil {
		return err
	}
	if to.Pointer != "" && to.Pointer[0] != '/' {
		return nil
	}
	if _, err := s.files.Lookup(to); err != nil {
		return fmt.Errorf("%s: the $ref %q leads nowhere: %w", at, ref, err)
	}
	return s.prepare(to)
}

func (s *Set) prepareParts(at Location, o map[string]any) error {
	for _, key := range single {
		if _, is := o[key].(map[string]any); is {
			if err := s.prepare(at.At(key)); err != nil {
				return err
			}
		}
	}
	for _, key := range lists {
		list, _ := o[key].([]any)
		for i := range list {
			if err := s.prepare(at.At(key, fmt.Sprint(i))); err != nil {
				return err
			}
		}
	}
	for _, key := range named {
		all, _ := o[key].(map[string]any)
		for name := range all {
			if err := s.prepare(at.At(key, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidy leaves out what many documents have although their version does not, and what says nothing.
func (s *Set) tidy(o map[string]any) {
	switch required := o["required"].(type) {
	case bool: // of draft 3, and of Swagger's parameters
		delete(o, "required")
	case []any:
		own := slices.Clone(required)
		own = slices.CompactFunc(own, func(a, b any) bool { return a == b })
		if len(own) == 0 {
			delete(o, "required")
		} else {
			o["required"] = own
		}
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
	for _, key := range []string{"id", "$schema"} { // they are no keywords in 3.0
		delete(o, key)
	}
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
		to, err := at.Resolve(ref)
		return err == nil && s.marked(to, depth+1)
	}
	all, _ := o["allOf"].([]any)
	for i := range all {
		if s.marked(at.At("allOf", fmt.Sprint(i)), depth+1) {
			return true
		}
	}
	return false
}

// chosen is the keyword that stands for a discriminator with its alternatives: from the property's value to a $ref.
const chosen = "x-cardea-chosen"

// discriminate has a discriminator choose among alternatives that are all references.
func (s *Set) discriminate(at Location, o map[string]any) {
	d, _ := o["discriminator"].(map[string]any)
	property, _ := d["propertyName"].(string)
	if property == "" {
		return
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		list, _ := o[key].([]any)
		refs := map[string]any{}
		for _, item := range list {
			alternative, _ := item.(map[string]any)
			ref, _ := alternative["$ref"].(string)
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
			if ref := s.mapped(at, refs, to); ref != "" {
				refs[value] = ref
			}
		}
		delete(o, key)
		o[chosen] = map[string]any{"property": property, "refs": refs}
		return
	}
}

// mapped is where a value of a mapping leads: to a reference, or the name of a schema.
func (s *Set) mapped(at Location, refs map[string]any, to any) string {
	text, _ := to.(string)
	if ref, ok := refs[text].(string); ok {
		return ref
	}
	if !strings.ContainsAny(text, "/#.") {
		text = "#/components/schemas/" + text
	}
	if s.prepareRef(at, text) != nil {
		return ""
	}
	return text
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
