package http1

import (
	"bytes"
	"io"
	"net/http"
)

// ParseError says why a message is refused. After it the connection is good for nothing: nobody knows where the message ends.
type ParseError struct {
	Status int    // what a server answers: 400, 408, 413, 414, 417, 431, 501, 505
	Reason string // plain words, without bytes of the message that could harm a log
}

// Error says why.
func (e *ParseError) Error() string { return "cannot read the message: " + e.Reason }

// Limits bound what a peer may send. Zero fields take defaults (see OrDefaults).
type Limits struct {
	Head    int // bytes of a head, start line and all
	Target  int // bytes of a request target
	Fields  int // fields of a head, and of a trailer section
	Line    int // bytes of a chunk-size line with its extensions
	Trailer int // bytes of a trailer section
}

// OrDefaults fills in what is zero.
func (l Limits) OrDefaults() Limits {
	set := func(p *int, d int) {
		if *p <= 0 {
			*p = d
		}
	}
	set(&l.Head, 64<<10)
	set(&l.Target, l.Head)
	set(&l.Fields, 256)
	set(&l.Line, 1<<10)
	set(&l.Trailer, 16<<10)
	return l
}

// Head is the parsed head of a message. All its strings are pieces of one. It is reused: every parse resets it, and its
// Header is another's then. The strings stay as they are.
type Head struct {
	Method string // of requests
	Target string // of requests, as it came
	Host   string // of requests: the value of Host, or ""; not in Header

	Status int    // of responses
	Reason string // of responses; may be ""

	Minor int // of HTTP/1.x: 0 or 1

	Header  http.Header // canonical names; without Host, Transfer-Encoding and, in chunked messages, Trailer
	Trailer http.Header // announced in chunked messages: names without values; nil: none

	Length    int64 // Content-Length, or -1
	Chunked   bool  // Transfer-Encoding: chunked
	close     bool  // Connection: close
	keepAlive bool  // Connection: keep-alive
	upgrade   bool  // Connection: upgrade, and there is an Upgrade field
	Expects   bool  // Expect: 100-continue

	values   []string // what header's values are slices of
	spans    []span   // where fields lie in the bytes, while parsing
	repeated int      // how many fields have a name that stood there before
}

// Persistent says whether the connection may be used after this message, as far as its head says (RFC 9112, section 9.3).
func (h *Head) Persistent() bool {
	if h.close {
		return false
	}
	return h.Minor == 1 || h.keepAlive
}

// ReadRequestHead reads the head of a request. It returns io.EOF when the connection ends before its first byte,
// io.ErrUnexpectedEOF when it ends within it, a *ParseError, or the connection's error.
func (r *Reader) ReadRequestHead(h *Head, l *Limits) error {
	b, err := r.readHead(l, true)
	if err != nil {
		return err
	}
	bad := parseRequestHead(h, b, l)
	r.Discard(len(b))
	if bad != nil {
		return bad
	}
	return nil
}

// ReadResponseHead reads the head of a response, interim ones too. Errors are as in ReadRequestHead; Status of a *ParseError has no
// meaning then.
func (r *Reader) ReadResponseHead(h *Head, l *Limits) error {
	b, err := r.readHead(l, false)
	if err != nil {
		return err
	}
	bad := parseResponseHead(h, b, l)
	r.Discard(len(b))
	if bad != nil {
		return bad
	}
	return nil
}

var headEnd = []byte("\r\n\r\n")

// readHead waits for a whole head and returns its bytes, which stay in the buffer.
func (r *Reader) readHead(l *Limits, request bool) ([]byte, error) {
	seen := 0
	for {
		b := r.Peek()
		if i := bytes.Index(b[max(0, seen-3):], headEnd); i >= 0 {
			if n := i + max(0, seen-3) + len(headEnd); n <= l.Head {
				return b[:n], nil
			}
			return nil, tooLarge(b, request)
		}
		if bad := hopeless(b, seen, request); bad != nil {
			return nil, bad
		}
		seen = len(b)
		err := r.Fill(l.Head)
		switch {
		case err == errFull:
			return nil, tooLarge(b, request)
		case err == io.EOF && seen > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
}

// hopeless says what is wrong already with a head that is not complete, so that nobody waits for the rest of what can never be
// right. Bytes before seen were looked at before.
func hopeless(b []byte, seen int, request bool) *ParseError {
	for i := seen; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n' && (i == 0 || b[i-1] != '\r'):
			return fault("a line ends in a bare LF")
		case c == 0:
			return fault("the head has a NUL")
		case i > 0 && b[i-1] == '\r' && c != '\n':
			return fault("the head has a bare CR")
		}
	}
	if request && seen == 0 && len(b) > 0 && classes[b[0]]&inToken == 0 {
		return fault("the request does not begin with a method")
	}
	return nil
}

// tooLarge says which part of a head is too large.
func tooLarge(b []byte, request bool) *ParseError {
	if request && bytes.IndexByte(b, '\n') < 0 {
		return &ParseError{Status: http.StatusRequestURITooLong, Reason: "the request line is too long"}
	}
	return &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the head is too large"}
}

// Reset makes the head empty. Maps and slices are used again.
func (h *Head) Reset() {
	clear(h.Header)
	clear(h.values)
	*h = Head{Header: h.Header, values: h.values[:0], spans: h.spans[:0], Length: -1}
}

// GiveHeader returns the header, for good: the next parse makes another one. It is empty rather than nil.
func (h *Head) GiveHeader() http.Header {
	header := h.Header
	if header == nil {
		header = http.Header{}
	}
	h.Header, h.values = nil, nil
	return header
}

// maxKept is the number of fields up to which the room for them is kept by recycle.
const maxKept = 64

// Recycle makes the head empty for another use by somebody else. Room for very many fields is not kept.
func (h *Head) Recycle() {
	if len(h.Header) > maxKept || cap(h.spans) > maxKept {
		h.Header, h.values, h.spans = nil, nil, nil
	}
	h.Reset()
}

// parseRequestHead parses b, which is a head with the empty line at its end, and changes it: names become canonical.
func parseRequestHead(h *Head, b []byte, l *Limits) *ParseError {
	h.Reset()
	start := bytes.IndexByte(b, '\n') + 1
	method, target, bad := h.requestLine(b[:start], l)
	if bad != nil {
		return bad
	}
	if h.spans, bad = scanFields(b[start:], start, l.Fields, h.spans); bad != nil {
		return bad
	}
	text := string(b)
	if h.Method = common.find(b[:method]); h.Method == "" {
		h.Method = text[:method]
	}
	h.Target = text[method+1 : method+1+target]
	if bad := h.interpret(b, text, true); bad != nil {
		return bad
	}
	h.build(text)
	return h.checkTarget()
}

// parseResponseHead parses b, which is a head with the empty line at its end, and changes it: names become canonical.
func parseResponseHead(h *Head, b []byte, l *Limits) *ParseError {
	h.Reset()
	start := bytes.IndexByte(b, '\n') + 1
	bad := h.statusLine(b[:start])
	if bad != nil {
		return bad
	}
	if h.spans, bad = scanFields(b[start:], start, l.Fields, h.spans); bad != nil {
		return bad
	}
	text := string(b)
	if start > len("HTTP/1.1 200 \r\n") {
		h.Reason = text[len("HTTP/1.1 200 ") : start-2]
	}
	if bad := h.interpret(b, text, false); bad != nil {
		return bad
	}
	h.build(text)
	return nil
}

// requestLine parses the request line, CRLF included. It returns the lengths of method and target, which one space parts.
func (h *Head) requestLine(line []byte, l *Limits) (method, target int, bad *ParseError) {
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return 0, 0, fault("a line ends in a bare LF")
	}
	line = line[:len(line)-2]
	method = bytes.IndexByte(line, ' ')
	if method < 0 || !isToken(line[:method]) {
		return 0, 0, fault("the request does not begin with a method")
	}
	rest := line[method+1:]
	target = bytes.IndexByte(rest, ' ')
	if target < 0 {
		return 0, 0, &ParseError{Status: http.StatusHTTPVersionNotSupported, Reason: "the request line has no version: HTTP/0.9 is not spoken"}
	}
	if target == 0 {
		return 0, 0, fault("the request has no target")
	}
	if target > l.Target {
		return 0, 0, &ParseError{Status: http.StatusRequestURITooLong, Reason: "the target is too long"}
	}
	for _, c := range rest[:target] {
		if classes[c]&inTarget == 0 {
			return 0, 0, fault("the target has a character that no target has")
		}
	}
	h.Minor, bad = httpVersion(rest[target+1:])
	return method, target, bad
}

// statusLine parses the status line, CRLF included. The space before an empty reason may be missing: many leave it out.
func (h *Head) statusLine(line []byte) (bad *ParseError) {
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return fault("a line ends in a bare LF")
	}
	line = line[:len(line)-2]
	const version, status = len("HTTP/1.1"), len("HTTP/1.1 200")
	if len(line) < status || line[version] != ' ' || len(line) > status && line[status] != ' ' {
		return fault("the status line is malformed")
	}
	if h.Minor, bad = httpVersion(line[:version]); bad != nil {
		return bad
	}
	code, ok := Decimal(string(line[version+1 : status]))
	if !ok || code < 100 {
		return fault("the status is no number from 100 to 999")
	}
	if !IsValue(line[status:]) {
		return fault("the reason has a control character")
	}
	h.Status = int(code)
	return nil
}

// httpVersion reads "HTTP/1.0" and "HTTP/1.1", and no other.
func httpVersion(v []byte) (minor int, bad *ParseError) {
	switch string(v) {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	if len(v) == 8 && string(v[:5]) == "HTTP/" && v[6] == '.' && isDigit(v[5]) && isDigit(v[7]) {
		return 0, &ParseError{Status: http.StatusHTTPVersionNotSupported, Reason: "the version is not supported"}
	}
	return 0, fault("the version is malformed")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
