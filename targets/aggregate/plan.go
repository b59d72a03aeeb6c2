package aggregate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/shape"
)

// step is one call of the plan.
type step struct {
	*call.Call
	index    int // among the steps
	name     string
	span     string // the name of its spans
	key      string // in the answer
	optional bool
	hide     bool
	merge    bool
	each     *each
	after    []int // indexes of the calls whose answers it needs
	needed   bool  // its answer is looked into
	kept     bool  // its answer is held as a whole, however long
	written  bool  // its bytes have a place in the answer
	told     bool  // a field of the head tells of it
	shares   bool  // another call, or another turn of its loop, may ask for the same
	editor   *document.Editor
	sets     []filter.Lookup // values of the editor's templates

	condition    string // as it is written
	standIn      []byte // JSON in the place of an answer that failed; nil: null
	standInValue any
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

// planner readies the calls.
type planner struct {
	env   *filter.Env
	calls []call.Declaration[Call]
	names []string       // of the calls, and the client's body
	steps []*step        // of the calls
	loops map[string]int // calls by the name of the element that they loop over
	at    filter.Slot[scope]
	uses  bool // the client's body is used

	depends cacheable.Depends
	shapes  map[string]*shape.Shape // what is known of the calls' answers
	wrong   [][]error               // by call: edits that do not fit that
}

// plan readies the calls, whose names are known, and puts errors at their places.
func (p *planner) plan() (steps []*step, err error) {
	var errs []error
	for i := range p.calls {
		s, err := p.step(&p.calls[i])
		if err = errors.Join(append(p.wrong[i], err)...); err != nil {
			errs = append(errs, p.calls[i].Node.Locate(err))
		}
		p.steps = append(p.steps, s)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p.steps, p.connect()
}

// know lets expressions know the names of the calls, of the elements of loops, and the client's body.
func (p *planner) know() error {
	known := map[string]filter.Lookup{body: p.lookup(func(s *scope) (any, bool) { return s.body, s.body != nil })}
	for i, d := range p.calls {
		known[d.Name] = p.lookup(func(s *scope) (any, bool) {
			res := &s.results[i]
			return res.value, s.isReady(i) && res.there
		})
		if d.Name == body {
			return d.Node.Errorf("`body` is the client's body in templates; give the call another name, and its key by `as: body`")
		}
		p.names = append(p.names, d.Name)
	}
	p.names = append(p.names, body)
	p.loops = map[string]int{}
	for i, d := range p.calls {
		if d.Call.Each == nil {
			continue
		}
		as := d.Call.Each.As
		if slices.Contains(p.names, as) {
			return d.Node.Field("each").Errorf("%q is the element of the loop, and something else, too; name it otherwise by `as`", as)
		}
		p.loops[as] = i
		known[as] = p.lookup(func(s *scope) (any, bool) { return s.item, s.as == as })
	}
	expressions, err := p.env.Expr.With(known)
	if err != nil {
		return p.blame(err)
	}
	mine := *p.env
	mine.Expr = expressions
	p.env = &mine
	p.knowShapes()
	return nil
}

// lookup is a value of the run that an exchange belongs to.
func (p *planner) lookup(value func(*scope) (any, bool)) filter.Lookup {
	at := p.at
	return func(ex *filter.Exchange) (any, bool) {
		if s := at.Get(ex); s != nil {
			return value(s)
		}
		return nil, false
	}
}

// blame puts an error about a name at the call that has it.
func (p *planner) blame(err error) error {
	none := func(*filter.Exchange) (any, bool) { return nil, false }
	for _, d := range p.calls {
		if _, err := p.env.Expr.With(map[string]filter.Lookup{d.Name: none}); err != nil {
			return d.Node.Errorf("%v; give the call another name, and its key by `as`", err)
		}
		if d.Call.Each == nil {
			continue
		}
		if _, err := p.env.Expr.With(map[string]filter.Lookup{d.Call.Each.As: none}); err != nil {
			return d.Node.Field("each").Errorf("%v; name the element otherwise by `as`", err)
		}
	}
	return err
}

// scopeOf is what the templates of a call can refer to.
func (p *planner) scopeOf() call.Scope {
	return call.Scope{Env: p.env, Names: slices.AppendSeq(slices.Clone(p.names), maps.Keys(p.loops)), Note: p.depends.Note}
}

// step readies a call.
func (p *planner) step(d *call.Declaration[Call]) (*step, error) {
	c := &d.Call
	defer p.inLoop(c.Each)()
	made, err := call.New(p.scopeOf(), &c.Config)
	if err != nil {
		return nil, err
	}
	s := &step{Call: made, index: len(p.steps), name: d.Name, span: "call " + d.Name, key: c.As, optional: c.Optional, hide: c.Hide, merge: c.Merge, condition: c.When}
	if s.key == "" {
		s.key = d.Name
	}
	if c.When != "" && c.Each != nil && slices.Contains(roots(p.env.Expr.Names(c.When)), c.Each.As) {
		return nil, config.FieldErrorf("when", "it is asked once, before the loop, and does not know %s; let `each` go through those that are wanted", c.Each.As)
	}
	if s.each, err = p.each(s, c.Each); err != nil {
		return nil, config.FieldErrorf("each.in", "%w", err)
	}
	if err := s.standsIn(c); err != nil {
		return nil, config.FieldErrorf("default", "%w", err)
	}
	return s, p.edits(s, &c.Edits)
}

// standsIn readies what stands in the place of the call's answer.
func (s *step) standsIn(c *Call) (err error) {
	if c.Default.IsZero() {
		return nil
	}
	if !c.Optional && c.When == "" {
		return errors.New("it is never used, since the call is required and always made; say `optional: true`, or `when`")
	}
	var v any
	if err := c.Default.Decode(&v); err != nil {
		return err
	}
	if s.standIn, err = document.Append(nil, v); err != nil {
		return err
	}
	s.standInValue, err = document.Read(bytes.NewReader(s.standIn), document.Limits{})
	return err
}

// each readies a loop.
func (p *planner) each(s *step, c *Each) (*each, error) {
	if c == nil {
		return nil, nil
	}
	in, err := p.env.Expr.Any(c.In)
	if err != nil {
		return nil, err
	}
	if _, err := call.Loops(p.env, c.In); err != nil {
		return nil, err
	}
	names := p.env.Expr.Names(c.In)
	p.depends.Note(c.In, names)
	found := roots(names)
	if slices.Contains(found, c.As) {
		return nil, fmt.Errorf("%s is an element of the list, which cannot be made of it", c.As)
	}
	e := &each{in: in, source: c.In, as: c.As, parallel: c.Parallel, max: c.Max}
	if s.refer(found); !slices.ContainsFunc(found, func(name string) bool { return slices.Contains(p.names, name) }) && isPlain(c.In) {
		return nil, fmt.Errorf("%s is one value; a loop goes through a list, such as a part of an earlier answer: orders.items", c.In)
	}
	return e, nil
}

// isPlain says whether a source is a variable, or a part of one.
func isPlain(source string) bool { return !strings.ContainsAny(source, "([?+") }

// edits readies what is done to the answer of a call.
func (p *planner) edits(s *step, e *document.Edits) (err error) {
	if e.IsZero() {
		return nil
	}
	if s.editor, err = document.Compile(e); err != nil {
		return err
	}
	for _, source := range s.editor.Templates() {
		lookup, found, err := call.Template(p.scopeOf(), source)
		if err != nil {
			return config.FieldErrorf("set", "%w", err)
		}
		s.sets = append(s.sets, lookup)
		s.refer(found)
	}
	return nil
}

// template readies a text of the answer's head. It notes which calls it tells of.
func (p *planner) template(source string) (filter.Template, error) {
	t, found, err := call.Text(p.scopeOf(), source)
	if err != nil {
		return nil, err
	}
	return t, p.use(found, func(s *step) { s.needed, s.told = true, true })
}

// use notes what is used by what belongs to no call.
func (p *planner) use(found []string, note func(*step)) error {
	for _, name := range found {
		if i := slices.Index(p.names, name); i >= 0 && i < len(p.steps) {
			note(p.steps[i])
			continue
		}
		if i, is := p.loops[name]; is {
			return fmt.Errorf("%s is an element of the loop of %s, and known only there", name, p.calls[i].Name)
		}
		p.uses = p.uses || name == body
	}
	return nil
}

// roots are the first words of names: "orders" of "orders.items".
func roots(names []string) []string {
	found := make([]string, len(names))
	for i, name := range names {
		if end := strings.IndexAny(name, ".["); end >= 0 {
			name = name[:end]
		}
		found[i] = name
	}
	return found
}

// refer notes that a call needs what has these names.
func (s *step) refer(found []string) {
	for _, name := range found {
		if !slices.Contains(s.Refers, name) {
			s.Refers = append(s.Refers, name)
		}
	}
}

// connect finds what each call waits for. A cycle is an error.
func (p *planner) connect() error {
	for k, s := range p.steps {
		for _, name := range s.Refers {
			if i, is := p.loops[name]; is {
				if s.each == nil || s.each.as != name {
					return p.calls[k].Node.Errorf("%s is an element of the loop of %s, and known only there", name, p.calls[i].Name)
				}
				continue
			}
			i := slices.Index(p.names, name)
			switch {
			case name == body:
				p.uses = true
			case i >= 0:
				s.after = append(s.after, i)
				p.steps[i].needed = true
			}
		}
		s.shares = s.Method == http.MethodGet && (s.each != nil || slices.ContainsFunc(p.steps, func(o *step) bool {
			return o != s && o.MayEqual(s.Call)
		}))
	}
	if way := cycle(p.steps); way != nil {
		names := make([]string, len(way))
		for j, k := range way {
			names[j] = p.steps[k].name
		}
		return p.calls[way[0]].Node.Errorf("%s waits for itself: %s → %s", names[0], strings.Join(names, " → "), names[0])
	}
	return nil
}

// cycle returns a way along which a call waits for itself, or nil.
func cycle(steps []*step) []int {
	seen := make([]bool, len(steps))
	var way []int
	var from func(i int) []int
	from = func(i int) []int {
		if k := slices.Index(way, i); k >= 0 {
			return way[k:]
		}
		if seen[i] {
			return nil
		}
		seen[i] = true
		way = append(way, i)
		for _, next := range steps[i].after {
			if found := from(next); found != nil {
				return found
			}
		}
		way = way[:len(way)-1]
		return nil
	}
	for i := range steps {
		if found := from(i); found != nil {
			return found
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
