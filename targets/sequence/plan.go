package sequence

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/shape"
)

// step is one call of the sequence.
type step struct {
	*call.Call
	name    string
	ownKey  bool // the settings give the call a key, or take it away
	needs   bool // answers of other steps
	hangs   bool // its condition does
	undone  []undoing
	unknown string // what is done about it where its outcome is not known
}

// undoing is a call that undoes a step.
type undoing struct {
	*call.Call
	ownKey bool
}

// Names in templates that are no steps.
const (
	body    = "body"            // of the client
	keyName = "idempotency_key" // of the step's call
)

// keyField is the field by which services know a request again (draft-ietf-httpapi-idempotency-key-header).
const keyField = "Idempotency-Key"

// planner readies the steps.
type planner struct {
	env   *filter.Env // its expressions know the names
	names []string
	at    filter.Slot[run]

	shapes map[string]*shape.Shape // what is known of the steps' answers
}

// plan readies the steps, and puts errors at their places.
func (p *planner) plan(c *Config) ([]*step, error) {
	var errs []error
	written := call.Declared(c.Self, "steps", c.Steps, c.More)
	for _, d := range written {
		p.names = append(p.names, d.Name)
	}
	if err := p.know(); err != nil {
		return nil, err
	}
	p.shapes = map[string]*shape.Shape{}
	for i := range written {
		d := &written[i]
		p.shapes[d.Name], _ = call.Answer(p.env, &d.Call.Config, nil)
	}
	p.env.Expr = p.env.Expr.Known(call.Shapes(p.shapes))
	steps := make([]*step, len(written))
	for i := range written {
		d := &written[i]
		made, err := p.step(i, &d.Call)
		if err != nil {
			errs = append(errs, d.Node.Locate(err))
			continue
		}
		steps[i] = made
	}
	return steps, errors.Join(errs...)
}

// know lets expressions know the names of the steps, and the client's body.
func (p *planner) know() error {
	at := p.at
	known := map[string]filter.Lookup{
		body: func(ex *filter.Exchange) (any, bool) {
			if r := at.Get(ex); r != nil {
				return r.body, r.body != nil
			}
			return nil, false
		},
		keyName: func(ex *filter.Exchange) (any, bool) {
			if r := at.Get(ex); r != nil && r.now >= 0 {
				return r.key(r.now, ""), true
			}
			return nil, false
		},
	}
	for i, name := range p.names {
		if name == body || name == keyName {
			return fmt.Errorf("%q means something else in templates; name the step otherwise", name)
		}
		known[name] = func(ex *filter.Exchange) (any, bool) {
			if r := at.Get(ex); r != nil {
				return r.results[i].value, r.results[i].looked
			}
			return nil, false
		}
	}
	expressions, err := p.env.Expr.With(known)
	if err != nil {
		return fmt.Errorf("%w; give the step another name", err)
	}
	mine := *p.env
	mine.Expr = expressions
	p.env = &mine
	return nil
}

// step readies a step and what undoes it.
func (p *planner) step(i int, c *Step) (*step, error) {
	made, err := p.call(&c.Config, i)
	if err != nil {
		return nil, err
	}
	s := &step{Call: made, name: p.names[i], ownKey: setsKey(&c.Config), unknown: c.Unknown}
	s.needs, s.hangs = p.needs(made.Refers), c.When != "" && p.needs(p.env.Expr.Names(c.When))
	for k := range c.OnError {
		u := &c.OnError[k]
		if line := strings.TrimSpace(u.Call); u.Status == nil && strings.HasPrefix(line, http.MethodDelete+" ") {
			u.Status = []config.StatusRange{{From: 200, To: 299}, {From: 404, To: 404}, {From: 410, To: 410}}
		}
		undo, err := p.call(u, i+1)
		if err != nil {
			return nil, within(fmt.Sprintf("on_error[%d]", k), err)
		}
		s.undone = append(s.undone, undoing{undo, setsKey(u)})
	}
	return s, nil
}

// needs says whether one of the names is that of a step, or of what is in its answer.
func (p *planner) needs(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		if end := strings.IndexAny(name, ".["); end >= 0 {
			name = name[:end]
		}
		return slices.Contains(p.names, name)
	})
}

// within puts the errors of a call of OnError at their places.
func within(where string, err error) error {
	if several, is := err.(interface{ Unwrap() []error }); is {
		all := slices.Clone(several.Unwrap())
		for i := range all {
			all[i] = within(where, all[i])
		}
		return errors.Join(all...)
	}
	var field *config.FieldError
	if errors.As(err, &field) && field.Path != "" {
		return &config.FieldError{Path: where + "." + field.Path, Err: field.Err, Expected: field.Expected, Hint: field.Hint}
	}
	return config.FieldErrorf(where, "%w", err)
}

// scope is what calls can refer to.
func (p *planner) scope() call.Scope {
	return call.Scope{Env: p.env, Names: append(slices.Clone(p.names), body, keyName)}
}

// call readies a call that may refer to so many of the steps.
func (p *planner) call(c *call.Config, before int) (*call.Call, error) {
	made, err := call.New(p.scope(), c)
	if err != nil {
		return nil, err
	}
	for _, name := range made.Refers {
		if slices.Index(p.names, name) >= before {
			return nil, config.FieldErrorf("", "it refers to the answer of %q, which is not there yet", name)
		}
	}
	return made, nil
}

// key readies what tells requests apart, before any step is made.
func (p *planner) key(source string) (filter.Value, error) {
	made, refers, err := call.Key(p.scope(), source)
	if err != nil {
		return nil, err
	}
	for _, name := range refers {
		if name != body {
			return nil, fmt.Errorf("it refers to %q, which is not known before the steps are made", name)
		}
	}
	return made, nil
}

// setsKey says whether the settings of a call name the field of the key.
func setsKey(c *call.Config) bool {
	for name := range c.Headers {
		if http.CanonicalHeaderKey(name) == keyField {
			return true
		}
	}
	return false
}

// word compiles a plain word in braces that is a parameter of the route's path.
func (p *planner) word(source string) (filter.Value, error) {
	if slices.Contains(p.names, source) || source == body || source == keyName {
		return nil, nil
	}
	if v, err := p.env.Expr.Value("path." + source); err == nil {
		return v, nil
	}
	return nil, nil
}
