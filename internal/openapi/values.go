package openapi

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"

	"cardea.dev/cardea/internal/schema"
)

// pair is a parameter of a query: its name, and its value as it came.
type pair struct{ name, raw string }

// maxPairs is how many parameters a query or a form may have.
const maxPairs = 10_000

// parseQuery reads a query, or a form. It says whether something in it is not well escaped, which is left out.
func parseQuery(q string) (pairs []pair, bad bool) {
	for part := range strings.SplitSeq(q, "&") {
		if part == "" {
			continue
		}
		name, raw, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || len(pairs) == maxPairs {
			return pairs, true
		}
		pairs = append(pairs, pair{name, raw})
	}
	return pairs, false
}

var (
	errEscape = errors.New("is not well escaped")
	errPairs  = errors.New("is no list of names and values")
	errPrefix = errors.New("is not written in the style of the parameter")
	errJSON   = errors.New("is no JSON")
	errTwice  = errors.New("is given more than once")
)

// unescape is how the text of a value is read.
type unescape func(string) (string, error)

func query(s string) (string, error) {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return "", errEscape
	}
	return plain, nil
}

func path(s string) (string, error) {
	plain, err := url.PathUnescape(s)
	if err != nil {
		return "", errEscape
	}
	return plain, nil
}

// numeral is a number as JSON writes it, and whole one as parameters have them.
var (
	numeral = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,1000})(\.[0-9]{1,1000})?([eE][+-]?[0-9]{1,3})?$`)
	whole   = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,1000})$`)
)

// scalar reads a text as one of the types that its value may have. What is none of them stays a text, for the schema to refuse.
func (s *shape) scalar(text string, texts bool) any {
	switch {
	case texts || s == nil || len(s.types) == 0 && !texts && s.is("string"):
		return text
	case s.is("integer") && whole.MatchString(text), s.is("number") && numeral.MatchString(text):
		return json.Number(text)
	case s.is("boolean") && (text == "true" || text == "false"):
		return text == "true"
	case s.is("null") && !s.is("string") && text == "":
		return nil
	}
	return text
}

// array reads the parts of an array.
func (p *parameter) array(parts []string, texts bool, plain unescape) (any, error) {
	list := make([]any, len(parts))
	for i, part := range parts {
		text, err := plain(part)
		if err != nil {
			return nil, err
		}
		list[i] = p.shape.item().scalar(text, texts)
	}
	return list, nil
}

// object reads the parts of an object: names and values in turn, or, exploded, "name=value" each.
func (p *parameter) object(parts []string, exploded, texts bool, plain unescape) (any, error) {
	if exploded {
		var flat []string
		for _, part := range parts {
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				return nil, errPairs
			}
			flat = append(flat, name, value)
		}
		parts = flat
	}
	if len(parts)%2 != 0 {
		return nil, errPairs
	}
	o := map[string]any{}
	for i := 0; i < len(parts); i += 2 {
		name, err := plain(parts[i])
		if err != nil {
			return nil, err
		}
		text, err := plain(parts[i+1])
		if err != nil {
			return nil, err
		}
		if _, twice := o[name]; twice {
			return nil, errors.New("has a name twice")
		}
		o[name] = p.shape.property(name).scalar(text, texts)
	}
	return o, nil
}

// simple reads the style of header fields and of most paths: "a,b" and "name,value" or "name=value".
func (p *parameter) simple(raw string, texts bool, plain unescape) (any, error) {
	return p.delimited(raw, ",", p.explode, texts, plain)
}

// delimited reads a value whose parts have something between them.
func (p *parameter) delimited(raw, by string, exploded, texts bool, plain unescape) (any, error) {
	switch {
	case p.json:
		return p.asJSON(raw, plain)
	case p.shape.is("array") && (raw != "" || !p.shape.is("string")):
		if raw == "" {
			return []any{}, nil
		}
		return p.array(strings.Split(raw, by), texts, plain)
	case p.shape.is("object") && (raw != "" || !p.shape.is("string")):
		return p.object(strings.Split(raw, by), exploded, texts, plain)
	}
	text, err := plain(raw)
	if err != nil {
		return nil, err
	}
	return p.shape.scalar(text, texts), nil
}

// asJSON reads a parameter whose value is a JSON text.
func (p *parameter) asJSON(raw string, plain unescape) (any, error) {
	text, err := plain(raw)
	if err != nil {
		return nil, err
	}
	v, err := schema.Decode([]byte(text), schema.Bounds{Depth: 50, Values: maxPairs})
	if err != nil {
		return nil, errJSON
	}
	return v, nil
}

// fromPath reads the value of a path parameter in its style.
func (p *parameter) fromPath(raw string, texts bool) (any, error) {
	switch {
	case p.style == "label":
		if raw = strings.ReplaceAll(raw, "%2E", "."); !strings.HasPrefix(raw, ".") {
			return nil, errPrefix
		}
		by := ","
		if p.explode {
			by = "."
		}
		return p.delimited(raw[1:], by, p.explode, texts, path)
	case p.style == "matrix":
		return p.matrix(raw, texts)
	}
	return p.simple(raw, texts, path)
}

// matrix reads ";name=a,b", or, exploded, ";name=a;name=b" and ";x=1;y=2".
func (p *parameter) matrix(raw string, texts bool) (any, error) {
	raw = strings.NewReplacer("%3B", ";", "%3b", ";", "%3D", "=", "%3d", "=").Replace(raw)
	if !strings.HasPrefix(raw, ";") {
		return nil, errPrefix
	}
	parts := strings.Split(raw[1:], ";")
	if p.explode && p.shape.is("object") && !p.json {
		return p.object(parts, true, texts, path)
	}
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		if name != p.name {
			return nil, errPrefix
		}
		parts[i] = value
	}
	switch {
	case p.explode && p.shape.is("array") && !p.json:
		return p.array(parts, texts, path)
	case len(parts) > 1:
		return nil, errPrefix
	}
	return p.delimited(parts[0], ",", false, texts, path)
}

// fromQuery reads the values of a query parameter, or of a cookie.
func (p *parameter) fromQuery(raw []string, texts bool) (any, error) {
	switch {
	case p.json:
		return p.asJSON(raw[0], query)
	case p.shape.is("array") && p.explode:
		return p.array(raw, texts, query)
	case p.style == "spaceDelimited":
		return p.delimited(strings.ReplaceAll(raw[0], "+", "%20"), "%20", false, texts, query)
	case p.style == "pipeDelimited":
		return p.delimited(strings.NewReplacer("%7C", "|", "%7c", "|").Replace(raw[0]), "|", false, texts, query)
	}
	return p.delimited(raw[0], ",", false, texts, query)
}

// fromQuery reads the values of a query parameter, or of a cookie. Several are no single value.
func fromQuery(raw []string) reading {
	return func(as *parameter, texts bool) (any, error) {
		if len(raw) > 1 && !as.shape.is("array") {
			return nil, errTwice
		}
		return as.fromQuery(raw, texts)
	}
}

// checkSpread checks an object whose properties are parameters of the query.
func (p *parameter) checkSpread(q []pair, l *List) {
	taken := func(name string) bool {
		_, known := p.shape.properties[name]
		return known
	}
	p.checkObject(l, func(texts bool) (map[string]any, error) {
		o := map[string]any{}
		for _, one := range q {
			if !taken(one.name) {
				continue
			}
			if err := put(o, one, p.shape.property(one.name), texts); err != nil {
				return nil, err
			}
		}
		return o, nil
	})
}

// put puts a parameter into an object, in an array if its shape is one.
func put(o map[string]any, one pair, s *shape, texts bool) error {
	text, err := query(one.raw)
	if err != nil {
		return err
	}
	if s.is("array") {
		list, _ := o[one.name].([]any)
		o[one.name] = append(list, s.item().scalar(text, texts))
		return nil
	}
	if _, twice := o[one.name]; twice {
		return errors.New("has " + short(one.name) + " twice")
	}
	o[one.name] = s.scalar(text, texts)
	return nil
}

// checkObject checks an object that is gathered from a query. One without properties is missing.
func (p *parameter) checkObject(l *List, gather func(texts bool) (map[string]any, error)) {
	o, err := gather(false)
	switch {
	case err != nil:
		l.Add(p.violation(err.Error()))
	case len(o) == 0:
		p.missing(l)
	default:
		p.check(l, func(_ *parameter, texts bool) (any, error) { return gather(texts) })
	}
}

// checkDeep checks an object of the style deepObject: "filter[name]=x&filter[tags][]=a".
func (p *parameter) checkDeep(q []pair, l *List) {
	p.checkObject(l, func(texts bool) (map[string]any, error) {
		o := map[string]any{}
		for _, one := range q {
			if one.name == p.name {
				return nil, errPrefix
			}
			rest, ok := strings.CutPrefix(one.name, p.name+"[")
			if !ok {
				continue
			}
			if err := deep(o, rest, one.raw, p.shape, texts, 0); err != nil {
				return nil, err
			}
		}
		return o, nil
	})
}

// maxDeep is how deep the objects of the style deepObject may be.
const maxDeep = 8

// deep puts a value into an object: rest is what follows the first bracket of its name.
func deep(o map[string]any, rest, raw string, s *shape, texts bool, depth int) error {
	name, after, closed := strings.Cut(rest, "]")
	if !closed || name == "" || depth == maxDeep {
		return errors.New("has brackets that name no property")
	}
	own := s.property(name)
	switch {
	case after == "" || after == "[]":
		if after == "[]" && !own.is("array") {
			return errors.New("has brackets that name no property")
		}
		return put(o, pair{name, raw}, own, texts)
	case after[0] != '[':
		return errors.New("has brackets that name no property")
	}
	child, ok := o[name].(map[string]any)
	if !ok {
		if _, has := o[name]; has {
			return errors.New("has a property that is a value and an object")
		}
		child = map[string]any{}
		o[name] = child
	}
	return deep(child, after[1:], raw, own, texts, depth+1)
}
