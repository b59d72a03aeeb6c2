package call

import (
	"errors"
	"fmt"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/openapi"
	"cardea.dev/cardea/internal/pathtemplate"
	"cardea.dev/cardea/internal/shape"
)

// asked is what a call asks its upstream for, by the upstream's OpenAPI document.
type asked struct {
	operation *openapi.Operation // nil: it is not known
	query     string             // with holes; only of an operation that is known
	binding   bool               // what is not as the document says is an error
}

// ask finds the operation of a call. Its error is that the document has none; what else is wrong is said elsewhere.
func ask(env *filter.Env, line string) (asked, error) {
	method, path, query, d, binding := patterns(env, line)
	if d == nil {
		return asked{}, nil
	}
	o, err := d.Asked(method, path)
	switch {
	case err != nil && binding:
		return asked{}, err
	case o == nil:
		return asked{}, nil
	}
	return asked{o, query, binding}, nil
}

// patterns are method, path and query of a call, with holes, and the document of its upstream, nil where there is none.
func patterns(env *filter.Env, line string) (method, path, query string, d *openapi.Document, binding bool) {
	method, name, source, err := readLine(line)
	if err != nil || env.OpenAPI == nil {
		return "", "", "", nil, false
	}
	file, binding := env.OpenAPI(name)
	if file == "" {
		return "", "", "", nil, false
	}
	none := func(*filter.Exchange) (string, bool) { return "", false }
	pieces, asks, _, err := pathtemplate.New(env, source, func(string) (filter.Value, error) { return none, nil })
	if err != nil {
		return "", "", "", nil, false
	}
	path, ok := pieces.Pattern(openapi.Hole)
	query, _ = asks.Pattern(openapi.Hole)
	if !ok {
		return "", "", "", nil, false
	}
	if d, err = openapi.ForCalls(env, file); err != nil {
		return "", "", "", nil, false
	}
	return method, path, query, d, binding
}

// check finds the operation of the call, and checks against it what the call sends.
func (n *Call) check(r *reader, c *Config) error {
	a, err := ask(r.scope.Env, c.Call)
	if err != nil {
		return config.FieldErrorf("call", "%w", err)
	}
	if a.operation == nil {
		return nil
	}
	n.Operation = a.operation.Name()
	if !a.binding {
		return nil
	}
	if err := a.operation.CheckQuery(a.query); err != nil {
		return config.FieldErrorf("call", "%w", err)
	}
	body, required := a.operation.Request(c.ContentType)
	switch {
	case c.Body.IsZero() && required:
		return config.FieldErrorf("call", "it has no `body`, which %s requires", a.operation.Known())
	case c.Body.IsZero(), c.ContentType != "" && !isJSON(c.ContentType):
		return nil
	}
	var v any
	_ = c.Body.Decode(&v) // what is wrong with it is said where it is read
	return errors.Join(body.Accepts("body", v, r.isText)...)
}

// isText says whether a template makes a text, rather than keeping the type of its only value.
func (r *reader) isText(source string) bool {
	none := func(*filter.Exchange) (string, bool) { return "", false }
	parts, err := r.scope.Env.Expr.Parts(source, func(string) (filter.Value, error) { return none, nil })
	return err == nil && (len(parts) != 1 || parts[0].Value == nil)
}

// Answer is what is known of the answer of a call that is of use, nil where nothing is, after edits have been done to it; they may be nil. The errors are
// about the edits, and stand at their fields.
func Answer(env *filter.Env, c *Config, edits *document.Edits) (*shape.Shape, []error) {
	a, err := ask(env, c.Call)
	if err != nil || !a.binding || asksForOther(c) {
		return nil, nil
	}
	s := a.operation.Answer(accepted(c))
	if edits == nil {
		return s, nil
	}
	return s.Edit(edits)
}

// asksForOther says whether a call asks, perhaps, for a media type that is not JSON by its name. Some such are JSON of another shape all the same:
// "application/vnd.github.object".
func asksForOther(c *Config) bool {
	for name, value := range c.Headers {
		if !strings.EqualFold(name, "Accept") {
			continue
		}
		for kind := range strings.SplitSeq(value, ",") {
			kind = strings.TrimSpace(kind)
			if base, _, _ := strings.Cut(kind, ";"); !isJSON(kind) && base != "*/*" && base != "application/*" {
				return true
			}
		}
	}
	return false
}

// accepted are the statuses that are of use.
func accepted(c *Config) []config.StatusRange {
	if len(c.Status) == 0 {
		return []config.StatusRange{{From: 200, To: 299}}
	}
	return c.Status
}

// Shapes are what is known of names, for expressions.
func Shapes(known map[string]*shape.Shape) map[string]filter.Shape {
	all := map[string]filter.Shape{}
	for name, s := range known {
		if s != nil {
			all[name] = s
		}
	}
	return all
}

// Loops says whether a list can be gone through, and what is known of its elements.
func Loops(env *filter.Env, source string) (filter.Shape, error) {
	s, err := env.Expr.Shape(source)
	if s == nil || err != nil {
		return nil, err
	}
	element, err := s.Element()
	if err != nil {
		return nil, fmt.Errorf("%s %w", source, err)
	}
	return element, nil
}
