package csrf

import (
	"fmt"
	"net/netip"
	"strings"
)

// pattern is an origin that is trusted, or many: one whose host begins with a star.
type pattern struct {
	scheme string // with "://"
	suffix string // ".example.com" of "*.example.com"; "" for one host
	host   string // with the port, if it is not the scheme's own
}

// parseOrigin reads an origin as it is configured.
func parseOrigin(text string) (pattern, error) {
	scheme, host, ok := strings.Cut(strings.ToLower(text), "://")
	if !ok || scheme != "https" && scheme != "http" {
		return pattern{}, fmt.Errorf("%q is not an origin: write https://app.example.com, or https://*.example.com", text)
	}
	p := pattern{scheme: scheme + "://"}
	host = trimPort(p.scheme, host)
	p.host = host
	if below, found := strings.CutPrefix(host, "*."); found {
		p.suffix, host = "."+below, below
	}
	if !isHost(host) {
		return pattern{}, fmt.Errorf("%q is not an origin: it is a scheme, a host and perhaps a port, and nothing else", text)
	}
	return p, nil
}

// matches says whether an origin that a browser sent is meant.
func (p *pattern) matches(scheme, host string) bool {
	if scheme != p.scheme {
		return false
	}
	if p.suffix == "" {
		return host == p.host
	}
	below, found := strings.CutSuffix(host, p.suffix)
	return found && isHost(below) && !strings.ContainsAny(below, ":[")
}

// splitOrigin takes an origin apart as a browser sends it, or a URL of which the origin is wanted.
func splitOrigin(text string) (scheme, host string, ok bool) {
	i := strings.Index(text, "://")
	if i < 0 {
		return "", "", false // "null" among them
	}
	scheme, host = strings.ToLower(text[:i+3]), text[i+3:]
	return scheme, trimPort(scheme, strings.ToLower(host)), host != ""
}

// trimPort takes the scheme's own port from a host.
func trimPort(scheme, host string) string {
	switch scheme {
	case "https://":
		return strings.TrimSuffix(host, ":443")
	case "http://":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// isHost says whether a text is a host in lower case, with or without a port.
func isHost(s string) bool {
	if rest, found := strings.CutPrefix(s, "["); found {
		addr, port, found := strings.Cut(rest, "]")
		_, err := netip.ParseAddr(addr)
		return found && err == nil && (port == "" || strings.HasPrefix(port, ":") && isNumber(port[1:]))
	}
	name, port, found := strings.Cut(s, ":")
	if found && !isNumber(port) {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

// isNumber says whether a text is a port.
func isNumber(s string) bool {
	return s != "" && len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}
