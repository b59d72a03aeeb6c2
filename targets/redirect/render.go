package redirect

import (
	"strings"

	"cardea.dev/cardea/filter"
)

// render appends pieces, each value encoded for its place.
func render(b []byte, pieces []piece, ex *filter.Exchange) ([]byte, error) {
	for i := range pieces {
		p := &pieces[i]
		var err error
		switch {
		case p.name == "":
			b = append(b, p.text...)
		case p.value != nil:
			s, _ := p.value(ex)
			b, err = appendValue(b, s, p)
		default:
			b, err = appendRequest(b, p, ex)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendRequest appends a part of the request line.
func appendRequest(b []byte, p *piece, ex *filter.Exchange) ([]byte, error) {
	o := &ex.Original
	switch p.name {
	case "path":
		if p.place != inPath {
			return appendEscaped(b, o.Path, "/"), nil
		}
		if !strings.HasPrefix(o.Path, "/") {
			b = append(b, '/')
		}
		return appendRaw(b, o.Path, "/"), nil
	case "query":
		return appendRaw(b, o.Query, "/?"), nil
	case "scheme":
		return append(b, o.Scheme...), nil
	}
	if p.place != inHost {
		return appendEscaped(b, o.Host, ""), nil
	}
	return appendHost(b, o.Host)
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

// appendValue appends a value, encoded for its place.
func appendValue(b []byte, s string, p *piece) ([]byte, error) {
	switch p.place {
	case inHost:
		if !isLabels(s) {
			return nil, filter.Reject(filter.BadRequest, "A part of the request cannot be used in an address.")
		}
		return append(b, s...), nil
	case inPath:
		return appendEscaped(b, s, "/"), nil
	}
	return appendEscaped(b, s, ""), nil
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
