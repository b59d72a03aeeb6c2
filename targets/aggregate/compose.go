package aggregate

import (
	"errors"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
	"cardea.dev/cardea/internal/shape"
)

// composition says how one answer is made of several.
type composition struct {
	format     string
	kind       string // "", "merge", "jq", "cel"
	jq         *jq.Program
	cel        filter.Lookup
	names      []string // that the expression looks at
	collisions string
	merges     bool // fields of some answers stand beside the keys of others
	errors     bool
}

// composition readies how the answer is made.
func (p *planner) composition(c *Config) (m *composition, err error) {
	m = &composition{format: c.Format, kind: c.Compose.kind(), collisions: c.Compose.Collisions, errors: c.Errors}
	switch m.kind {
	case "jq":
		if m.jq, err = jq.Compile(c.Compose.JQ); err == nil {
			err = shape.Object(p.shapes).Reads(c.Compose.JQ)
		}
		if err != nil {
			return nil, config.FieldErrorf("compose.jq", "%w", err)
		}
	case "cel":
		if m.cel, err = p.env.Expr.Any(c.Compose.CEL); err != nil {
			return nil, config.FieldErrorf("compose.cel", "%w", err)
		}
		m.names = p.env.Expr.Names(c.Compose.CEL)
		p.depends.Note(c.Compose.CEL, m.names)
	}
	return m, nil
}

// place finds which answers are needed, and where they go.
func (m *composition) place(p *planner, steps []*step) error {
	if err := m.keys(p, steps); err != nil {
		return err
	}
	if m.kind == "jq" {
		for _, s := range steps {
			s.needed = true
		}
	}
	if err := p.use(roots(m.names), func(s *step) { s.needed = true }); err != nil {
		return config.FieldErrorf("compose.cel", "%w", err)
	}
	return nil
}

// keys sees to it that each answer has a place of its own.
func (m *composition) keys(p *planner, steps []*step) error {
	taken := map[string]string{}
	if m.errors {
		taken["errors"] = "the member of `errors: true`"
	}
	for i, s := range steps {
		at := p.calls[i].Node
		s.merge = s.merge || m.kind == "merge"
		if s.hide || s.merge {
			m.merges = m.merges || !s.hide
			continue
		}
		if other := taken[s.key]; other != "" && m.kind == "" {
			return at.Errorf("the answer of %s has the key %q, as has %s; name one otherwise by `as`", s.name, s.key, other)
		}
		if m.format != "json" && strings.ContainsFunc(s.key, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return at.Errorf("%q cannot be the name of a part", s.key)
		}
		taken[s.key] = "that of " + s.name
	}
	if m.merges && m.format != "json" {
		return config.FieldErrorf("format", "%s gives each call's answer by itself, and `merge` is for json", m.format)
	}
	return nil
}

// computes says whether a program makes the answer.
func (m *composition) computes() bool { return m.kind == "jq" || m.kind == "cel" }

// whole says whether the answer can be made only once all is there.
func (m *composition) whole() bool { return m.computes() || m.merges }

// describe says how the answer is made.
func (m *composition) describe() string {
	switch {
	case m.computes():
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

// compute returns what a program makes of the answers.
func (m *composition) compute(ex *filter.Exchange, r *run) ([]byte, error) {
	out, err := m.evaluate(ex, r)
	if err != nil {
		return nil, notComposed(err)
	}
	b, err := document.Append(nil, out)
	if err == nil {
		err = r.memory.take(int64(cap(b)))
	}
	if err != nil {
		return nil, notComposed(err)
	}
	return b, nil
}

// maxOutput is how long what a program makes may be.
const maxOutput = 10 << 20

func (m *composition) evaluate(ex *filter.Exchange, r *run) (any, error) {
	if m.kind == "cel" {
		v, ok := m.cel(ex)
		if !ok {
			return nil, errors.New("the expression cannot be evaluated")
		}
		return v, nil
	}
	input := make(map[string]any, len(r.results))
	for i, s := range r.of.steps {
		if res := &r.results[i]; res.shown() {
			input[s.name] = res.value
		}
	}
	left := max(r.memory.left.Load(), 1)
	outputs, err := m.jq.Within(jq.Bounds{Size: min(left, maxOutput), Work: left}).Run(r.ctx, input)
	if err != nil {
		return nil, err
	}
	if len(outputs) == 0 {
		return nil, errors.New("the program has no output")
	}
	return outputs[0], nil
}

// notComposed is the failure of what makes the answer.
func notComposed(cause error) error {
	return filter.Reject(filter.CallFailed, "The answers of the services do not make one.").Because(cause)
}

// merge puts fields side by side, or lists one after the other.
func (m *composition) merge(r *run) ([]byte, error) {
	all := &merged{collisions: m.collisions, at: map[string]int{}, memory: &r.memory}
	for i, s := range r.of.steps {
		res := &r.results[i]
		if s.hide || !res.shown() {
			continue
		}
		var err error
		if s.merge {
			err = all.add(s.name, res.text())
		} else {
			err = all.set(s.name, s.key, res.text())
		}
		if err != nil {
			return nil, notComposed(err)
		}
	}
	if told := r.told(); told != nil && m.errors && !all.list {
		if err := all.set("errors", "errors", told); err != nil {
			return nil, notComposed(err)
		}
	}
	b, err := all.bytes()
	if err != nil {
		return nil, notComposed(err)
	}
	return b, nil
}
