package router

import "strings"

// Characters of a path by their ASCII code, one bit each: codes 0 to 63 and 64 to 127.
const (
	digits     = 1<<10 - 1<<0
	letters    = 1<<26 - 1<<0
	lettersHi  = letters<<('A'-64) | letters<<('a'-64)
	unreserved = digits<<'0' | 1<<'-' | 1<<'.'
	unreservHi = lettersHi | 1<<('_'-64) | 1<<('~'-64)
	pathChars  = unreserved | 1<<'!' | 1<<'$' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' | 1<<'*' | 1<<'+' | 1<<',' |
		1<<';' | 1<<'=' | 1<<':' | 1<<'/'
	pathCharHi = unreservHi | 1<<('@'-64)
	plainChars = pathChars &^ (1<<';' | 1<<'/') // those that need no second look
)

// isUnreserved reports whether c never needs an escape (RFC 3986, 2.3).
func isUnreserved(c byte) bool { return inSet(c, unreserved, unreservHi) }

// isPathChar reports whether c may stand in a path as it is (RFC 3986, 3.3), the slash included.
func isPathChar(c byte) bool { return inSet(c, pathChars, pathCharHi) }

func inSet(c byte, lo, hi uint64) bool {
	set := lo
	if c >= 64 {
		set = hi
	}
	return c < 128 && set>>(c&63)&1 != 0
}

// escapeAt decodes the escape at s[i], which is a percent sign. Upper says that its digits are in upper case.
func escapeAt(s string, i int) (c byte, upper, ok bool) {
	if i+2 >= len(s) {
		return 0, false, false
	}
	hi, ok1 := hexDigit(s[i+1])
	lo, ok2 := hexDigit(s[i+2])
	return hi<<4 | lo, s[i+1] < 'a' && s[i+2] < 'a', ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// appendEscape appends c as an escape with upper-case digits.
func appendEscape(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

// unescape decodes the escapes of a part of a path. What is malformed stays. Without escapes it returns s itself.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if c, _, ok := escapeAt(s, i); ok {
				b = append(b, c)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unescapeQuery decodes a name or value of a query. Without escapes it returns s itself.
func unescapeQuery(s string) (decoded string, ok bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, next, ok := queryChar(s, i)
		if !ok {
			return "", false
		}
		b, i = append(b, c), next
	}
	return string(b), true
}

// equalQuery reports whether the encoded name or value s of a query stands for want, without decoding it.
func equalQuery(s, want string) bool {
	n := 0
	for i := 0; i < len(s); n++ {
		c, next, ok := queryChar(s, i)
		if !ok || n == len(want) || want[n] != c {
			return false
		}
		i = next
	}
	return n == len(want)
}

// queryChar decodes the character at s[i] and returns where the next one starts.
func queryChar(s string, i int) (c byte, next int, ok bool) {
	switch s[i] {
	case '+':
		return ' ', i + 1, true
	case '%':
		c, _, ok = escapeAt(s, i)
		return c, i + 3, ok
	}
	return s[i], i + 1, true
}
