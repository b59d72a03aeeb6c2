package rules

import (
	"net/textproto"
	"strings"
)

// fieldNames appends the canonical names in a list of field names. It is false when one is no name.
func fieldNames(names []string, list string) ([]string, bool) {
	for list != "" {
		i := strings.IndexByte(list, ',')
		if i < 0 {
			i = len(list)
		}
		name := trim(list[:i])
		list = after(list, i)
		if name == "" {
			continue
		}
		if !isToken(name) {
			return names, false
		}
		names = append(names, textproto.CanonicalMIMEHeaderKey(name))
	}
	return names, true
}

// isToken says whether a text is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
