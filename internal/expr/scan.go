package expr

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"cardea.dev/cardea/filter"
)

// queryParameter returns the first query parameter of a name. It reads as url.ParseQuery does, in place.
func queryParameter(name string) filter.Value {
	return func(ex *filter.Exchange) (string, bool) { return findQuery(rawQuery(ex), name) }
}

// findQuery finds the first parameter of a name whose escapes are right.
func findQuery(query, name string) (string, bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if !sameEscaped(key, name) || strings.IndexByte(pair, ';') >= 0 {
			continue // a semicolon separates nothing, and may not stand for itself either
		}
		if strings.IndexByte(value, '%') < 0 && strings.IndexByte(value, '+') < 0 {
			return value, true
		}
		if value, err := url.QueryUnescape(value); err == nil {
			return value, true
		}
	}
	return "", false
}

// sameEscaped reports whether an escaped text stands for a plain one.
func sameEscaped(escaped, plain string) bool {
	if escaped == plain {
		return strings.IndexByte(plain, '%') < 0 && strings.IndexByte(plain, '+') < 0
	}
	i := 0
	for j := 0; j < len(escaped); j++ {
		c := escaped[j]
		switch c {
		case '+':
			c = ' '
		case '%':
			if j+2 >= len(escaped) || !isHex(escaped[j+1]) || !isHex(escaped[j+2]) {
				return false
			}
			c = unhex(escaped[j+1])<<4 | unhex(escaped[j+2])
			j += 2
		}
		if i == len(plain) || plain[i] != c {
			return false
		}
		i++
	}
	return i == len(plain)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// requestCookie returns the first cookie of a name. It reads as http.Request.Cookie does, in place.
func requestCookie(name string) filter.Value {
	return func(ex *filter.Exchange) (string, bool) {
		if ex.Request == nil {
			return "", false
		}
		return findCookie(ex.Request.Header, name)
	}
}

// findCookie finds the first well-formed cookie of a name.
func findCookie(h http.Header, name string) (string, bool) {
	for _, line := range h["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			key, value, _ := strings.Cut(textproto.TrimString(part), "=")
			if textproto.TrimString(key) != name {
				continue
			}
			if value, ok := cookieValue(value); ok {
				return value, true
			}
		}
	}
	return "", false
}

// cookieValue takes the quotes off a cookie's value, and refuses one with characters that may not stand in it (RFC 6265, 4.1.1; spaces and
// commas are let pass, as everywhere).
func cookieValue(value string) (string, bool) {
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	for i := range len(value) {
		if c := value[i]; c < 0x20 || c >= 0x7f || c == '"' || c == ';' || c == '\\' {
			return "", false
		}
	}
	return value, true
}
