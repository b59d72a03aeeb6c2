package document

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Append writes a value as compact JSON behind b: numbers as they came, the names of objects sorted. Besides what Read returns it takes
// int, int64, uint64, float64 and *big.Int. Texts that are not UTF-8, numbers that are none, and values of other types are an error, and so is
// what nests deeper than 10,000 levels.
func Append(b []byte, v any) ([]byte, error) { return appendValue(b, v, 0) }

func appendValue(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, &Error{Kind: TooDeep, Offset: -1, Reason: tooDeep(maxDepth)}
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendText(b, v)
	case []any:
		return appendList(b, v, depth)
	case map[string]any:
		return appendObject(b, v, depth)
	}
	return appendNumber(b, v)
}

func appendText(b []byte, s string) ([]byte, error) {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil {
		return b, &Error{Offset: -1, Reason: "a text is not valid UTF-8"}
	}
	return out, nil
}

func appendNumber(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case json.Number:
		if !isNumber(v) {
			return b, &Error{Offset: -1, Reason: "a number is not valid: " + visible(shorten(strconv.Quote(string(v)), 16))}
		}
		return append(b, v...), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return b, &Error{Offset: -1, Reason: fmt.Sprintf("%v is not a number that JSON has", v)}
		}
		return jsontext.AppendFloat(b, v, 64), nil
	case *big.Int:
		return v.Append(b, 10), nil
	}
	return b, &Error{Offset: -1, Reason: fmt.Sprintf("a value of type %T is not JSON", v)}
}

func isNumber(n json.Number) bool {
	if n == "" || n[0] <= ' ' || n[len(n)-1] <= ' ' {
		return false // jsontext allows white space around values
	}
	v := jsontext.Value(n)
	return v.Kind() == '0' && v.IsValid()
}

func appendList(b []byte, list []any, depth int) (_ []byte, err error) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v, depth+1); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, m map[string]any, depth int) (_ []byte, err error) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendText(b, name); err != nil {
			return b, err
		}
		b = append(b, ':')
		if b, err = appendValue(b, m[name], depth+1); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}
