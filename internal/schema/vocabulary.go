package schema

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/message"
)

// vocabulary is what OpenAPI adds to JSON Schema and is not written as JSON Schema: properties of one direction, and discriminators.
func vocabulary(opts Options) *jsonschema.Vocabulary {
	return &jsonschema.Vocabulary{
		URL: "urn:cardea:openapi",
		Compile: func(ctx *jsonschema.CompilerContext, o map[string]any) (jsonschema.SchemaExt, error) {
			var all extensions
			if on, _ := o[opts.marker()].(bool); on && !opts.Strip {
				all = append(all, wrongWay{opts.marker()})
			}
			if c, ok := o[chosen].(map[string]any); ok {
				d := &discriminator{property: c["property"].(string), schemas: map[string]*jsonschema.Schema{}}
				for value, ref := range c["refs"].(map[string]any) {
					to, err := ctx.EnqueueRef(ref.(string))
					if err != nil {
						return nil, err
					}
					d.schemas[value] = to
				}
				all = append(all, d)
			}
			if len(all) == 0 {
				return nil, nil
			}
			return all, nil
		},
	}
}

// extensions are what a schema has of the vocabulary.
type extensions []jsonschema.SchemaExt

func (e extensions) Validate(ctx *jsonschema.ValidatorContext, v any) {
	for _, one := range e {
		one.Validate(ctx, v)
	}
}

// wrongWay refuses any value: it is not for the direction.
type wrongWay struct{ marker string }

func (w wrongWay) Validate(ctx *jsonschema.ValidatorContext, _ any) {
	ctx.AddError(&wrongWayError{w.marker})
}

// discriminator checks an object against the schema that one of its properties names.
type discriminator struct {
	property string
	schemas  map[string]*jsonschema.Schema
}

func (d *discriminator) Validate(ctx *jsonschema.ValidatorContext, v any) {
	o, ok := v.(map[string]any)
	if !ok {
		ctx.AddError(&notChosenError{d.property, "expected an object, as its kind stands in a property"})
		return
	}
	name, ok := o[d.property].(string)
	if !ok {
		ctx.AddError(&notChosenError{d.property, "the property that says which kind it is, is missing, or no text"})
		return
	}
	to := d.schemas[name]
	if to == nil {
		ctx.AddError(&notChosenError{d.property, "the property that says which kind it is, names none that is known"})
		return
	}
	if err := ctx.Validate(to, v, nil); err != nil {
		ctx.AddErr(err)
	}
}

// wrongWayError is a value that is not for its direction.
type wrongWayError struct{ marker string }

func (e *wrongWayError) KeywordPath() []string { return []string{e.marker} }

func (e *wrongWayError) LocalizedString(*message.Printer) string { return e.reason() }

func (e *wrongWayError) reason() string {
	if e.marker == "readOnly" {
		return "is read-only, and not for requests"
	}
	return "is write-only, and not for responses"
}

// notChosenError is a value whose discriminator chooses nothing.
type notChosenError struct{ property, why string }

func (*notChosenError) KeywordPath() []string { return []string{"discriminator"} }

func (e *notChosenError) LocalizedString(*message.Printer) string { return e.why }

// Types are the types that values may have by a schema as it is written, followed through references and combinations. None: any.
func (f *Files) Types(at Location) []string { return f.types(at, 0) }

func (f *Files) types(at Location, depth int) []string {
	o := f.follow(&at)
	if o == nil || depth > 10 {
		return nil
	}
	var found []string
	switch t := o["type"].(type) {
	case string:
		found = []string{t}
	case []any:
		for _, one := range t {
			if name, ok := one.(string); ok {
				found = append(found, name)
			}
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, key := range lists[:3] {
		all, _ := o[key].([]any)
		for i := range all {
			for _, t := range f.types(at.At(key, itoa(i)), depth+1) {
				if !slices.Contains(found, t) {
					found = append(found, t)
				}
			}
		}
	}
	if len(found) == 0 && o["properties"] != nil {
		return []string{"object"}
	}
	if len(found) == 0 && o["items"] != nil {
		return []string{"array"}
	}
	return found
}

// Property is where the schema of a property stands; false where a schema does not say.
func (f *Files) Property(at Location, name string) (Location, bool) {
	return f.part(at, 0, "properties", name)
}

// Items is where the schema of an array's items stands.
func (f *Files) Items(at Location) (Location, bool) { return f.part(at, 0, "items") }

// Additional is where the schema of further properties stands.
func (f *Files) Additional(at Location) (Location, bool) {
	return f.part(at, 0, "additionalProperties")
}

func (f *Files) part(at Location, depth int, path ...string) (Location, bool) {
	o := f.follow(&at)
	if o == nil || depth > 10 {
		return at, false
	}
	to := at.At(path...)
	if v, err := f.Lookup(to); err == nil {
		if _, is := v.(map[string]any); is {
			return to, true
		}
	}
	for _, key := range lists[:3] {
		all, _ := o[key].([]any)
		for i := range all {
			if to, ok := f.part(at.At(key, itoa(i)), depth+1, path...); ok {
				return to, true
			}
		}
	}
	return at, false
}

// follow follows $refs from a place, and returns the schema there, or nil.
func (f *Files) follow(at *Location) map[string]any {
	to, v, err := f.Deref(*at)
	if err != nil {
		return nil
	}
	*at = to
	o, _ := v.(map[string]any)
	return o
}

// Properties are the names of the properties that a schema tells of.
func (f *Files) Properties(at Location) []string { return f.properties(at, 0) }

func (f *Files) properties(at Location, depth int) (names []string) {
	o := f.follow(&at)
	if o == nil || depth > 10 {
		return nil
	}
	own, _ := o["properties"].(map[string]any)
	for name := range own {
		names = append(names, name)
	}
	for _, key := range lists[:3] {
		all, _ := o[key].([]any)
		for i := range all {
			names = append(names, f.properties(at.At(key, itoa(i)), depth+1)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
