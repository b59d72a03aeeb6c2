package document

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Editor shapes documents. Many may use it at once.
type Editor struct{ c *compiled }

// Compile prepares edits. Its errors stand at the fields of the edits.
func Compile(e *Edits) (*Editor, error) {
	c, err := e.compile()
	if err != nil {
		return nil, err
	}
	return &Editor{c}, nil
}

// Alike has what is dropped and masked found whether something stands once or is a list, for documents of formats in which what stands once is
// no list: a path leads on through the elements of a list without a `[]`, and a `[]` through a value that is no list. It is for before the
// editor is used.
func (e *Editor) Alike() {
	e.c.drop.liken()
	e.c.mask.liken()
	if root := e.c.drop; root != nil && root.keep { // without its elements a document is empty, and without itself it is none
		root.keep, root.each = false, &node{keep: true}
	}
}

// Templates are all texts in the values that are set. The caller may take them for templates, and give the values that they have for one
// document to Reader or Apply, in the same order.
func (e *Editor) Templates() []string { return e.c.texts }

// MayFail says whether there are documents that the edits cannot be done to. If not, only what is no document fails.
func (e *Editor) MayFail() bool {
	return e.c.selected != nil || e.c.rename != nil || e.c.flatten != nil || e.c.set.inner()
}

// Reader returns the edited document, as compact JSON. It reads and edits token by token: the order of fields stays, numbers and texts are
// written as they came, and no more is held than a token and the names of open objects. Values are those of Templates; nil means the
// texts themselves. What is wrong with the document is an *Error, which may come after a part of it was passed on.
func (e *Editor) Reader(src io.Reader, l Limits, values []any) io.Reader {
	r := &reader{scanner: newScanner(src, l)}
	// Only edits that make names can make one twice.
	unique := e.c.rename == nil && e.c.flatten == nil && e.c.set == nil
	r.first = e.stages(newEncoder(&r.out, jsontext.AllowDuplicateNames(unique)), values)
	return r
}

// Apply returns the edited value. It does not change v, but may share parts of the values with the result.
func (e *Editor) Apply(v any, values []any) (any, error) {
	b := &builder{}
	first := e.stages(b, values)
	if err := emit(first, v, nil); err != nil {
		return nil, err
	}
	if err := first.end(); err != nil {
		return nil, err
	}
	return b.value, nil
}

// stages puts one stage for each kind of edit before a sink, the last first.
func (e *Editor) stages(out sink, values []any) sink {
	c := e.c
	if values == nil {
		for _, t := range c.texts {
			values = append(values, t)
		}
	}
	if c.set != nil {
		out = &settingStage{cursor: cursor{root: c.set}, out: out, values: values}
	}
	if c.flatten != nil {
		out = &flattening{cursor: cursor{root: c.flatten}, out: out}
	}
	if c.rename != nil {
		out = &renaming{cursor: cursor{root: c.rename}, out: out}
	}
	if c.mask != nil {
		out = &masking{cursor: cursor{root: c.mask}, out: out}
	}
	if c.drop != nil {
		out = &dropping{cursor: cursor{root: c.drop}, out: out}
	}
	if c.pick != nil {
		out = &picking{cursor: cursor{root: c.pick}, out: out}
	}
	if c.selected != nil {
		out = &selecting{cursor: cursor{root: c.selected}, out: out, many: c.many}
	}
	return out
}

// reader is an Editor at work on a stream.
type reader struct {
	scanner *scanner
	first   sink
	objects []bool // which of the open values are objects
	named   bool   // the name of the member that comes next was read
	out     output
	err     error
}

func (r *reader) Read(p []byte) (int, error) {
	for r.out.read == len(r.out.b) && r.err == nil {
		r.out.b, r.out.read = r.out.b[:0], 0
		r.err = r.step()
	}
	if r.out.read < len(r.out.b) {
		n := copy(p, r.out.b[r.out.read:])
		r.out.read += n
		return n, nil
	}
	return 0, r.err
}

// step reads and edits one token. After the last it says io.EOF.
func (r *reader) step() error {
	k, raw, err := r.scanner.next()
	if err != nil {
		return err
	}
	if k == '"' && len(r.objects) > 0 && r.objects[len(r.objects)-1] && !r.named {
		r.named = true
		return r.fail(r.first.write(name, raw))
	}
	r.named = false
	switch {
	case opens(k):
		r.objects = append(r.objects, k == '{')
	case closes(k):
		r.objects = r.objects[:len(r.objects)-1]
	}
	if err := r.first.write(k, raw); err != nil || len(r.objects) > 0 {
		return r.fail(err)
	}
	// What follows the document is looked at before its last bytes are passed on.
	if err := r.scanner.end(); err != nil {
		return err
	}
	if err := r.first.end(); err != nil {
		return r.fail(err)
	}
	return io.EOF
}

// fail adds the place to an error of an edit.
func (r *reader) fail(err error) error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) && e.Kind == Unfit && e.Offset < 0 {
		e.Offset, e.Pointer = r.scanner.dec.InputOffset(), shortPointer(r.scanner.dec.StackPointer())
	}
	return err
}

// output gathers what was written until it is read.
type output struct {
	b    []byte
	read int // how much of it
}

// Write leaves out the line end that jsontext writes after a document; there is no other.
func (o *output) Write(p []byte) (int, error) {
	o.b = append(o.b, bytes.TrimSuffix(p, []byte("\n"))...)
	return len(p), nil
}

// encoder writes a document.
type encoder struct{ enc *jsontext.Encoder }

func newEncoder(out *output, opts ...jsontext.Options) *encoder {
	return &encoder{jsontext.NewEncoder(out, append(opts, jsontext.PreserveRawStrings(true))...)}
}

func (e *encoder) write(k jsontext.Kind, raw []byte) error {
	var err error
	switch k {
	case '{':
		err = e.enc.WriteToken(jsontext.BeginObject)
	case '}':
		err = e.enc.WriteToken(jsontext.EndObject)
	case '[':
		err = e.enc.WriteToken(jsontext.BeginArray)
	case ']':
		err = e.enc.WriteToken(jsontext.EndArray)
	default:
		err = e.enc.WriteValue(raw)
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return twice()
	}
	return err
}

func twice() error {
	return &Error{Kind: Unfit, Offset: -1, Reason: "two fields of one object would have the same name"}
}

func (e *encoder) end() error { return nil }

// builder makes a value of a document.
type builder struct {
	open  []any // map[string]any and *[]any
	names []string
	value any
}

func (b *builder) write(k jsontext.Kind, raw []byte) error {
	switch {
	case k == name:
		s, err := text(raw)
		b.names = append(b.names, s)
		return err
	case k == '{':
		b.open = append(b.open, map[string]any{})
		return nil
	case k == '[':
		b.open = append(b.open, &[]any{})
		return nil
	case closes(k):
		v := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		if list, ok := v.(*[]any); ok {
			v = *list
		}
		return b.add(v)
	}
	v, err := scalar(k, raw)
	if err != nil {
		return err
	}
	return b.add(v)
}

func (b *builder) add(v any) error {
	if len(b.open) == 0 {
		b.value = v
		return nil
	}
	switch in := b.open[len(b.open)-1].(type) {
	case *[]any:
		*in = append(*in, v)
	case map[string]any:
		n := b.names[len(b.names)-1]
		b.names = b.names[:len(b.names)-1]
		if _, ok := in[n]; ok {
			return twice()
		}
		in[n] = v
	}
	return nil
}

func (b *builder) end() error { return nil }

// emit writes a value to a sink.
func emit(out sink, v any, values []any) error {
	switch v := v.(type) {
	case reference:
		return emit(out, values[v], nil)
	case []any:
		if err := out.write('[', nil); err != nil {
			return err
		}
		for _, item := range v {
			if err := emit(out, item, values); err != nil {
				return err
			}
		}
		return out.write(']', nil)
	case map[string]any:
		return emitObject(out, v, values)
	}
	raw, err := appendValue(nil, v, 0)
	if err != nil {
		return err
	}
	return out.write(jsontext.Value(raw).Kind(), raw)
}

func emitObject(out sink, m map[string]any, values []any) error {
	if err := out.write('{', nil); err != nil {
		return err
	}
	for _, n := range slices.Sorted(maps.Keys(m)) {
		quoted, err := appendText(nil, n)
		if err != nil {
			return err
		}
		if err := out.write(name, quoted); err != nil {
			return err
		}
		if err := emit(out, m[n], values); err != nil {
			return err
		}
	}
	return out.write('}', nil)
}
