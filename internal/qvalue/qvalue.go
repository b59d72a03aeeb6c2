// Package qvalue reads how much a client prefers an item of a field such as Accept or Accept-Encoding (RFC 9110, section 12.4.2). Policies that negotiate
// import it.
package qvalue

import "strings"

// Of reads the weight among an item's parameters, in thousandths: 1000 when there is none, 0 when it is malformed.
func Of(params string) int {
	for params != "" {
		var one string
		one, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(strings.Trim(one, " \t"), "=")
		if strings.EqualFold(name, "q") {
			return thousandths(value)
		}
	}
	return 1000
}

// thousandths reads a qvalue (RFC 9110, section 12.4.2): "0", "0.5", "1.000".
func thousandths(s string) int {
	if s == "" || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0
	}
	n, unit := int(s[0]-'0')*1000, 100
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n += int(s[i]-'0') * unit
		unit /= 10
	}
	if n > 1000 {
		return 0
	}
	return n
}
