package listen

import (
	"net/http"
	"strconv"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/router"
)

// Edge is what a handler knows of the listener that a request came by. It is immutable.
type Edge struct {
	Name          string // as in logs and metrics
	Address       string // as configured
	TLS           bool
	Forward       *Forwarding
	Limits        config.ListenerLimits
	Paths         router.Options
	RedirectHTTPS uint16 // the port of https that plain requests are sent to; 0: they are served
}

// newEdge makes the edge of a listener.
func newEdge(c *config.Listener) *Edge {
	return &Edge{
		Name: c.Called(), Address: c.Address, TLS: c.Secure(), Forward: NewForwarding(c.Forwarded, c.TrustedProxies), Limits: c.Limits,
		Paths: router.Options{
			MergeSlashes: c.Paths.MergeSlashes, EncodedSlash: escapes(c.Paths.EncodedSlash),
			EncodedBackslash: escapes(c.Paths.EncodedBackslash), Semicolon: escapes(c.Paths.Semicolon),
		},
		RedirectHTTPS: uint16(c.RedirectHTTPS),
	}
}

func escapes(word string) router.Escape {
	switch word {
	case "decode":
		return router.Decode
	case "reject":
		return router.Reject
	}
	return router.Keep
}

// Redirect says whether a request must come by https instead, and to where it is sent for that. Scheme and host are those of
// Forwarding.Apply. The location is "" where the request names no host, or none that can be: there is nowhere to send it.
func (e *Edge) Redirect(r *http.Request, scheme, host string) (location string, redirect bool) {
	if e.RedirectHTTPS == 0 || scheme == "https" {
		return "", false
	}
	if !plausibleHost(host) {
		return "", true
	}
	target := r.URL.RequestURI()
	if target == "" || target[0] != '/' {
		target = "/"
	}
	if e.RedirectHTTPS != 443 {
		host += ":" + strconv.Itoa(int(e.RedirectHTTPS))
	}
	return "https://" + host + target, true
}

// HeaderSize is about how many bytes the head of a request had on the wire: request line and fields, as HTTP/1.1 writes them.
func HeaderSize(r *http.Request) int64 {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\nHost: \r\n\r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value) + len(": \r\n")
		}
	}
	return int64(n)
}
