package expr

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"

	"cardea.dev/cardea/filter"
)

// With returns expressions that know more names.
func (e *Expressions) With(names map[string]filter.Lookup) (filter.Expressions, error) {
	return e.with(names)
}

func (e *Expressions) with(names map[string]filter.Lookup) (*Expressions, error) {
	more := maps.Clone(e.more)
	if more == nil {
		more = map[string]filter.Lookup{}
	}
	var options []cel.EnvOption
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := e.free(name); err != nil {
			return nil, err
		}
		more[name] = names[name]
		options = append(options, cel.Variable(name, cel.DynType))
	}
	env, err := e.env.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("cannot add names to the CEL environment: %w", err)
	}
	return &Expressions{env: env, variables: e.variables, more: more, shapes: e.shapes, addresses: e.addresses, programs: map[string]*program{}}, nil
}

// free says why a name cannot be given to something.
func (e *Expressions) free(name string) error {
	if !isName(name, "") || name[0] >= '0' && name[0] <= '9' || name == "true" || name == "false" || name == "null" || name == "in" {
		return fmt.Errorf("%q cannot be a name in expressions; it has letters, digits and _, and begins with no digit", name)
	}
	for _, n := range e.names() {
		if root, _, _ := strings.Cut(n.name, "."); root == name {
			return fmt.Errorf("%q means something else in expressions already", name)
		}
	}
	return nil
}

// names are all that expressions know.
func (e *Expressions) names() []celName {
	all := celNames()
	for _, name := range slices.Sorted(maps.Keys(e.more)) {
		all = append(all, celName{name, cel.DynType})
	}
	return all
}

// Any compiles a variable, or else a CEL expression, whose result stays what it is.
func (e *Expressions) Any(source string) (filter.Lookup, error) {
	name := strings.TrimSpace(source)
	if v, ok := e.variable(name); ok {
		return asAny(v), nil
	}
	if part, ok, err := e.part(name); ok || err != nil {
		return part, err
	}
	if err := e.unknownVariable(source, name); err != nil {
		return nil, err
	}
	p, err := e.program(source)
	if err != nil {
		return nil, err
	}
	return p.any, nil
}

// asAny is a text as a value of any type.
func asAny(v filter.Value) filter.Lookup {
	return func(ex *filter.Exchange) (any, bool) {
		if s, ok := v(ex); ok {
			return s, true
		}
		return nil, false
	}
}

// any is the program as a value of any type.
func (p *program) any(ex *filter.Exchange) (v any, ok bool) {
	err := p.eval(ex, func(out ref.Val) { v = native(out) })
	return v, err == nil
}

// part returns what takes a part out of one of the further names: "order.lines[0].sku". Numbers in it stay as they are, unlike in CEL.
func (e *Expressions) part(source string) (filter.Lookup, bool, error) {
	whole, steps, ok := e.partOf(source)
	if !ok {
		return nil, false, nil
	}
	if _, err := e.checkPart(source, steps); err != nil {
		return nil, false, err
	}
	return func(ex *filter.Exchange) (any, bool) {
		v, ok := whole(ex)
		for i := 0; ok && i < len(steps); i++ {
			v, ok = step(v, steps[i].to)
		}
		return v, ok && v != nil
	}, true, nil
}

// partOf returns one of the further names, and the steps that lead to a part of it.
func (e *Expressions) partOf(source string) (whole filter.Lookup, steps []partStep, ok bool) {
	end := strings.IndexAny(source, ".[")
	if end < 0 {
		end = len(source)
	}
	if whole = e.more[source[:end]]; whole == nil {
		return nil, nil, false
	}
	steps, ok = partSteps(source, end)
	return whole, steps, ok
}

// partStep is a name or an index that leads to a part.
type partStep struct {
	to                 any // a text or an int
	before, begin, end int // where the step begins in the source, and what it names
}

// partSteps reads the names and indexes that lead to a part, from an offset on.
func partSteps(source string, at int) (steps []partStep, ok bool) {
	for at < len(source) {
		rest := source[at:]
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			name := rest[1:end]
			if !isName(name, "") || name[0] >= '0' && name[0] <= '9' {
				return nil, false
			}
			steps = append(steps, partStep{name, at, at + 1, at + end})
			at += end
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, false
			}
			s := partStep{nil, at, at + 1, at + end}
			key := rest[1:end]
			if i, err := strconv.Atoi(key); err == nil && i >= 0 {
				s.to = i
			} else if name, err := strconv.Unquote(key); err == nil && key[0] == '"' {
				s.to = name
			} else {
				return nil, false
			}
			steps = append(steps, s)
			at += end + 1
		default:
			return nil, false
		}
	}
	return steps, true
}

// step goes one name or index down.
func step(v, to any) (any, bool) {
	switch to := to.(type) {
	case string:
		object, _ := v.(map[string]any)
		next, ok := object[to]
		return next, ok
	case int:
		if list, _ := v.([]any); to < len(list) {
			return list[to], true
		}
	}
	return nil, false
}
