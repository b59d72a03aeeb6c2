package aggregate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// Partial is the field that names the calls which failed, of an answer that could do without them: a list of tokens, each with its reason (RFC 9651).
const Partial = "Cardea-Partial"

// partial names the calls that failed, for the field Partial.
func (r *run) partial() string {
	var list []string
	for i, s := range r.of.steps {
		res := &r.results[i]
		if !r.isReady(i) || res.state != broken && res.gaps == 0 {
			continue
		}
		item := token(s.name)
		switch code, status := reason(res.err); {
		case res.state != broken:
			item += fmt.Sprintf(";missing=%d", res.gaps)
		case status > 0:
			item += ";status=" + strconv.Itoa(status)
		default:
			item += ";reason=" + string(code)
		}
		list = append(list, item)
	}
	return strings.Join(list, ", ")
}

// token is a name as a token of structured fields, which begins with a letter, or as a string.
func token(name string) string {
	if name[0] == '_' {
		return strconv.Quote(name)
	}
	return name
}

// told are the calls that failed, as JSON for the member "errors"; nil: none has, or nobody asked.
func (r *run) told() []byte {
	if !r.of.errors {
		return nil
	}
	type failed struct {
		Call    string      `json:"call"`
		Code    filter.Code `json:"code"`
		Status  int         `json:"status,omitempty"`
		Missing int         `json:"missing,omitempty"`
	}
	var all []failed
	for i, s := range r.of.steps {
		res := &r.results[i]
		switch {
		case res.state == broken:
			code, status := reason(res.err)
			all = append(all, failed{Call: s.name, Code: code, Status: status})
		case res.gaps > 0:
			all = append(all, failed{Call: s.name, Code: filter.CallFailed, Missing: res.gaps})
		}
	}
	if all == nil {
		return nil
	}
	b, _ := json.Marshal(all)
	return b
}

// reason is the code of a failure, and the status where the upstream answered.
func reason(err error) (filter.Code, int) {
	var status *call.StatusError
	if errors.As(err, &status) {
		return filter.CallFailed, status.Status
	}
	var known *filter.Error
	if errors.As(err, &known) {
		return known.Code, 0
	}
	return filter.CallFailed, 0
}

// unable is why a call cannot be made. Where it needs nothing of other calls, what it lacks is the client's to give.
func (s *step) unable(err error) error {
	if len(s.after) > 0 {
		return &call.FormatError{Reason: err.Error()}
	}
	return filter.Reject(filter.BadRequest, "The request lacks a value that the call needs, or has one that does not fit.").Because(err)
}

// failure is the answer where a required call has failed.
func (a *aggregate) failure(s *step, err error) error {
	var known *filter.Error
	var status *call.StatusError
	var format *call.FormatError
	var document *document.Error
	switch {
	case errors.As(err, &status):
		e := filter.Reject(filter.CallFailed, "The call %q, which the answer needs, was answered with %d.", s.name, status.Status).Because(err)
		if a.own && status.Status >= 400 && status.Status < 600 {
			e.Status = status.Status
			if after := status.Header["Retry-After"]; after != nil {
				e.Header = http.Header{"Retry-After": after}
			}
		}
		return e
	case errors.As(err, &format), errors.As(err, &document):
		return filter.Reject(filter.CallFailed, "The call %q, which the answer needs, did not get what it should.", s.name).Because(err)
	case errors.As(err, &known):
		e := *known
		e.Detail = fmt.Sprintf("The call %q, which the answer needs, failed. %s", s.name, known.Public())
		return &e
	}
	return filter.Reject(filter.CallFailed, "The call %q, which the answer needs, failed.", s.name).Because(err)
}
