package expr

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"

	"cardea.dev/cardea/filter"
)

// Expressions compiles conditions, values and templates. It keeps what it compiled, so that the same source costs once: make one for
// each configuration. It may be used by several goroutines, and so may all that it returns.
type Expressions struct {
	env       *cel.Env
	variables map[string]filter.Value
	more      map[string]filter.Lookup // further names
	shapes    map[string]filter.Shape  // of those of which something is known
	addresses *addressTexts
	pool      activations

	mu       sync.Mutex
	programs map[string]*program
}

var _ filter.Expressions = (*Expressions)(nil)

// New returns an Expressions.
func New() (*Expressions, error) {
	env, err := newEnvironment()
	if err != nil {
		return nil, fmt.Errorf("cannot make the CEL environment: %w", err)
	}
	e := &Expressions{env: env, addresses: &addressTexts{}, programs: map[string]*program{}}
	e.variables = e.plainVariables()
	return e, nil
}

// Condition compiles a CEL expression that gives a boolean. Its error, when it is evaluated, means that it cannot be said whether the
// condition holds, as when a claim is asked for that is not there; it comes with false.
func (e *Expressions) Condition(source string) (filter.Condition, error) {
	p, err := e.program(source)
	if err != nil {
		return nil, err
	}
	if t := p.output; !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, wholeError(source, "a condition must be true or false, and this is "+typeName(t), conditionHint(source, t))
	}
	return p.condition, nil
}

// conditionHint says how a value becomes a condition.
func conditionHint(source string, t *cel.Type) string {
	if t.IsExactType(cel.StringType) {
		return "compare it, as in: " + strings.TrimSpace(source) + ` == "…"`
	}
	return ""
}

// Value compiles a variable, or else a CEL expression whose result is made a text: lists of single values are joined by ",", other lists
// and objects are JSON; nothing (null, an empty optional) and what cannot be evaluated is absent.
func (e *Expressions) Value(source string) (filter.Value, error) {
	name := strings.TrimSpace(source)
	if v, ok := e.variable(name); ok {
		return v, nil
	}
	if part, ok, err := e.part(name); err != nil {
		return nil, err
	} else if ok {
		return func(ex *filter.Exchange) (string, bool) {
			v, ok := part(ex)
			if !ok {
				return "", false
			}
			return text(v)
		}, nil
	}
	if err := e.unknownVariable(source, name); err != nil {
		return nil, err
	}
	p, err := e.program(source)
	if err != nil {
		return nil, err
	}
	return p.value, nil
}

// program compiles a CEL expression, once.
func (e *Expressions) program(source string) (*program, error) {
	e.mu.Lock()
	p := e.programs[source]
	e.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := e.compile(source)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.programs[source] = p
	e.mu.Unlock()
	return p, nil
}
