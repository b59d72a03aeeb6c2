package listen

import (
	"net/http"
	"strings"
)

// StripHopByHop removes the fields of a request or response that are for one connection alone (RFC 9110, section 7.6.1): those
// that Connection names, and those that always are. "TE: trailers" stays, for HTTP/2 and gRPC ask for trailers with it. Who goes on
// with an upgrade puts Connection and Upgrade back. Where there is nothing to strip, nothing is allocated.
func StripHopByHop(h http.Header) {
	te := h["Te"]
	stripNamed(h)
	for name := range h {
		if hopByHop(name) {
			delete(h, name)
		}
	}
	keepTrailers(h, te)
}

// hopByHop says whether a field is always for one connection alone.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Proxy-Authenticate", "Proxy-Authorization",
		"Http2-Settings":
		return true
	}
	return false
}

// keepTrailers puts back what asks for trailers in a TE field that was removed.
func keepTrailers(h http.Header, te []string) {
	if wantsTrailers(te) {
		te[0] = "trailers"
		h["Te"] = te[:1]
	}
}

// stripNamed removes the fields that Connection names.
func stripNamed(h http.Header) {
	for _, field := range h["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			name = strings.Trim(name, " \t")
			if name == "" || strings.EqualFold(name, "close") || strings.EqualFold(name, "keep-alive") || strings.EqualFold(name, "upgrade") {
				continue // the usual ones, which are removed in any case
			}
			h.Del(name)
		}
	}
}

// wantsTrailers says whether TE names trailers. A weight, as in "trailers;q=0.5", changes nothing.
func wantsTrailers(te []string) bool {
	for _, field := range te {
		for coding := range strings.SplitSeq(field, ",") {
			coding, _, _ = strings.Cut(coding, ";")
			if strings.EqualFold(strings.Trim(coding, " \t"), "trailers") {
				return true
			}
		}
	}
	return false
}
