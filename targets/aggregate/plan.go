package aggregate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// step is one call of the plan.
type step struct {
	*call.Call
	name     string
	key      string // in the answer
	optional bool
	hide     bool
	merge    bool
	each     *each
	after    []int  // indexes of the calls whose answers it needs
	needed   bool   // its answer is looked into
	standIn  []byte // JSON in the place of an answer that failed; nil: null
	editor   *document.Editor
	sets     []filter.Lookup // values of the editor's templates
}

// each is a loop.
type each struct {
	in            filter.Lookup
	source        string
	as            string
	parallel, max int
}

// body is the name of the client's body in templates.
const body = "body"

// declared is a call as it is written.
type declared struct {
	name string
	node config.Node
}

// declaredCalls returns the calls in the order in which they are written.
func declaredCalls(c *Config) []declared {
	var all []declared
	for name, node := range c.Self.Field("calls").Fields() {
		all = append(all, declared{name, node})
	}
	for name := range c.Self.Fields() {
		if node, is := c.More[name]; is {
			all = append(all, declared{name, node})
		}
	}
	return all
}

// planner readies the calls.
type planner struct {
	env   *filter.Env
	names []string
	at    filter.Slot[run]
	uses  bool // the client's body is used
}

// plan readies the calls, and puts errors at their places.
func (p *planner) plan(c *Config) ([]*step, error) {
	var errs []error
	written := declaredCalls(c)
	calls := make([]Call, len(written))
	as := map[string]bool{}
	for i, d := range written {
		if err := d.node.Decode(&calls[i]); err != nil {
			errs = append(errs, err)
			continue
		}
		p.names = append(p.names, d.name)
		if calls[i].Each != nil {
			as[calls[i].Each.As] = true
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := p.know(as); err != nil {
		return nil, err
	}
	steps := make([]*step, len(written))
	for i, d := range written {
		s, err := p.step(d.name, &calls[i])
		if err != nil {
			errs = append(errs, d.node.Locate(err))
			continue
		}
		steps[i] = s
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return steps, p.connect(steps, written)
}

// know lets expressions know the names of the calls, of the elements of loops, and the client's body.
func (p *planner) know(elements map[string]bool) error {
	at := p.at
	known := map[string]filter.Lookup{body: func(ex *filter.Exchange) (any, bool) {
		if r := at.Get(ex); r != nil {
			return r.body, r.body != nil
		}
		return nil, false
	}}
	for i, name := range p.names {
		if name == body {
			return fmt.Errorf("`body` is the client's body; name the call otherwise, and give its key by `as: body`")
		}
		known[name] = func(ex *filter.Exchange) (any, bool) {
			if r := at.Get(ex); r != nil {
				return r.results[i].value, r.results[i].looked
			}
			return nil, false
		}
	}
	for name := range elements {
		if slices.Contains(p.names, name) || name == body {
			return fmt.Errorf("%q is an element of a loop, and a call; name one of them otherwise", name)
		}
		known[name] = func(ex *filter.Exchange) (any, bool) {
			if r := at.Get(ex); r != nil {
				return r.element, r.element != nil
			}
			return nil, false
		}
	}
	expressions, err := p.env.Expr.With(known)
	if err != nil {
		return fmt.Errorf("%w; give a call another name, and its key by `as`", err)
	}
	mine := *p.env
	mine.Expr = expressions
	p.env = &mine
	return nil
}

// step readies a call.
func (p *planner) step(name string, c *Call) (*step, error) {
	names := append(slices.Clone(p.names), body)
	made, err := call.New(call.Scope{Env: p.env, Names: names}, &c.Config)
	if err != nil {
		return nil, err
	}
	s := &step{Call: made, name: name, key: c.As, optional: c.Optional, hide: c.Hide, merge: c.Merge}
	if s.key == "" {
		s.key = name
	}
	if c.Each != nil {
		in, err := p.env.Expr.Any(c.Each.In)
		if err != nil {
			return nil, config.FieldErrorf("each.in", "%w", err)
		}
		s.each = &each{in: in, source: c.Each.In, as: c.Each.As, parallel: c.Each.Parallel, max: c.Each.Max}
		s.refer(p.env.Expr.Names(c.Each.In), names)
	}
	if !c.Default.IsZero() {
		var v any
		if err := c.Default.Decode(&v); err != nil {
			return nil, err
		}
		if s.standIn, err = document.Append(nil, v); err != nil {
			return nil, config.FieldErrorf("default", "%w", err)
		}
	}
	return s, p.edits(s, &c.Edits, names)
}

// edits readies what is done to the answer of a call.
func (p *planner) edits(s *step, e *document.Edits, names []string) (err error) {
	if e.IsZero() {
		return nil
	}
	if s.editor, err = document.Compile(e); err != nil {
		return err
	}
	for _, source := range s.editor.Templates() {
		lookup, refers, err := call.Template(call.Scope{Env: p.env, Names: names}, source)
		if err != nil {
			return config.FieldErrorf("set", "%w", err)
		}
		s.sets = append(s.sets, lookup)
		s.refer(refers, names)
	}
	return nil
}

// refer notes that a call needs what has these names.
func (s *step) refer(found, names []string) {
	for _, name := range found {
		if end := strings.IndexAny(name, ".["); end >= 0 {
			name = name[:end]
		}
		if slices.Contains(names, name) && !slices.Contains(s.Refers, name) {
			s.Refers = append(s.Refers, name)
		}
	}
}

// connect finds what each call waits for. A cycle is an error.
func (p *planner) connect(steps []*step, written []declared) error {
	for _, s := range steps {
		for _, name := range s.Refers {
			if name == body {
				p.uses = true
				continue
			}
			i := slices.Index(p.names, name)
			s.after = append(s.after, i)
			steps[i].needed = true
		}
	}
	for i, s := range steps {
		if way := cycle(steps, i, i, nil); way != nil {
			names := make([]string, len(way))
			for j, k := range way {
				names[j] = steps[k].name
			}
			return written[i].node.Errorf("%s waits for itself: %s → %s", s.name, strings.Join(names, " → "), s.name)
		}
	}
	return nil
}

// cycle returns a way along which a call waits for itself, or nil.
func cycle(steps []*step, from, at int, way []int) []int {
	way = append(way, at)
	for _, next := range steps[at].after {
		if next == from {
			return way
		}
		if !slices.Contains(way, next) {
			if found := cycle(steps, from, next, way); found != nil {
				return found
			}
		}
	}
	return nil
}

// levels are the calls in the order in which they can be made: those of one level at once.
func levels(steps []*step) [][]int {
	level := make([]int, len(steps))
	var of func(i int) int
	of = func(i int) int {
		if level[i] == 0 {
			level[i] = 1
			for _, j := range steps[i].after {
				level[i] = max(level[i], of(j)+1)
			}
		}
		return level[i]
	}
	var all [][]int
	for i := range steps {
		for len(all) < of(i) {
			all = append(all, nil)
		}
		all[of(i)-1] = append(all[of(i)-1], i)
	}
	return all
}
