package jq

import (
	"encoding/json"
	"strconv"
	"strings"
)

// sum, difference and product do what `+`, `-` and `*` mostly do, without a run of the machine. They say whether they could.

func sum(args []any) (any, bool) {
	if l, ok := args[0].(string); ok {
		r, ok := args[1].(string)
		return l + r, ok
	}
	return compute(args, func(l, r int) int { return l + r }, func(l, r float64) float64 { return l + r })
}

func difference(args []any) (any, bool) {
	return compute(args, func(l, r int) int { return l - r }, func(l, r float64) float64 { return l - r })
}

func product(args []any) (any, bool) {
	return compute(args, func(l, r int) int { return l * r }, func(l, r float64) float64 { return l * r })
}

func compute(args []any, ints func(l, r int) int, floats func(l, r float64) float64) (any, bool) {
	l, ok := parse(args[0])
	if !ok {
		return nil, false
	}
	r, ok := parse(args[1])
	if !ok {
		return nil, false
	}
	i, lInt := l.(int)
	j, rInt := r.(int)
	if !lInt || !rInt {
		return floats(float(l), float(r)), true
	}
	// What may be larger than an int is left to the machine, which has larger ones.
	const small = 1 << 31
	if i < -small || i > small || j < -small || j > small {
		return nil, false
	}
	return ints(i, j), true
}

// parse makes an int or a float64 of a number, as gojq does, unless it is a large one.
func parse(v any) (any, bool) {
	switch v := v.(type) {
	case int, float64:
		return v, true
	case json.Number:
		if i, err := strconv.Atoi(string(v)); err == nil {
			return i, true
		}
		if strings.ContainsAny(string(v), ".eE") {
			f, err := v.Float64()
			return f, err == nil
		}
	}
	return nil, false
}

func float(v any) float64 {
	if i, ok := v.(int); ok {
		return float64(i)
	}
	f, _ := v.(float64)
	return f
}
