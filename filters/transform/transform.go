package transform

import (
	"errors"
	"net/http"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("transform", filter.Transform, build) }

// transform is the policy on one route.
type transform struct {
	options
	request  *requestWay  // nil: requests stay as they are
	response *responseWay // nil: responses do
	chosen   filter.Slot[choice]
	depends  cacheable.Depends // what answers are made of, beside the service's
}

// choice is what the request phase has found out for the response phase.
type choice struct {
	to    string // the format that the client gets
	typ   string // the media type that the client has named for it; "": that of the format
	mark  string // of the validators
	grpc  bool   // the client says that it speaks gRPC
	fault error  // of the request's envelope
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	t := &transform{options: options{xml: &c.XML, soap: &c.SOAP, form: &c.Form, csv: &c.CSV}, chosen: filter.NewSlot[choice](env)}
	err := errors.Join(t.buildRequest(env, c), t.buildResponse(env, c))
	if err != nil {
		return nil, err
	}
	f := &filter.Filter{Request: t.onRequest, Explain: t.explain}
	if t.request != nil {
		f.Finish = t.request.finish
	}
	if t.response != nil || t.depends.Caller || t.depends.Fields != nil {
		f.Response = t.onResponse
	}
	return f, nil
}

func (t *transform) buildRequest(env *filter.Env, c *Config) error {
	if c.Request == nil {
		return nil
	}
	r := c.Request
	w, err := newWay(env, &r.Steps, &t.options, true, "request", nil, &t.depends)
	if err != nil {
		return err
	}
	if err := r.checkMade(env); err != nil {
		return config.FieldErrorf("request", "%w", err)
	}
	t.request = &requestWay{way: w, to: r.To, method: r.Method, flows: filter.NewSlot[flow](env)}
	if r.Method == "" && r.To == "soap" {
		t.request.method = http.MethodPost
	}
	t.request.create = t.request.method != "" || r.To == "soap"
	if r.Create != nil {
		t.request.create = *r.Create
	}
	return nil
}

func (t *transform) buildResponse(env *filter.Env, c *Config) error {
	if c.Response == nil {
		return nil
	}
	r := c.Response
	w, err := newWay(env, &r.Steps, &t.options, false, "response", c.known(env), &t.depends)
	if err != nil {
		return err
	}
	t.response = &responseWay{way: w, to: r.To, lenient: r.Unacceptable == "first", status: r.Status}
	if len(r.To) == 0 {
		t.response.to = []string{"json"}
	}
	for _, to := range t.response.to {
		m := ""
		if !w.varies {
			m = mark(*r, c.XML, c.SOAP, c.Form, c.CSV, to)
		}
		t.response.marks = append(t.response.marks, m)
	}
	return nil
}

// onRequest transforms the request, and readies it for the transformation of its response.
func (t *transform) onRequest(ex *filter.Exchange) error {
	r := ex.Request
	if r.Method == http.MethodConnect {
		return nil // what follows is no body
	}
	if t.response.applies(ex) {
		c, err := t.response.choose(r.Header["Accept"])
		if err != nil {
			return err
		}
		c.grpc = isGRPC(r.Header)
		t.chosen.Set(ex, c)
		t.response.ready(r, c)
	}
	if !t.request.applies(ex) {
		return nil
	}
	err := t.request.transform(ex)
	if err != nil {
		if c := t.chosen.Get(ex); c != nil {
			c.fault = err
		}
		return ofRequest(err)
	}
	return nil
}

// onResponse transforms the response.
func (t *transform) onResponse(ex *filter.Exchange) error {
	if !ours(ex) {
		t.depends.Say(ex.Response.Header)
	}
	c := t.chosen.Get(ex)
	if c == nil {
		return nil
	}
	err := t.response.transform(ex, c)
	if err == nil {
		return nil
	}
	if c.to == "soap" {
		t.response.refuse(ex, ofResponse(err))
		return nil
	}
	return ofResponse(err)
}

// explain says what would be done. Bodies are not looked at.
func (t *transform) explain(ex *filter.Exchange) filter.Verdict {
	r := ex.Request
	if r.Method == http.MethodConnect {
		return filter.Verdict{Action: filter.Passes, Note: "tunnels are left alone"}
	}
	var notes []string
	responds, requests := t.response.applies(ex), t.request.applies(ex)
	if responds {
		c, err := t.response.choose(r.Header["Accept"])
		if err != nil {
			return filter.Verdict{Action: filter.Rejects, Note: err.Error()}
		}
		t.response.ready(r, c)
		notes = append(notes, t.response.note(c.to)+" in the response")
	}
	changes := responds
	if requests {
		note, changed := t.request.explain(r)
		notes, changes = append([]string{note}, notes...), changes || changed
	}
	return verdict(notes, changes)
}
