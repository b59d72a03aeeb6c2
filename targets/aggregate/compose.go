package aggregate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
)

// composition says how one answer is made of several.
type composition struct {
	format     string
	kind       string // "", "merge", "jq", "cel"
	jq         *jq.Program
	cel        filter.Lookup
	collisions string
	merges     bool // fields of some answers stand beside the keys of others
	values     bool // answers are looked into
	errors     bool
}

func newComposition(env *filter.Env, c *Config, steps []*step) (*composition, error) {
	m := &composition{format: c.Format, kind: c.Compose.kind(), collisions: c.Compose.Collisions, errors: c.Errors}
	keys := map[string]string{}
	for _, s := range steps {
		s.merge = s.merge || m.kind == "merge"
		m.merges = m.merges || s.merge && !s.hide
		if s.hide || s.merge {
			continue
		}
		if other := keys[s.key]; other != "" {
			return nil, fmt.Errorf("the answers of %s and %s have the same key, %q", other, s.name, s.key)
		}
		keys[s.key] = s.name
	}
	if m.merges && m.format != "json" {
		return nil, config.FieldErrorf("format", "%s gives each call's answer by itself, and `merge` is for json", m.format)
	}
	var err error
	switch m.kind {
	case "jq":
		m.values = true
		if m.jq, err = jq.Compile(c.Compose.JQ); err != nil {
			return nil, config.FieldErrorf("compose.jq", "%w", err)
		}
	case "cel":
		m.values = true
		if m.cel, err = env.Expr.Any(c.Compose.CEL); err != nil {
			return nil, config.FieldErrorf("compose.cel", "%w", err)
		}
	}
	return m, nil
}

// whole says whether the answer can be made only once all is there.
func (m *composition) whole() bool { return m.kind != "" || m.merges }

// describe says how the answer is made.
func (m *composition) describe() string {
	switch {
	case m.kind == "jq" || m.kind == "cel":
		return "; composed by " + m.kind
	case m.merges:
		return "; merged"
	case m.format != "json":
		return "; written as " + m.format
	}
	return ""
}

// contentType is the type of the answer.
func (m *composition) contentType() string {
	switch m.format {
	case "ndjson":
		return "application/x-ndjson"
	case "sse":
		return "text/event-stream"
	case "multipart":
		return "multipart/mixed; boundary="
	}
	return "application/json"
}

// write writes the answer, as far as it is there, and waits for the rest.
func (m *composition) write(ctx context.Context, w io.Writer, r *run) error {
	switch {
	case m.kind == "jq" || m.kind == "cel":
		return m.writeComputed(ctx, w, r)
	case m.merges:
		return m.writeMerged(w, r)
	case m.format == "json":
		return m.writeObject(w, r)
	}
	return m.writeEach(w, r)
}

// writeObject writes an object with a key for each call, in the order in which they are declared.
func (m *composition) writeObject(w io.Writer, r *run) error {
	between := []byte{'{'}
	for i, s := range r.of.steps {
		if s.hide {
			continue
		}
		res, err := r.result(i)
		if err != nil {
			return err
		}
		if !res.shown() {
			continue
		}
		head, err := jsontext.AppendQuote(between, s.key)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(head, ':')); err != nil {
			return err
		}
		if err := res.writeTo(w); err != nil {
			return fmt.Errorf("call %s: %w", s.name, err)
		}
		between = []byte{','}
	}
	if m.errors {
		for i := range r.results { // hidden ones may have failed, too
			if _, err := r.result(i); err != nil {
				return err
			}
		}
		if told := r.told(); told != nil {
			if _, err := w.Write(append(append(between, `"errors":`...), told...)); err != nil {
				return err
			}
			between = []byte{','}
		}
	}
	end := []byte{'}'}
	if between[0] == '{' {
		end = []byte("{}")
	}
	_, err := w.Write(end)
	return err
}

// result waits for the result of a call.
func (r *run) result(i int) (*result, error) {
	res := &r.results[i]
	select {
	case <-res.ready:
		return res, nil
	default:
	}
	select {
	case <-res.ready:
		return res, nil
	case <-r.failed:
		return nil, r.failure
	}
}

// shown says whether the result has a place in the answer: what was not made has none, unless something stands in for it.
func (res *result) shown() bool { return res.state != skipped || res.raw != nil }

// writeTo writes the JSON of a result.
func (res *result) writeTo(w io.Writer) error {
	if res.rest != nil {
		defer res.rest.Close()
		_, err := io.Copy(w, res.rest)
		return err
	}
	raw := res.raw
	if raw == nil {
		raw = []byte("null")
	}
	_, err := w.Write(raw)
	return err
}

// writeEach writes what has come, one after the other.
func (m *composition) writeEach(w io.Writer, r *run) error {
	out := newEvents(m, r, w)
	for range r.of.steps {
		var i int
		select {
		case i = <-r.came:
		case <-r.failed:
			return out.fail(r)
		}
		s, res := r.of.steps[i], &r.results[i]
		if s.hide || !res.shown() {
			continue
		}
		if err := out.part(s.key, res); err != nil {
			return fmt.Errorf("call %s: %w", s.name, err)
		}
	}
	return out.end(r.told())
}

// events writes answers as they come.
type events struct {
	format string
	w      io.Writer
	parts  *multipart.Writer
}

func newEvents(m *composition, r *run, w io.Writer) *events {
	e := &events{format: m.format, w: w}
	if m.format == "multipart" {
		e.parts = multipart.NewWriter(w)
		_ = e.parts.SetBoundary(r.boundary) // it is one of its own making
	}
	return e
}

// part writes one answer.
func (e *events) part(name string, res *result) error {
	switch e.format {
	case "ndjson":
		head, err := jsontext.AppendQuote([]byte{'{'}, name)
		if err != nil {
			return err
		}
		if _, err := e.w.Write(append(head, ':')); err != nil {
			return err
		}
		if err := res.writeTo(&oneLine{w: e.w}); err != nil {
			return err
		}
		_, err = e.w.Write([]byte("}\n"))
		return err
	case "sse":
		if _, err := fmt.Fprintf(e.w, "event: %s\ndata: ", name); err != nil {
			return err
		}
		if err := res.writeTo(&oneLine{w: e.w}); err != nil {
			return err
		}
		_, err := e.w.Write([]byte("\n\n"))
		return err
	}
	w, err := e.parts.CreatePart(textproto.MIMEHeader{
		"Content-Type": {"application/json"}, "Content-Disposition": {fmt.Sprintf("inline; name=%q", name)},
	})
	if err != nil {
		return err
	}
	return res.writeTo(w)
}

// fail tells of a failure after which nothing comes.
func (e *events) fail(r *run) error {
	var known *filter.Error
	if !errors.As(r.failure, &known) || known.Code == filter.ClientClosed {
		return r.failure
	}
	problem, err := json.Marshal([]map[string]any{{"code": known.Code, "detail": known.Detail, "status": known.HTTPStatus()}})
	if err != nil {
		return err
	}
	return e.end(problem)
}

// end ends the answer, after telling of what failed.
func (e *events) end(told []byte) error {
	if told != nil {
		if err := e.part("errors", &result{state: answered, part: part{raw: told}}); err != nil {
			return err
		}
	}
	if e.parts != nil {
		return e.parts.Close()
	}
	return nil
}

// oneLine writes JSON without its line breaks, which are only between its tokens.
type oneLine struct{ w io.Writer }

// Write writes all but line breaks.
func (o *oneLine) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		line := p
		if end >= 0 {
			line, p = p[:end], p[end+1:]
		} else {
			p = nil
		}
		if len(line) == 0 {
			continue
		}
		if _, err := o.w.Write(line); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// writeComputed writes what a program makes of the answers.
func (m *composition) writeComputed(ctx context.Context, w io.Writer, r *run) error {
	var out any
	if m.kind == "jq" {
		input := make(map[string]any, len(r.results))
		for i, s := range r.of.steps {
			if res := &r.results[i]; res.shown() {
				input[s.name] = res.value
			}
		}
		outputs, err := m.jq.Run(ctx, input)
		switch {
		case err != nil:
			return notComposed(err)
		case len(outputs) == 0:
			return notComposed(errors.New("the program has no output"))
		}
		out = outputs[0]
	} else {
		v, ok := m.cel(r.own)
		if !ok {
			return notComposed(errors.New("the expression cannot be evaluated"))
		}
		out = v
	}
	b, err := document.Append(nil, out)
	if err != nil {
		return notComposed(err)
	}
	_, err = w.Write(b)
	return err
}

// notComposed is the failure of what makes the answer.
func notComposed(cause error) error {
	return filter.Reject(filter.CallFailed, "The answers of the services do not make one.").Because(cause)
}

// writeMerged writes fields side by side, or lists one after the other.
func (m *composition) writeMerged(w io.Writer, r *run) error {
	all := &merged{collisions: m.collisions, at: map[string]int{}}
	for i, s := range r.of.steps {
		res := &r.results[i]
		if s.hide || !res.shown() {
			continue
		}
		raw := res.raw
		if raw == nil {
			raw = []byte("null")
		}
		var err error
		if s.merge {
			err = all.add(s.name, raw)
		} else {
			err = all.set(s.name, s.key, raw)
		}
		if err != nil {
			return notComposed(err)
		}
	}
	if told := r.told(); told != nil && m.errors && !all.list {
		if err := all.set("errors", "errors", told); err != nil {
			return notComposed(err)
		}
	}
	b, err := all.bytes()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}
