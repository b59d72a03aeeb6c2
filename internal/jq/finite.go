package jq

import "math"

// finite returns a value without the numbers that JSON does not have, as jq writes them: nan becomes null, and infinite the largest number.
// It copies only what it changes.
func finite(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) {
			return nil
		}
		return min(max(v, -math.MaxFloat64), math.MaxFloat64)
	case []any:
		if isFinite(v) {
			return v
		}
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = finite(item)
		}
		return list
	case map[string]any:
		if isFinite(v) {
			return v
		}
		m := make(map[string]any, len(v))
		for name, item := range v {
			m[name] = finite(item)
		}
		return m
	}
	return v
}

func isFinite(v any) bool {
	switch v := v.(type) {
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case []any:
		for _, item := range v {
			if !isFinite(item) {
				return false
			}
		}
	case map[string]any:
		for _, item := range v {
			if !isFinite(item) {
				return false
			}
		}
	}
	return true
}
