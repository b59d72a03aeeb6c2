package redirect

import (
	"strings"

	"cardea.dev/cardea/filter"
)

// render appends pieces, each value encoded for its place.
func render(b []byte, pieces []piece, ex *filter.Exchange) ([]byte, error) {
	for i := range pieces {
		p := &pieces[i]
		if p.value == nil {
			b = append(b, p.text...)
			continue
		}
		s, _ := p.value(ex)
		var err error
		if b, err = appendValue(b, s, p); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendValue appends a value, encoded for its place. What the request line has there is encoded already.
func appendValue(b []byte, s string, p *piece) ([]byte, error) {
	switch {
	case p.name == "scheme":
		return append(b, s...), nil
	case p.name == "query":
		return appendRaw(b, s, "/?"), nil
	case p.name == "path" && p.place == inPath:
		if !strings.HasPrefix(s, "/") {
			b = append(b, '/')
		}
		return appendRaw(b, s, "/"), nil
	case p.name == "host" && p.place == inHost:
		return appendHost(b, s)
	case p.place == inHost:
		return appendLabels(b, s)
	case p.name == "path" || p.name != "host" && p.place == inPath:
		return appendEscaped(b, s, "/"), nil
	}
	return appendEscaped(b, s, ""), nil
}

// appendHost appends the host that was asked for.
func appendHost(b []byte, host string) ([]byte, error) {
	if host == "" || !fitsHost(host) {
		return nil, filter.Reject(filter.BadRequest, "The host of the request is missing or not well formed.")
	}
	if strings.Contains(host, ":") && host[0] != '[' {
		return append(append(append(b, '['), host...), ']'), nil
	}
	return append(b, host...), nil
}

// appendLabels appends a value as a part of a host's name.
func appendLabels(b []byte, s string) ([]byte, error) {
	if !isLabels(s) {
		return nil, filter.Reject(filter.BadRequest, "A part of the request cannot be used in an address.")
	}
	return append(b, s...), nil
}

// isLabels says whether a text may be a part of a host's name.
func isLabels(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '-' && c != '.' && !isAlphanumeric(c) {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[len(s)-1] != '.' && s[0] != '-' && !strings.Contains(s, "..")
}

// appendEscaped percent-encodes everything but unreserved characters and those in keep.
func appendEscaped(b []byte, s, keep string) []byte {
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) || strings.IndexByte(keep, c) >= 0 {
			b = append(b, c)
		} else {
			b = appendPercent(b, c)
		}
	}
	return b
}

// appendRaw appends what is encoded already, and encodes what should have been. Of the delimiters it keeps sub-delims, ":", "@", "%" and keep.
func appendRaw(b []byte, s, keep string) []byte {
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:@%", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b = append(b, c)
		} else {
			b = appendPercent(b, c)
		}
	}
	return b
}

func appendPercent(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isUnreserved(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
}
