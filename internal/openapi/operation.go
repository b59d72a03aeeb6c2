package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/internal/schema"
)

// Operation is an operation of a document.
type Operation struct {
	ID      string // "" where it has none
	Method  string
	Path    string // the template
	Summary string
	Servers []string // URLs of its servers
	HasBody bool     // it has a requestBody

	document *Document
	at, item schema.Location // of the operation and its path item
	template *template
	bases    []string // paths of the servers
	place    int      // among the document's operations

	compiled   bool
	parameters []*parameter
	explicit   map[string]bool // names of query parameters that are given as such
	open       bool            // a query parameter takes any name
	body       *body
	bodyNeeded bool
	responses  map[string]*response
}

// Name is the operation's id, or else its method and path.
func (o *Operation) Name() string {
	if o.ID != "" {
		return o.ID
	}
	return o.Method + " " + o.Path
}

// compile compiles all that requests and responses of the operation are checked with.
func (o *Operation) compile() error {
	if o.compiled {
		return nil
	}
	if err := o.compileParameters(); err != nil {
		return err
	}
	v, err := o.document.files.Lookup(o.at)
	if err != nil {
		return err
	}
	own := v.(map[string]any)
	if o.HasBody {
		at, v, err := o.document.files.Deref(o.at.At("requestBody"))
		if err != nil {
			return err
		}
		b, _ := v.(map[string]any)
		o.bodyNeeded, _ = b["required"].(bool)
		if o.body, err = o.document.compileBody(o.document.requests, at); err != nil {
			return err
		}
	}
	o.responses = map[string]*response{}
	responses, err := member(o.at, own, "responses")
	if err != nil {
		return err
	}
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		if strings.HasPrefix(status, "x-") {
			continue
		}
		at, _, err := o.document.files.Deref(o.at.At("responses", status))
		if err != nil {
			return err
		}
		r, err := o.document.compileResponse(at)
		if err != nil {
			return err
		}
		o.responses[strings.ToUpper(status)] = r
	}
	o.compiled = true
	return nil
}

// compileParameters compiles the parameters of the path and those of the operation, which replace the former.
func (o *Operation) compileParameters() error {
	o.parameters, o.explicit = nil, map[string]bool{}
	for _, level := range []schema.Location{o.item, o.at} {
		v, err := o.document.files.Lookup(level)
		if err != nil {
			return err
		}
		given := v.(map[string]any)["parameters"]
		list, ok := given.([]any)
		if given != nil && !ok {
			return fmt.Errorf("%s: expected a list", level.At("parameters"))
		}
		for i := range list {
			at, v, err := o.document.files.Deref(level.At("parameters", fmt.Sprint(i)))
			if err != nil {
				return err
			}
			own, ok := v.(map[string]any)
			if !ok {
				return fmt.Errorf("%s: expected a parameter, which is an object", at)
			}
			p, err := o.document.compileParameter(o.document.requests, at, own, text(own, "in"), text(own, "name"))
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			same := func(q *parameter) bool { return q.name == p.name && q.in == p.in }
			o.parameters = append(slices.DeleteFunc(o.parameters, same), p)
		}
	}
	for _, p := range o.parameters {
		if p.in == "path" && !slices.Contains(o.template.names, p.name) {
			return fmt.Errorf("%s: the path has no parameter {%s}", p.at, p.name)
		}
		if p.in == "query" {
			for _, name := range p.queryNames() {
				o.explicit[name] = true
			}
			o.open = o.open || p.anyName()
		}
	}
	return nil
}

// parameter is a parameter, or a header of a response.
type parameter struct {
	name, in string
	at       schema.Location
	required bool
	style    string
	explode  bool
	empty    bool // it may be given without a value
	json     bool // its value is a JSON text
	schema   *schema.Schema
	shape    *shape
	single   *parameter // as it is read where it is one value, though it may be several; nil: it is read in one way
}

// styles are those that a place has, its default first.
var styles = map[string][]string{
	"path":   {"simple", "label", "matrix"},
	"query":  {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	"header": {"simple"},
	"cookie": {"form"},
}

// compileParameter compiles a parameter. It is nil for header fields that are no parameters by the specification.
func (d *Document) compileParameter(set *schema.Set, at schema.Location, own map[string]any, in, name string) (*parameter, error) {
	known, ok := styles[in]
	if !ok {
		return nil, fmt.Errorf("%s: `in` is %q; expected path, query, header or cookie", at, in)
	}
	if name == "" {
		return nil, fmt.Errorf("%s: the parameter has no name", at)
	}
	if in == "header" && slices.ContainsFunc([]string{"Accept", "Content-Type", "Authorization"}, func(s string) bool { return strings.EqualFold(s, name) }) {
		return nil, nil
	}
	p := &parameter{name: name, in: in, at: at, style: known[0]}
	p.required, _ = own["required"].(bool)
	p.empty, _ = own["allowEmptyValue"].(bool)
	p.required = p.required || in == "path"
	if s := text(own, "style"); s != "" {
		if p.style = s; !slices.Contains(known, s) {
			return nil, fmt.Errorf("%s: the style %q is none of parameters in %s; expected %s", at, s, in, strings.Join(known, ", "))
		}
	}
	p.explode = p.style == "form"
	if explode, is := own["explode"].(bool); is {
		p.explode = explode
	}
	place := at.At("schema")
	if _, has := own["schema"]; !has {
		for kind := range object(own, "content") {
			place, p.json = at.At("content", kind, "schema"), isJSON(baseType(kind))
		}
	}
	if !d.files.Has(place) {
		p.shape = &shape{}
		return p, nil // nothing is said of its value
	}
	var err error
	p.schema, err = set.Compile(place)
	p.shape = d.shape(place, 0)
	if one := p.shape.single(); one != nil && !p.json {
		own := *p
		own.shape, p.single = one, &own
	}
	return p, err
}

// shape is what a schema says of the types of values, for texts to be read as such.
type shape struct {
	types      []string
	items      *shape
	properties map[string]*shape
	additional *shape
}

// maxShape is how deep shapes go. What is deeper is text.
const maxShape = 4

// shaped is a shape of a place, and how deep it lies in others.
type shaped struct {
	at    schema.Location
	depth int
}

func (d *Document) shape(at schema.Location, depth int) *shape {
	if to, _, err := d.files.Deref(at); err == nil {
		at = to
	}
	key := shaped{at, depth}
	if known := d.shapes[key]; known != nil {
		return known
	}
	s := &shape{types: d.files.Types(at)}
	d.shapes[key] = s
	if depth == maxShape {
		return s
	}
	if items, ok := d.files.Items(at); ok {
		s.items = d.shape(items, depth+1)
	}
	if more, ok := d.files.Additional(at); ok {
		s.additional = d.shape(more, depth+1)
	}
	for name, property := range d.files.Properties(at) {
		if s.properties == nil {
			s.properties = map[string]*shape{}
		}
		s.properties[name] = d.shape(property, depth+1)
	}
	return s
}

func (s *shape) is(kind string) bool { return s != nil && slices.Contains(s.types, kind) }

// single is the shape of what is one value where it may be several, too. It is nil where it may not be both.
func (s *shape) single() *shape {
	own := &shape{}
	for _, kind := range s.types {
		if kind != "array" && kind != "object" && kind != "null" {
			own.types = append(own.types, kind)
		}
	}
	if len(own.types) == 0 || !s.is("array") && !s.is("object") {
		return nil
	}
	return own
}

// property is the shape of a property. It is never nil.
func (s *shape) property(name string) *shape {
	if s != nil {
		if p := s.properties[name]; p != nil {
			return p
		}
		if s.additional != nil {
			return s.additional
		}
	}
	return &shape{}
}

// item is the shape of an array's items. It is never nil.
func (s *shape) item() *shape {
	if s == nil || s.items == nil {
		return &shape{}
	}
	return s.items
}

// queryNames are the names that a parameter has in a query.
func (p *parameter) queryNames() []string {
	if p.style == "form" && p.explode && p.shape.is("object") && !p.json {
		return slices.Collect(maps.Keys(p.shape.properties))
	}
	return []string{p.name}
}

// anyName says whether a parameter takes whatever name a query has.
func (p *parameter) anyName() bool {
	return p.style == "form" && p.explode && p.shape.is("object") && !p.json && (p.shape.additional != nil || len(p.shape.properties) == 0)
}
