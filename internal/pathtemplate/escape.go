package pathtemplate

import (
	"fmt"
	"strings"
)

// fitsPath says whether a value may stand in a path, once it is escaped: it has no control characters, no bytes that only
// overlong UTF-8 has, and nothing that a server which decodes too eagerly would take for a dot segment.
func fitsPath(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < 0x20 || c == 0x7f || c == 0xC0 || c == 0xC1 {
			return false
		}
	}
	return !hasDots(v)
}

// hasDots says whether a path has a segment `.` or `..`, for any server: one that decodes escapes first, takes backslashes for
// slashes, or cuts segments at semicolons.
func hasDots(path string) bool {
	if strings.IndexByte(path, '.') < 0 && strings.IndexByte(path, '%') < 0 {
		return false
	}
	dots, other := 0, false // since the last separator
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if decoded, ok := hexByte(path[i+1:]); ok {
				c, i = decoded, i+2
			}
		}
		switch c {
		case '/', '\\', ';':
			if !other && (dots == 1 || dots == 2) {
				return true
			}
			dots, other = 0, false
		case '.':
			dots++
		default:
			other = true
		}
	}
	return !other && (dots == 1 || dots == 2)
}

// appendSegment appends a value as a segment of a path, or as several.
func appendSegment(b []byte, v string, slashes bool) []byte {
	for i := range len(v) {
		if c := v[i]; isSegmentChar(c) && c != ';' || slashes && c == '/' {
			b = append(b, c)
		} else {
			b = appendEscaped(b, c)
		}
	}
	return b
}

// AppendQuery appends a name or value of a query.
func AppendQuery(b []byte, v string) []byte {
	for i := range len(v) {
		switch c := v[i]; {
		case isUnreserved(c):
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = appendEscaped(b, c)
		}
	}
	return b
}

// isUnreserved says whether a character never needs an escape (RFC 3986, section 2.3).
func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// isSegmentChar says whether a character may stand in a segment as it is (RFC 3986, section 3.3).
func isSegmentChar(c byte) bool { return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:@", c) >= 0 }

// isQueryChar says whether a character may stand in a query as it is (RFC 3986, section 3.4).
func isQueryChar(c byte) bool { return isSegmentChar(c) || c == '?' }

// hexByte reads the two digits that follow a percent sign.
func hexByte(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, lo := hexDigit(s[0]), hexDigit(s[1])
	return byte(hi<<4 | lo&15), hi >= 0 && lo >= 0
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// appendEscaped appends a character as an escape.
func appendEscaped(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

// escapeText brings a text of the configuration into the form in which paths and queries are sent. Escapes in it stay.
func escapeText(text string, plain func(byte) bool) (string, error) {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '%':
			decoded, ok := hexByte(text[i+1:])
			if !ok {
				return "", fmt.Errorf("%q has a %% without two hexadecimal digits; write %%25 for a percent sign", text)
			}
			if decoded < 0x20 || decoded == 0x7f {
				return "", fmt.Errorf("%q has a control character", text)
			}
			i += 2
			if isUnreserved(decoded) {
				b = append(b, decoded)
			} else {
				b = appendEscaped(b, decoded)
			}
		case c < 0x20 || c == 0x7f:
			return "", fmt.Errorf("%q has a control character", text)
		case c == '#':
			return "", fmt.Errorf("%q has a #, which is not sent to servers; write %%23 for the character", text)
		case c == '/', plain(c):
			b = append(b, c)
		default:
			b = appendEscaped(b, c)
		}
	}
	return string(b), nil
}
