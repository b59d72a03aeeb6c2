package expr

import (
	"fmt"
	"regexp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// errNoRange says that a text is no range of addresses.
func errNoRange(text string) error {
	return fmt.Errorf(`%q is not an address or a range of them, such as "10.0.0.0/8"`, text)
}

// regexpLiterals checks the regular expressions that are written out, when an expression is compiled.
type regexpLiterals struct{}

// Name is the check's name.
func (regexpLiterals) Name() string { return "cardea.regexp" }

// Validate reports regular expressions that are not well formed.
func (regexpLiterals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	calls := ast.MatchDescendants(ast.NavigateAST(a), ast.FunctionMatcher(overloads.Matches))
	for _, call := range calls {
		args := call.AsCall().Args()
		if len(args) == 0 {
			continue
		}
		pattern := args[len(args)-1] // s.matches(re) or matches(s, re)
		text, ok := literal(pattern)
		if !ok {
			continue
		}
		if _, err := regexp.Compile(text); err != nil {
			issues.ReportErrorAtID(pattern.ID(), "%v", err)
		}
	}
}

// rangeLiterals checks the address ranges that are written out, when an expression is compiled.
type rangeLiterals struct{}

// Name is the check's name.
func (rangeLiterals) Name() string { return "cardea.ranges" }

// Validate reports ranges that are not well formed.
func (rangeLiterals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	calls := ast.MatchDescendants(ast.NavigateAST(a), ast.FunctionMatcher("ip_in"))
	for _, call := range calls {
		args := call.AsCall().Args()
		if len(args) != 2 {
			continue
		}
		ranges := []ast.Expr{args[1]}
		if args[1].Kind() == ast.ListKind {
			ranges = args[1].AsList().Elements()
		}
		for _, r := range ranges {
			text, ok := literal(r)
			if !ok {
				continue
			}
			if _, err := parseRange(text); err != nil {
				issues.ReportErrorAtID(r.ID(), "%v", err)
			}
		}
	}
}

// growingTexts checks that what multiplies texts is written out. A header of some kilobytes that is put in for each letter of another would
// fill the memory before the cost of it is known.
type growingTexts struct{}

// Name is the check's name.
func (growingTexts) Name() string { return "cardea.growing" }

// Validate reports replacements and separators that are not written out.
func (growingTexts) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for function, index := range map[string]int{"replace": 1, "join": 0} {
		calls := ast.MatchDescendants(ast.NavigateAST(a), ast.FunctionMatcher(function))
		for _, call := range calls {
			args := call.AsCall().Args()
			if len(args) <= index {
				continue
			}
			if _, ok := literal(args[index]); !ok {
				issues.ReportErrorAtID(args[index].ID(), "this argument of %s must be a text that is written out", function)
			}
		}
	}
}

// literal returns the text that is written out as an expression, if it is one.
func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}
