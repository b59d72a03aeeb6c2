package schema

import (
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// naming is an extension that checks the names of an object's properties, in the place of `propertyNames`: the compiler's own check shares the place of what is
// wrong with that of the values which it comes to later, and so tells of another one.
type naming struct{ names *jsonschema.Schema }

// Validate checks the names.
func (n naming) Validate(ctx *jsonschema.ValidatorContext, v any) {
	o, _ := v.(map[string]any)
	for name := range o {
		if n.names.Validate(name) != nil {
			ctx.AddError(&kind.PropertyNames{Property: name})
		}
	}
}

// nameWell has a schema check the names of properties by an extension.
func nameWell(s *jsonschema.Schema) {
	if s.PropertyNames != nil {
		s.Extensions = append(s.Extensions, naming{s.PropertyNames})
		s.PropertyNames = nil
	}
}
