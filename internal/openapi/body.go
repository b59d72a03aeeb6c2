package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/schema"
)

// body is what a body may be: media types, each with a schema, or none.
type body struct {
	media []*media
}

// media is one of the media types of a body. Its type may be a range: "text/*".
type media struct {
	kind   string
	schema *schema.Schema
	shape  *shape
	parts  map[string]*parameter
}

// response is what a response with a status may be.
type response struct {
	body    *body
	headers []*parameter
}

// compileBody compiles the content of a requestBody or a response.
func (d *Document) compileBody(set *schema.Set, at schema.Location) (*body, error) {
	v, err := d.files.Lookup(at)
	if err != nil {
		return nil, err
	}
	own, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: expected an object", at)
	}
	b := &body{}
	content, err := member(at, own, "content")
	if err != nil {
		return nil, err
	}
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		m := &media{kind: baseType(kind)}
		entry, err := member(at.At("content"), content, kind)
		if err != nil {
			return nil, err
		}
		if entry["schema"] != nil {
			place := at.At("content", kind, "schema")
			if m.schema, err = set.Compile(place); err != nil {
				return nil, err
			}
			if !isJSON(m.kind) && (readable(m.kind) || strings.HasSuffix(m.kind, "*")) {
				m.shape = d.shape(place, 0)
				m.fields(object(entry, "encoding"))
			}
		}
		b.media = append(b.media, m)
	}
	return b, nil
}

// fields prepares how the fields of a form are read.
func (m *media) fields(encoding map[string]any) {
	m.parts = map[string]*parameter{}
	for name, s := range m.shape.properties {
		own, _ := encoding[name].(map[string]any)
		p := &parameter{name: name, in: "body", style: "form", explode: true, shape: s}
		if style := text(own, "style"); style != "" {
			p.style, p.explode = style, style == "form"
		}
		if explode, is := own["explode"].(bool); is {
			p.explode = explode
		}
		_, said := own["contentType"]
		p.json = isJSON(baseType(text(own, "contentType"))) || m.kind == "multipart/form-data" && !said && (s.is("object") || s.is("array") && s.item().is("object"))
		m.parts[name] = p
	}
}

func (d *Document) compileResponse(at schema.Location) (*response, error) {
	b, err := d.compileBody(d.responses, at)
	if err != nil {
		return nil, err
	}
	r := &response{body: b}
	v, _ := d.files.Lookup(at)
	headers, err := member(at, v.(map[string]any), "headers")
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		at, v, err := d.files.Deref(at.At("headers", name))
		if err != nil {
			return nil, err
		}
		own, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: expected a header, which is an object", at)
		}
		p, err := d.compileParameter(d.responses, at, own, "header", name)
		if err != nil {
			return nil, err
		}
		if p != nil {
			r.headers = append(r.headers, p)
		}
	}
	return r, nil
}

// baseType is a media type without its parameters, in lower case.
func baseType(s string) string {
	kind, _, _ := strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// isJSON says whether a media type is written in JSON.
func isJSON(kind string) bool {
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// find returns the nearest media type: the same, then a range of its type, then any.
func (b *body) find(kind string) *media {
	main, _, _ := strings.Cut(kind, "/")
	for _, want := range []string{kind, main + "/*", "*/*"} {
		for _, m := range b.media {
			if m.kind == want {
				return m
			}
		}
	}
	return nil
}

// kinds lists the media types.
func (b *body) kinds() string {
	var all []string
	for _, m := range b.media {
		all = append(all, m.kind)
	}
	return strings.Join(all, ", ")
}

// readable says whether bodies of a media type can be checked.
func readable(kind string) bool {
	return isJSON(kind) || kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data" || strings.HasPrefix(kind, "text/") && kind != "text/event-stream"
}

// JSONOnly checks that a Content-Type is JSON in UTF-8.
func JSONOnly(contentType string) error {
	kind, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	switch {
	case err != nil || !isJSON(kind):
		return &UnsupportedError{"application/json", "the Content-Type is not application/json, and nothing that ends with +json"}
	case charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii"):
		return &UnsupportedError{"application/json", "the charset is not UTF-8"}
	}
	return nil
}

// Content is how the body of a message is checked.
type Content struct {
	Kind   string // the media type, without parameters
	params map[string]string
	media  *media
}

// UnsupportedError says that a message's media type is none that is allowed.
type UnsupportedError struct{ Allowed, Why string }

func (e *UnsupportedError) Error() string { return e.Why }

// content finds how a body of a Content-Type is checked. It is nil where the body needs no reading.
func (b *body) content(contentType string) (*Content, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "":
		return nil, &UnsupportedError{b.kinds(), "the message has a body and no Content-Type"}
	case err != nil:
		return nil, &UnsupportedError{b.kinds(), "the Content-Type is not well formed"}
	}
	m := b.find(kind)
	if m == nil {
		return nil, &UnsupportedError{b.kinds(), fmt.Sprintf("the Content-Type is %s, and not of %s", short(kind), b.kinds())}
	}
	if charset := params["charset"]; charset != "" && (isJSON(kind) || kind == "application/x-www-form-urlencoded" || m.schema != nil && strings.HasPrefix(kind, "text/")) &&
		!strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return nil, &UnsupportedError{b.kinds(), "the charset is not UTF-8"}
	}
	if m.schema == nil || !readable(kind) {
		return nil, nil
	}
	return &Content{Kind: kind, params: params, media: m}, nil
}

// Body says how the body of a request is checked: not at all where the content is nil. A nil error and false say that there is none to be.
func (o *Operation) Body(contentType string) (*Content, error) {
	if o.body == nil || len(o.body.media) == 0 {
		return nil, nil
	}
	return o.body.content(contentType)
}

// BodyNeeded says whether requests must have a body.
func (o *Operation) BodyNeeded() bool { return o.bodyNeeded }

// Checks says whether bodies of some media type are checked.
func (o *Operation) Checks() bool {
	return o.body != nil && slices.ContainsFunc(o.body.media, func(m *media) bool { return m.schema != nil })
}

// Response is how a response with a status is checked.
type Response struct{ r *response }

// Response returns how a response is checked; nil where the document does not tell of its status.
func (o *Operation) Response(status int) *Response {
	for _, name := range []string{fmt.Sprint(status), fmt.Sprintf("%dXX", status/100), "DEFAULT"} {
		if r := o.responses[name]; r != nil {
			return &Response{r}
		}
	}
	return nil
}

// Checks says whether bodies of some media type are checked.
func (r *Response) Checks() bool {
	return slices.ContainsFunc(r.r.body.media, func(m *media) bool { return m.schema != nil })
}

// CheckHeader checks a response's header fields.
func (r *Response) CheckHeader(h map[string][]string, l *List) {
	for _, p := range r.r.headers {
		p.checkHeader(h, "header", l)
	}
}

// Body says how the body of a response is checked.
func (r *Response) Body(contentType string) (*Content, error) {
	if len(r.r.body.media) == 0 {
		return nil, nil
	}
	return r.r.body.content(contentType)
}

// Single is content of one schema, of JSON.
func Single(s *schema.Schema) *Content {
	return &Content{Kind: "application/json", media: &media{kind: "application/json", schema: s}}
}

// Check checks a body. Bounds are of JSON.
func (c *Content) Check(text []byte, bounds schema.Bounds, l *List) {
	if isJSON(c.Kind) {
		v, err := schema.Decode(text, bounds)
		if err != nil {
			l.Add(malformed(err))
			return
		}
		c.check(v, l)
		return
	}
	decode := c.text
	switch c.Kind {
	case "application/x-www-form-urlencoded":
		decode = c.form
	case "multipart/form-data":
		decode = c.multipart
	}
	v, err := decode(text, bounds)
	if err != nil {
		l.Add(malformed(err))
		return
	}
	c.check(v, l)
}

func malformed(err error) filter.Violation {
	var m *schema.Malformed
	if errors.As(err, &m) {
		return filter.Violation{In: "body", Pointer: m.Pointer, Reason: m.Reason}
	}
	return filter.Violation{In: "body", Reason: err.Error()}
}

func (c *Content) check(v any, l *List) {
	found, more := c.media.schema.Check(v, l.Most)
	for _, f := range found {
		l.Add(filter.Violation{In: "body", Pointer: f.Pointer, Reason: f.Reason})
	}
	l.More = l.More || more
}

// text reads a body that is a text.
func (c *Content) text(body []byte, _ schema.Bounds) (any, error) {
	if string(body) != strings.ToValidUTF8(string(body), "") {
		return nil, errors.New("it is not valid UTF-8")
	}
	return c.media.shape.scalar(string(body), false), nil
}

// form reads a form.
func (c *Content) form(body []byte, _ schema.Bounds) (any, error) {
	pairs, bad := parseQuery(string(body))
	if bad {
		return nil, errors.New("the form is not well escaped, or has too many fields")
	}
	o := map[string]any{}
	given := map[string][]string{}
	for _, one := range pairs {
		given[one.name] = append(given[one.name], one.raw)
	}
	for name, raw := range given {
		p := c.media.parts[name]
		if p == nil {
			p = &parameter{name: name, style: "form", explode: true, shape: c.media.shape.property(name)}
		}
		if len(raw) > 1 && (!p.explode || !p.shape.is("array")) {
			return nil, errors.New("the field " + short(name) + " stands twice")
		}
		v, err := p.fromQuery(raw, false)
		if err != nil {
			return nil, fmt.Errorf("the field %s %w", short(name), err)
		}
		o[name] = v
	}
	for _, p := range c.media.parts {
		if p.style != "deepObject" {
			continue
		}
		for _, one := range pairs {
			if rest, ok := strings.CutPrefix(one.name, p.name+"["); ok {
				inner, _ := o[p.name].(map[string]any)
				if inner == nil {
					inner = map[string]any{}
				}
				o[p.name] = inner
				delete(o, one.name)
				if err := deep(inner, rest, one.raw, p.shape, false, 0); err != nil {
					return nil, fmt.Errorf("the field %s %w", short(p.name), err)
				}
			}
		}
	}
	return o, nil
}

// multipart reads a form of parts. Files are texts of their bytes.
func (c *Content) multipart(body []byte, bounds schema.Bounds) (any, error) {
	boundary := c.params["boundary"]
	if boundary == "" {
		return nil, errors.New("the Content-Type has no boundary")
	}
	if !bytes.Contains(body, []byte("--"+boundary+"--")) {
		return nil, errors.New("the parts do not come to an end")
	}
	o := map[string]any{}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := 0; ; n++ {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return o, nil
		}
		if err != nil || n == 1000 {
			return nil, errors.New("the parts are not well formed, or too many")
		}
		if err := c.part(o, part, bounds); err != nil {
			return nil, err
		}
	}
}

func (c *Content) part(o map[string]any, part *multipart.Part, bounds schema.Bounds) error {
	name := part.FormName()
	if name == "" {
		return errors.New("a part has no name")
	}
	data, err := io.ReadAll(part)
	if err != nil {
		return errors.New("the parts are not well formed")
	}
	p := c.media.parts[name]
	if p == nil {
		p = &parameter{name: name, explode: true, shape: c.media.shape.property(name)}
	}
	own, list := p.shape, p.shape.is("array")
	if list {
		own = p.shape.item()
	}
	var v any = string(data)
	kind := baseType(part.Header.Get("Content-Type"))
	if isJSON(kind) || kind == "" && p.json {
		if v, err = schema.Decode(data, bounds); err != nil {
			return fmt.Errorf("the part %s: %w", short(name), err)
		}
		if a, is := v.([]any); is && list && o[name] == nil {
			o[name] = a
			return nil
		}
	} else if part.FileName() == "" {
		v = own.scalar(string(data), false)
	}
	if list {
		all, _ := o[name].([]any)
		o[name] = append(all, v)
		return nil
	}
	if _, twice := o[name]; twice {
		return errors.New("the part " + short(name) + " stands twice")
	}
	o[name] = v
	return nil
}
