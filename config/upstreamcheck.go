package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Default sets the defaults of the upstream and of its parts.
func (u *Upstream) Default() {
	u.Protocol, u.Host = "auto", "keep"
	u.Balance.Default()
	u.Eject.Default()
	u.Retry.Default()
	u.Timeout.Default()
	u.Limits.Default()
	u.TLS.Default()
	u.DNS.Default()
}

// Default sets 1 for Weight.
func (e *Endpoint) Default() { e.Weight = 1 }

// Default sets the defaults.
func (b *Balance) Default() {
	b.By, b.Key, b.Bound, b.Decay = "round_robin", "address", 1.25, seconds(10)
}

// Default sets the defaults that do not depend on Kind.
func (h *HealthCheck) Default() {
	h.Method = "GET"
	h.Status = []StatusRange{{200, 399}}
	h.Interval, h.Timeout, h.Healthy, h.Unhealthy = seconds(5), seconds(1), 2, 3
}

// Default sets the defaults.
func (e *Ejection) Default() {
	e.Consecutive, e.ErrorRate, e.MinRequests = 5, 0.5, 20
	e.Interval, e.For, e.MaxFor, e.Max = seconds(10), seconds(30), seconds(300), 0.5
	e.Status = []StatusRange{{502, 504}}
}

// Default sets the defaults.
func (r *Retry) Default() {
	r.Times, r.MaxBody = 2, 64<<10
	r.Backoff, r.MaxBackoff = Duration(25*time.Millisecond), Duration(250*time.Millisecond)
	r.On = []RetryOn{{Failure: OnConnectFailure}, {Failure: OnReset}, {Failure: OnTimeout}, {Status: StatusRange{502, 504}}}
	r.Methods = []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}
	r.Budget.Default()
}

// Default sets the defaults.
func (b *RetryBudget) Default() { b.Share, b.Min = 0.2, Rate{Count: 10, Per: time.Second} }

// Default sets the defaults.
func (t *UpstreamTimeout) Default() {
	t.Propagate = true
	t.Connect, t.FirstByte, t.Idle, t.KeepAlive = seconds(5), seconds(60), seconds(300), seconds(60)
}

// Default sets the defaults.
func (l *UpstreamLimits) Default() {
	l.IdleConnections, l.PendingWait, l.Header = 256, seconds(1), 64<<10
}

// Default sets the default that does not depend on another setting.
func (a *AdaptiveLimit) Default() { a.Start = 20 }

// Default sets the defaults.
func (h *Hedge) Default() {
	h.After, h.AtLeast, h.Max = HedgeAfter{Percentile: 95}, Duration(5*time.Millisecond), 0.05
	h.Methods = []string{"GET", "HEAD"}
}

// Default sets the defaults.
func (b *Breaker) Default() {
	b.ErrorRate, b.MinRequests, b.Window, b.OpenFor, b.Probes = 0.5, 20, seconds(10), seconds(5), 3
	b.Status = []StatusRange{{500, 599}}
}

// Default sets "1.2" for MinVersion.
func (t *UpstreamTLS) Default() { t.MinVersion = "1.2" }

// Default sets the defaults.
func (d *UpstreamDNS) Default() { d.MinTTL, d.MaxTTL = seconds(1), seconds(300) }

// seconds makes a Duration.
func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }

// Validate checks what concerns several parts.
func (u *Upstream) Validate() error {
	var errs []error
	if len(u.Endpoints) == 0 {
		errs = append(errs, FieldErrorf("endpoints", "an upstream needs at least one endpoint"))
	}
	seen := map[string]int{}
	for i, e := range u.Endpoints {
		if first, ok := seen[e.URL]; ok {
			errs = append(errs, FieldErrorf(fmt.Sprintf("endpoints[%d].url", i), "%q is endpoint %d already; give it a weight instead", e.URL, first+1))
			continue
		}
		seen[e.URL] = i
		errs = append(errs, u.agreesWith(i, e))
	}
	if u.Host != "keep" && u.Host != "rewrite" && !validHost(u.Host) {
		errs = append(errs, FieldErrorf("host", "%q is neither keep nor rewrite nor the name of a host", u.Host))
	}
	return errors.Join(errs...)
}

// agreesWith checks an endpoint against the upstream's protocol, and against the first endpoint.
func (u *Upstream) agreesWith(i int, e Endpoint) error {
	path := fmt.Sprintf("endpoints[%d].url", i)
	secure, plainH2 := strings.HasPrefix(e.URL, "https"), strings.HasPrefix(e.URL, "h2c")
	switch {
	case u.Protocol == "h2c" && secure:
		return FieldErrorf(path, "%q is over TLS and h2c is not; use the protocol http2 or auto", e.URL)
	case u.Protocol == "http2" && !secure:
		return FieldErrorf(path, "%q is not over TLS, and http2 needs that; use the protocol h2c", e.URL)
	case u.Protocol == "http1" && plainH2:
		return FieldErrorf(path, "%q is HTTP/2, which the protocol http1 is not", e.URL)
	case u.Protocol != "h2c" && plainH2 != strings.HasPrefix(u.Endpoints[0].URL, "h2c"):
		return FieldErrorf(path, "%q speaks another protocol than %q; all endpoints of an upstream speak the same", e.URL, u.Endpoints[0].URL)
	}
	return nil
}

// Validate checks the URL.
func (e *Endpoint) Validate() error {
	if !strings.Contains(e.URL, "://") {
		return noScheme(e.URL)
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return FieldErrorf("url", "the URL cannot be read: it is not well formed")
	}
	if u.User != nil {
		return FieldErrorf("url", "the URL of an endpoint holds no user or password; send credentials as a header")
	}
	switch u.Scheme {
	case "http", "https", "h2c":
		return validWebEndpoint(u, e.URL)
	case "dns+srv", "http+srv", "https+srv", "h2c+srv":
		return validSRV(u, e.URL)
	case "unix":
		return validSocket(u, e.URL)
	}
	return FieldErrorf("url", "%q is no URL of an endpoint: it begins with http://, https://, h2c://, dns+srv:// or unix://", e.URL)
}

// noScheme is the error for what is no URL, such as a host and port alone.
func noScheme(text string) error {
	e := &FieldError{Path: "url", Err: fmt.Errorf("%q is no URL: it begins with http://, https://, h2c://, dns+srv:// or unix://", text)}
	if validHost(text) {
		e.Hint = fmt.Sprintf("did you mean %q?", "http://"+text)
	}
	return e
}

// validWebEndpoint checks an endpoint that is a host.
func validWebEndpoint(u *url.URL, text string) error {
	if err := bare(u, text); err != nil {
		return err
	}
	if !validHost(u.Host) {
		return FieldErrorf("url", "%q has no usable host", text)
	}
	return nil
}

// validSRV checks an endpoint that is looked up by SRV.
func validSRV(u *url.URL, text string) error {
	if err := bare(u, text); err != nil {
		return err
	}
	if u.Port() != "" {
		return FieldErrorf("url", "%q names a port; SRV says the ports itself", text)
	}
	if !validHost(u.Host) {
		return FieldErrorf("url", "%q has no name to look up", text)
	}
	return nil
}

// validSocket checks an endpoint that is a Unix socket.
func validSocket(u *url.URL, text string) error {
	if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/" || u.RawQuery != "" || u.Fragment != "" {
		return FieldErrorf("url", `%q is no Unix socket: write its whole path, as in "unix:///run/orders.sock"`, text)
	}
	return nil
}

// bare checks that a URL is nothing but scheme, host and port.
func bare(u *url.URL, text string) error {
	switch {
	case u.Path != "" && u.Path != "/":
		return FieldErrorf("url", "%q has a path; an endpoint is an address only, and the route changes paths", text)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return FieldErrorf("url", "%q has a query or a fragment; an endpoint is an address only", text)
	case u.Opaque != "" || u.Host == "":
		return FieldErrorf("url", "%q has no host", text)
	}
	return nil
}

// validHost reports whether a text is a name or an address, with a port or without one.
func validHost(text string) bool {
	host, port := text, ""
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && len(host) <= 253 && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == ""
}

// Validate checks the bound and the key.
func (b *Balance) Validate() error {
	if b.Bound != 0 && b.Bound < 1 {
		return FieldErrorf("bound", "%v is less than an endpoint's share; it must be at least 1, or 0 for no bound", b.Bound)
	}
	if b.Key == "" {
		return FieldErrorf("key", "the key is empty; leave it out for the client's address")
	}
	return nil
}

// Validate sets what depends on Kind, and checks the fields against it.
func (h *HealthCheck) Validate() error {
	if h.Off {
		return nil
	}
	var errs []error
	switch {
	case h.Kind == "" && h.Path == "":
		h.Kind = "tcp"
	case h.Kind == "":
		h.Kind = "http"
	}
	if h.Kind == "http" && h.Path == "" {
		h.Path = "/"
	}
	if h.Kind != "http" && (h.Path != "" || h.Body != "" || len(h.Headers) > 0) {
		errs = append(errs, FieldErrorf("kind", "a check by %s has no path, body or headers; they belong to http", h.Kind))
	}
	if h.Kind == "http" && !strings.HasPrefix(h.Path, "/") {
		errs = append(errs, FieldErrorf("path", "%q does not begin with a slash", h.Path))
	}
	if h.Service != "" && h.Kind != "grpc" {
		errs = append(errs, FieldErrorf("service", "only a check by grpc asks for a service"))
	}
	if h.Host != "" && !validHost(h.Host) {
		errs = append(errs, FieldErrorf("host", "%q is no name of a host", h.Host))
	}
	for name := range h.Headers {
		if !validToken(name) {
			errs = append(errs, FieldErrorf("headers", "%q is no name of a header field", name))
		}
	}
	return errors.Join(errs...)
}

// Validate checks the times against each other.
func (e *Ejection) Validate() error {
	if e.MaxFor != 0 && e.For > e.MaxFor {
		return FieldErrorf("for", "%s is longer than max_for, which is %s", e.For, e.MaxFor)
	}
	return nil
}

// Validate checks the methods and the times.
func (r *Retry) Validate() error {
	var errs []error
	for i, m := range r.Methods {
		if !validToken(m) || m != strings.ToUpper(m) {
			errs = append(errs, FieldErrorf(fmt.Sprintf("methods[%d]", i), "%q is no method; methods are written in capitals", m))
		}
	}
	if r.MaxBackoff != 0 && r.Backoff > r.MaxBackoff {
		errs = append(errs, FieldErrorf("backoff", "%s is longer than max_backoff, which is %s", r.Backoff, r.MaxBackoff))
	}
	if r.MaxBody > 64<<20 {
		errs = append(errs, FieldErrorf("max_body", "%s is too much to keep for each request; at most 64MiB are", r.MaxBody))
	}
	return errors.Join(errs...)
}

// Validate checks the times against each other.
func (t *UpstreamTimeout) Validate() error {
	if t.Request != 0 && t.Try > t.Request {
		return FieldErrorf("try", "one try may take %s, and the whole request only %s", t.Try, t.Request)
	}
	return nil
}

// Validate checks that what waits has something to wait for.
func (l *UpstreamLimits) Validate() error {
	adaptive := l.Adaptive != nil && !l.Adaptive.Off
	if l.Pending > 0 && l.Requests == 0 && !adaptive {
		return FieldErrorf("pending", "requests wait only where there is a limit; set `requests` or `adaptive`, too")
	}
	if most := l.Requests; adaptive && most > 0 && l.Adaptive.Min > most {
		return FieldErrorf("adaptive", "the least, %d, is more than `requests`, which is the most: %d", l.Adaptive.Min, most)
	}
	return nil
}

// Validate checks the methods and the share.
func (h *Hedge) Validate() error {
	var errs []error
	for i, m := range h.Methods {
		if !validToken(m) || m != strings.ToUpper(m) {
			errs = append(errs, FieldErrorf(fmt.Sprintf("methods[%d]", i), "%q is no method; methods are written in capitals", m))
		}
	}
	if !h.Off && len(h.Methods) == 0 {
		errs = append(errs, FieldErrorf("methods", "without a method nothing is sent twice; write `hedge: off`"))
	}
	if !h.Off && h.Max == 0 {
		errs = append(errs, FieldErrorf("max", "with a share of 0 nothing is sent twice; write `hedge: off`"))
	}
	return errors.Join(errs...)
}

// Validate checks the error rate.
func (b *Breaker) Validate() error {
	if b.ErrorRate == 0 && !b.Off {
		return FieldErrorf("error_rate", "with a share of 0 the breaker would open without a failure; write `breaker: off`")
	}
	return nil
}

// Validate checks that certificate and key come together.
func (t *UpstreamTLS) Validate() error {
	switch {
	case t.Cert != "" && t.Key == "":
		return FieldErrorf("key", "a certificate needs its key")
	case t.Key != "" && t.Cert == "":
		return FieldErrorf("cert", "a key needs its certificate")
	}
	return nil
}

// Validate checks the name servers and the times.
func (d *UpstreamDNS) Validate() error {
	var errs []error
	for i, s := range d.Servers {
		if _, err := netip.ParseAddr(s); err == nil {
			continue
		}
		if _, err := netip.ParseAddrPort(s); err != nil {
			errs = append(errs, FieldErrorf(fmt.Sprintf("servers[%d]", i), `%q is no address of a name server, such as "10.0.0.53" or "10.0.0.53:5353"`, s))
		}
	}
	if d.MaxTTL != 0 && d.MinTTL > d.MaxTTL {
		errs = append(errs, FieldErrorf("min_ttl", "%s is longer than max_ttl, which is %s", d.MinTTL, d.MaxTTL))
	}
	return errors.Join(errs...)
}

// validToken reports whether a text may be a method or the name of a header field (RFC 9110, section 5.6.2).
func validToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isToken(r) })
}
