package schema

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// same says whether two values are the same. It is unsure of objects and arrays.
func same(a, b any) verdict {
	switch a := a.(type) {
	case nil:
		return is(b == nil)
	case bool:
		b, ok := b.(bool)
		return is(ok && a == b)
	case string:
		b, ok := b.(string)
		return is(ok && a == b)
	case json.Number:
		switch b := b.(type) {
		case json.Number:
			return is(a == b || rational(string(a)).Cmp(rational(string(b))) == 0)
		case nil, bool, string, []any, map[string]any:
			return fails
		}
	}
	return unsure
}

// rational is a number as the reader has let it pass.
func rational(text string) *big.Rat {
	if r, ok := new(big.Rat).SetString(text); ok {
		return r
	}
	return new(big.Rat)
}

// small is an integer of few digits.
func small(text string) (n int64, ok bool) {
	if len(text) > 18 {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// isWhole says whether a number is an integer, however it is written.
func isWhole(text string) bool {
	_, ok := small(text)
	return ok || rational(text).IsInt()
}

// inRange looks at the keywords for numbers.
func inRange(s *jsonschema.Schema, text string) bool {
	return (s.Minimum == nil || compare(text, s.Minimum) >= 0) &&
		(s.Maximum == nil || compare(text, s.Maximum) <= 0) &&
		(s.ExclusiveMinimum == nil || compare(text, s.ExclusiveMinimum) > 0) &&
		(s.ExclusiveMaximum == nil || compare(text, s.ExclusiveMaximum) < 0) &&
		(s.MultipleOf == nil || new(big.Rat).Quo(rational(text), s.MultipleOf).IsInt())
}

func compare(text string, bound *big.Rat) int {
	if n, ok := small(text); ok && bound.IsInt() && bound.Num().IsInt64() {
		return cmp.Compare(n, bound.Num().Int64())
	}
	return rational(text).Cmp(bound)
}
