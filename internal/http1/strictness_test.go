package http1

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
)

// strictness has every case in which there could be a doubt about what a request says or where it ends, and what the server makes of
// it: the status of the refusal, or 0 where the request is taken. "body" is what the request's body is then, and "rest" what is left
// for the next request.
var strictness = []struct {
	name, in   string
	status     int
	body, rest string
}{
	// What is right.
	{name: "plain", in: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{name: "body by length", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET", body: "abc", rest: "GET"},
	{name: "length of nought", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET", rest: "GET"},
	{name: "length with zeros before it", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc", body: "abc"},
	{name: "chunked", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET", body: "abc0123456789", rest: "GET"},
	{name: "chunked in capitals", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", body: "a"},
	{name: "HTTP/1.0 without Host", in: "GET / HTTP/1.0\r\n\r\n"},
	{name: "empty Host", in: "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
	{name: "absolute form", in: "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"},
	{name: "absolute form, host in capitals", in: "GET http://A:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n"},
	{name: "absolute form in HTTP/1.0", in: "GET http://a/x HTTP/1.0\r\n\r\n"},
	{name: "authority form", in: "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
	{name: "asterisk form", in: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
	{name: "IPv6 host", in: "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
	{name: "whitespace around a value", in: "GET / HTTP/1.1\r\nHost: \ta\t \r\n\r\n"},
	{name: "bytes above ASCII in a value", in: "GET / HTTP/1.1\r\nHost: a\r\nX: caf\xc3\xa9\r\n\r\n"},
	{name: "unknown method", in: "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"},

	// The request line.
	{name: "HTTP/0.9", in: "GET /\r\n\r\n", status: 505},
	{name: "HTTP/2.0", in: "GET / HTTP/2.0\r\nHost: a\r\n\r\n", status: 505},
	{name: "preface of HTTP/2", in: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
	{name: "HTTP/1.2", in: "GET / HTTP/1.2\r\nHost: a\r\n\r\n", status: 505},
	{name: "version in small letters", in: "GET / http/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "version with more digits", in: "GET / HTTP/1.10\r\nHost: a\r\n\r\n", status: 400},
	{name: "version with a sign", in: "GET / HTTP/+1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "no version", in: "GET / \r\nHost: a\r\n\r\n", status: 400},
	{name: "no method", in: " / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "no target", in: "GET  HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "two spaces", in: "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "space after the version", in: "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", status: 400},
	{name: "tab between", in: "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "method that is no token", in: "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "empty line before", in: "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "TLS instead of HTTP", in: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", status: 400},

	// The target.
	{name: "fragment", in: "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "space in the target", in: "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "NUL in the target", in: "GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "control character in the target", in: "GET /a\x0bb HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "DEL in the target", in: "GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "bytes above ASCII in the target", in: "GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "escape that is none", in: "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "escape that is cut", in: "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "relative target", in: "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "asterisk for GET", in: "GET * HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "query alone", in: "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "absolute form of another host", in: "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "absolute form of another port", in: "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "absolute form, empty Host", in: "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", status: 400},
	{name: "absolute form with a user", in: "GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n", status: 400},
	{name: "absolute form without a host", in: "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "absolute form of another scheme", in: "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "CONNECT with a path", in: "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "CONNECT without a port", in: "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "CONNECT to another host", in: "CONNECT b:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", status: 400},

	// Host.
	{name: "no Host", in: "GET / HTTP/1.1\r\n\r\n", status: 400},
	{name: "two Hosts", in: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", status: 400},
	{name: "the same Host twice", in: "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", status: 400},
	{name: "two Hosts in HTTP/1.0", in: "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", status: 400},
	{name: "list of hosts", in: "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", status: 400},
	{name: "Host with a user", in: "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", status: 400},
	{name: "Host with a path", in: "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", status: 400},
	{name: "Host with a space", in: "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", status: 400},
	{name: "port that is none", in: "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", status: 400},
	{name: "port that is too large", in: "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", status: 400},

	// Lines and fields.
	{name: "bare LF after the request line", in: "GET / HTTP/1.1\nHost: a\r\n\r\n", status: 400},
	{name: "bare LF after a field", in: "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", status: 400},
	{name: "bare LF at the end", in: "GET / HTTP/1.1\r\nHost: a\r\n\n", status: 400},
	{name: "bare LFs throughout", in: "GET / HTTP/1.1\nHost: a\n\n", status: 400},
	{name: "bare CR in a value", in: "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", status: 400},
	{name: "bare CR in the request line", in: "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "two CRs", in: "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", status: 400},
	{name: "NUL in a value", in: "GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n", status: 400},
	{name: "control character in a value", in: "GET / HTTP/1.1\r\nHost: a\r\nX: b\x01c\r\n\r\n", status: 400},
	{name: "DEL in a value", in: "GET / HTTP/1.1\r\nHost: a\r\nX: 1234567890\x7f\r\n\r\n", status: 400},
	{name: "space before the colon", in: "GET / HTTP/1.1\r\nHost : a\r\n\r\n", status: 400},
	{name: "tab before the colon", in: "GET / HTTP/1.1\r\nHost: a\r\nX\t: a\r\n\r\n", status: 400},
	{name: "space in a name", in: "GET / HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n", status: 400},
	{name: "folded line", in: "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", status: 400},
	{name: "folded line with a tab", in: "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc: d\r\n\r\n", status: 400},
	{name: "whitespace before the first field", in: "GET / HTTP/1.1\r\n Host: a\r\n\r\n", status: 400},
	{name: "no name", in: "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", status: 400},
	{name: "no colon", in: "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", status: 400},
	{name: "name that is no token", in: "GET / HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n", status: 400},
	{name: "bytes above ASCII in a name", in: "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: b\r\n\r\n", status: 400},
	{name: "too many fields", in: "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 300) + "\r\n", status: 431},
	{name: "head too large", in: "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 70<<10) + "\r\n\r\n", status: 431},
	{name: "request line too long", in: "GET /" + strings.Repeat("y", 70<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", status: 414},
	{name: "unknown expectation", in: "POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", status: 417},

	// Lengths.
	{name: "both lengths", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "both lengths, the other way round", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", status: 400},
	{name: "two lengths", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", status: 400},
	{name: "the same length twice", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc", status: 400},
	{name: "list of lengths", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", status: 400},
	{name: "length with a plus", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", status: 400},
	{name: "length with a minus", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", status: 400},
	{name: "length in base 16", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", status: 400},
	{name: "length with a space in it", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nabc", status: 400},
	{name: "length with a separator", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nabc", status: 400},
	{name: "length with a fraction", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc", status: 400},
	{name: "empty length", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc", status: 400},
	{name: "length that overflows", in: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551619\r\n\r\nabc", status: 400},
	{name: "two codings", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", status: 501},
	{name: "chunked twice", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", status: 501},
	{name: "chunked in two fields", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "chunked and identity in two fields", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", status: 501},
	{name: "chunked is not the last", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", status: 501},
	{name: "identity", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", status: 501},
	{name: "empty coding", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", status: 400},
	{name: "coding with a parameter", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", status: 501},
	{name: "coding with a vertical tab", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "coding in quotes", in: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", status: 400},
	{name: "coding in HTTP/1.0", in: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},

	// Chunks.
	{name: "zeros before a size", in: chunkedHead + "003\r\nabc\r\n00\r\n\r\n", body: "abc"},
	{name: "extension", in: chunkedHead + "3;a;b=c;d=\"e;f\\\"\"\r\nabc\r\n0;x\r\n\r\n", body: "abc"},
	{name: "trailers", in: chunkedHead + "3\r\nabc\r\n0\r\nX: y\r\n\r\nGET", body: "abc", rest: "GET"},
	{name: "size with a sign", in: chunkedHead + "+3\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size with 0x", in: chunkedHead + "0x3\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size with a space before it", in: chunkedHead + " 3\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size with a space behind it", in: chunkedHead + "3 \r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "no size", in: chunkedHead + "\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size that is none", in: chunkedHead + "g\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size that overflows", in: chunkedHead + "10000000000000003\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size that is negative in 64 bits", in: chunkedHead + "fffffffffffffffd\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "size with many zeros", in: chunkedHead + "00000000000000003\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "bare LF after a size", in: chunkedHead + "3\nabc\r\n0\r\n\r\n", status: 400},
	{name: "bare CR in a size line", in: chunkedHead + "3\rabc\r\n0\r\n\r\n", status: 400},
	{name: "bare LF after an extension", in: chunkedHead + "3;a\nabc\r\n0\r\n\r\n", status: 400},
	{name: "bare LF in an extension", in: chunkedHead + "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "extension without a name", in: chunkedHead + "3;\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "extension with a NUL", in: chunkedHead + "3;a=\x00\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "extension too long", in: chunkedHead + "3;a=" + strings.Repeat("b", 2<<10) + "\r\nabc\r\n0\r\n\r\n", status: 431},
	{name: "extensions without end", in: chunkedHead + strings.Repeat("1;a="+strings.Repeat("b", 900)+"\r\nx\r\n", 40) + "0\r\n\r\n", status: 400},
	{name: "no CRLF after data", in: chunkedHead + "3\r\nabc0\r\n\r\n", status: 400},
	{name: "bare LF after data", in: chunkedHead + "3\r\nabc\n0\r\n\r\n", status: 400},
	{name: "more data than was said", in: chunkedHead + "3\r\nabcd\r\n0\r\n\r\n", status: 400},
	{name: "less data than was said", in: chunkedHead + "5\r\nabc\r\n0\r\n\r\n", status: 400},
	{name: "bare LF at the end of all", in: chunkedHead + "0\r\n\n", status: 400},
	{name: "Content-Length in trailers", in: chunkedHead + "0\r\nContent-Length: 3\r\n\r\n", status: 400},
	{name: "Transfer-Encoding in trailers", in: chunkedHead + "0\r\nTransfer-Encoding: chunked\r\n\r\n", status: 400},
	{name: "Host in trailers", in: chunkedHead + "0\r\nHost: b\r\n\r\n", status: 400},
	{name: "folded trailer", in: chunkedHead + "0\r\nX: y\r\n z\r\n\r\n", status: 400},
	{name: "trailer with a space before the colon", in: chunkedHead + "0\r\nX : y\r\n\r\n", status: 400},
	{name: "trailers too large", in: chunkedHead + "0\r\nX: " + strings.Repeat("y", 20<<10) + "\r\n\r\n", status: 431},
}

const chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

// parseAll parses a request with its body.
func parseAll(in io.Reader) (h *head, body []byte, rest []byte, err error) {
	l := limits{}.orDefaults()
	var r reader
	r.attach(in)
	h = new(head)
	if err := r.readRequestHead(h, &l); err != nil {
		return h, nil, nil, err
	}
	var b bodyReader
	f, n := requestLength(h)
	b.begin(&r, f, n, &l)
	if body, err = io.ReadAll(&b); err != nil {
		return h, nil, nil, err
	}
	rest, err = io.ReadAll(&r)
	return h, body, rest, err
}

func TestStrictness(t *testing.T) {
	for _, test := range strictness {
		t.Run(test.name, func(t *testing.T) {
			for _, split := range []int{len(test.in), 1, 7} {
				h, body, rest, err := parseAll(&pieces{data: []byte(test.in), size: split})
				if err == nil { // what the server does beside
					if bad := h.setURL(new(url.URL)); bad != nil {
						err = bad
					}
				}
				status := 0
				var bad *ParseError
				if errors.As(err, &bad) {
					status = bad.Status
				} else if err != nil {
					t.Fatalf("pieces of %d: %v", split, err)
				}
				if status != test.status || status == 0 && (string(body) != test.body || string(rest) != test.rest) {
					t.Errorf("pieces of %d: got %d %q %q (%v), want %d %q %q", split, status, body, rest, err, test.status, test.body, test.rest)
				}
			}
		})
	}
}

// pieces gives bytes out in pieces of a size.
type pieces struct {
	data []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func TestResponseStrictness(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct {
		name, method, in string
		framing          framing
		length           int64
		bad              bool
	}{
		{"length", "GET", ok + "Content-Length: 5\r\n\r\n", fixed, 5, false},
		{"nought", "GET", ok + "Content-Length: 0\r\n\r\n", noBody, 0, false},
		{"chunked", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n", chunked, -1, false},
		{"until close", "GET", ok + "\r\n", untilClose, -1, false},
		{"without a reason", "GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", fixed, 5, false},
		{"HEAD", "HEAD", ok + "Content-Length: 5\r\n\r\n", noBody, 0, false},
		{"HEAD chunked", "HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", noBody, 0, false},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", noBody, 0, false},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", noBody, 0, false},
		{"204 with a length of nought", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", noBody, 0, false},
		{"CONNECT", "CONNECT", ok + "\r\n", noBody, 0, false},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0, 0, true},
		{"204 chunked", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, true},
		{"100 with a length", "GET", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", 0, 0, true},
		{"both", "GET", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, true},
		{"twice", "GET", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0, 0, true},
		{"gzip", "GET", ok + "Transfer-Encoding: gzip\r\n\r\n", 0, 0, true},
		{"coding in 1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, true},
		{"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", 0, 0, true},
		{"status of two digits", "GET", "HTTP/1.1 20 OK\r\n\r\n", 0, 0, true},
		{"status of four digits", "GET", "HTTP/1.1 2000 OK\r\n\r\n", 0, 0, true},
		{"status below 100", "GET", "HTTP/1.1 099 OK\r\n\r\n", 0, 0, true},
		{"status with a sign", "GET", "HTTP/1.1 +20 OK\r\n\r\n", 0, 0, true},
		{"version", "GET", "HTTP/2.0 200 OK\r\n\r\n", 0, 0, true},
		{"ICY", "GET", "ICY 200 OK\r\n\r\n", 0, 0, true},
		{"space before the colon", "GET", ok + "Content-Length : 5\r\n\r\n", 0, 0, true},
		{"folded", "GET", ok + "X: a\r\n b\r\n\r\n", 0, 0, true},
		{"NUL in the reason", "GET", "HTTP/1.1 200 O\x00K\r\n\r\n", 0, 0, true},
		{"empty line before", "GET", "\r\n" + ok + "\r\n", 0, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := limits{}.orDefaults()
			var r reader
			r.attach(bytes.NewReader([]byte(test.in)))
			var h head
			var f framing
			var n int64
			err := r.readResponseHead(&h, &l)
			if err == nil {
				var bad *ParseError
				if f, n, bad = responseLength(&h, test.method); bad != nil {
					err = bad
				}
			}
			if test.bad {
				var bad *ParseError
				if !errors.As(err, &bad) {
					t.Errorf("got %v, %d, %v; want a ParseError", f, n, err)
				}
				return
			}
			if err != nil || f != test.framing || n != test.length {
				t.Errorf("got %v, %d, %v; want %v, %d", f, n, err, test.framing, test.length)
			}
		})
	}
}
