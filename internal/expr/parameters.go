package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"cardea.dev/cardea/filter"
)

// Routed compiles as Expressions does, for what is used where paths have known parameters: others are errors.
type Routed struct {
	all   *Expressions
	known []string
	early bool // it is evaluated before there is a route
}

var _ filter.Expressions = Routed{}

// Routed returns what compiles for routes whose paths have these parameters.
func (e *Expressions) Routed(parameters []string) Routed { return Routed{all: e, known: parameters} }

// Matching returns what compiles the conditions of a match: what there is only after it, such as a response, is an error, too.
func (r Routed) Matching() Routed {
	r.early = true
	return r
}

// Condition compiles a CEL expression that gives a boolean.
func (r Routed) Condition(source string) (filter.Condition, error) {
	holds, err := r.all.Condition(source)
	if err != nil {
		return nil, err
	}
	return holds, r.checkProgram(source)
}

// Value compiles a variable, or else a CEL expression.
func (r Routed) Value(source string) (filter.Value, error) {
	value, err := r.all.Value(source)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(source)
	if _, ok := r.all.variable(name); !ok {
		return value, r.checkAny(source)
	}
	if parameter, ok := strings.CutPrefix(name, "path."); ok {
		return value, r.check(source, reference{parameter, strings.Index(source, name)})
	}
	return value, nil
}

// Any compiles a variable, or else a CEL expression, whose result stays what it is.
func (r Routed) Any(source string) (filter.Lookup, error) {
	if _, ok := r.all.variable(strings.TrimSpace(source)); ok {
		value, err := r.Value(source)
		return asAny(value), err
	}
	v, err := r.all.Any(source)
	if err != nil {
		return nil, err
	}
	return v, r.checkAny(source)
}

// With returns expressions that know more names.
func (r Routed) With(names map[string]filter.Lookup) (filter.Expressions, error) {
	all, err := r.all.with(names)
	if err != nil {
		return nil, err
	}
	r.all = all
	return r, nil
}

// Known returns expressions that know shapes of further names.
func (r Routed) Known(shapes map[string]filter.Shape) filter.Expressions {
	r.all = r.all.known(shapes)
	return r
}

// Shape is what is known of what an expression gives.
func (r Routed) Shape(source string) (filter.Shape, error) { return r.all.Shape(source) }

// Template compiles a text with values in braces.
func (r Routed) Template(source string) (filter.Template, error) {
	parts, err := r.Parts(source, nil)
	if err != nil {
		return nil, err
	}
	return parts.Template(), nil
}

// Parts compiles the parts of a template.
func (r Routed) Parts(source string, own func(source string) (filter.Value, error)) (filter.Parts, error) {
	return compileParts(source, own, r.Value)
}

// Names lists what a condition looks at.
func (r Routed) Names(condition string) []string { return r.all.Names(condition) }

// checkAny checks what is no variable.
func (r Routed) checkAny(source string) error {
	if _, _, ok := r.all.partOf(strings.TrimSpace(source)); ok {
		return nil
	}
	return r.checkProgram(source)
}

// checkProgram checks the parameters that a compiled expression asks for.
func (r Routed) checkProgram(source string) error {
	p, err := r.all.program(source)
	if err != nil {
		return err
	}
	if name := p.late; r.early && name != "" {
		return &Error{Source: source, Offset: max(0, strings.Index(source, name)), Width: len(name), Message: fmt.Sprintf("%q is not known yet when a route is sought", name)}
	}
	for _, ref := range p.parameters {
		if err := r.check(source, ref); err != nil {
			return err
		}
	}
	return nil
}

// check says that the path has no such parameter.
func (r Routed) check(source string, ref reference) error {
	if slices.Contains(r.known, ref.name) {
		return nil
	}
	e := &Error{Source: source, Offset: ref.offset, Width: len("path.") + len(ref.name), Message: fmt.Sprintf("the path has no parameter %q", ref.name)}
	switch len(r.known) {
	case 0:
		e.Hint = fmt.Sprintf("name one in the match, as in /users/{%s}", ref.name)
	default:
		e.Hint = suggestion(ref.name, r.known)
	}
	return e
}

// lateName returns the first name in an expression of what there is only after the match; "" when there is none.
func lateName(checked *cel.Ast) (late string) {
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind || late != "" {
			return
		}
		switch root, _, _ := strings.Cut(e.AsIdent(), "."); root {
		case "response", "status", "error", "upstream", "endpoint", "route", "identity", "jwt":
			late = e.AsIdent()
		}
	}))
	return late
}

// reference is where an expression asks for a parameter of the path.
type reference struct {
	name   string
	offset int // of `path` in the source
}

// references finds the parameters of the path that an expression asks for by name.
func references(source string, checked *cel.Ast) (found []reference) {
	native := checked.NativeRep()
	note := func(operand ast.Expr, name string) {
		if operand.Kind() != ast.IdentKind || operand.AsIdent() != "path" {
			return
		}
		location := native.SourceInfo().GetStartLocation(operand.ID())
		found = append(found, reference{name, offsetOf(source, location.Line(), location.Column())})
	}
	ast.PreOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			note(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			args := e.AsCall().Args()
			if len(args) != 2 {
				return
			}
			switch e.AsCall().FunctionName() {
			case operators.Index, operators.OptIndex, operators.OptSelect:
				if name, ok := literal(args[1]); ok {
					note(args[0], name)
				}
			case operators.In: // and has()
				if name, ok := literal(args[0]); ok {
					note(args[1], name)
				}
			}
		}
	}))
	return found
}
