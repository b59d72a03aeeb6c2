package jq

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/itchyny/gojq"
)

// A few of jq's operators and functions may make, in one step, a value of any size, or take any time: `"x" * 1e9`, `.[1e8] = 1`,
// `transpose`, `gsub`. The machine has no hook for these. So a program is rewritten before it is compiled: those operators become calls of
// guarded functions, and those functions are defined anew, in jq, before the program.

// meterName is the variable that holds the meter of a run. Programs cannot name it: see Compile.
const meterName = "$__cardea"

// guardedFunctions are the definitions that stand before a program that uses them, by name; each may use those above it. A definition that
// uses the function which it replaces does so before that is replaced, by an alias.
var guardedFunctions = []struct{ name, source string }{
	{"add", `def add: _cardea_add($__cardea); def add(f): [f] | _cardea_add($__cardea);`},
	{"join", `def join($s): _cardea_join($s; $__cardea);`},
	{"tojson", `def tojson: _cardea_tojson($__cardea);`},
	{"tostring", `def tostring: _cardea_tostring($__cardea);`},
	{"format", `def format($f): _cardea_format($f; $__cardea);`},
	{"transpose", `def transpose: _cardea_transpose($__cardea);`},
	{"contains", `def contains($b): _cardea_contains($b; $__cardea);`},
	{"inside", `def inside($b): _cardea_inside($b; $__cardea);`},
	{"indices", `def indices($b): _cardea_indices($b; $__cardea);`},
	{"index", `def index($b): _cardea_index($b; $__cardea);`},
	{"rindex", `def rindex($b): _cardea_rindex($b; $__cardea);`},
	{"setpath", `def setpath($p; $v): _cardea_setpath($p; $v; $__cardea);`},
	{"tonumber", `def tonumber: _cardea_tonumber($__cardea);`},
	{"fromjson", `def fromjson: _cardea_fromjson($__cardea);`},
	{"test", `def _cardea_t($re): test($re); def _cardea_t($re; $f): test($re; $f);
		def test($re): _cardea_search($re; null; $__cardea) | _cardea_t($re);
		def test($re; $f): _cardea_search($re; $f; $__cardea) | _cardea_t($re; $f);`},
	{"match", `def _cardea_m($re): match($re); def _cardea_m($re; $f): match($re; $f);
		def match($re): _cardea_search($re; null; $__cardea) | _cardea_m($re);
		def match($re; $f): _cardea_search($re; $f; $__cardea) | _cardea_m($re; $f);`},
	{"capture", `def _cardea_c($re): capture($re); def _cardea_c($re; $f): capture($re; $f);
		def capture($re): _cardea_search($re; null; $__cardea) | _cardea_c($re);
		def capture($re; $f): _cardea_search($re; $f; $__cardea) | _cardea_c($re; $f);`},
	{"scan", `def _cardea_s($re; $f): scan($re; $f); def scan($re): _cardea_search($re; "g"; $__cardea) | _cardea_s($re; null);
		def scan($re; $f): _cardea_search($re; "g" + $f; $__cardea) | _cardea_s($re; $f);`},
	{"splits", splits},
	{"split", splits + `def _cardea_split($re; $f): [splits($re; $f)]; def split($s): _cardea_split1($s; $__cardea);
		def split($re; $f): _cardea_split($re; $f);`},
	{"sub", substitute},
	{"gsub", substitute + `def gsub($re; str): sub($re; str; "g"); def gsub($re; str; $flags): sub($re; str; $flags + "g");`},
	{"fromstream", `def fromstream(f): foreach f as $pv (null; if .e then null end | $pv as [$p, $v] |
		if $pv | length == 2 then _cardea_setpath(["v"] + $p; $v; $__cardea) | .e = ($p | length == 0)
		else .e = ($p | length == 1) end; if .e then .v else empty end);`},
	{"pick", `def pick(f): . as $v | reduce path(f) as $p (null; _cardea_setpath($p; $v | getpath($p); $__cardea));`},
	{"combinations", `def combinations: if length == 0 then [] else .[0][] as $x | [$x] + (.[1:] | combinations) end;
		def combinations(n): [limit(n; repeat(.))] | combinations;`},
	{"explode", `def explode: _cardea_explode($__cardea);`},
	{"implode", `def implode: _cardea_implode($__cardea);`},
	{"keys", `def keys: _cardea_keys($__cardea);`},
	{"keys_unsorted", `def keys_unsorted: _cardea_keys($__cardea);`},
	{"leaf_paths", `def leaf_paths: paths(scalars);`},
	{"reverse", `def reverse: _cardea_reverse($__cardea);`},
	{"sort", `def sort: _cardea_sort($__cardea);`},
	{"unique", `def unique: _cardea_unique($__cardea);`},
	{"flatten", `def flatten: _cardea_flatten($__cardea); def flatten($d): _cardea_flattento($d; $__cardea);`},
	{"ascii_downcase", `def ascii_downcase: _cardea_downcase($__cardea);`},
	{"ascii_upcase", `def ascii_upcase: _cardea_upcase($__cardea);`},
	{"input_line_number", `def input_line_number: 0;`},
	{"input_filename", `def input_filename: null;`},
	{"debug", `def debug: .; def debug(message): .;`},
	{"stderr", `def stderr: .;`},
}

// substitute is as jq's, but takes a time in proportion to the text: the text is cut as a list, and its parts are joined at once.
const substitute = `def _cardea_matches($re; $flags): _cardea_search($re; $flags; $__cardea) | match($re; $flags);
	def sub($re; str; $flags): . as $in
		| [foreach _cardea_matches($re; $flags) as {$offset, $length, $captures} ({next: 0};
			{from: .next, to: $offset, next: ($offset + $length), captures: $captures};
			{from, to, next, with: [.captures | _captures | str]})] as $parts
		| if $parts == [] then . else
			_cardea_explode($__cardea) as $text
			| ($text[$parts[-1].next:] | implode) as $end
			| ([$parts[].with | length] | max) as $outputs
			| if $outputs == 0 then $in else
				range($outputs) as $i
				| [($parts[] | select(.with | length > $i) | ($text[.from:.to] | implode), .with[$i]), $end]
				| _cardea_add($__cardea)
			end
		end;
	def sub($re; str): sub($re; str; null);`

// splits is as jq's, but takes a time in proportion to the text.
const splits = `def splits($re; $flags): _cardea_search($re; $flags + "g"; $__cardea)
		| (if type == "string" then _cardea_explode($__cardea) else null end) as $text
		| foreach (match($re; $flags + "g"), null) as {$offset, $length} ({next: 0};
			{from: .next, to: $offset, next: ($offset + $length)}; $text[.from:.to] | implode);
	def splits($re): splits($re; null);`

// guard rewrites a program.
func guard(q *gojq.Query) error {
	g := guarder{used: map[string]bool{}, defined: map[string]bool{}}
	g.walk(reflect.ValueOf(q))
	for _, name := range []string{"env", "$ENV", "modulemeta", "get_search_list"} {
		if g.used[name] && !g.defined[name] {
			return &unseenError{name}
		}
	}
	var defs []*gojq.FuncDef
	for _, f := range guardedFunctions {
		if !g.used[f.name] {
			continue
		}
		prelude, err := gojq.Parse(f.source + " .")
		if err != nil {
			return fmt.Errorf("cannot read the definition of %s: %w", f.name, err)
		}
		(&guarder{used: map[string]bool{}, defined: map[string]bool{}}).walk(reflect.ValueOf(prelude))
		defs = append(defs, prelude.FuncDefs...)
	}
	q.FuncDefs = append(defs, q.FuncDefs...)
	return nil
}

// guarder goes through a syntax tree.
type guarder struct{ used, defined map[string]bool }

// unseenError is the use of a name that stands for what programs do not see.
type unseenError struct{ name string }

func (e *unseenError) Error() string {
	return e.name + ": programs see no environment and no modules"
}

// walk rewrites the parts of a node, then the node.
func (g *guarder) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		g.walk(v.Elem())
		g.node(v.Interface())
	case reflect.Struct:
		for i := range v.NumField() {
			g.walk(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			g.walk(v.Index(i))
		}
	}
}

func (g *guarder) node(node any) {
	switch n := node.(type) {
	case *gojq.Query:
		guardOperator(n)
	case *gojq.FuncDef:
		g.defined[n.Name] = true
	case *gojq.Func:
		g.used[n.Name] = true
	case *gojq.Index:
		guardIndex(n)
	case *gojq.Term:
		guardText(n)
		guardParts(n)
	case *gojq.String:
		for i, q := range n.Queries {
			if q.Term.Str == nil {
				n.Queries[i] = group(pipe(q, call("_cardea_writable")))
			}
		}
	case *gojq.ObjectKeyVal:
		if n.KeyString != nil && len(n.KeyString.Queries) > 0 {
			n.KeyQuery = term(&gojq.Term{Type: gojq.TermTypeString, Str: n.KeyString})
			guardText(n.KeyQuery.Term)
			n.KeyString = nil
		}
	}
}

func guardOperator(q *gojq.Query) {
	switch q.Op {
	case gojq.OpAdd, gojq.OpSub, gojq.OpMul:
		*q = *call(operatorName[q.Op], q.Left, q.Right)
	case gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul:
		// As the machine does it: `a += b` is `b as $x | a |= . + $x`.
		const operand = "$__cardea_operand"
		sum := call(operatorName[q.Op], term(&gojq.Term{Type: gojq.TermTypeIdentity}), variable(operand))
		*q = gojq.Query{
			Left: q.Right, Op: gojq.OpPipe, Patterns: []*gojq.Pattern{{Name: operand}},
			Right: &gojq.Query{Left: q.Left, Op: gojq.OpModify, Right: sum},
		}
	}
}

var operatorName = map[gojq.Operator]string{
	gojq.OpAdd: "_cardea_plus", gojq.OpUpdateAdd: "_cardea_plus",
	gojq.OpSub: "_cardea_minus", gojq.OpUpdateSub: "_cardea_minus",
	gojq.OpMul: "_cardea_times", gojq.OpUpdateMul: "_cardea_times",
}

func guardIndex(n *gojq.Index) {
	if n.IsSlice || n.Start == nil {
		return
	}
	if t := n.Start.Term; t != nil && t.Type == gojq.TermTypeString && len(t.Str.Queries) == 0 {
		return
	}
	n.Start = pipe(n.Start, call("_cardea_at"))
}

// guardText lets no text grow without bound that is put together by "\(…)" or by a format.
func guardText(t *gojq.Term) {
	if t.Type == gojq.TermTypeFormat || t.Type == gojq.TermTypeString && len(t.Str.Queries) > 0 {
		bare := *t
		bare.SuffixList = nil
		q := pipe(term(&bare), call("_cardea_made"))
		if t.Type == gojq.TermTypeFormat && t.Str == nil {
			q = pipe(call("_cardea_writable"), q)
		}
		*t = gojq.Term{Type: gojq.TermTypeQuery, Query: q, SuffixList: slices.Clone(t.SuffixList)}
	}
}

// guardParts counts lists and objects that are put together of parts.
func guardParts(t *gojq.Term) {
	switch {
	case t.Type == gojq.TermTypeArray && t.Array.Query != nil:
	case t.Type == gojq.TermTypeObject && len(t.Object.KeyVals) > 0:
	default:
		return
	}
	bare := *t
	bare.SuffixList = nil
	*t = gojq.Term{Type: gojq.TermTypeQuery, Query: pipe(term(&bare), call("_cardea_parts")), SuffixList: slices.Clone(t.SuffixList)}
}

func term(t *gojq.Term) *gojq.Query { return &gojq.Query{Term: t} }

func group(q *gojq.Query) *gojq.Query {
	return term(&gojq.Term{Type: gojq.TermTypeQuery, Query: q})
}

func pipe(left, right *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: left, Op: gojq.OpPipe, Right: right}
}

func variable(name string) *gojq.Query {
	return term(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name}})
}

// call calls a guarded function, whose last argument is the meter.
func call(name string, args ...*gojq.Query) *gojq.Query {
	return term(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: append(args, variable(meterName))}})
}
