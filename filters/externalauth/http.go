package externalauth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// forward asks by HTTP, as nginx's auth_request and Traefik's ForwardAuth do.
type forward struct {
	to        filter.Upstream
	whom      string
	url       *url.URL
	host      string // "": the client's
	method    string // "": the request's
	shown     []string
	showBody  bool
	set       []template
	upstream  []string // fields of an acceptance for the upstream
	client    []string // for the client
	refusal   []string // fields of a refusal
	maxBody   int64
	identity  Identity
	consumers filter.Consumers
	unknown   *filter.Identity
}

// template is a field for the authorizer.
type template struct {
	name  string
	value filter.Template
}

// newForward returns who is asked by HTTP, and what people call it.
func newForward(env *filter.Env, c *Config, unknown *filter.Identity) (authorizer, string, error) {
	f := &forward{
		method: c.Method, shown: canonical(c.RequestHeaders), showBody: c.Body > 0, upstream: canonical(c.ResponseHeaders),
		client: canonical(c.ClientHeaders), refusal: canonical(c.RefusalHeaders), maxBody: int64(c.RefusalBody),
		identity: c.Identity.canonical(), consumers: env.Consumers, unknown: unknown,
	}
	if f.method == "same" {
		f.method = ""
	}
	set, err := templates(env, c.Set)
	f.set = set
	return f, f.whom, errors.Join(f.find(env, c), err)
}

// templates compiles the fields for the authorizer.
func templates(env *filter.Env, set map[string]string) ([]template, error) {
	var out []template
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value, err := env.Expr.Template(set[name])
		if err != nil {
			errs = append(errs, config.FieldErrorf("set."+name, "%w", err))
		}
		out = append(out, template{http.CanonicalHeaderKey(name), value})
	}
	return out, errors.Join(errs...)
}

// find finds the service that is asked.
func (f *forward) find(env *filter.Env, c *Config) (err error) {
	if c.To != "" {
		if f.to, err = env.Upstream(c.To); err != nil {
			return config.FieldErrorf("to", "%w", err)
		}
		f.url, err = url.Parse("http://authorizer" + cmp.Or(c.Path, "/"))
		if err != nil {
			return config.FieldErrorf("path", "%w", err)
		}
		f.whom = c.To + f.url.Path // a query may be a secret
		return nil
	}
	if f.url, err = url.Parse(c.URL); err != nil {
		return config.FieldErrorf("url", "%w", err)
	}
	f.host = f.url.Host
	f.whom = f.url.Scheme + "://" + f.url.Host + f.url.Path
	f.to, err = connect(env, f.url, false)
	return err
}

// ask asks.
func (f *forward) ask(ctx context.Context, ex *filter.Exchange, body []byte) (*verdict, error) {
	req := f.request(ex, body).WithContext(ctx)
	child := ex.Child(req)
	defer child.Release()
	resp, err := f.to.Do(child, req)
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	switch status := resp.StatusCode; {
	case status >= 200 && status <= 299:
		finish(resp)
		return f.accept(resp.Header), nil
	case status >= 300 && status <= 499 && status != http.StatusNotModified:
		return f.deny(resp), nil
	}
	return nil, fmt.Errorf("it answered %d", resp.StatusCode)
}

// finish reads an answer that nobody wants, if it is short, so that its connection can be used again.
func finish(resp *http.Response) {
	const short = 4 << 10
	if resp.ContentLength >= 0 && resp.ContentLength <= short {
		_, _ = io.CopyN(io.Discard, resp.Body, resp.ContentLength+1)
	}
}

// request makes the question.
func (f *forward) request(ex *filter.Exchange, body []byte) *http.Request {
	req := &http.Request{
		Method: cmp.Or(f.method, ex.Original.Method), URL: f.url, Host: cmp.Or(f.host, ex.Request.Host), Header: f.header(ex),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if len(body) > 0 {
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req
}

// header is what the authorizer is told.
func (f *forward) header(ex *filter.Exchange) http.Header {
	from := ex.Request.Header
	h := make(http.Header, len(from)+len(f.set)+10)
	if f.shown != nil {
		for _, name := range f.shown {
			if values, ok := from[name]; ok {
				h[name] = values
			}
		}
	} else {
		for name, values := range from {
			if !withheld(name, f.showBody) {
				h[name] = values
			}
		}
	}
	fill(h, f.set, ex)
	describe(h, ex)
	return h
}

// fill sets the fields of templates. What comes out empty, or is no value of a field, is not sent.
func fill(h http.Header, set []template, ex *filter.Exchange) {
	for i := range set {
		if v := set[i].value(ex); v != "" && httpguts.ValidHeaderFieldValue(v) {
			h[set[i].name] = []string{v}
		} else {
			delete(h, set[i].name)
		}
	}
}

// describe tells of the request, in the fields that nginx, Traefik and what was written for them look at.
func describe(h http.Header, ex *filter.Exchange) {
	o := &ex.Original
	uri := o.Path
	if o.Query != "" {
		uri += "?" + o.Query
	}
	h["X-Forwarded-Method"] = []string{o.Method}
	h["X-Forwarded-Proto"] = []string{o.Scheme}
	h["X-Forwarded-Host"] = []string{ex.Request.Host}
	h["X-Forwarded-Uri"] = []string{uri}
	h["X-Original-Method"] = []string{o.Method}
	h["X-Original-Uri"] = []string{uri}
	h["X-Original-Url"] = []string{o.Scheme + "://" + ex.Request.Host + uri}
	if ex.Client.IsValid() {
		client := ex.Client.String()
		h["X-Forwarded-For"], h["X-Real-Ip"] = []string{client}, []string{client}
	}
}

// withheld says whether a field of the request is not for the authorizer: it is of the connection, or of a body that is not sent, or
// asks for only a part of an answer, or says what the gateway says itself.
func withheld(name string, body bool) bool {
	switch name {
	case "Content-Type", "Content-Encoding", "Content-Language", "Content-Md5", "Content-Digest", "Content-Range":
		return !body
	case "Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Accept-Encoding":
		return true
	}
	return ofConnection(name) || forwarding(name)
}

// forwarding says whether a field tells of the way that a request came, which is the gateway's to say. Many servers take "_" for "-".
func forwarding(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	return name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-")
}

// accept reads an answer that accepts.
func (f *forward) accept(h http.Header) *verdict {
	id, but := identify(h, &f.identity, f.consumers, f.unknown)
	if but != "" {
		return &verdict{denied: &denial{whom: f.whom, status: http.StatusForbidden, but: but}}
	}
	v := &verdict{identity: id, set: pick(h, f.upstream), client: pick(h, f.client)}
	for i := range v.client {
		v.client[i].how = adds
	}
	v.measure()
	return v
}

// deny reads an answer that refuses. A body that is too large, or that breaks off, is left out: that the request is refused is known.
func (f *forward) deny(resp *http.Response) *verdict {
	d := &denial{whom: f.whom, status: resp.StatusCode, header: http.Header{}}
	for _, picked := range pick(resp.Header, f.refusal) {
		d.header[picked.name] = picked.values
	}
	if f.maxBody > 0 && resp.ContentLength <= f.maxBody {
		body, err := io.ReadAll(io.LimitReader(resp.Body, f.maxBody+1))
		if d.whole = err == nil && int64(len(body)) <= f.maxBody; d.whole {
			d.body = body
			for _, about := range pick(resp.Header, []string{"Content-Type", "Content-Encoding"}) {
				d.header[about.name] = about.values
			}
		}
	}
	v := &verdict{denied: d}
	v.measure()
	return v
}

// pick copies fields out of an answer. Values are copied, lest a small one keeps a whole head in memory.
func pick(h http.Header, names []string) []field {
	var out []field
	for _, name := range names {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		own := make([]string, len(values))
		for i, v := range values {
			own[i] = strings.Clone(v)
		}
		out = append(out, field{name: name, values: own})
	}
	return out
}
