package http1

import (
	"net/http"
	"net/url"
	"strings"
)

// checkTarget holds the target against the method and the Host field (RFC 9112, section 3.2). In absolute form the target's
// authority is the host.
func (h *Head) checkTarget() *ParseError {
	if !IsHost(h.Host) {
		return fault("Host is malformed")
	}
	switch {
	case h.Method == http.MethodConnect:
		if !isAuthority(h.Target) {
			return fault("the target of CONNECT is not a host and a port")
		}
		return h.agree(h.Target)
	case h.Target[0] == '/':
		return nil
	case h.Target == "*":
		if h.Method != http.MethodOptions {
			return fault("the target * is for OPTIONS alone")
		}
		return nil
	}
	_, authority, _ := cutAbsolute(h.Target)
	if authority == "" || !IsHost(authority) {
		return fault("the target is neither a path nor an address with http: or https:")
	}
	return h.agree(authority)
}

// agree makes the authority of the target the host. The two must not differ: servers behind might choose the other one.
func (h *Head) agree(authority string) *ParseError {
	if h.Host != "" && !strings.EqualFold(h.Host, authority) || h.Host == "" && h.Minor == 1 {
		return fault("the host in the target is not that of Host")
	}
	h.Host = authority
	return nil
}

// cutAbsolute cuts a target in absolute form into pieces. The authority is empty when it is in another form.
func cutAbsolute(target string) (scheme, authority, rest string) {
	scheme, rest, ok := strings.Cut(target, "://")
	switch {
	case ok && EqualFold(scheme, "http"):
		scheme = "http"
	case ok && EqualFold(scheme, "https"):
		scheme = "https"
	default:
		return "", "", ""
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return scheme, rest[:i], rest[i:]
	}
	return scheme, rest, ""
}

// isAuthority says whether s is a host and a port.
func isAuthority(s string) bool {
	return IsHost(s) && len(s) > 0 && isDigit(s[len(s)-1]) && strings.LastIndexByte(s, ':') > strings.LastIndexByte(s, ']')
}

// IsHost says whether s is a host, with or without a port, or empty. Lists and user names are not.
func IsHost(s string) bool {
	end := len(s)
	if strings.HasPrefix(s, "[") {
		i := strings.IndexByte(s, ']')
		if i < 0 || !onlyHost(s[1:i], ':') || strings.IndexByte(s[:i], ':') < 0 {
			return false // in brackets there are addresses of IPv6 alone
		}
		if i+1 == end {
			return true
		}
		return s[i+1] == ':' && isPort(s[i+2:])
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if i == 0 || !isPort(s[i+1:]) {
			return false
		}
		end = i
	}
	return onlyHost(s[:end], 0)
}

// onlyHost says whether s has only what a name or an address is made of (RFC 3986, section 3.2.2), and extra.
func onlyHost(s string, extra byte) bool {
	for i := range len(s) {
		c := s[i]
		if classes[c]&(isLower|isUpper) != 0 || isDigit(c) || c == extra && extra != 0 {
			continue
		}
		if strings.IndexByte("-._~%!$&'()*+;=", c) < 0 {
			return false
		}
	}
	return true
}

func isPort(s string) bool {
	if s == "" {
		return true
	}
	n, ok := Decimal(s)
	return ok && len(s) <= 5 && n <= 65535
}

// plainPath has the characters of a path that url.URL has in Path as they came, without RawPath.
var plainPath = makePlainPath()

func makePlainPath() (t [256]bool) {
	for c := range 256 {
		t[c] = classes[c]&(isLower|isUpper) != 0 || isDigit(byte(c)) || strings.IndexByte("-_.~$&+,/:;=@", byte(c)) >= 0
	}
	return t
}

// SetURL fills u with the target, as net/http does.
func (h *Head) SetURL(u *url.URL) *ParseError {
	*u = url.URL{}
	target := h.Target
	if h.Method == http.MethodConnect {
		u.Host = target
		return nil
	}
	if target[0] != '/' && target != "*" {
		return parseURL(u, target)
	}
	path, query, found := strings.Cut(target, "?")
	for i := range len(path) {
		if !plainPath[path[i]] && target != "*" {
			return parseURL(u, target)
		}
	}
	u.Path, u.RawQuery, u.ForceQuery = path, query, found && query == ""
	return nil
}

// parseURL fills u with a target that is out of the ordinary.
func parseURL(u *url.URL, target string) *ParseError {
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return fault("the target is malformed")
	}
	*u = *parsed
	return nil
}
