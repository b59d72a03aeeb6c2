package sequence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/pathtemplate"
)

// Told is the field that says what became of each step of a sequence that failed: a list of tokens, each with its state (RFC 9651).
const Told = "Cardea-Sequence"

// composed is the body of the answer, once all steps are done.
func (r *run) composed() ([]byte, error) {
	switch {
	case r.of.answer >= 0:
		if raw := r.results[r.of.answer].raw; raw != nil {
			return raw, nil
		}
		return []byte("null"), nil // it was not made
	case r.of.compose != nil:
		return r.computed()
	}
	b := []byte{'{'}
	for i, s := range r.of.steps {
		if r.results[i].state != done {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		var err error
		if b, err = jsontext.AppendQuote(b, s.name); err != nil {
			return nil, err
		}
		b = append(append(b, ':'), r.results[i].raw...)
	}
	return append(b, '}'), nil
}

// computed is what the program makes of the answers.
func (r *run) computed() ([]byte, error) {
	input := make(map[string]any, len(r.results))
	for i, s := range r.of.steps {
		if r.results[i].looked {
			input[s.name] = r.results[i].value
		}
	}
	outputs, err := r.of.compose.Run(r.ctx, input)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot compose the answer: %w", err)
	case len(outputs) == 0:
		return nil, errors.New("cannot compose the answer: the program has no output")
	}
	return document.Append(nil, outputs[0])
}

// respond makes the response of a sequence that is done.
func (r *run) respond(ex *filter.Exchange, b []byte) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Content-Length": {strconv.Itoa(len(b))}}
	if at := r.located(); at != "" {
		h["Location"] = []string{at}
	}
	for _, f := range r.of.headers {
		delete(h, f.name)
		if v := strings.TrimSpace(f.value(r.own)); v != "" && len(v) <= call.MaxValue {
			h[f.name] = []string{call.FieldValue(v)}
		}
	}
	resp := &http.Response{
		StatusCode: r.of.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: ex.Request, Body: http.NoBody, ContentLength: int64(len(b)),
	}
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusResetContent {
		resp.ContentLength = 0
		delete(h, "Content-Length")
		delete(h, "Content-Type")
		return resp
	}
	if ex.Request.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(b))
	}
	return resp
}

// located is the value of Location, or "" where something that it needs is missing.
func (r *run) located() string {
	if r.of.location == nil {
		return ""
	}
	path, err := r.of.location.Join(r.own, nil)
	if err == nil {
		path, err = pathtemplate.Finish(path)
	}
	if err == nil && r.of.asks {
		var query string
		query, err = r.of.query.Join(r.own, nil)
		path += "?" + query
	}
	if err == nil && len(path) > call.MaxValue {
		err = fmt.Errorf("it has %d bytes, and %d is the most", len(path), call.MaxValue)
	}
	if err != nil { // all is done; to undo it for a field would be worse
		r.of.log.Warn("a sequence is done, but has no Location", "request_id", r.own.ID, "route", r.of.route, "error", err)
		return ""
	}
	return path
}

// failed is the answer of a sequence that failed, once all is undone that can be.
func (r *run) failed(why error) error {
	e := filter.Reject(filter.SequenceFailed, "%s", r.detail(why)).Because(r.because(why))
	if errors.Is(why, errLeft) {
		e.Code = filter.ClientClosed
		return e
	}
	var status *call.StatusError
	var known *filter.Error
	switch {
	case errors.As(why, &status):
		if r.of.own && status.Status >= 400 && status.Status < 600 {
			e.Status = status.Status
			if after := status.Header["Retry-After"]; after != nil {
				e.Header = http.Header{"Retry-After": after}
			}
		}
	case errors.Is(why, errLacks):
		e.Status = http.StatusBadRequest
	case errors.Is(why, errLate), errors.As(why, &known) && known.HTTPStatus() == http.StatusGatewayTimeout:
		e.Status = http.StatusGatewayTimeout
	case errors.Is(why, errEnding), errors.Is(why, errLost):
		e.Status = http.StatusServiceUnavailable
	}
	return e.With(Told, r.told())
}

// failedAgain is the answer of a sequence that failed, all of whose steps an earlier request with the same key had done: nothing is undone.
func (r *run) failedAgain(why error) error {
	var known *filter.Error
	e := filter.Reject(filter.SequenceFailed, "All was done at an earlier request with the same key, and nothing of it was undone, but its answer could not be made again.").Because(r.because(why))
	if errors.Is(why, errLate) || errors.As(why, &known) && known.HTTPStatus() == http.StatusGatewayTimeout {
		e.Status = http.StatusGatewayTimeout
	}
	if errors.Is(why, errLeft) {
		e.Code = filter.ClientClosed
	}
	return e
}

// because is the failure for operators.
func (r *run) because(why error) error {
	var errs []error
	if r.at < len(r.results) {
		errs = append(errs, fmt.Errorf("step %s: %w", r.of.steps[r.at].name, why))
	} else {
		errs = append(errs, why)
	}
	for i := range r.results {
		if res := &r.results[i]; res.state == stuck {
			errs = append(errs, fmt.Errorf("step %s could not be undone: %w", r.of.steps[i].name, res.left))
		}
	}
	return errors.Join(errs...)
}

// detail tells the client which step failed, and whether what was done is undone.
func (r *run) detail(why error) string {
	var b strings.Builder
	var status *call.StatusError
	switch {
	case errors.Is(why, errLost):
		b.WriteString("The gateway has lost touch with what it shares with others.")
	case r.at == len(r.results):
		b.WriteString("The answers of the steps do not make one.")
	case r.results[r.at].state == waiting && errors.Is(why, errLate):
		fmt.Fprintf(&b, "There was no time left for the step %q.", r.of.steps[r.at].name)
	case r.results[r.at].state == waiting:
		fmt.Fprintf(&b, "The step %q was not begun.", r.of.steps[r.at].name)
	case errors.Is(why, errLacks):
		fmt.Fprintf(&b, "The request lacks a value that the step %q needs, or has one that does not fit.", r.of.steps[r.at].name)
	case errors.As(why, &status):
		fmt.Fprintf(&b, "The step %q was answered with %d.", r.of.steps[r.at].name, status.Status)
	default:
		fmt.Fprintf(&b, "The step %q failed%s", r.of.steps[r.at].name, reason(why))
	}
	by := map[state][]string{}
	for i := range r.results {
		by[r.results[i].state] = append(by[r.results[i].state], strconv.Quote(r.of.steps[i].name))
	}
	switch {
	case by[stuck] != nil:
		fmt.Fprintf(&b, " Not all could be undone: what %s did, or may have done, may still be there.", strings.Join(by[stuck], ", "))
	case by[undone] != nil:
		b.WriteString(" What had been done was undone.")
	case by[heldOn] == nil:
		b.WriteString(" Nothing had been done.")
	}
	if r.id != (id{}) && (by[stuck] != nil || by[undone] != nil) {
		b.WriteString(" To try again, use another key.")
	}
	return b.String()
}

// reason is why a step failed, as far as the client may know. It ends the sentence that says that it did.
func reason(why error) string {
	var known *filter.Error
	switch {
	case errors.Is(why, errLate):
		return ": it took too long."
	case errors.As(why, &known):
		return ". " + known.Public()
	case errors.As(why, new(*call.FormatError)), errors.As(why, new(*document.Error)):
		return ": it did not get what it should."
	}
	return "."
}

// told says what became of each step, for the field Told.
func (r *run) told() string {
	items := make([]string, len(r.results))
	for i, s := range r.of.steps {
		name := s.name
		if name[0] == '_' { // a token begins with a letter, and a string is as good
			name = strconv.Quote(name)
		}
		items[i] = name + ";state=" + r.results[i].state.String()
	}
	return strings.Join(items, ", ")
}
