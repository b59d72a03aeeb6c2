package expr

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"cel.dev/cel-go/common"
)

// Limits on what is written.
const (
	maxSource    = 16 << 10 // characters of an expression
	maxRegexp    = 2000     // instructions of a regular expression
	maxLoopDepth = 3        // loops within loops
)

// celName is a name that expressions know.
type celName struct {
	name string
	typ  *cel.Type
}

// celNames are the names that expressions know. Names with dots are variables of their own to CEL, so that evaluation needs no objects.
func celNames() []celName {
	texts := cel.MapType(cel.StringType, cel.StringType)
	claims := cel.MapType(cel.StringType, cel.DynType)
	return []celName{
		{"address", cel.StringType},
		{"cookie", texts},
		{"endpoint", cel.StringType},
		{"error", cel.StringType},
		{"header", texts},
		{"host", cel.StringType},
		{"identity", cel.StringType},
		{"identity.claims", claims},
		{"identity.consumer", cel.StringType},
		{"identity.groups", cel.ListType(cel.StringType)},
		{"identity.method", cel.StringType},
		{"identity.scopes", cel.ListType(cel.StringType)},
		{"identity.subject", cel.StringType},
		{"identity.tags", texts},
		{"jwt", claims},
		{"method", cel.StringType},
		{"path", texts},
		{"query", texts},
		{"request.host", cel.StringType},
		{"request.id", cel.StringType},
		{"request.method", cel.StringType},
		{"request.path", cel.StringType},
		{"request.scheme", cel.StringType},
		{"request.size", cel.IntType},
		{"request.time", cel.TimestampType},
		{"request_id", cel.StringType},
		{"response.header", texts},
		{"response.status", cel.IntType},
		{"route", cel.StringType},
		{"scheme", cel.StringType},
		{"status", cel.IntType},
		{"upstream", cel.StringType},
	}
}

// newEnvironment makes the CEL environment: the names, the functions, and the limits on what is written.
func newEnvironment() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{registry}),
		cel.CustomTypeProvider(registry),
		cel.OptionalTypes(),
		ext.Strings(),
		ext.Encoders(),
		ext.Sets(),
		ext.Bindings(),
		cel.Macros(cel.GlobalMacro("has", 1, expandHas)),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserErrorRecoveryLimit(4),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(maxLoopDepth), regexpLiterals{}, rangeLiterals{}, growingTexts{}),
		ipInFunction(),
	}
	for _, n := range celNames() {
		options = append(options, cel.Variable(n.name, n.typ))
	}
	return cel.NewEnv(options...)
}

// expandHas is CEL's has(), which for a map of texts, where a missing key is "", asks whether the key is there.
func expandHas(h cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	arg := args[0]
	if arg.Kind() != ast.SelectKind {
		return nil, h.NewError(arg.ID(), `has() takes a field, as in has(jwt.role); of others write "name" in header`)
	}
	s := arg.AsSelect()
	if isTextMap(s.Operand()) {
		return h.NewCall(operators.In, h.NewLiteral(types.String(s.FieldName())), s.Operand()), nil
	}
	return h.NewPresenceTest(s.Operand(), s.FieldName()), nil
}

// isTextMap reports whether an expression is a map of texts by its name.
func isTextMap(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		switch e.AsIdent() {
		case "header", "query", "cookie", "path":
			return true
		}
	case ast.SelectKind:
		s := e.AsSelect()
		if s.Operand().Kind() != ast.IdentKind {
			return false
		}
		switch s.Operand().AsIdent() + "." + s.FieldName() {
		case "response.header", "identity.tags":
			return true
		}
	}
	return false
}
