package client

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// maxInline is the largest body that is sent together with the head.
const maxInline = 16 << 10

// buffered is a body that knows how much of it can be read without waiting.
type buffered interface{ Buffered() int }

// send writes the request's head, and the body as far as it is there already. What is left of it is x.upload then.
func (x *trip) send(req *http.Request) *Error {
	b, length, err := appendRequest(x.out[:0], req, x.c.o.Host)
	x.out = b
	if err != nil {
		return &Error{Phase: WritePhase, Kind: BadRequest, Reused: x.reused, Err: err}
	}
	x.asked = asksForUpgrade(req.Header)
	if length == 0 && x.c.direct.OK() {
		return x.ask(b)
	}
	if !x.c.quiet() { // before the body is read from, which cannot be undone
		return x.unfit()
	}
	switch {
	case length == 0:
	case expectsConsent(req.Header):
		x.consent = true
		x.upload = newUpload(x, req, length)
	default:
		if e := x.inline(req, length); e != nil {
			return e
		}
	}
	if x.upload == nil || x.consent || !x.c.direct.OK() {
		e := x.write(x.out)
		if e == nil && x.upload != nil && !x.consent {
			x.upload.begin()
		}
		return e
	}
	all, e := x.upload.sendReady(x.out)
	switch {
	case e != nil || x.upload == nil: // the second: the endpoint takes no more, and may have said why
	case all:
		x.upload, x.bodyRead = nil, true
	default:
		x.upload.begin()
	}
	return e
}

// unfit is the error for a connection on which something has come, or which is closed, before anything was sent.
func (x *trip) unfit() *Error {
	return &Error{Phase: WritePhase, Kind: IdleClosed, Reused: x.reused, Err: errUnsolicited}
}

// write writes b, of the head of a request or behind it.
func (x *trip) write(b []byte) *Error {
	now := x.c.now()
	x.armWrite(now)
	n, err := x.c.write(b)
	x.sent = x.sent || n > 0
	if err != nil {
		return x.unwritten(err)
	}
	x.since = now
	return nil
}

// ask writes a request without a body, and waits for the first bytes of the answer.
func (x *trip) ask(b []byte) *Error {
	in := &x.c.in
	if x.c.large {
		in.Spacious()
	}
	x.since = x.start
	x.arm(x.start)
	a := x.c.direct.Ask(b, in.Space())
	in.Advance(a.N)
	x.sent, x.heard = a.Sent > 0, a.N > 0
	switch {
	case a.Noisy:
		return x.unfit()
	case a.Sent < len(b):
		return x.write(b[a.Sent:])
	case socket.Temporary(a.Err):
		x.phase = HeaderPhase // all was sent
		a.Err = x.late(x.c.now())
	}
	if a.Err != nil {
		return x.fail(HeaderPhase, a.Err)
	}
	return nil
}

// unwritten is told that the head could not be written. Where the endpoint has seen some of it, it may have said why.
func (x *trip) unwritten(err error) *Error {
	if !x.sent || isTimeout(err) {
		e := x.fail(WritePhase, err)
		if isTimeout(err) && e.Kind != Canceled {
			e.Kind, e.Timeout = TimedOut, true
		}
		return e
	}
	x.partly, x.upload, x.consent, x.since = true, nil, false, x.c.now()
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// inline appends the body if all of it is there and it is small. Else it is left to an upload.
func (x *trip) inline(req *http.Request, length int64) *Error {
	x.inMemory = req.GetBody != nil
	if length < 0 || length > maxInline {
		x.upload = newUpload(x, req, length)
		return nil
	}
	if !x.inMemory {
		if there, ok := req.Body.(buffered); !ok || int64(there.Buffered()) < length {
			x.upload = newUpload(x, req, length)
			return nil
		}
	}
	x.bodyRead = true
	b, err := appendBody(x.out, req.Body, int(length))
	x.out = b
	if x.inMemory {
		_ = req.Body.Close()
	}
	if err != nil {
		return &Error{Phase: WritePhase, Kind: RequestBody, Reused: x.reused, BodyRead: x.touched(), Err: err}
	}
	return nil
}

// appendBody appends a body of a certain length.
func appendBody(b []byte, body io.Reader, length int) ([]byte, error) {
	at := len(b)
	b = grown(b, length+1)
	p := b[at : at+length+1] // with room to see that there is more
	n := 0
	for {
		m, err := body.Read(p[n:])
		n += m
		switch {
		case n > length:
			return b[:at], errLonger
		case err == io.EOF && n < length:
			return b[:at], io.ErrUnexpectedEOF
		case err == io.EOF:
			return b[:at+n], nil
		case err != nil:
			return b[:at], err
		}
	}
}

// grown makes room for n more bytes.
func grown(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	bigger := make([]byte, len(b), max(2*cap(b), len(b)+n))
	copy(bigger, b)
	return bigger
}

var (
	errMethod  = errors.New("the method is no token")
	errTarget  = errors.New("the path or the query has a character that no target has")
	errHost    = errors.New("the host has a character that no host has")
	errName    = errors.New("a field's name is not one")
	errValue   = errors.New("a field's value has a control character")
	errConnect = errors.New("CONNECT is not sent")
)

// appendRequest appends the head of a request; fallback is the host if it names none. It returns the length of the body, -1 if it is
// not known.
func appendRequest(b []byte, req *http.Request, fallback string) ([]byte, int64, error) {
	b, err := appendRequestLine(b, req)
	if err != nil {
		return b, 0, err
	}
	host := req.Host
	if host == "" {
		host = fallback
	}
	if !http1.IsHost(host) {
		return b, 0, errHost
	}
	b = append(b, "Host: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	for name, values := range req.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue
		}
		if b, err = appendStrict(b, name, values); err != nil {
			return b, 0, err
		}
	}
	length := bodyLength(req)
	switch {
	case length > 0, length == 0 && (req.Method == http.MethodPost || req.Method == http.MethodPut || req.Method == http.MethodPatch):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	case length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		b = appendAnnouncement(b, req.Trailer)
	}
	return append(b, "\r\n"...), length, nil
}

func bodyLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength > 0:
		return req.ContentLength
	}
	return -1
}

// appendRequestLine appends the first line.
func appendRequestLine(b []byte, req *http.Request) ([]byte, error) {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	switch {
	case !http1.IsName(method):
		return b, errMethod
	case method == http.MethodConnect:
		return b, errConnect
	}
	b = append(b, method...)
	b = append(b, ' ')
	at := len(b)
	b = appendTarget(b, req.URL)
	for _, c := range b[at:] {
		if c <= ' ' || c == 0x7f || c == '#' {
			return b, errTarget
		}
	}
	if b[at] != '/' && (method != http.MethodOptions || len(b) != at+1 || b[at] != '*') {
		return b, errTarget
	}
	return append(b, " HTTP/1.1\r\n"...), nil
}

func appendTarget(b []byte, u *url.URL) []byte {
	if u == nil {
		return append(b, '/')
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, path...)
	if u.ForceQuery || u.RawQuery != "" {
		b = append(b, '?')
		b = append(b, u.RawQuery...)
	}
	return b
}

// appendStrict appends the lines of a field. What could be taken for more than one field is refused.
func appendStrict(b []byte, name string, values []string) ([]byte, error) {
	if len(values) == 0 {
		return b, nil
	}
	if !http1.IsName(name) {
		return b, errName
	}
	for _, value := range values {
		b = append(b, name...)
		b = append(b, ": "...)
		at := len(b)
		if b = append(b, value...); !http1.IsValue(b[at:]) {
			return b, errValue
		}
		b = append(b, "\r\n"...)
	}
	return b, nil
}

// appendAnnouncement appends the field that names the trailer fields to come.
func appendAnnouncement(b []byte, trailer http.Header) []byte {
	separator := "Trailer: "
	for name := range trailer {
		if !http1.IsName(name) || !http1.PassesInTrailer(name) {
			continue
		}
		b = append(b, separator...)
		b = append(b, name...)
		separator = ", "
	}
	if separator == ", " {
		b = append(b, "\r\n"...)
	}
	return b
}

// appendTrailer appends the end of a body in chunked coding.
func appendTrailer(b []byte, trailer http.Header) ([]byte, error) {
	b = append(b, '0', '\r', '\n')
	for name, values := range trailer {
		if !http1.PassesInTrailer(http.CanonicalHeaderKey(name)) {
			continue
		}
		var err error
		if b, err = appendStrict(b, name, values); err != nil {
			return b, err
		}
	}
	return append(b, "\r\n"...), nil
}

func expectsConsent(h http.Header) bool {
	for _, v := range h["Expect"] {
		if strings.EqualFold(v, "100-continue") {
			return true
		}
	}
	return false
}

func asksForUpgrade(h http.Header) bool {
	if len(h["Upgrade"]) == 0 {
		return false
	}
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}
