package schema

import (
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
		for _, to := range d.schemas { // it has no property: the alternatives count as without a discriminator
			if ctx.Validate(to, v, nil) == nil {
				return
			}
		}
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

// chosen is the schema that a value names, or nil.
func (d *discriminator) chosen(v any) *jsonschema.Schema {
	o, _ := v.(map[string]any)
	if name, is := o[d.property].(string); is {
		return d.schemas[name]
	}
	return nil
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
