package shape

import (
	"slices"
	"strconv"
	"sync"

	"cardea.dev/cardea/internal/schema"
)

// FromSchema is the shape of values that a schema describes, as it is written. Of says what the schema is of, for errors.
func FromSchema(files *schema.Files, at schema.Location, of string) *Shape {
	all := &schemas{files: files, of: of, seen: map[schema.Location]lazy{}, effort: &effort{}}
	all.effort.left.Store(maxEffort)
	return all.shape(at)()
}

// Bounds of what is followed: for one value, and in all, counted in schemas and members. Beyond them all is open.
const (
	maxSchemas = 2000
	maxDepth   = 40
	maxEffort  = 500_000
)

// schemas makes shapes of the schemas of a document, each once, since they refer to themselves and to each other.
type schemas struct {
	files  *schema.Files
	of     string
	effort *effort

	mu   sync.Mutex
	seen map[schema.Location]lazy
}

// shape is the shape of a schema, once it is asked for.
func (s *schemas) shape(at schema.Location) lazy {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.seen[at]
	if known == nil {
		known = sync.OnceValue(func() *Shape {
			r := &reader{schemas: s, left: maxSchemas}
			return useful(r.schema(at, 0))
		})
		s.seen[at] = known
	}
	return known
}

// reader reads the schemas that tell of one value.
type reader struct {
	*schemas
	left int
}

// anything is the shape of values of which nothing is said, and of which nothing can be known.
func (r *reader) anything() *Shape {
	return &Shape{of: r.of, kinds: all, open: true, left: r.effort}
}

// schema reads a schema. What it returns is not settled: it may stand beside others.
func (r *reader) schema(at schema.Location, depth int) *Shape {
	if r.left--; r.left < 0 || depth > maxDepth {
		return r.anything()
	}
	v, err := r.files.Lookup(at)
	o, is := v.(map[string]any)
	if err != nil || !is || !r.effort.take(1+len(items(o["required"]))+len(asObject(o["properties"]))) {
		return r.anything()
	}
	s := r.own(at, o)
	if v, has := o["$ref"]; has {
		ref, _ := v.(string)
		to, err := at.Resolve(ref)
		if err != nil {
			return r.anything()
		}
		s = both(s, r.schema(to, depth+1))
	}
	for i := range items(o["allOf"]) {
		s = both(s, r.schema(at.At("allOf", strconv.Itoa(i)), depth+1))
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		var branches []*Shape
		for i := range items(o[key]) {
			branches = append(branches, both(s, r.branch(at.At(key, strconv.Itoa(i)), depth+1)))
		}
		if len(branches) > 0 {
			s = either(branches...)
		}
	}
	return s
}

// branch reads one of several schemas of which one holds.
func (r *reader) branch(at schema.Location, depth int) *Shape {
	s := r.schema(at, depth)
	if s.kinds == all && len(s.members) == 0 && s.element == nil {
		return r.anything() // it is for all that the others leave out
	}
	return s
}

// openers are keywords by which objects may have members that no `properties` tells of, or of which it is not sure.
var openers = []string{
	"patternProperties", "not", "if", "then", "else", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef", "$id",
	"x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
}

// own is what a schema itself says, without those that it refers to.
func (r *reader) own(at schema.Location, o map[string]any) *Shape {
	s := &Shape{of: r.of, left: r.effort, kinds: kindsOf(o), members: map[string]member{}}
	properties := asObject(o["properties"])
	for name := range properties {
		s.members[name] = member{lazy: r.shape(at.At("properties", name))}
	}
	if len(properties) > 0 {
		s.told = true
		s.kinds |= object
	}
	for _, v := range items(o["required"]) {
		name, _ := v.(string)
		s.required = append(s.required, name)
		if _, is := s.members[name]; !is {
			s.members[name] = member{lazy: unknown}
		}
	}
	s.open = slices.ContainsFunc(openers, func(key string) bool { return o[key] != nil })
	r.rest(at, o, s)
	if d, is := o["discriminator"].(map[string]any); is {
		name, _ := d["propertyName"].(string)
		if _, is := s.members[name]; !is {
			s.members[name] = member{lazy: unknown}
		}
		if o["oneOf"] == nil && o["anyOf"] == nil {
			s.open = true // schemas that build on this one may stand in its place
		}
	} else if o["discriminator"] != nil { // as Swagger 2 has it
		s.open = true
	}
	if _, is := o["items"].(map[string]any); is && o["prefixItems"] == nil {
		s.element = r.shape(at.At("items"))
		s.kinds |= list
	}
	s.open = s.open || s.kinds&^null == object && isBare(o)
	_, given := o["default"]
	readOnly, _ := o["readOnly"].(bool)
	s.spared = given || readOnly
	return s
}

// rest reads what is said of members that are not named.
func (r *reader) rest(at schema.Location, o map[string]any, s *Shape) {
	for _, key := range []string{"additionalProperties", "unevaluatedProperties"} {
		switch v := o[key].(type) {
		case bool:
			s.open = s.open || v
		case map[string]any:
			if s.open = true; len(v) > 0 && o["patternProperties"] == nil {
				s.rest = r.shape(at.At(key))
			}
		}
	}
}

// isBare says whether a schema says of objects nothing at all.
func isBare(o map[string]any) bool {
	for _, key := range []string{"$ref", "allOf", "oneOf", "anyOf", "properties", "required", "additionalProperties", "minProperties", "maxProperties"} {
		if _, has := o[key]; has {
			return false
		}
	}
	return true
}

// kindsOf are the kinds that a schema names.
func kindsOf(o map[string]any) (k kinds) {
	names := items(o["type"])
	if name, is := o["type"].(string); is {
		names = []any{name}
	}
	for _, name := range names {
		switch name {
		case "object":
			k |= object
		case "array":
			k |= list
		case "string":
			k |= text
		case "number", "integer":
			k |= number
		case "boolean":
			k |= boolean
		case "null":
			k |= null
		default:
			return all
		}
	}
	if k == 0 {
		return all
	}
	if nullable, _ := o["nullable"].(bool); nullable {
		k |= null
	}
	if o["format"] == "int-or-string" || o["x-kubernetes-int-or-string"] == true {
		k |= text | number
	}
	return k
}

func asObject(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func items(v any) []any {
	list, _ := v.([]any)
	return list
}
