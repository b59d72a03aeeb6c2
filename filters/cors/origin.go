package cors

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// index is the path of an item of a list.
func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// pattern is an origin of the configuration.
type pattern struct {
	exact   string // the origin, as browsers write it; "" where there is a wildcard
	any     bool   // every origin
	scheme  string // with "://"
	host    string // without "*"
	below   bool   // the hosts below host: one or more labels before it; host begins with a dot
	port    string // with ":"
	anyPort bool   // or none
}

// parseOrigin reads an origin of the configuration.
func parseOrigin(text string) (pattern, error) {
	switch text {
	case "*":
		return pattern{any: true}, nil
	case "null":
		return pattern{exact: "null"}, nil
	case "":
		return pattern{}, fmt.Errorf("the origin is empty")
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return pattern{}, fmt.Errorf("%q has no scheme: write https://%s", text, text)
	}
	p := pattern{scheme: strings.ToLower(scheme) + "://"}
	if !isScheme(scheme) {
		return pattern{}, fmt.Errorf("%q has a scheme that cannot be one", text)
	}
	if i := strings.IndexAny(rest, "/?#@"); i >= 0 {
		return pattern{}, fmt.Errorf("%q is more than an origin, which is a scheme, a host and a port, as in https://app.example.com", text)
	}
	rest, p.anyPort = strings.CutSuffix(strings.ToLower(rest), ":*")
	rest, p.below = strings.CutPrefix(rest, "*")
	p.host, p.port = splitPort(rest)
	if p.port != "" && p.anyPort || !isPort(p.port) {
		return pattern{}, fmt.Errorf("%q has a port that cannot be one", text)
	}
	if p.port == defaultPort(p.scheme) { // browsers leave it out
		p.port = ""
	}
	if err := p.checkHost(text); err != nil {
		return pattern{}, err
	}
	if !p.below && !p.anyPort {
		p.exact = p.scheme + p.host + p.port
	}
	return p, nil
}

// checkHost says what is wrong with the host of a pattern.
func (p *pattern) checkHost(text string) error {
	name := p.host
	if p.below {
		name = strings.TrimPrefix(name, ".")
	}
	switch {
	case p.below && (name == "" || name == p.host):
		return fmt.Errorf("%q has a `*` that stands for more than the first labels of a host, as in https://*.example.com", text)
	case strings.Contains(name, "*"):
		return fmt.Errorf("%q has a `*` where none can be: it stands for the first labels of a host, or for the port", text)
	case !isHost(name) || p.below && strings.HasPrefix(name, "["):
		return fmt.Errorf("%q has a host that cannot be one; names in other scripts are written in Punycode (xn--…)", text)
	}
	return nil
}

// matches says whether an origin that a client sent fits a pattern with a wildcard. What browsers send is in lower case.
func (p *pattern) matches(origin string) bool {
	rest, found := strings.CutPrefix(origin, p.scheme)
	if !found {
		return false
	}
	host, port := splitPort(rest)
	if p.anyPort && !isPort(port) || !p.anyPort && port != p.port {
		return false
	}
	if !p.below {
		return host == p.host
	}
	first, found := strings.CutSuffix(host, p.host)
	return found && isHost(first) && first[0] != '['
}

// splitPort splits a port off, with its colon. What is no port stays with the host, which then is none.
func splitPort(s string) (host, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, ""
	}
	return s[:i], s[i:]
}

// isPort says whether a text is a port with its colon, as browsers write it, or empty.
func isPort(s string) bool {
	if s == "" {
		return true
	}
	n, err := strconv.ParseUint(s[1:], 10, 16)
	return err == nil && ":"+strconv.FormatUint(n, 10) == s
}

// defaultPort is the port that a scheme has when none is said, with its colon.
func defaultPort(scheme string) string {
	switch scheme {
	case "https://", "wss://":
		return ":443"
	case "http://", "ws://":
		return ":80"
	}
	return ""
}

// isScheme says whether a text is a scheme (RFC 3986, section 3.1).
func isScheme(s string) bool {
	u, err := url.Parse(s + "://x")
	return err == nil && strings.EqualFold(u.Scheme, s) && s != ""
}

// isHost says whether a text is a host as browsers write it in an origin: labels in lower case, or an IPv6 address in
// brackets.
func isHost(s string) bool {
	if inner, found := strings.CutPrefix(s, "["); found {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && "["+addr.String()+"]" == s
	}
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
	}
	return label > 0
}
