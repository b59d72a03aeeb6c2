package externalauth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
)

// verdict is what the authorizer says of a request. It may be shared by requests, and never changes.
type verdict struct {
	denied   *denial // nil: the request may pass
	identity *filter.Identity
	set      []field // for the upstream
	remove   []string
	query    *queryEdit // nil: none
	client   []field    // for the client's answer
	size     int        // about how much memory it takes
}

// field is a change of a header field. Its name is canonical.
type field struct {
	name   string
	values []string
	how    how
}

// how says what a change does with what is there already.
type how int

const (
	sets          how = iota // replaces it
	adds                     // is added to it
	setsIfAbsent             // leaves it
	setsIfPresent            // replaces it, and does nothing where nothing is there
)

// change changes a header. Values may be shared, and are not changed.
func (f *field) change(h http.Header) {
	before, present := h[f.name]
	switch {
	case f.how == setsIfAbsent && present, f.how == setsIfPresent && !present:
	case f.how == adds && present:
		h[f.name] = slices.Concat(before, f.values)
	default:
		h[f.name] = f.values
	}
}

// apply gives the upstream what the authorizer says, and nothing of these names that the client said.
func (v *verdict) apply(r *http.Request, removed []string) {
	for _, name := range removed {
		delete(r.Header, name)
	}
	for i := range v.set {
		v.set[i].change(r.Header)
	}
	for _, name := range v.remove {
		delete(r.Header, name)
	}
	if v.query != nil {
		r.URL.RawQuery = v.query.apply(r.URL.RawQuery)
	}
}

// private says whether the answer is for one request alone: it begins or renews a session.
func (v *verdict) private() bool {
	if v.denied != nil {
		return v.denied.header["Set-Cookie"] != nil
	}
	return slices.ContainsFunc(v.client, func(f field) bool { return f.name == "Set-Cookie" })
}

// measure notes about how much memory the verdict takes.
func (v *verdict) measure() {
	count := func(name string, values []string) {
		v.size += len(name)
		for _, value := range values {
			v.size += len(value)
		}
	}
	for _, f := range slices.Concat(v.set, v.client) {
		count(f.name, f.values)
	}
	if v.denied != nil {
		v.size += len(v.denied.body)
		for name, values := range v.denied.header {
			count(name, values)
		}
	}
	if id := v.identity; id != nil {
		count(id.Subject, id.Groups)
		count("", id.Scopes)
		for name, claim := range id.Claims {
			text, _ := claim.(string)
			count(name, []string{text})
		}
	}
}

// denial is an answer that refuses. As an error it is the cause of the refusal, by which the response phase knows it.
type denial struct {
	whom   string
	status int
	header http.Header
	body   []byte
	whole  bool   // the body is all that the authorizer sent
	but    string // why it is refused though the authorizer accepts; "": it does not
}

// Error tells operators who refused the request.
func (d *denial) Error() string {
	if d.but != "" {
		return fmt.Sprintf("%s accepts the request, but %s", d.whom, d.but)
	}
	return fmt.Sprintf("%s answered %d", d.whom, d.status)
}

// refusal is the error that the request is refused with.
func (d *denial) refusal() *filter.Error {
	code := filter.AccessDenied
	if d.status < http.StatusBadRequest {
		code = filter.LoginRequired
	}
	refused := filter.Reject(code, "").Because(d)
	refused.Status = d.status
	return refused
}

// response gives the client what the authorizer has for it: its refusal, where that is what the route's policies came to, or fields of
// its acceptance.
func (p *policy) response(ex *filter.Exchange) error {
	if v := p.accepted.Get(ex); v != nil && ex.Response != nil {
		change(ex.Response, v.client)
		if v.private() {
			cacheable.Private(ex.Response.Header)
		}
	}
	var d *denial
	if ex.Err != nil && errors.As(ex.Err, &d) {
		d.answer(ex)
	}
	return nil
}

// change changes the fields of an answer.
func change(resp *http.Response, fields []field) {
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	for i := range fields {
		fields[i].change(resp.Header)
	}
}

// answer makes the gateway's answer to the refusal that of the authorizer. gRPC callers could not read it; they keep the gateway's.
func (d *denial) answer(ex *filter.Exchange) {
	resp := ex.Response
	if resp == nil || strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		return
	}
	challenges := filter.AsError(ex.Err).Header["Www-Authenticate"] // of other policies
	for name, values := range d.header {
		if name != "Content-Type" && name != "Content-Encoding" || d.whole {
			resp.Header[name] = values
		}
	}
	if len(challenges) > 0 {
		resp.Header["Www-Authenticate"] = slices.Concat(d.header["Www-Authenticate"], challenges)
	}
	resp.StatusCode, resp.Status = d.status, ""
	if !d.whole {
		return
	}
	if d.header["Content-Type"] == nil {
		delete(resp.Header, "Content-Type")
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	resp.Header["Content-Length"] = []string{strconv.Itoa(len(d.body))}
	resp.ContentLength = int64(len(d.body))
	resp.Body = io.NopCloser(bytes.NewReader(d.body))
}
