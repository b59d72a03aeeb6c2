package lang

import (
	"strconv"
	"strings"
)

// cutBracket splits what follows a "[" at its "]", which a quoted key may contain.
func cutBracket(s string) (inner, rest string) {
	if quoted, err := strconv.QuotedPrefix(s); err == nil {
		rest = strings.TrimPrefix(s[len(quoted):], "]")
		return quoted, rest
	}
	inner, rest, _ = strings.Cut(s, "]")
	return inner, rest
}

// bracketStep reads what stands between brackets: an index or a quoted key.
func bracketStep(inner string) pathStep {
	if i, err := strconv.Atoi(inner); err == nil && i >= 0 {
		return pathStep{index: i}
	}
	if key, err := strconv.Unquote(inner); err == nil {
		return pathStep{key: key, index: -1}
	}
	return pathStep{key: inner, index: -1}
}

// KeyPath is a key as a step of a path: `.name`, or `["a key"]` when it is not a simple word.
func KeyPath(key string) string {
	if isWord(key) {
		return "." + key
	}
	return "[" + strconv.Quote(key) + "]"
}

// isWord reports whether a key can stand in a path without quotes.
func isWord(key string) bool {
	if key == "" {
		return false
	}
	for _, r := range key {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '/':
		default:
			return false
		}
	}
	return true
}

// path is the value's place in its tree.
func (v *value) path() string {
	var parts []string
	for ; v != nil && v.parent != nil; v = v.parent {
		switch {
		case v.name != nil:
			parts = append(parts, KeyPath(v.name.text))
		default:
			parts = append(parts, "["+strconv.Itoa(v.index)+"]")
		}
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return strings.TrimPrefix(b.String(), ".")
}
