package http1

import "net/http"

// requestLength says how the body of a request ends (RFC 9112, section 6.3). Heads that leave a doubt have been refused before.
func requestLength(h *head) (framing, int64) {
	switch {
	case h.chunked:
		return chunked, -1
	case h.length > 0:
		return fixed, h.length
	}
	return noBody, 0
}

// responseLength says how the body of a response to a request with a method ends (RFC 9112, section 6.3).
func responseLength(h *head, method string) (framing, int64, *ParseError) {
	switch {
	case h.status < 200 || h.status == http.StatusNoContent:
		if h.chunked || h.length > 0 {
			return noBody, 0, fault("there is a length in a response that has no body")
		}
		return noBody, 0, nil
	case method == http.MethodHead, h.status == http.StatusNotModified, method == http.MethodConnect && h.status < 300:
		return noBody, 0, nil
	case h.chunked:
		return chunked, -1, nil
	case h.length > 0:
		return fixed, h.length, nil
	case h.length == 0:
		return noBody, 0, nil
	}
	return untilClose, -1, nil
}
