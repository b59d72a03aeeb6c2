package jq

import (
	"fmt"
	"strings"

	"github.com/itchyny/gojq"
)

// guarded is a function that looks at what it is given before it does what jq's own does.
type guarded struct {
	name   string
	native string // in jq, with the arguments as $a and $b; "" passes the input on
	args   int
	check  func(m *meter, v any, args []any) error
	after  func(m *meter, v any) error
	fast   func(args []any) (any, bool)
}

var guardedCalls = []guarded{
	{name: "plus", native: "$a + $b", fast: sum, args: 2, check: func(m *meter, _ any, a []any) error { return m.sum(a...) }},
	{name: "times", native: "$a * $b", fast: product, args: 2, check: func(m *meter, _ any, a []any) error { return m.product(a[0], a[1]) }},
	{name: "minus", native: "$a - $b", fast: difference, args: 2, check: minus},
	{name: "add", native: "add", check: func(m *meter, v any, _ []any) error { return m.sum(items(v)...) }},
	{name: "join", native: "join($a)", args: 1, check: join},
	{name: "tojson", native: "tojson", check: writable, after: made},
	{name: "tostring", native: "tostring", check: writable, after: made},
	{name: "format", native: "format($a)", args: 1, check: writable, after: made},
	{name: "writable", check: writable},
	{name: "made", check: func(m *meter, v any, _ []any) error { return m.sum(v) }},
	{name: "parts", check: func(m *meter, v any, _ []any) error { return m.parts(v) }},
	{name: "transpose", native: "transpose", check: func(m *meter, v any, _ []any) error { return m.transposed(v) }},
	{name: "contains", native: "contains($a)", args: 1, check: compares},
	{name: "inside", native: "inside($a)", args: 1, check: compares},
	{name: "indices", native: "indices($a)", args: 1, check: compares},
	{name: "index", native: "index($a)", args: 1, check: compares},
	{name: "rindex", native: "rindex($a)", args: 1, check: compares},
	{name: "setpath", native: "setpath($a; $b)", args: 2, check: func(m *meter, _ any, a []any) error { return m.path(a[0]) }},
	{name: "at", check: func(m *meter, v any, _ []any) error { return m.at(v) }},
	{name: "tonumber", native: "tonumber", check: tonumber},
	{name: "fromjson", native: "fromjson", check: fine, after: (*meter).numbers},
	{name: "search", args: 2, check: searched},
	{name: "explode", native: "explode", check: fine, after: made},
	{name: "implode", native: "implode", check: fine, after: made},
	{name: "split1", native: "split($a)", args: 1, check: fine, after: made},
	{name: "keys", native: "keys", check: fine, after: made},
	{name: "reverse", native: "reverse", check: fine, after: made},
	{name: "sort", native: "sort", check: fine, after: made},
	{name: "unique", native: "unique", check: fine, after: made},
	{name: "flatten", native: "flatten", check: fine, after: made},
	{name: "flattento", native: "flatten($a)", args: 1, check: fine, after: made},
	{name: "downcase", native: "ascii_downcase", check: fine, after: made},
	{name: "upcase", native: "ascii_upcase", check: fine, after: made},
}

// fine only stops a run that has reached a bound already.
func fine(m *meter, _ any, _ []any) error { return m.made(0) }

// made counts what is no larger than its input, so that no run keeps many of them.
func made(m *meter, v any) error { return m.sum(v) }

func items(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, item)
		}
		return list
	}
	return nil
}

func minus(m *meter, _ any, a []any) error {
	if list, ok := a[0].([]any); ok {
		if err := m.compares(list, a[1]); err != nil {
			return err
		}
	}
	return m.sum(a...)
}

func join(m *meter, v any, a []any) error {
	list := items(v)
	total := int64(0)
	if between, ok := a[0].(string); ok {
		total = int64(len(between)) * int64(len(list))
	}
	for _, item := range list {
		total += size(item, m.size, 0)
	}
	return m.text(total)
}

func writable(m *meter, v any, _ []any) error {
	switch v.(type) {
	case string, nil, bool, int, float64:
		return m.made(0)
	}
	return m.text(size(v, m.size, 0))
}

func compares(m *meter, v any, a []any) error { return m.compares(v, a[0]) }

func tonumber(m *meter, v any, _ []any) error {
	if s, ok := v.(string); ok && len(s) > maxDigits {
		return m.stop("a text has more than %d characters: it is too long for a number", maxDigits)
	}
	return m.made(0)
}

// options are what makes the guarded functions known to programs.
func options() ([]gojq.CompilerOption, error) {
	var all []gojq.CompilerOption
	for _, f := range guardedCalls {
		call, err := f.function()
		if err != nil {
			return nil, err
		}
		all = append(all, gojq.WithFunction("_cardea_"+f.name, f.args+1, f.args+1, call))
	}
	return all, nil
}

func (f guarded) function() (func(any, []any) any, error) {
	native, err := f.compile()
	if err != nil {
		return nil, fmt.Errorf("cannot compile %q: %w", f.native, err)
	}
	return func(v any, args []any) any {
		m := args[f.args].(*meter)
		if err := f.check(m, v, args[:f.args]); err != nil {
			return err
		}
		if native == nil {
			return v
		}
		if f.fast != nil {
			if out, ok := f.fast(args); ok {
				return out
			}
		}
		out, _ := native.Run(v, args[:f.args]...).Next()
		if _, failed := out.(error); !failed && f.after != nil {
			if err := f.after(m, out); err != nil {
				return err
			}
		}
		return out
	}, nil
}

func (f guarded) compile() (*gojq.Code, error) {
	if f.native == "" {
		return nil, nil
	}
	q, err := gojq.Parse(f.native)
	if err != nil {
		return nil, err
	}
	return gojq.Compile(q, gojq.WithVariables(strings.Fields("$a $b")[:f.args]))
}
