package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"cardea.dev/cardea/filter"
)

// Limits on what an evaluation may take.
const (
	costLimit      = 1_000_000 // CEL's units of cost: about ten milliseconds
	interruptEvery = 100       // rounds of a loop until it is asked whether the client is still there
)

// program is a compiled CEL expression.
type program struct {
	source     string
	output     *cel.Type
	bounded    bool        // its cost is limited while it runs, because it could be high
	parameters []reference // those of the path that it asks for
	names      []string    // what it looks at
	shape      filter.Shape
	late       string // the first name in it of what there is only after the match
	run        cel.Program
	pool       *activations
	addresses  *addressTexts
	more       map[string]filter.Lookup
}

// compile parses, checks and plans an expression.
func (e *Expressions) compile(source string) (_ *program, err error) {
	if strings.TrimSpace(source) == "" {
		return nil, wholeError(source, "the expression is empty", "")
	}
	parsed, issues := e.env.Parse(source)
	if issues.Err() != nil {
		return nil, syntaxError(source, issues)
	}
	checked, issues := e.env.Check(parsed)
	if issues.Err() != nil {
		return nil, e.typeError(source, parsed.NativeRep(), issues)
	}
	p := &program{source: source, output: checked.OutputType(), bounded: mayBeDear(checked.NativeRep()), pool: &e.pool, addresses: e.addresses, more: e.more}
	p.parameters, p.late = references(source, checked), lateName(checked)
	p.names = e.namesIn(checked.NativeRep())
	if p.shape, err = e.shapeOf(source, checked.NativeRep()); err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if p.bounded {
		options = append(options, cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptEvery))
	}
	run, err := e.env.Program(checked, options...)
	if err != nil {
		return nil, wholeError(source, err.Error(), "")
	}
	p.run = run
	return p, nil
}

// mayBeDear reports whether an expression could cost much more than it is long: when it loops, or calls something that makes long texts of
// short ones, or runs a regular expression that is not written out. Limiting the cost of the others would only slow them down.
func mayBeDear(a *ast.AST) bool {
	dear := false
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			dear = true
		case ast.CallKind:
			dear = dear || !isCheap(e.AsCall())
		}
	}))
	return dear
}

// isCheap reports whether a call costs no more than its arguments are long.
func isCheap(call ast.CallExpr) bool {
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In, operators.Index, operators.OptIndex, operators.OptSelect,
		operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate, operators.NotStrictlyFalse,
		overloads.Contains, overloads.StartsWith, overloads.EndsWith, overloads.Size,
		overloads.TypeConvertInt, overloads.TypeConvertUint, overloads.TypeConvertDouble, overloads.TypeConvertString, overloads.TypeConvertBool,
		overloads.TypeConvertDuration, overloads.TypeConvertTimestamp, overloads.TypeConvertBytes, overloads.TypeConvertDyn,
		"lowerAscii", "upperAscii", "trim", "substring", "indexOf", "lastIndexOf", "charAt", "orValue", "or", "hasValue", "value", "optional.of", "optional.none",
		"ip_in", "base64.encode", "base64.decode",
		overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDayOfYear, overloads.TimeGetDayOfMonth, overloads.TimeGetDate,
		overloads.TimeGetDayOfWeek, overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds:
		return true
	case overloads.Matches:
		args := call.Args()
		_, written := literal(args[len(args)-1])
		return written
	}
	return false
}

// eval evaluates the program for an exchange and hands the result to use, which must not keep it.
func (p *program) eval(ex *filter.Exchange, use func(ref.Val)) error {
	a := p.pool.get(ex, p.addresses)
	a.more = p.more
	defer p.pool.put(a)
	var out ref.Val
	var err error
	if p.bounded && ex.Request != nil {
		out, _, err = p.run.ContextEval(ex.Request.Context(), a)
	} else {
		out, _, err = p.run.Eval(a)
	}
	if err != nil {
		return fmt.Errorf("cannot evaluate %s: %w", short(p.source), err)
	}
	use(out)
	return nil
}

// condition is the program as a condition.
func (p *program) condition(ex *filter.Exchange) (bool, error) {
	var holds, boolean bool
	err := p.eval(ex, func(out ref.Val) {
		b, ok := out.(types.Bool)
		holds, boolean = bool(b), ok
	})
	if err != nil {
		return false, err
	}
	if !boolean {
		return false, fmt.Errorf("cannot evaluate %s: the result is neither true nor false", short(p.source))
	}
	return holds, nil
}

// value is the program as a value.
func (p *program) value(ex *filter.Exchange) (s string, ok bool) {
	err := p.eval(ex, func(out ref.Val) { s, ok = resultText(out) })
	return s, ok && err == nil
}

// resultText makes a text of a result.
func resultText(out ref.Val) (string, bool) {
	switch v := out.(type) {
	case types.String:
		return string(v), true
	case *types.Optional:
		if !v.HasValue() {
			return "", false
		}
		return resultText(v.GetValue())
	case types.Bytes:
		return string(v), true
	case types.Null:
		return "", false
	case types.Bool, types.Int, types.Uint, types.Timestamp, types.Duration:
		s, ok := v.ConvertToType(types.StringType).(types.String)
		return string(s), ok
	case types.Double:
		return decimal(float64(v)), true
	case traits.Lister, traits.Mapper, *textMap:
		return text(native(out))
	}
	return "", false
}

// native makes a Go value of a result: lists and objects as those of JSON.
func native(v ref.Val) any {
	switch v := v.(type) {
	case *textMap:
		return v.Value()
	case traits.Lister:
		var list []any
		for it := v.Iterator(); it.HasNext() == types.True; {
			list = append(list, native(it.Next()))
		}
		return list
	case traits.Mapper:
		object := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, _ := resultText(key)
			object[name] = native(v.Get(key))
		}
		return object
	case types.Null:
		return nil
	case types.Bool:
		return bool(v)
	case types.Int:
		return int64(v)
	case types.Uint:
		return uint64(v)
	case types.Double:
		return float64(v)
	}
	s, ok := resultText(v)
	if !ok {
		return nil
	}
	return s
}

// short is a source in a message, cut where it is long.
func short(source string) string {
	const most = 80
	s := strings.Join(strings.Fields(source), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return "`" + s + "`"
}
