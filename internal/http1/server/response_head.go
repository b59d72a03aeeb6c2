package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/internal/http1"
)

// decide finds out what is known of the body when the final status is set, and writes the head as far as that goes.
func (w *response) decide(h http.Header) {
	if b := w.call.body; b != nil {
		b.answer()
	}
	w.length = -1
	if values := h["Content-Length"]; len(values) > 0 {
		if n, ok := http1.Decimal(strings.TrimSpace(values[0])); ok && len(values) == 1 {
			w.length = n
		}
	}
	if w.call.head.Minor == 1 {
		w.announce(h["Trailer"])
	}
	b := appendStatus(w.out.take(), 1, w.status)
	b = appendFields(b, h)
	if _, ok := h["Date"]; !ok {
		b = w.call.conn.server.appendDate(b)
	}
	w.out.buf = w.appendConnection(b, h["Connection"])
	switch {
	case w.length >= 0:
		w.framing = http1.Fixed
		w.endHead()
	case !bodyAllowed(w.status):
		w.framing = http1.NoBody
		w.endHead()
	}
}

// appendFields appends the fields that are not the server's own to write.
func appendFields(b []byte, h http.Header) []byte {
	for name, values := range h {
		if framingField(name) || !http1.IsName(name) {
			continue
		}
		for _, value := range values {
			b = appendField(b, name, value)
		}
	}
	return b
}

// announce notes the trailer fields that a handler announces.
func (w *response) announce(lists []string) {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if http1.IsName(name) && http1.PassesInTrailer(name) && !slices.Contains(w.announced, name) {
				w.announced = append(w.announced, name)
			}
		}
	}
}

// appendConnection appends what the handler says of the connection. Whether it stays open is added by endHead.
func (w *response) appendConnection(b []byte, values []string) []byte {
	for _, value := range values {
		for option := range strings.SplitSeq(value, ",") {
			switch option = strings.TrimSpace(option); {
			case http1.EqualFold(option, "close"):
				w.close = true
			case http1.EqualFold(option, "keep-alive"):
			case http1.IsName(option):
				b = appendField(b, "Connection", option)
			}
		}
	}
	return b
}

// endHead writes the fields that depend on the body, and ends the head.
func (w *response) endHead() {
	b := w.out.take()
	switch {
	case w.framing == http1.Fixed && w.status >= 200 && w.status != http.StatusNoContent:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, w.length, 10), '\r', '\n')
	case w.framing == http1.Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		for _, name := range w.announced {
			b = appendField(b, "Trailer", name)
		}
	}
	if !w.close {
		w.close = w.call.conn.server.draining.Load()
	}
	if w.status == http.StatusSwitchingProtocols {
		w.close = true // what follows is not HTTP, and nobody has taken the connection over
	} else if w.close {
		b = append(b, closeLine...)
	} else if w.call.head.Minor == 0 {
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	w.headEnd, w.before = len(b), w.out.sent
	w.out.buf = append(b, '\r', '\n')
	w.began = true
}

// headWaits says whether none of the head was sent yet.
func (w *response) headWaits() bool { return !w.began || w.out.sent == w.before && w.out.err == nil }

// endsConnection ends the connection with this response, and has the head say so, which was not sent yet.
func (w *response) endsConnection() {
	if w.began && !w.close && w.call.head.Minor == 1 {
		w.out.insert(w.headEnd, closeLine)
	}
	w.close = true
}

var closeLine = []byte("Connection: close\r\n")

var statusOK = "HTTP/1.1 200 OK\r\n"

// appendStatus appends a status line.
func appendStatus(b []byte, minor, status int) []byte {
	if status == http.StatusOK && minor == 1 {
		return append(b, statusOK...)
	}
	b = append(b, "HTTP/1."...)
	b = strconv.AppendInt(b, int64(minor), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	return append(append(b, http.StatusText(status)...), '\r', '\n')
}
