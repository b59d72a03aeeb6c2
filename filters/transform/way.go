package transform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
	"cardea.dev/cardea/internal/shape"
)

// way is what is done to the bodies of requests, or of responses, of one route.
type way struct {
	*options
	request     bool
	from        string
	types       []string
	editor      *document.Editor // nil: there are no field operations
	values      []lookup         // of the editor's templates
	program     *jq.Program      // nil: there is none
	variables   []lookup         // of the program
	text        *text            // nil: there is no template
	body        filter.Slot[any] // the document, for the template
	contentType string           // of the result; "": that of the format
	when        filter.Condition // nil: always
	max         int64
	whole, pass bool
	varies      bool // the result has values of the request in it
	depends     *cacheable.Depends
	meter
}

// newWay readies what is done to bodies, of which something may be known.
func newWay(env *filter.Env, s *Steps, o *options, request bool, field string, known *shape.Shape, depends *cacheable.Depends) (*way, error) {
	w := &way{
		options: o, request: request, from: s.From, types: s.Types, contentType: s.ContentType,
		max: int64(s.MaxBody), whole: s.Whole, pass: s.OnError == "pass", depends: depends, meter: newMeter(env, field),
	}
	err := errors.Join(w.readEdits(env, s), w.readProgram(s))
	if err != nil {
		known = nil // paths can be wrong
	}
	known, wrong := s.check(known)
	err = errors.Join(err, wrong, w.readTemplate(env, s, known), w.readWhen(env, s))
	if err != nil {
		return nil, config.FieldErrorf(field, "%w", err)
	}
	return w, nil
}

func (w *way) readEdits(env *filter.Env, s *Steps) (err error) {
	if s.Edits.IsZero() {
		return nil
	}
	if w.editor, err = document.Compile(&s.Edits); err != nil {
		return err
	}
	if w.from == "xml" || w.from == "soap" || w.from == "form" {
		w.editor.Alike()
	}
	var varies bool
	w.values, varies, err = setTemplates(env, w.editor.Templates(), w.depends)
	w.varies = w.varies || varies
	return err
}

func (w *way) readProgram(s *Steps) error {
	if s.JQ == "" {
		return nil
	}
	names, values, varies := used(s.JQ, !w.request)
	p, err := jq.Compile(s.JQ, names...)
	if err != nil {
		return config.FieldErrorf("jq", "%w", err)
	}
	w.program, w.variables = p.Within(jq.Bounds{Size: max(w.max, 1<<20)}), values
	w.varies = w.varies || varies
	readBy(s.JQ, w.depends)
	return nil
}

func (w *way) readTemplate(env *filter.Env, s *Steps, known *shape.Shape) (err error) {
	if s.Template == "" {
		return nil
	}
	w.body, w.varies = filter.NewSlot[any](env), true
	if w.contentType == "" {
		w.contentType = w.options.contentType("text", w.request)
	}
	w.text, err = newText(env, s.Template, w.contentType, w.body, known, w.depends)
	return err
}

func (w *way) readWhen(env *filter.Env, s *Steps) (err error) {
	if s.When == "" {
		return nil
	}
	if w.when, err = env.Expr.Condition(s.When); err != nil {
		return config.FieldErrorf("when", "%w", err)
	}
	w.depends.Note(s.When, env.Expr.Names(s.When))
	return nil
}

// applies says whether something is to be done. Where it cannot be said, it is: what was to be hidden stays hidden.
func (w *way) applies(ex *filter.Exchange) bool {
	if w == nil {
		return false
	}
	if w.when == nil {
		return true
	}
	ok, err := w.when(ex)
	return ok || err != nil
}

// passes says whether bodies of the format can be transformed while they pass.
func (w *way) passes(to string) bool {
	switch {
	case w.whole, w.pass, w.program != nil, w.text != nil:
		return false
	case w.from != "json" && w.from != "csv" && w.from != "ndjson":
		return false
	}
	return to != "soap" || !w.soap.Headers
}

// endless bounds documents that are bounded already, or are not held.
func endless() document.Limits { return document.Limits{Size: math.MaxInt64 - 1} }

// passing bounds documents of which little is held.
func (w *way) passing() document.Limits {
	return document.Limits{Size: math.MaxInt64 - 1, Held: max(w.max, 64<<10)}
}

// all transforms a body that is in memory.
func (w *way) all(ex *filter.Exchange, in []byte, m media, to string) ([]byte, error) {
	decode, err := w.decoder(w.from, m, w.request)
	if err != nil {
		return nil, err
	}
	doc, first := in, true
	if decode != nil {
		if doc, err = w.through(decode, doc); err != nil {
			return nil, problemOf("it cannot be read as "+w.from, err, true)
		}
		doc, first = bytes.TrimSuffix(doc, []byte("\n")), false
	}
	encode := w.encoder(to, w.request)
	switch {
	case w.editor != nil:
		if doc, err = w.edited(ex, doc); err != nil {
			return nil, problemOf("the field operations cannot be done", err, first)
		}
		first = false
	case w.program == nil && w.text == nil && encode == nil && first:
		if _, err := io.Copy(io.Discard, document.Check(bytes.NewReader(doc), endless())); err != nil {
			return nil, problemOf("it is not JSON", err, true)
		}
	}
	if w.program != nil || w.text != nil {
		return w.computed(ex, doc, first, encode, to)
	}
	if encode == nil {
		return doc, nil
	}
	out, err := w.through(encode, doc)
	return out, problemOf("it cannot be written as "+to, err, first)
}

// computed is the rest of all, where the document is looked at as a value.
func (w *way) computed(ex *filter.Exchange, doc []byte, first bool, encode converter, to string) ([]byte, error) {
	v, err := document.Read(bytes.NewReader(doc), endless())
	if err != nil {
		return nil, problemOf("it is not JSON", err, first)
	}
	if w.program != nil {
		if v, err = w.run(ex, v); err != nil {
			return nil, problemOf("the jq program failed", err, false)
		}
	}
	if w.text != nil {
		w.body.Set(ex, &v)
		made := w.text.write(ex)
		return made, w.text.check(made)
	}
	if doc, err = document.Append(doc[:0:0], v); err != nil || encode == nil {
		return doc, problemOf("the result of the jq program cannot be written", err, false)
	}
	out, err := w.through(encode, doc)
	return out, problemOf("the result of the jq program cannot be written as "+to, err, false)
}

// run runs the jq program.
func (w *way) run(ex *filter.Exchange, v any) (any, error) {
	var space [8]any
	values := space[:0]
	for _, variable := range w.variables {
		values = append(values, variable(ex))
	}
	outputs, err := w.program.Run(ex.Context(), v, values...)
	if err != nil {
		return nil, err
	}
	if len(outputs) != 1 {
		return nil, &problem{reason: fmt.Sprintf("the jq program has %d outputs, and there is one document to be made; [...] makes a list of several", len(outputs))}
	}
	return outputs[0], nil
}

// through runs a converter.
func (w *way) through(c converter, in []byte) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, len(in)+len(in)/4+512))
	if err := c(out, bytes.NewReader(in)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// edited does the field operations.
func (w *way) edited(ex *filter.Exchange, in []byte) ([]byte, error) {
	r := w.editor.Reader(bytes.NewReader(in), endless(), w.set(ex))
	out := make([]byte, 0, len(in)+256)
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// set are the values of what `set` sets.
func (w *way) set(ex *filter.Exchange) []any {
	if len(w.values) == 0 {
		return nil
	}
	values := make([]any, len(w.values))
	for i, v := range w.values {
		values[i] = v(ex)
	}
	return values
}

// stream transforms a body while it passes. Close ends it; it does not close the source.
func (w *way) stream(ex *filter.Exchange, src io.Reader, m media, to string) (*stream, error) {
	decode, err := w.decoder(w.from, m, w.request)
	if err != nil {
		return nil, err
	}
	s := &stream{first: true}
	var r io.Reader = &source{Reader: src, s: s}
	if decode != nil {
		r = s.add(pull(r, decode))
	}
	encode := w.encoder(to, w.request)
	if w.editor != nil {
		r = w.editor.Reader(r, w.passing(), w.set(ex))
	} else if encode == nil {
		r = document.Check(r, w.passing())
	}
	if encode != nil {
		r = s.add(pull(r, encode))
	}
	s.Reader, s.first = r, decode == nil && (w.editor == nil || encode == nil)
	return s, nil
}

// stream is a body that is transformed while it passes.
type stream struct {
	io.Reader
	first  bool // what is wrong is wrong with the body as it came
	pulls  []*pulled
	failed error // why the source could not be read
	read   int64 // bytes of the source
}

// source notes what reading failed with, to tell it from what is wrong with the body.
type source struct {
	io.Reader
	s *stream
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.s.read += int64(n)
	if err != nil && err != io.EOF {
		s.s.failed = err
	}
	return n, err
}

func (s *stream) add(p *pulled) *pulled {
	s.pulls = append(s.pulls, p)
	return p
}

// Read returns what has been transformed.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	switch {
	case err == nil, err == io.EOF:
		return n, err
	case s.failed != nil:
		return n, s.failed
	}
	return n, problemOf("it cannot be transformed", err, s.first)
}

// close ends the converters, the last one first, which may be waiting for the others.
func (s *stream) close() {
	for i := len(s.pulls) - 1; i >= 0; i-- {
		s.pulls[i].stop()
	}
}

// note says what is done, for operators.
func (w *way) note(to string) string {
	var did []string
	if w.editor != nil {
		did = append(did, "field operations")
	}
	if w.program != nil {
		did = append(did, "jq")
	}
	if w.text != nil {
		to = "a text by a template"
	}
	s := w.from + " would become " + to
	if len(did) > 0 {
		s += ", by " + strings.Join(did, " and ")
	}
	return s
}
