package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// ParseAddress takes apart an address to listen on: its network ("tcp", "unix", "systemd" or "fd") and what that network calls
// the place.
func ParseAddress(address string) (network, place string, err error) {
	scheme, rest, found := strings.Cut(address, ":")
	if found && slices.Contains([]string{"unix", "systemd", "fd"}, scheme) {
		return scheme, rest, validPlace(scheme, rest)
	}
	return "tcp", address, validHostPort(address)
}

// validPlace checks what follows "unix:", "systemd:" or "fd:".
func validPlace(scheme, place string) error {
	switch {
	case place == "":
		return errors.New(`"` + scheme + `:" needs a name after it`)
	case scheme == "fd":
		if n, err := strconv.Atoi(place); err != nil || n < 3 {
			return errors.New(`"fd:` + place + `" does not name a file by a number from 3 on`)
		}
	case scheme == "unix" && len(place) > 100:
		return errors.New("the name of a Unix socket has at most 100 bytes; this one has " + strconv.Itoa(len(place)))
	case scheme == "unix" && strings.ContainsRune(place, 0):
		return errors.New("the name of a Unix socket cannot have a zero byte")
	}
	return nil
}

// validHostPort checks a TCP address.
func validHostPort(address string) error {
	colon := strings.LastIndexByte(address, ':')
	switch {
	case address == "":
		return errors.New("the address is empty")
	case colon < 0 && isDigits(address):
		return errors.New(`"` + address + `" is a port alone; write ":` + address + `" for all addresses of the machine`)
	case strings.Contains(address, "/"):
		return errors.New(`"` + address + `" is not an address: it has a slash; a Unix socket is written "unix:/path"`)
	case colon < 0 || strings.HasSuffix(address, "]"):
		return errors.New(`"` + address + `" has no port`)
	}
	host, port := address[:colon], address[colon+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New(`"` + port + `" is not a port, which is a number from 0 to 65535`)
	}
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if !bracketed && strings.ContainsAny(host, ":[]") {
		return errors.New(`"` + address + `" is ambiguous: an IPv6 address stands in brackets, as in "[::1]:8080"`)
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == '*' }) {
		return errors.New(`"` + host + `" is not a host; leave it out for all addresses of the machine`)
	}
	return nil
}

// Validate checks what the parts alone do not tell.
func (l *Listener) Validate() error {
	network, place, err := ParseAddress(l.Address)
	if err != nil {
		return &FieldError{Path: "address", Err: err, Expected: `an address such as ":8080", "127.0.0.1:8080", "unix:/run/cardea.sock" or "systemd:NAME"`}
	}
	return errors.Join(l.validateProtocols(), l.validateSocket(network, place), l.validateTrust(network))
}

func (l *Listener) validateProtocols() error {
	var errs []error
	for i, p := range l.Protocols {
		switch path := "protocols[" + strconv.Itoa(i) + "]"; {
		case slices.Contains(l.Protocols[:i], p):
			errs = append(errs, FieldErrorf(path, "%q is named twice", p))
		case p == "http2" && !l.Secure():
			errs = append(errs, FieldErrorf(path, "http2 needs `tls`; without it HTTP/2 is h2c"))
		case p == "h2c" && l.Secure():
			errs = append(errs, FieldErrorf(path, "h2c is HTTP/2 without TLS; with `tls` it is http2"))
		}
	}
	if l.RedirectHTTPS != 0 && l.Secure() {
		errs = append(errs, FieldErrorf("redirect_https", "this listener speaks https already; the redirect belongs to a listener without `tls`"))
	}
	return errors.Join(errs...)
}

func (l *Listener) validateSocket(network, place string) error {
	var errs []error
	if _, err := l.FileMode(); err != nil {
		errs = append(errs, FieldErrorf("mode", "%w", err))
	}
	if l.Mode != "" && (network != "unix" || place[0] == '@') {
		errs = append(errs, FieldErrorf("mode", "only a Unix socket with a file has permissions"))
	}
	if l.ReusePort && network != "tcp" {
		errs = append(errs, FieldErrorf("reuse_port", "only an address with a port can be shared"))
	}
	return errors.Join(errs...)
}

// validateTrust checks that somebody can be trusted wherever something is believed.
func (l *Listener) validateTrust(network string) error {
	var errs []error
	if l.SendsProxyHeader() && len(l.ProxyHeaderFrom()) == 0 && network != "unix" {
		errs = append(errs, FieldErrorf("proxy_protocol", "it is not said who may send PROXY headers; name them in `trusted`, or in `trusted_proxies`"))
	}
	for i, p := range l.TrustedProxies {
		if p.Unix && network != "unix" && network != "systemd" && network != "fd" {
			errs = append(errs, FieldErrorf("trusted_proxies["+strconv.Itoa(i)+"]", "this listener is no Unix socket"))
		}
	}
	return errors.Join(errs...)
}

// FileMode is the permissions of a Unix socket's file.
func (l *Listener) FileMode() (uint32, error) {
	if l.Mode == "" {
		return 0o660, nil
	}
	mode, err := strconv.ParseUint(strings.TrimPrefix(l.Mode, "0o"), 8, 32)
	if err != nil || mode > 0o777 {
		return 0, errors.New(strconv.Quote(l.Mode) + ` are no permissions; write them in octal, as "0660"`)
	}
	return uint32(mode), nil
}

// Validate checks that there are certificates, and that version and policy agree.
func (t *ListenerTLS) Validate() error {
	var errs []error
	if t.Certificate == (Certificate{Cert: "acme"}) && t.ACME == nil { // the short form; a file of that name is "./acme"
		t.Certificate, t.ACME = Certificate{}, &ACME{}
	}
	switch {
	case t.Off:
		return nil
	case t.Cert != "" && len(t.Certificates) > 0:
		errs = append(errs, FieldErrorf("certificates", "use either `cert` and `key` or `certificates`, not both"))
	case t.Cert == "" && t.Key != "":
		errs = append(errs, FieldErrorf("key", "a key needs a `cert`"))
	case len(t.All()) == 0 && t.ACME == nil:
		errs = append(errs, FieldErrorf("", "a certificate is missing: write `cert` and `key`, `certificates`, or `acme`"))
	}
	for i, c := range t.Certificates {
		if c.Cert == "" {
			errs = append(errs, FieldErrorf("certificates["+strconv.Itoa(i)+"]", "a certificate needs a `cert`"))
		}
	}
	if t.MinVersion == "1.2" && t.Policy == "modern" {
		errs = append(errs, FieldErrorf("min_version", "the policy modern has TLS 1.3 alone; for 1.2 the policy is intermediate"))
	}
	return errors.Join(errs...)
}

// Validate checks that fields are named once.
func (f *Forwarded) Validate() error {
	var errs []error
	for i, name := range f.Headers {
		if slices.Contains(f.Headers[:i], name) {
			errs = append(errs, FieldErrorf("headers["+strconv.Itoa(i)+"]", "%q is named twice", name))
		}
	}
	return errors.Join(errs...)
}
