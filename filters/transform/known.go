package transform

import (
	"errors"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/shape"
)

// known is what is known of the documents that responses come with.
func (c *Config) known(env *filter.Env) *shape.Shape {
	r := c.Response
	switch {
	case r.From != "json", len(r.Types) > 0: // what the document of the service says of JSON is not about these
		return nil
	case c.Request != nil && (c.Request.Method != "" || c.Request.To == "soap"):
		return nil // another operation is asked for
	}
	return shape.From(env.Answers(r.Status))
}

// checkMade checks the names that requests get against those that the service knows. What clients send is not known, nor what a program makes of it.
func (r *Request) checkMade(env *filter.Env) error {
	switch {
	case r.JQ != "", r.Template != "", r.To != "json", r.ContentType != "", r.Method != "":
		return nil
	}
	return errors.Join(shape.From(env.Takes()).Made(&r.Edits)...)
}

// check checks what is said of documents against what is known of them, and returns what is known of those that the template sees.
func (s *Steps) check(known *shape.Shape) (*shape.Shape, error) {
	known, errs := known.Edit(&s.Edits)
	if s.JQ == "" {
		return known, errors.Join(errs...)
	}
	if err := known.Reads(s.JQ); err != nil {
		errs = append(errs, config.FieldErrorf("jq", "%w", err))
	}
	return nil, errors.Join(errs...)
}
