package discover

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Spec is an endpoint as the user wrote it.
type Spec struct {
	Scheme string // "http", "https" or "h2c"
	Host   string // a name or an address without brackets; "" for a socket
	Port   int    // 0 for SRV, which brings its own, and for a socket
	SRV    bool   // Host is the name of SRV records
	Path   string // of a Unix socket
	Weight int    // as given
}

var defaultPorts = map[string]int{"http": 80, "https": 443, "h2c": 80} // never written

const forms = `http://host:port, https://host:port, h2c://host:port, dns+srv://name or unix:///path`

// ParseSpec reads the URL of an endpoint: http://host:port, https://host:port, h2c://host:port, unix:///path for a Unix socket,
// and dns+srv://name for SRV records of services that speak http (http+srv, https+srv and h2c+srv say it themselves). The port
// may be left out where the scheme has one. It refuses what an endpoint cannot have: a path, a query, a user.
func ParseSpec(text string, weight int) (Spec, error) {
	if weight < 0 {
		return Spec{}, fmt.Errorf("the weight %d is negative", weight)
	}
	if !strings.Contains(text, "://") {
		return Spec{}, noScheme(text)
	}
	u, err := url.Parse(text)
	if err != nil {
		return Spec{}, badURL(text, err)
	}
	if u.User != nil {
		return Spec{}, errors.New("an endpoint has no user and password in its URL; a policy adds credentials to requests")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return Spec{}, fmt.Errorf("%q has a query or fragment, which an endpoint cannot have", text)
	}
	s := Spec{Weight: weight}
	if u.Scheme == "unix" {
		return s.socket(text, u)
	}
	if u.Path != "" && u.Path != "/" {
		return Spec{}, fmt.Errorf("%q has the path %q, which an endpoint cannot have; rewrite the path in the route", text, u.Path)
	}
	s.Scheme, s.SRV = strings.CutSuffix(u.Scheme, "+srv")
	if s.SRV && s.Scheme == "dns" {
		s.Scheme = "http"
	}
	if defaultPorts[s.Scheme] == 0 {
		return Spec{}, fmt.Errorf("%q has the unknown scheme %q; expected %s", text, u.Scheme, forms)
	}
	return s.host(text, u)
}

func (s Spec) socket(text string, u *url.URL) (Spec, error) {
	if u.Host != "" || len(u.Path) < 2 {
		return Spec{}, fmt.Errorf("%q names no socket; expected three slashes and an absolute path: unix:///run/app.sock", text)
	}
	s.Scheme, s.Path = "http", u.Path
	return s, nil
}

func (s Spec) host(text string, u *url.URL) (Spec, error) {
	s.Host = u.Hostname()
	if s.Host == "" {
		return Spec{}, fmt.Errorf("%q has no host; expected %s", text, forms)
	}
	if _, err := netip.ParseAddr(s.Host); err != nil {
		if err := checkName(s.Host); err != nil {
			return Spec{}, fmt.Errorf("%q: %w", text, err)
		}
	} else if s.SRV {
		return Spec{}, fmt.Errorf("%q has an address, but SRV records need a name", text)
	}
	port := u.Port()
	switch {
	case s.SRV && port != "":
		return Spec{}, fmt.Errorf("%q has the port %s, but SRV records bring their own", text, port)
	case s.SRV:
		return s, nil
	case port == "":
		if strings.HasSuffix(u.Host, ":") {
			return Spec{}, fmt.Errorf("%q has a colon and no port after it", text)
		}
		s.Port = defaultPorts[s.Scheme]
		return s, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Spec{}, fmt.Errorf("%q has the port %s; expected 1 to 65535", text, port)
	}
	s.Port = int(n)
	return s, nil
}

// checkName holds a name to what DNS and host files have: letters, digits, hyphens and underscores between dots.
func checkName(name string) error {
	if len(name) > 253 {
		return errors.New("the host is longer than 253 bytes")
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("the host %q has a part that is empty or longer than 63 bytes", name)
		}
		for _, c := range label {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return fmt.Errorf("the host %q has the character %q; names in other scripts are written as xn--…", name, c)
			}
		}
	}
	if last := name[strings.LastIndexByte(strings.TrimSuffix(name, "."), '.')+1:]; strings.Trim(last, "0123456789.") == "" {
		return fmt.Errorf("the host %q is neither a name nor a valid address", name)
	}
	return nil
}

func noScheme(text string) error {
	if strings.ContainsAny(text, "@ ") || text == "" {
		return fmt.Errorf("an endpoint's URL is missing or has no scheme; expected %s", forms)
	}
	if strings.HasPrefix(text, "/") {
		return fmt.Errorf("%q has no scheme; for a Unix socket write unix://%s", text, text)
	}
	return fmt.Errorf("%q has no scheme; write http://%s, or https://%s for TLS", text, text, text)
}

// badURL leaves out the URL where it may hold a password.
func badURL(text string, err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	if strings.Contains(text, "@") {
		return errors.New("the endpoint's URL is not valid, and it has an @; an endpoint has no user and password in its URL")
	}
	return fmt.Errorf("%q is not a valid URL: %w", text, err)
}
