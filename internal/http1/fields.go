package http1

import (
	"bytes"
	"net/http"
	"strings"
	"unsafe"
)

// span is where a field lies in the bytes of a head.
type span struct {
	name, nameEnd, value, valueEnd int32
	known                          string // the name, if it is a common one
}

// nameOf is the name of a field in text.
func (s *span) nameOf(text string) string {
	if s.known != "" {
		return s.known
	}
	return text[s.name:s.nameEnd]
}

// fault makes a ParseError of status 400.
func fault(reason string) *ParseError {
	return &ParseError{Status: http.StatusBadRequest, Reason: reason}
}

// scanFields finds the fields in b, which is lines that end in CRLF, the last one empty and all before it not. It checks them and
// brings their names into canonical form in place. Offsets are counted from base.
func scanFields(b []byte, base, limit int, spans []span) ([]span, *ParseError) {
	at := 0
	for at < len(b)-2 {
		line := b[at:]
		colon := 0
		for classes[line[colon]]&inToken != 0 { // ends at the latest at the CR of the last line
			colon++
		}
		if line[colon] != ':' || colon == 0 {
			return spans, nameFault(line, colon)
		}
		end := bytes.IndexByte(line, '\n') // there is one: b ends in it
		if line[end-1] != '\r' {
			return spans, fault("a line ends in a bare LF")
		}
		value := line[colon+1 : end-1]
		if !IsValue(value) {
			return spans, fault("a field's value has a control character")
		}
		if len(spans) >= limit {
			return spans, &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "too many fields"}
		}
		canonical(line[:colon])
		start := colon + 1
		for start < end-1 && (line[start] == ' ' || line[start] == '\t') {
			start++
		}
		stop := end - 1
		for stop > start && (line[stop-1] == ' ' || line[stop-1] == '\t') {
			stop--
		}
		o := int32(base + at)
		spans = append(spans, span{o, o + int32(colon), o + int32(start), o + int32(stop), common.find(line[:colon])})
		at += end + 1
	}
	return spans, nil
}

// nameFault says what is wrong with a name that ends at i.
func nameFault(line []byte, i int) *ParseError {
	switch c := line[i]; {
	case i == 0 && (c == ' ' || c == '\t'):
		return fault("a line begins with whitespace: folded lines are not read")
	case c == ' ' || c == '\t':
		return fault("there is whitespace in or after a field's name")
	case c == '\r' || c == '\n':
		return fault("a field has no colon")
	case i == 0 && c == ':':
		return fault("a field has no name")
	}
	return fault("a field's name has a character that no name has")
}

// build makes header of the spans, which lie in text. What interpret has taken out of it is left out.
func (h *Head) build(text string) {
	if h.Header == nil {
		h.Header = make(http.Header, max(len(h.spans), 8))
	}
	if cap(h.values) < len(h.spans) {
		h.values = make([]string, 0, max(len(h.spans), 16))
	}
	values := h.values[:0]
	for at := range h.spans {
		s := &h.spans[at]
		if s.nameEnd == s.name {
			continue
		}
		name := s.nameOf(text)
		values = append(values, text[s.value:s.valueEnd])
		i := len(values)
		h.Header[name] = values[i-1 : i : i]
		if len(h.Header) < i-h.repeated {
			h.repeated++
			h.Header[name] = h.all(text, name, at)
		}
	}
	h.values = values
}

// all returns the values of a name up to a span. That a name stands there twice is seldom, and is seen by the header not growing, so
// that nothing has to be looked up before.
func (h *Head) all(text, name string, last int) []string {
	var values []string
	for _, s := range h.spans[:last+1] {
		if text[s.name:s.nameEnd] == name {
			values = append(values, text[s.value:s.valueEnd])
		}
	}
	return values
}

// interpret reads the fields that say where the message ends, whom it is for and what becomes of the connection. It takes those
// out of the spans that do not belong into the header.
//
// Text is a copy of b. What is only looked at is read from b: its bytes are in the processor's cache, those of the copy not yet.
func (h *Head) interpret(b []byte, text string, request bool) *ParseError {
	view := unsafe.String(unsafe.SliceData(b), len(b)) // kept by nobody
	var hosts, lengths, codings int
	upgrades, announced := false, false
	for i := range h.spans {
		s := &h.spans[i]
		if s.known == "" { // what is looked for is common
			continue
		}
		value := view[s.value:s.valueEnd]
		switch s.known {
		case "Host":
			if request {
				hosts++
				h.Host = text[s.value:s.valueEnd]
				s.nameEnd = s.name
			}
		case "Content-Length":
			var ok bool
			if h.Length, ok = Decimal(value); !ok {
				return fault("Content-Length is not a number")
			}
			lengths++
		case "Transfer-Encoding":
			if h.Chunked = EqualFold(value, "chunked"); !h.Chunked {
				return codingFault(value)
			}
			codings++
			s.nameEnd = s.name
		case "Connection":
			h.connection(value)
		case "Upgrade":
			upgrades = true
		case "Expect":
			if h.Expects = EqualFold(value, "100-continue"); !h.Expects && request {
				return &ParseError{Status: http.StatusExpectationFailed, Reason: "Expect has an expectation that is not known"}
			}
		case "Trailer":
			announced = true
		}
	}
	h.upgrade = h.upgrade && upgrades
	h.Expects = h.Expects && h.Minor == 1
	switch {
	case lengths > 1:
		return fault("there are several Content-Length fields")
	case codings > 1:
		return fault("there are several Transfer-Encoding fields")
	case lengths+codings > 1:
		return fault("there are Content-Length and Transfer-Encoding")
	case h.Chunked && h.Minor == 0:
		return fault("there is a Transfer-Encoding in HTTP/1.0")
	case hosts > 1:
		return fault("there are several Host fields")
	case request && hosts == 0 && h.Minor == 1:
		return fault("there is no Host field")
	}
	if announced && h.Chunked {
		return h.announce(text)
	}
	return nil
}

// codingFault says what is wrong with a Transfer-Encoding that is not chunked (RFC 9112, section 6.1).
func codingFault(value string) *ParseError {
	for member := range strings.SplitSeq(value, ",") {
		name, _, _ := strings.Cut(member, ";")
		if !isToken([]byte(strings.Trim(name, " \t"))) {
			return fault("Transfer-Encoding is malformed")
		}
	}
	return &ParseError{Status: http.StatusNotImplemented, Reason: "Transfer-Encoding is not chunked alone"}
}

// connection reads the options of a Connection field (RFC 9110, section 7.6.1).
func (h *Head) connection(list string) {
	for len(list) > 0 {
		option := list
		if i := strings.IndexByte(list, ','); i >= 0 {
			option, list = list[:i], list[i+1:]
		} else {
			list = ""
		}
		switch option = strings.Trim(option, " \t"); {
		case EqualFold(option, "close"):
			h.close = true
		case EqualFold(option, "keep-alive"):
			h.keepAlive = true
		case EqualFold(option, "upgrade"):
			h.upgrade = true
		}
	}
}

// announce notes the trailer fields that are announced, as far as they may be sent there, and takes Trailer out of the header.
func (h *Head) announce(text string) *ParseError {
	for i := range h.spans {
		s := &h.spans[i]
		if text[s.name:s.nameEnd] != "Trailer" {
			continue
		}
		for name := range strings.SplitSeq(text[s.value:s.valueEnd], ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch rule := inTrailer(name); {
			case rule == trailerRefused:
				return fault("Trailer names a field that says where messages end or go")
			case rule == trailerDropped || !isToken([]byte(name)):
				continue
			}
			if h.Trailer == nil {
				h.Trailer = http.Header{}
			}
			h.Trailer[name] = nil
		}
		s.nameEnd = s.name
	}
	return nil
}
