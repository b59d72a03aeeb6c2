package aggregate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/filter"
)

// write writes the answer, as far as it is there, and waits for the rest.
func (m *composition) write(w *bufio.Writer, r *run) error {
	if m.format == "json" {
		return m.writeObject(w, r)
	}
	return m.writeEach(w, r)
}

// ordered calls a function for each call with a place in the answer: in the order in which they are declared, or, where the answer begins with the first, as
// they come. What was written is sent before it waits.
func (r *run) ordered(w *bufio.Writer, each func(s *step, res *result) error) error {
	if r.of.begin == "first" {
		return r.asTheyCome(w, each)
	}
	for i, s := range r.of.steps {
		if s.hide {
			continue
		}
		if !r.isReady(i) {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		res, err := r.result(i)
		if err != nil {
			return err
		}
		if res.shown() {
			if err := each(s, res); err != nil {
				return fmt.Errorf("call %s: %w", s.name, err)
			}
		}
	}
	return nil
}

func (r *run) asTheyCome(w *bufio.Writer, each func(s *step, res *result) error) error {
	for {
		if len(r.held) == 0 && len(r.came) == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		i, ok := r.next()
		if !ok {
			return r.failure
		}
		if err := each(r.of.steps[i], &r.results[i]); err != nil {
			return fmt.Errorf("call %s: %w", r.of.steps[i].name, err)
		}
	}
}

// writeObject writes an object with a key for each call.
func (m *composition) writeObject(w *bufio.Writer, r *run) error {
	between := byte('{')
	key := func(name string) error {
		head, err := jsontext.AppendQuote(append(w.AvailableBuffer(), between), name)
		if err != nil {
			return err
		}
		between = ','
		_, err = w.Write(append(head, ':'))
		return err
	}
	err := r.ordered(w, func(s *step, res *result) error {
		if err := key(s.key); err != nil {
			return err
		}
		return res.writeTo(w)
	})
	if err != nil {
		return err
	}
	told, err := r.toldAll()
	if err != nil {
		return err
	}
	if told != nil {
		if err := key("errors"); err != nil {
			return err
		}
		_, _ = w.Write(told) // Flush has the error
	}
	if between == '{' {
		_ = w.WriteByte('{')
	}
	_ = w.WriteByte('}')
	return w.Flush()
}

// toldAll is told, once all calls have ended, the hidden ones too.
func (r *run) toldAll() ([]byte, error) {
	if !r.of.errors {
		return nil, nil
	}
	for i := range r.results {
		if _, err := r.result(i); err != nil {
			return nil, err
		}
	}
	return r.told(), nil
}

// shown says whether the result has a place in the answer: what was not made has none, unless something stands in for it.
func (res *result) shown() bool { return res.state != skipped || res.raw != nil }

// writeTo writes the JSON of a result. What comes of a long one is sent as it comes.
func (res *result) writeTo(w *bufio.Writer) error {
	if res.rest == nil {
		_, err := w.Write(res.text())
		return err
	}
	defer res.rest.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := res.rest.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n < len(buf) {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// writeEach writes what has come, one after the other.
func (m *composition) writeEach(w *bufio.Writer, r *run) error {
	out := newEvents(m, r, w)
	err := r.ordered(w, out.part)
	if err != nil {
		if failure := r.failed(); failure != nil && err == failure { // it is the very one, after which the format can end well
			return out.fail(failure)
		}
		return err
	}
	told, err := r.toldAll()
	if err != nil {
		return err
	}
	return out.end(told)
}

// events writes answers as they come.
type events struct {
	format string
	w      *bufio.Writer
	parts  *multipart.Writer
}

func newEvents(m *composition, r *run, w *bufio.Writer) *events {
	e := &events{format: m.format, w: w}
	if m.format == "multipart" {
		e.parts = multipart.NewWriter(w)
		_ = e.parts.SetBoundary(r.boundary) // it is one of its own making
	}
	return e
}

// part writes one answer.
func (e *events) part(s *step, res *result) error { return e.named(s.key, res) }

func (e *events) named(name string, res *result) error {
	switch e.format {
	case "ndjson":
		head, err := jsontext.AppendQuote([]byte{'{'}, name)
		if err != nil {
			return err
		}
		_, _ = e.w.Write(append(head, ':'))
		return e.line(res, "}\n")
	case "sse":
		_, _ = fmt.Fprintf(e.w, "event: %s\ndata: ", name)
		return e.line(res, "\n\n")
	}
	_, err := e.parts.CreatePart(textproto.MIMEHeader{
		"Content-Type": {"application/json"}, "Content-Disposition": {fmt.Sprintf("inline; name=%q", name)},
	})
	if err != nil {
		return err
	}
	return res.writeTo(e.w)
}

// line writes an answer on one line.
func (e *events) line(res *result, end string) error {
	one := bufio.NewWriterSize(&oneLine{e.w}, 4<<10)
	if err := res.writeTo(one); err != nil {
		return err
	}
	if err := one.Flush(); err != nil {
		return err
	}
	_, err := e.w.WriteString(end)
	return err
}

// fail tells of a failure after which nothing comes.
func (e *events) fail(failure error) error {
	var known *filter.Error
	if !errors.As(failure, &known) || known.Code == filter.ClientClosed {
		return failure
	}
	problem, err := json.Marshal([]map[string]any{{"code": known.Code, "detail": known.Public(), "status": known.HTTPStatus()}})
	if err != nil {
		return err
	}
	return e.end(problem)
}

// end ends the answer, after telling of what failed.
func (e *events) end(told []byte) error {
	if told != nil {
		if err := e.named("errors", &result{part: part{raw: told}}); err != nil {
			return err
		}
	}
	if e.parts != nil {
		if err := e.parts.Close(); err != nil {
			return err
		}
	}
	return e.w.Flush()
}

// oneLine writes JSON without its line breaks, which are only between its tokens.
type oneLine struct{ w io.Writer }

// Write writes all but line breaks.
func (o *oneLine) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest := p, []byte(nil)
		if end := bytes.IndexAny(p, "\r\n"); end >= 0 {
			line, rest = p[:end], p[end+1:]
		}
		if _, err := o.w.Write(line); err != nil {
			return 0, err
		}
		p = rest
	}
	return n, nil
}
