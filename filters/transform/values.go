package transform

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/shape"
)

// lookup is a value for one exchange.
type lookup func(ex *filter.Exchange) any

// setTemplates readies the texts of what `set` sets. It says whether any of them looks at the request.
func setTemplates(env *filter.Env, texts []string, depends *cacheable.Depends) (values []lookup, varies bool, err error) {
	for _, text := range texts {
		parts, err := env.Expr.Parts(text, nil)
		if err != nil {
			return nil, false, config.FieldErrorf("set", "%w", err)
		}
		if constant, ok := parts.Constant(); ok {
			values = append(values, func(*filter.Exchange) any { return constant })
			continue
		}
		varies = true
		note(depends, env.Expr, parts)
		v, err := templateValue(env, parts)
		if err != nil {
			return nil, false, config.FieldErrorf("set", "%w", err)
		}
		values = append(values, v)
	}
	return values, varies, nil
}

// note takes into account what a template looks at.
func note(depends *cacheable.Depends, of filter.Expressions, parts filter.Parts) {
	for _, p := range parts {
		if p.Value != nil {
			depends.Note(p.Text, of.Names(p.Text))
		}
	}
}

// templateValue readies one template. One that is nothing but a value in braces keeps its type.
func templateValue(env *filter.Env, parts filter.Parts) (lookup, error) {
	if len(parts) > 1 {
		text := parts.Template()
		return func(ex *filter.Exchange) any { return strings.ToValidUTF8(text(ex), "\ufffd") }, nil
	}
	whole, err := env.Expr.Any(parts[0].Text)
	if err != nil {
		return nil, err
	}
	return func(ex *filter.Exchange) any {
		v, ok := whole(ex)
		if !ok {
			return nil
		}
		return plain(v)
	}, nil
}

// plain is a value that JSON has, of any.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, json.Number:
		return v
	case string:
		return strings.ToValidUTF8(v, "\ufffd")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	out, err := document.Read(strings.NewReader(string(b)), document.Limits{})
	if err != nil {
		return nil
	}
	return out
}

// variables are what jq programs know of an exchange, by their names there.
var variables = [...]struct {
	name   string
	value  lookup
	varies bool // with the request
}{
	{"$method", func(ex *filter.Exchange) any { return ex.Original.Method }, false},
	{"$path", func(ex *filter.Exchange) any { return ex.Original.Path }, false},
	{"$params", pathParameters, false},
	{"$query", queryParameters, false},
	{"$header", headerFields, true},
	{"$identity", identityOf, true},
	{"$status", statusOf, false},
}

// used are the names of the variables that stand in a program.
func used(program string, response bool) (names []string, values []lookup, varies bool) {
	for _, v := range variables {
		if strings.Contains(program, v.name) && (response || v.name != "$status") {
			names, values, varies = append(names, v.name), append(values, v.value), varies || v.varies
		}
	}
	return names, values, varies
}

// ofHeader finds where a program looks at fields of the request, and at which where that is written out.
var ofHeader = regexp.MustCompile(`\$header\b(?:\.([a-zA-Z_][a-zA-Z0-9_]*)|\.?\["([^"\\]+)"\])?`)

// readBy takes into account what a program looks at.
func readBy(program string, depends *cacheable.Depends) {
	for _, found := range ofHeader.FindAllStringSubmatch(program, -1) {
		depends.Field(cmp.Or(http.CanonicalHeaderKey(found[1]+found[2]), "*"))
	}
	if strings.Contains(program, "$identity") {
		depends.Caller = true
	}
}

func pathParameters(ex *filter.Exchange) any {
	out := map[string]any{}
	if l, ok := ex.Params.(interface {
		Len() int
		At(i int) (name, value string)
	}); ok {
		for i := range l.Len() {
			name, value := l.At(i)
			out[name] = strings.ToValidUTF8(value, "\ufffd")
		}
	}
	return out
}

func queryParameters(ex *filter.Exchange) any {
	out := map[string]any{}
	for name, values := range parsed(ex.Original.Query) {
		out[strings.ToValidUTF8(name, "\ufffd")] = strings.ToValidUTF8(values[0], "\ufffd")
	}
	return out
}

// parsed are the parameters of a query, as far as it can be read.
func parsed(query string) url.Values {
	values, _ := url.ParseQuery(query)
	return values
}

func headerFields(ex *filter.Exchange) any {
	out := map[string]any{}
	for name, values := range ex.Request.Header {
		out[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "\ufffd")
	}
	return out
}

func identityOf(ex *filter.Exchange) any {
	id := ex.Identity
	if id == nil {
		return nil
	}
	return plain(map[string]any{
		"subject": id.Subject, "consumer": id.Consumer, "method": id.Method, "groups": slices.Concat([]string{}, id.Groups),
		"scopes": slices.Concat([]string{}, id.Scopes), "tags": id.Tags, "claims": id.Claims,
	})
}

func statusOf(ex *filter.Exchange) any {
	if ex.Response == nil {
		return nil
	}
	return ex.Response.StatusCode
}

// text is a template over a document.
type text struct {
	parts  filter.Parts
	escape func(string) string
	json   bool // it is to be JSON
}

// newText readies a template over documents of which something may be known. Its values are escaped for the media type of what it makes.
func newText(env *filter.Env, source, contentType string, body filter.Slot[any], known *shape.Shape, depends *cacheable.Depends) (*text, error) {
	more, err := env.Expr.With(map[string]filter.Lookup{"body": func(ex *filter.Exchange) (any, bool) {
		v := body.Get(ex)
		if v == nil {
			return nil, false
		}
		return *v, *v != nil
	}})
	if err != nil {
		return nil, fmt.Errorf("cannot add the document to the template: %w", err)
	}
	if known != nil {
		more = more.Known(map[string]filter.Shape{"body": known})
	}
	parts, err := more.Parts(source, nil)
	if err != nil {
		return nil, config.FieldErrorf("template", "%w", err)
	}
	note(depends, more, parts)
	return &text{parts, escapes(contentType), isJSON(contentType)}, nil
}

// escapes returns what makes a value stand as itself in a text of a media type.
func escapes(contentType string) func(string) string {
	name, _, _ := mime.ParseMediaType(contentType)
	switch {
	case name == "text/html", strings.HasSuffix(name, "/xml"), strings.HasSuffix(name, "+xml"):
		return html.EscapeString
	case isJSON(contentType):
		return func(s string) string {
			b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\ufffd"))
			return string(b[1 : len(b)-1])
		}
	}
	return func(s string) string { return s }
}

func isJSON(contentType string) bool {
	name, _, _ := mime.ParseMediaType(contentType)
	return strings.HasSuffix(name, "/json") || strings.HasSuffix(name, "+json")
}

// check says whether what has become of the template is JSON, where it is to be. A value that stands without quotes could end it, or be none.
func (t *text) check(made []byte) error {
	if !t.json {
		return nil
	}
	if _, err := io.Copy(io.Discard, document.Check(bytes.NewReader(made), endless())); err != nil {
		return problemOf("what the template makes is not JSON", err, false)
	}
	return nil
}

// write makes the text.
func (t *text) write(ex *filter.Exchange) []byte {
	var b []byte
	for i := range t.parts {
		p := &t.parts[i]
		if p.Value == nil {
			b = append(b, p.Text...)
			continue
		}
		s, _ := p.Value(ex)
		b = append(b, t.escape(s)...)
	}
	return b
}

// isGRPC says whether a message is of gRPC or gRPC-Web.
func isGRPC(h http.Header) bool {
	rest, ok := strings.CutPrefix(readMedia(h).name, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || strings.HasPrefix(rest, "-web"))
}
