package expr

import (
	"slices"
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// Names lists what a condition looks at, each as Value takes it.
func (e *Expressions) Names(condition string) []string {
	p, err := e.program(condition)
	if err != nil {
		return nil
	}
	return slices.Clone(p.names)
}

// namesIn finds the names in a checked expression, each with the fields and keys of it that are asked for, in their order.
func (e *Expressions) namesIn(checked *ast.AST) (found []string) {
	known := map[string]bool{}
	for _, n := range e.names() {
		known[n.name] = true
	}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(checked), func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.IdentKind && known[e.AsIdent()] && !isBound(e)
	}) {
		if name := withFields(e); !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

// isBound says whether a name is that of a loop around it: of the element, as o in orders.filter(o, o.total > 1).
func isBound(e ast.NavigableExpr) bool {
	name, below := e.AsIdent(), e
	for parent, ok := e.Parent(); ok; parent, ok = parent.Parent() {
		if parent.Kind() == ast.ComprehensionKind {
			loop := parent.AsComprehension()
			inside := below.ID() != loop.IterRange().ID() && below.ID() != loop.AccuInit().ID()
			if inside && (name == loop.IterVar() || name == loop.IterVar2() || name == loop.AccuVar()) {
				return true
			}
		}
		below = parent
	}
	return false
}

// withFields adds to a name the fields and written keys that are taken of it.
func withFields(e ast.NavigableExpr) string {
	name := e.AsIdent()
	for parent, ok := e.Parent(); ok; parent, ok = parent.Parent() {
		switch parent.Kind() {
		case ast.SelectKind:
			name += "." + parent.AsSelect().FieldName()
			continue
		case ast.CallKind:
			call := parent.AsCall()
			if call.FunctionName() != operators.Index {
				return name
			}
			if key, written := literal(call.Args()[1]); written && call.Args()[0].ID() == e.ID() {
				return name + "[" + strconv.Quote(key) + "]"
			}
		}
		return name
	}
	return name
}
