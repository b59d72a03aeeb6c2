package headers

import (
	"errors"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/filter"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("headers", filter.Transform, build) }

// headers is the policy.
type headers struct {
	request, response changes
	note              string
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	var p headers
	var errs [2]error
	p.request, errs[0] = newChanges(env, "request", &c.Request)
	p.response, errs[1] = newChanges(env, "response", &c.Response)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	p.note = note(c)
	f := &filter.Filter{Explain: p.explain}
	if !c.Request.empty() {
		f.Request = p.changeRequest
	}
	if !c.Response.empty() {
		f.Response = p.changeResponse
	}
	return f, nil
}

func (p *headers) changeRequest(ex *filter.Exchange) error {
	host := ""
	if v := p.request.host; v != nil {
		if host = v.text(ex); v.template != nil && !filter.ValidHost(host) {
			return filter.Reject(filter.BadRequest, "The request does not name a host that it could be for.")
		}
	}
	p.request.apply(ex, ex.Request.Header)
	if host != "" {
		ex.Request.Host = host
	}
	return nil
}

func (p *headers) changeResponse(ex *filter.Exchange) error {
	if ex.Response.Header == nil {
		ex.Response.Header = http.Header{}
	}
	p.response.apply(ex, ex.Response.Header)
	return nil
}

func (p *headers) explain(ex *filter.Exchange) filter.Verdict {
	if err := p.changeRequest(ex); err != nil {
		return filter.Verdict{Action: filter.Rejects, Note: "the template of Host does not give a host"}
	}
	if p.request.empty() {
		return filter.Verdict{Action: filter.Passes, Note: p.note}
	}
	return filter.Verdict{Action: filter.Changes, Note: p.note}
}

// changes are changes to the fields of a message, ready to be made.
type changes struct {
	host     *value // of the request; nil: not changed
	remove   []string
	prefixes []string // of names to remove
	fields   []field  // set, then default, then add
}

func (c *changes) empty() bool {
	return c.host == nil && len(c.remove) == 0 && len(c.prefixes) == 0 && len(c.fields) == 0
}

// action is what is done with a field.
type action int

const (
	set action = iota
	setDefault
	add
)

// field is a change of one field.
type field struct {
	action   action
	name     string   // canonical
	constant []string // shared by all messages, and full, so that appending copies it; nil when there are templates
	values   []value
}

// apply makes the changes. All values are computed before, so that they may be taken from what is removed.
func (c *changes) apply(ex *filter.Exchange, h http.Header) {
	var room [8][]string
	values := room[:0]
	for i := range c.fields {
		values = append(values, c.fields[i].compute(ex))
	}
	for _, name := range c.remove {
		delete(h, name)
	}
	if c.prefixes != nil {
		c.removePrefixes(h)
	}
	for i := range c.fields {
		c.fields[i].change(h, values[i])
	}
}

// removePrefixes removes the fields whose names begin with one of the prefixes.
func (c *changes) removePrefixes(h http.Header) {
	for name := range h {
		for _, prefix := range c.prefixes {
			if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) && !ofConnection(name) {
				delete(h, name)
				break
			}
		}
	}
}

// compute returns the values of the field for an exchange. Those that cannot or need not be sent are left out.
func (f *field) compute(ex *filter.Exchange) []string {
	if f.constant != nil {
		return f.constant
	}
	values := make([]string, 0, len(f.values))
	for i := range f.values {
		v := &f.values[i]
		text := v.text(ex)
		if v.template != nil && (text == "" || !httpguts.ValidHeaderFieldValue(text)) {
			continue
		}
		values = append(values, text)
	}
	return values
}

// change changes the field to its computed values, or by them.
func (f *field) change(h http.Header, values []string) {
	own := h[f.name]
	switch {
	case f.action == set && len(values) == 0:
		delete(h, f.name)
	case len(values) == 0:
	case f.action == set, len(own) == 0:
		h[f.name] = values
	case f.action == add:
		h[f.name] = append(own[:len(own):len(own)], values...)
	}
}

// value is a text that is known, or a template of one.
type value struct {
	constant string
	template filter.Template
}

// text returns the value for an exchange, without white space around it, which is no part of a value (RFC 9110, section 5.5).
func (v *value) text(ex *filter.Exchange) string {
	if v.template == nil {
		return v.constant
	}
	return strings.Trim(v.template(ex), " \t")
}
