package expr

import (
	"maps"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"cardea.dev/cardea/filter"
)

// Known returns expressions that know shapes of further names.
func (e *Expressions) Known(shapes map[string]filter.Shape) filter.Expressions {
	return e.known(shapes)
}

func (e *Expressions) known(shapes map[string]filter.Shape) *Expressions {
	all := maps.Clone(e.shapes)
	if all == nil {
		all = map[string]filter.Shape{}
	}
	maps.Copy(all, shapes)
	return &Expressions{env: e.env, variables: e.variables, more: e.more, shapes: all, addresses: e.addresses, programs: map[string]*program{}}
}

// Shape is what is known of what an expression gives.
func (e *Expressions) Shape(source string) (filter.Shape, error) {
	name := strings.TrimSpace(source)
	if _, ok := e.variable(name); ok {
		return nil, nil
	}
	if _, steps, ok := e.partOf(name); ok {
		return e.checkPart(name, steps)
	}
	p, err := e.program(source)
	if err != nil {
		return nil, err
	}
	return p.shape, nil
}

// checkPart checks the steps that lead to a part of a further name, and returns the part's shape.
func (e *Expressions) checkPart(source string, steps []partStep) (filter.Shape, error) {
	end := strings.IndexAny(source, ".[")
	if end < 0 {
		end = len(source)
	}
	shape := e.shapes[source[:end]]
	for _, s := range steps {
		if shape == nil {
			return nil, nil
		}
		var next filter.Shape
		var err error
		if name, is := s.to.(string); is {
			next, err = shape.Member(name)
		} else {
			next, err = shape.Element()
		}
		if err != nil {
			return nil, &Error{Source: source, Offset: s.begin, Width: s.end - s.begin, Message: source[:s.before] + " " + err.Error()}
		}
		shape = next
	}
	return shape, nil
}

// shapeOf checks what a checked expression takes of names whose shapes are known, and returns the shape of its result.
func (e *Expressions) shapeOf(source string, checked *ast.AST) (filter.Shape, error) {
	if len(e.shapes) == 0 {
		return nil, nil
	}
	c := &shapeChecker{source: source, info: checked.SourceInfo(), asked: askedFor(checked)}
	shape := c.shape(checked.Expr(), &shapeScope{shapes: e.shapes})
	if c.err != nil {
		return nil, c.err
	}
	return shape, nil
}

// asked is what an expression asks of a part.
type asked int

const (
	whetherThere asked = 1 + iota // nothing is said where it is not: has(a.b), a.?b, "b" in a
	whatItIs                      // nothing is said of what it has, either: type(a.b)
)

// askedFor are the parts of which an expression asks something.
func askedFor(checked *ast.AST) map[string]asked {
	all := map[string]asked{}
	note := func(of ast.Expr, name string) {
		if whole, ok := wayOf(of); ok {
			all[whole+"."+name] = max(all[whole+"."+name], whetherThere)
		}
	}
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			if s := e.AsSelect(); s.IsTestOnly() {
				note(s.Operand(), s.FieldName())
			}
		case ast.CallKind:
			call := e.AsCall()
			args := call.Args()
			if len(args) == 1 && call.FunctionName() == overloads.TypeConvertType {
				if whole, ok := wayOf(args[0]); ok {
					all[whole] = whatItIs
				}
			}
			if len(args) != 2 {
				return
			}
			switch call.FunctionName() {
			case operators.In:
				if name, ok := literal(args[0]); ok {
					note(args[1], name)
				}
			case operators.OptSelect, operators.OptIndex:
				if name, ok := literal(args[1]); ok {
					note(args[0], name)
				}
			}
		}
	}))
	return all
}

// wayOf is a chain of selections and written keys as one text.
func wayOf(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), true
	case ast.SelectKind:
		s := e.AsSelect()
		of, ok := wayOf(s.Operand())
		return of + "." + s.FieldName(), ok
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		if len(args) != 2 {
			return "", false
		}
		switch call.FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
		default:
			return "", false
		}
		of, ok := wayOf(args[0])
		if name, written := literal(args[1]); written {
			return of + "." + name, ok
		}
		return of + ".[]", ok
	}
	return "", false
}

// shapeScope are the names that are known at a place.
type shapeScope struct {
	shapes map[string]filter.Shape
	outer  *shapeScope
}

func (s *shapeScope) find(name string) filter.Shape {
	for ; s != nil; s = s.outer {
		if shape, is := s.shapes[name]; is {
			return shape
		}
	}
	return nil
}

// shapeChecker goes through an expression.
type shapeChecker struct {
	source string
	info   *ast.SourceInfo
	asked  map[string]asked
	err    error // the first
}

// shape is the shape of an expression; nil: nothing is known.
func (c *shapeChecker) shape(e ast.Expr, in *shapeScope) filter.Shape {
	switch e.Kind() {
	case ast.IdentKind:
		return in.find(e.AsIdent())
	case ast.SelectKind:
		s := e.AsSelect()
		of := c.shape(s.Operand(), in)
		if s.IsTestOnly() {
			return nil
		}
		return c.member(e, of, s.FieldName())
	case ast.CallKind:
		return c.call(e, in)
	case ast.ListKind:
		for _, one := range e.AsList().Elements() {
			c.shape(one, in)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			c.shape(entry.AsMapEntry().Key(), in)
			c.shape(entry.AsMapEntry().Value(), in)
		}
	case ast.ComprehensionKind:
		return c.comprehension(e.AsComprehension(), in)
	}
	return nil
}

func (c *shapeChecker) call(e ast.Expr, in *shapeScope) filter.Shape {
	call := e.AsCall()
	if call.IsMemberFunction() {
		c.shape(call.Target(), in)
	}
	var first filter.Shape
	for i, arg := range call.Args() {
		if shape := c.shape(arg, in); i == 0 {
			first = shape
		}
	}
	if call.FunctionName() != operators.Index {
		return nil
	}
	key := call.Args()[1]
	if name, written := literal(key); written {
		return c.member(e, first, name)
	}
	if key.Kind() != ast.LiteralKind || first == nil {
		return nil
	}
	if _, is := key.AsLiteral().(types.Int); !is {
		return nil
	}
	next, err := first.Element()
	if err != nil {
		c.wrong(e, "", err)
	}
	return next
}

// member is the shape of a member, if there is one.
func (c *shapeChecker) member(e ast.Expr, of filter.Shape, name string) filter.Shape {
	if of == nil {
		return nil
	}
	way, ok := wayOf(e)
	wanted := asked(0)
	if ok {
		wanted = c.asked[way]
	}
	if wanted == whatItIs {
		return nil
	}
	next, err := of.Member(name)
	if err != nil {
		if wanted == 0 {
			c.wrong(e, name, err)
		}
		return nil
	}
	return next
}

// wrong notes an error about what is taken of something: its mark is below the name, or the bracket.
func (c *shapeChecker) wrong(e ast.Expr, name string, err error) {
	if c.err != nil {
		return
	}
	at := c.info.GetStartLocation(e.ID())
	offset := offsetOf(c.source, at.Line(), at.Column())
	subject, width := "it", 1
	if e.Kind() == ast.SelectKind {
		if way, ok := wayOf(e.AsSelect().Operand()); ok {
			subject = way
		}
	} else if way, ok := wayOf(e.AsCall().Args()[0]); ok {
		subject = way
	}
	subject = strings.ReplaceAll(subject, ".[]", "[…]")
	if i := strings.Index(c.source[offset:], name); name != "" && i >= 0 {
		offset, width = offset+i, len(name)
	}
	c.err = &Error{Source: c.source, Offset: offset, Width: width, Message: subject + " " + err.Error()}
}

// comprehension checks a loop, which is what CEL makes of filter, map, exists and the like, and of cel.bind.
func (c *shapeChecker) comprehension(loop ast.ComprehensionExpr, in *shapeScope) filter.Shape {
	over := c.shape(loop.IterRange(), in)
	own := map[string]filter.Shape{loop.IterVar(): nil, loop.AccuVar(): nil}
	if loop.HasIterVar2() {
		own[loop.IterVar2()] = nil
	} else if over != nil {
		if element, err := over.Element(); err == nil {
			own[loop.IterVar()] = element
		}
	}
	initial := c.shape(loop.AccuInit(), in)
	if step := loop.LoopStep(); step.Kind() == ast.IdentKind && step.AsIdent() == loop.AccuVar() {
		own[loop.AccuVar()] = initial
	}
	inner := &shapeScope{own, in}
	c.shape(loop.LoopCondition(), inner)
	c.shape(loop.LoopStep(), inner)
	result := c.shape(loop.Result(), inner)
	if !filters(loop) || over == nil {
		return result
	}
	if _, err := over.Element(); err != nil {
		return nil // of an object, it is the names
	}
	return over
}

// filters says whether a loop gives some of the elements that it goes through, as they are.
func filters(loop ast.ComprehensionExpr) bool {
	step := loop.LoopStep()
	if loop.HasIterVar2() || step.Kind() != ast.CallKind || step.AsCall().FunctionName() != operators.Conditional {
		return false
	}
	then, otherwise := step.AsCall().Args()[1], step.AsCall().Args()[2]
	if then.Kind() != ast.CallKind || then.AsCall().FunctionName() != operators.Add || otherwise.Kind() != ast.IdentKind || otherwise.AsIdent() != loop.AccuVar() {
		return false
	}
	added := then.AsCall().Args()[1]
	if added.Kind() != ast.ListKind || len(added.AsList().Elements()) != 1 {
		return false
	}
	one := added.AsList().Elements()[0]
	return one.Kind() == ast.IdentKind && one.AsIdent() == loop.IterVar()
}
