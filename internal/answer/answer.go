package answer

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Answer is one configured answer. It is immutable.
type Answer struct {
	status   int
	header   http.Header     // what does not depend on the request; never written
	changing []field         // what does
	body     []byte          // a fixed body
	template filter.Template // a made one; nil: none
	etag     string          // "": none
}

// field is a field whose value depends on the request.
type field struct {
	name  string
	value filter.Template
}

// New makes the answer that a valid configuration says.
func New(env *filter.Env, c *Config) (*Answer, error) {
	r := &Answer{status: c.Status, header: http.Header{}}
	contentType, err := r.content(env, c)
	if err != nil {
		return nil, err
	}
	hasBody := len(c.bodies()) > 0
	switch {
	case r.status == 0 && hasBody:
		r.status = http.StatusOK
	case r.status == 0:
		r.status = http.StatusNoContent
	}
	if hasBody {
		r.header.Set("Content-Type", contentType)
	}
	if err := r.headers(env, c); err != nil {
		return nil, err
	}
	if r.template == nil && !bodiless(r.status) {
		r.header.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	if hasBody && r.template == nil && r.status == http.StatusOK {
		r.tag()
	}
	return r, nil
}

// Untagged returns the answer without an ETag: it stands in for something else, and a client must not take it for the same later.
func (r *Answer) Untagged() *Answer {
	own := *r
	own.header, own.etag = r.header.Clone(), ""
	own.header.Del("Etag")
	return &own
}

// Constant says whether the answer is the same whatever is asked.
func (r *Answer) Constant() bool { return r.template == nil && len(r.changing) == 0 }

// headers sets the fields that the configuration names.
func (r *Answer) headers(env *filter.Env, c *Config) error {
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		value, err := env.Expr.Parts(c.Headers[name], nil)
		if err != nil {
			return config.FieldErrorf(fmt.Sprintf("headers[%q]", name), "%w", err)
		}
		canonical := http.CanonicalHeaderKey(name)
		if text, ok := value.Constant(); ok {
			r.header[canonical] = []string{fieldValue(text)}
			continue
		}
		delete(r.header, canonical)
		r.changing = append(r.changing, field{canonical, value.Template()})
	}
	return nil
}

// tag gives a fixed body an ETag.
func (r *Answer) tag() {
	for _, f := range r.changing {
		if f.name == "Etag" {
			return
		}
	}
	if given := r.header["Etag"]; given != nil {
		r.etag = given[0]
		return
	}
	sum := sha256.Sum256(r.body)
	r.etag = fmt.Sprintf(`"%x"`, sum[:12])
	r.header["Etag"] = []string{r.etag}
}

// fieldValue replaces what a field's value must not have.
func fieldValue(s string) string {
	unfit := func(c rune) bool { return c < ' ' || c == 0x7f }
	if strings.IndexFunc(s, unfit) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if unfit(c) {
			return ' '
		}
		return c
	}, s)
}

// Serve answers an exchange. It does not fail.
func (r *Answer) Serve(ex *filter.Exchange) (*http.Response, error) {
	h := r.header.Clone()
	for i := range r.changing {
		if value := fieldValue(r.changing[i].value(ex)); value != "" {
			h[r.changing[i].name] = []string{value}
		}
	}
	resp := &http.Response{StatusCode: r.status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: ex.Request, Body: http.NoBody}
	if r.etag != "" && isRead(ex.Request.Method) && matches(ex.Request.Header["If-None-Match"], r.etag) {
		resp.StatusCode = http.StatusNotModified
		delete(h, "Content-Length")
		delete(h, "Content-Type")
		return resp, nil
	}
	body := r.body
	if r.template != nil {
		body = []byte(r.template(ex))
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	resp.ContentLength = int64(len(body))
	if len(body) > 0 && ex.Request.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	return resp, nil
}

// isRead says for which methods If-None-Match means 304 (RFC 9110, section 13.1.2).
func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// matches says whether an If-None-Match field names a tag, by weak comparison.
func matches(fields []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, value := range fields {
		for value != "" {
			var one string
			one, value, _ = strings.Cut(value, ",")
			if one = strings.Trim(one, " \t"); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// Explain says what the answer is.
func (r *Answer) Explain(*filter.Exchange) string {
	contentType := r.header.Get("Content-Type")
	switch {
	case r.template != nil:
		return fmt.Sprintf("%d, %s from a template", r.status, contentType)
	case len(r.body) == 0:
		return fmt.Sprintf("%d without a body", r.status)
	}
	return fmt.Sprintf("%d, %d bytes of %s", r.status, len(r.body), contentType)
}
