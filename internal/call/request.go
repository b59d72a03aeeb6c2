package call

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/pathtemplate"
)

// framing are the fields about one connection, or about how a body is sent.
var framing = []string{"Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// IsFraming says whether a field is about one connection, or about how a body is sent.
func IsFraming(name string) bool { return slices.Contains(framing, http.CanonicalHeaderKey(name)) }

// own are the fields of a client's request that say something about its own body, or about the one answer that it wants.
var own = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location",
	"Content-Md5", "Content-Range", "Content-Type", "Digest", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range", "Repr-Digest",
	"Want-Content-Digest", "Want-Repr-Digest",
}

// Request makes the request, with values of an exchange. Its error says which value is missing or cannot stand where it should; it is for operators.
func (n *Call) Request(ctx context.Context, ex *filter.Exchange) (*http.Request, error) {
	path, err := n.path.Join(ex, nil)
	if err != nil {
		return nil, cause(err)
	}
	if path, err = pathtemplate.Finish(path); err != nil {
		return nil, cause(err)
	}
	u := &url.URL{Scheme: ex.Request.URL.Scheme, Host: ex.Request.URL.Host, ForceQuery: false}
	if err := pathtemplate.SetPath(u, path); err != nil {
		return nil, cause(err)
	}
	if n.asks {
		if u.RawQuery, err = n.query.Join(ex, nil); err != nil {
			return nil, cause(err)
		}
	}
	if n := len(path) + len(u.RawQuery); n > MaxValue {
		return nil, fmt.Errorf("its path and query have %d bytes, and %d is the most", n, MaxValue)
	}
	header, err := n.header(ex)
	if err != nil {
		return nil, err
	}
	req := &http.Request{
		Method: n.Method, URL: u, Host: ex.Request.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if err := n.setBody(req, ex); err != nil {
		return nil, err
	}
	return req.WithContext(ctx), nil
}

// MaxValue is how long a path with its query may be, and the value of a field: what is longer is refused by servers and clients, some of which break off, and
// seem ill to those who watch their health.
const MaxValue = 32 << 10

// cause is why a request cannot be made, without what a client would be told of it.
func cause(err error) error {
	var e *filter.Error
	if errors.As(err, &e) && e.Cause != nil {
		return e.Cause
	}
	return err
}

// header returns the fields of the request.
func (n *Call) header(ex *filter.Exchange) (http.Header, error) {
	from := ex.Request.Header
	h := make(http.Header, len(from)+2)
	if n.all {
		for name, values := range from {
			if !slices.Contains(own, name) && !slices.Contains(framing, name) {
				h[name] = values[:len(values):len(values)]
			}
		}
	}
	for _, name := range n.forward {
		if values := from[name]; values != nil && !slices.Contains(framing, name) {
			h[name] = values[:len(values):len(values)]
		}
	}
	accept := []string{"application/json", "identity"}
	h["Accept"], h["Accept-Encoding"] = accept[:1:1], accept[1:]
	for _, f := range n.headers {
		delete(h, f.name)
		if f.value == nil {
			continue
		}
		v := strings.TrimSpace(f.value(ex))
		if len(v) > MaxValue {
			return nil, fmt.Errorf("the value of %s has %d bytes, and %d is the most", f.name, len(v), MaxValue)
		}
		if v != "" {
			h[f.name] = []string{FieldValue(v)}
		}
	}
	return h, nil
}

// FieldValue replaces what the value of a field must not have.
func FieldValue(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

// ReadBody reads the JSON that a client has sent, without its content coding; nil: nothing. Its errors are for the client.
func ReadBody(r *http.Request, l document.Limits) (any, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > l.Size {
		return nil, filter.Reject(filter.BodyTooLarge, "")
	}
	coding, sent := codingOf(r.Header), &source{Reader: r.Body}
	body, known, err := uncoded(sent, coding)
	if !known {
		e := filter.Reject(filter.MediaTypeUnsupported, "The content coding of the body, %.40q, is not known; gzip and deflate are.", coding)
		return nil, e.With("Accept-Encoding", "gzip, deflate")
	}
	var v any
	if err == nil {
		v, err = document.Read(body, l)
	}
	var wrong *document.Error
	switch {
	case errors.As(err, &wrong) && wrong.Kind == document.TooLarge:
		return nil, filter.Reject(filter.BodyTooLarge, "").Because(err)
	case wrong != nil:
		return nil, filter.Reject(filter.BadRequest, "The body is not JSON: %s.", wrong.Error())
	case sent.failed != nil:
		return nil, sent.failed
	case err != nil:
		return nil, filter.Reject(filter.BadRequest, "The body is not %s, as its Content-Encoding says.", coding).Because(err)
	}
	return v, nil
}

// source is the body as it was sent. It notes what reading it failed with, to tell that from what is wrong with the body.
type source struct {
	io.Reader
	failed error
}

// Read reads.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}

// value is a value of JSON with values of an exchange in it. Its error says which is missing.
type value func(ex *filter.Exchange) (any, error)

// readBody reads the body.
func (n *Call) readBody(r *reader, c *Config) (err error) {
	if c.Body.IsZero() {
		return nil
	}
	if !httpguts.ValidHeaderFieldValue(n.contentType) {
		return fmt.Errorf("%q cannot be the type of a body", n.contentType)
	}
	if n.contentType != "" && !isJSON(n.contentType) {
		var source string
		if err := c.Body.Decode(&source); err != nil {
			return fmt.Errorf("a body of type %s is a text", n.contentType)
		}
		parts, err := r.parts(source)
		n.text = escaped(parts, n.contentType).Template()
		return err
	}
	if n.contentType == "" {
		n.contentType = "application/json"
	}
	var shape any
	if err := c.Body.Decode(&shape); err != nil {
		return err
	}
	n.body, err = r.value(shape)
	return err
}

// escaped has values stand as texts in a form or in XML, where they would make parameters and elements otherwise. What they mean in other types nobody knows
// here.
func escaped(parts filter.Parts, contentType string) filter.Parts {
	escape := escaper(contentType)
	if escape == nil {
		return parts
	}
	parts = slices.Clone(parts)
	for i := range parts {
		if value := parts[i].Value; value != nil {
			parts[i].Value = func(ex *filter.Exchange) (string, bool) {
				v, ok := value(ex)
				return escape(v), ok
			}
		}
	}
	return parts
}

func escaper(contentType string) func(string) string {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch kind = strings.TrimSpace(kind); {
	case kind == "application/x-www-form-urlencoded":
		return func(v string) string { return string(pathtemplate.AppendQuery(nil, v)) }
	case kind == "application/xml", kind == "text/xml", kind == "text/html", strings.HasSuffix(kind, "+xml"):
		return func(v string) string {
			var b strings.Builder
			_ = xml.EscapeText(&b, []byte(v))
			return b.String()
		}
	}
	return nil
}

// isJSON says whether a media type is JSON.
func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return kind == "application/json" || strings.HasSuffix(kind, "+json") || kind == "text/json"
}

// value readies a value whose texts are templates.
func (r *reader) value(shape any) (value, error) {
	switch shape := shape.(type) {
	case string:
		return r.textValue(shape)
	case []any:
		items := make([]value, len(shape))
		for i := range shape {
			v, err := r.value(shape[i])
			if err != nil {
				return nil, err
			}
			items[i] = v
		}
		return func(ex *filter.Exchange) (any, error) {
			list := make([]any, len(items))
			for i, item := range items {
				v, err := item(ex)
				if err != nil {
					return nil, err
				}
				list[i] = v
			}
			return list, nil
		}, nil
	case map[string]any:
		return r.object(shape)
	}
	return func(*filter.Exchange) (any, error) { return shape, nil }, nil
}

func (r *reader) object(shape map[string]any) (value, error) {
	fields := make(map[string]value, len(shape))
	for name := range shape {
		v, err := r.value(shape[name])
		if err != nil {
			return nil, err
		}
		fields[name] = v
	}
	return func(ex *filter.Exchange) (any, error) {
		object := make(map[string]any, len(fields))
		for name, field := range fields {
			v, err := field(ex)
			if err != nil {
				return nil, err
			}
			object[name] = v
		}
		return object, nil
	}, nil
}

// textValue readies a template. One that is nothing but a value in braces keeps its type; what is missing is null.
func (r *reader) textValue(source string) (value, error) {
	parts, err := r.parts(source)
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 && parts[0].Value != nil {
		text := parts[0].Value
		if whole, err := r.scope.Env.Expr.Any(parts[0].Text); err == nil {
			return func(ex *filter.Exchange) (any, error) { v, _ := whole(ex); return v, nil }, nil
		}
		return func(ex *filter.Exchange) (any, error) { // a parameter of the path
			if s, ok := text(ex); ok {
				return s, nil
			}
			return nil, nil
		}, nil
	}
	t := parts.Template()
	return func(ex *filter.Exchange) (any, error) { return t(ex), nil }, nil
}

// setBody gives the request its body.
func (n *Call) setBody(req *http.Request, ex *filter.Exchange) error {
	var body []byte
	switch {
	case n.text != nil:
		body = []byte(n.text(ex))
	case n.body != nil:
		v, err := n.body(ex)
		if err != nil {
			return err
		}
		if body, err = document.Append(nil, v); err != nil {
			return fmt.Errorf("cannot write the body: %w", err)
		}
	default:
		return nil
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
	if req.Header["Content-Type"] == nil {
		req.Header["Content-Type"] = []string{n.contentType}
	}
	return nil
}

// Template readies a text with values in braces, as it may stand in a body: one that is nothing but a value keeps its type. It says which of the names it
// refers to.
func Template(s Scope, source string) (filter.Lookup, []string, error) {
	r := reader{scope: s}
	v, err := r.textValue(source)
	if err != nil {
		return nil, nil, err
	}
	return func(ex *filter.Exchange) (any, bool) {
		made, err := v(ex)
		return made, err == nil
	}, slices.Collect(maps.Keys(r.refers)), nil
}

// Text readies a template, and says which of the names it refers to.
func Text(s Scope, source string) (filter.Template, []string, error) {
	r := reader{scope: s}
	parts, err := r.parts(source)
	if err != nil {
		return nil, nil, err
	}
	return parts.Template(), slices.Collect(maps.Keys(r.refers)), nil
}

// Key readies a text that tells things apart: there is none where one of its values is missing or empty. It says which of the names it refers to.
func Key(s Scope, source string) (filter.Value, []string, error) {
	r := reader{scope: s}
	parts, err := r.parts(source)
	if err != nil {
		return nil, nil, err
	}
	if text, constant := parts.Constant(); constant {
		return nil, nil, fmt.Errorf("%q has no value in braces, and would be the same for all requests", text)
	}
	return func(ex *filter.Exchange) (string, bool) {
		var b strings.Builder
		for _, part := range parts {
			text := part.Text
			if part.Value != nil {
				var ok bool
				if text, ok = part.Value(ex); !ok || text == "" {
					return "", false
				}
			}
			b.WriteString(text)
		}
		return b.String(), true
	}, slices.Collect(maps.Keys(r.refers)), nil
}
