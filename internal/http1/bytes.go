package http1

import "encoding/binary"

// class says what a byte may be part of.
type class uint8

const (
	inToken  class = 1 << iota // tchar (RFC 9110, section 5.6.2)
	inTarget                   // a request target: printable ASCII but "#"
	isUpper
	isLower
)

// classes has the class of each byte.
var classes = makeClasses()

func makeClasses() (t [256]class) {
	for c := range 256 {
		switch {
		case 'a' <= c && c <= 'z':
			t[c] = inToken | inTarget | isLower
		case 'A' <= c && c <= 'Z':
			t[c] = inToken | inTarget | isUpper
		case '0' <= c && c <= '9':
			t[c] = inToken | inTarget
		case c > ' ' && c < 0x7f && c != '#':
			t[c] = inTarget
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= inToken
	}
	return t
}

// isToken says whether s is a token.
func isToken(s []byte) bool {
	for _, c := range s {
		if classes[c]&inToken == 0 {
			return false
		}
	}
	return len(s) > 0
}

// IsName says whether s is the name of a field, or a method: a token (RFC 9110, section 5.6.2).
func IsName(s string) bool {
	for i := range len(s) {
		if classes[s[i]]&inToken == 0 {
			return false
		}
	}
	return s != ""
}

// IsValue says whether s may be a field's value: no control characters but tabs (RFC 9110, section 5.5).
func IsValue(s []byte) bool {
	for len(s) >= 8 {
		if hasControl(binary.LittleEndian.Uint64(s)) && !isValueBytes(s[:8]) {
			return false
		}
		s = s[8:]
	}
	return isValueBytes(s)
}

func isValueBytes(s []byte) bool {
	for _, c := range s {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// hasControl says whether a byte of x is below a space or is DEL. Now and then it says so of others, never the other way round.
func hasControl(x uint64) bool {
	below := (x - ones*' ') &^ x
	del := x ^ ones*0x7f
	return (below|((del-ones)&^del))&highs != 0
}

// canonical brings a name into the form that http.Header has names in, in place.
func canonical(name []byte) {
	upper := true
	for i, c := range name {
		if upper && classes[c]&isLower != 0 {
			name[i] = c - ('a' - 'A')
		} else if !upper && classes[c]&isUpper != 0 {
			name[i] = c + ('a' - 'A')
		}
		upper = c == '-'
	}
}

// Decimal reads a number of digits and nothing else (RFC 9110, section 8.6).
func Decimal(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// EqualFold compares a value with a text in lower case, without regard to the case of ASCII letters.
func EqualFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if classes[c]&isUpper != 0 {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
