package openapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/schema"
)

// List gathers violations up to a number.
type List struct {
	Found []filter.Violation
	Most  int
	More  bool // there are more
}

// Add adds a violation.
func (l *List) Add(v filter.Violation) {
	if len(l.Found) == l.Most {
		l.More = true
		return
	}
	l.Found = append(l.Found, v)
}

// Input are the parameters of a request as they came.
type Input struct {
	Request *http.Request
	Values  []string // of the path's template
	Path    func(name string) (string, bool)
	Unknown bool // query parameters that the document does not know are violations
}

// CheckParameters checks the parameters of a request.
func (o *Operation) CheckParameters(in *Input, l *List) {
	q, bad := parseQuery(in.Request.URL.RawQuery)
	if bad {
		l.Add(filter.Violation{In: "query", Reason: "the query is not well escaped"})
	}
	for _, p := range o.parameters {
		switch p.in {
		case "path":
			p.checkPath(o, in, l)
		case "query":
			p.checkQuery(q, l)
		case "header":
			p.checkHeader(in.Request.Header, "header", l)
		case "cookie":
			p.checkCookie(in.Request, l)
		}
	}
	if in.Unknown && !o.open {
		o.checkUnknown(q, l)
	}
}

// checkUnknown finds query parameters that no parameter takes.
func (o *Operation) checkUnknown(q []pair, l *List) {
	var told []string
	for _, p := range q {
		name := p.name
		if o.explicit[name] || slices.Contains(told, name) || slices.ContainsFunc(o.parameters, func(d *parameter) bool { return d.style == "deepObject" && strings.HasPrefix(name, d.name+"[") }) {
			continue
		}
		if told = append(told, name); len(told) > l.Most {
			return
		}
		l.Add(filter.Violation{In: "query", Parameter: short(name), Reason: "is not known"})
	}
}

func (p *parameter) violation(reason string) filter.Violation {
	return filter.Violation{In: p.in, Parameter: p.name, Reason: reason}
}

// missing adds that a parameter is missing, if it is required.
func (p *parameter) missing(l *List) {
	if p.required {
		l.Add(p.violation("is missing"))
	}
}

// reading makes a value of what came, as a parameter is read; with texts, all scalars are texts.
type reading func(as *parameter, texts bool) (any, error)

// check checks a value. What fits as it can be read otherwise is right.
func (p *parameter) check(l *List, read reading) {
	v, err := read(p, false)
	if err == nil && p.schema == nil {
		return
	}
	var found []schema.Violation
	var more bool
	if err == nil {
		found, more = p.schema.Check(v, l.Most)
	}
	switch {
	case err == nil && len(found) == 0:
		return
	case p.fits(read, p, true): // it is a text that looks like a number, and texts fit
		return
	case p.single != nil && (p.fits(read, p.single, false) || p.fits(read, p.single, true)):
		return
	case err != nil:
		l.Add(p.violation(err.Error()))
	}
	for _, f := range found {
		l.Add(filter.Violation{In: p.in, Parameter: p.name, Pointer: f.Pointer, Reason: f.Reason})
	}
	l.More = l.More || more
}

// fits says whether a value is right as it is read in another way.
func (p *parameter) fits(read reading, as *parameter, texts bool) bool {
	v, err := read(as, texts)
	if err != nil || p.schema == nil {
		return false
	}
	found, _ := p.schema.Check(v, 1)
	return len(found) == 0
}

// checkPath checks what stands at each place of the path that has the parameter.
func (p *parameter) checkPath(o *Operation, in *Input, l *List) {
	there := false
	check := func(raw string) {
		there = true
		p.check(l, func(as *parameter, texts bool) (any, error) { return as.fromPath(raw, texts) })
	}
	for i, name := range o.template.names {
		if name == p.name && i < len(in.Values) {
			check(in.Values[i])
		}
	}
	if !there && in.Path != nil {
		if plain, ok := in.Path(p.name); ok {
			check(url.PathEscape(plain))
		}
	}
	if !there {
		p.missing(l)
	}
}

func (p *parameter) checkQuery(q []pair, l *List) {
	if p.style == "deepObject" {
		p.checkDeep(q, l)
		return
	}
	if p.style == "form" && p.explode && p.shape.is("object") && !p.json {
		p.checkSpread(q, l)
		return
	}
	var raw []string
	for _, one := range q {
		if one.name == p.name {
			raw = append(raw, one.raw)
		}
	}
	switch {
	case len(raw) == 0:
		p.missing(l)
	case p.empty && len(raw) == 1 && raw[0] == "":
	case len(raw) > 1 && (p.json || !p.explode || !p.shape.is("array")):
		l.Add(p.violation("is given more than once"))
	default:
		p.check(l, fromQuery(raw))
	}
}

func (p *parameter) checkHeader(h http.Header, in string, l *List) {
	values := h[http.CanonicalHeaderKey(p.name)]
	if len(values) == 0 {
		if p.required {
			l.Add(filter.Violation{In: in, Parameter: p.name, Reason: "is missing"})
		}
		return
	}
	if len(values) > 1 && !p.shape.is("array") && !p.shape.is("object") {
		l.Add(filter.Violation{In: in, Parameter: p.name, Reason: "is given more than once"})
		return
	}
	p.check(l, func(as *parameter, texts bool) (any, error) {
		return as.simple(strings.Join(values, ","), texts, func(s string) (string, error) { return strings.TrimSpace(s), nil })
	})
}

func (p *parameter) checkCookie(r *http.Request, l *List) {
	var raw []string
	for _, c := range r.CookiesNamed(p.name) {
		raw = append(raw, c.Value)
	}
	switch {
	case len(raw) == 0:
		p.missing(l)
	case len(raw) > 1 && !p.shape.is("array"):
		l.Add(p.violation("is given more than once"))
	default:
		p.check(l, fromQuery(raw))
	}
}

// short shortens a name that came with a request.
func short(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
