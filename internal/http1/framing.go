package http1

import "net/http"

// Framing is how a body ends.
type Framing uint8

// The ways in which a body ends (RFC 9112, section 6.3).
const (
	NoBody     Framing = iota
	Fixed              // after a known number of bytes
	Chunked            // with its last chunk
	UntilClose         // with the connection; responses only
)

// RequestLength says how the body of a request ends (RFC 9112, section 6.3). Heads that leave a doubt have been refused before.
func RequestLength(h *Head) (Framing, int64) {
	switch {
	case h.Chunked:
		return Chunked, -1
	case h.Length > 0:
		return Fixed, h.Length
	}
	return NoBody, 0
}

// ResponseLength says how the body of a response to a request with a method ends (RFC 9112, section 6.3).
func ResponseLength(h *Head, method string) (Framing, int64, *ParseError) {
	switch {
	case h.Status < 200 || h.Status == http.StatusNoContent:
		if h.Chunked || h.Length > 0 {
			return NoBody, 0, fault("there is a length in a response that has no body")
		}
		return NoBody, 0, nil
	case method == http.MethodHead, h.Status == http.StatusNotModified, method == http.MethodConnect && h.Status < 300:
		return NoBody, 0, nil
	case h.Chunked:
		return Chunked, -1, nil
	case h.Length > 0:
		return Fixed, h.Length, nil
	case h.Length == 0:
		return NoBody, 0, nil
	}
	return UntilClose, -1, nil
}
