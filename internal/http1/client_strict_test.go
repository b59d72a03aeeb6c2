package http1

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// verdict is what becomes of an answer.
type verdict struct {
	Status int
	Body   string
	Kind   string // of the error; "": none
	Phase  ClientPhase
	Reuse  bool
}

type answerCase struct {
	name, method, answer string
	want                 verdict
}

const ok200 = "HTTP/1.1 200 OK\r\n"

// answerCases are answers, good and hostile ones. In what is not HTTP no byte is passed on as part of a body.
func answerCases() []answerCase {
	bad := verdict{Kind: "malformed", Phase: HeaderPhase}
	badBody := verdict{Status: 200, Kind: "malformed", Phase: BodyPhase}
	cut := verdict{Kind: "reset", Phase: HeaderPhase}
	large := verdict{Kind: "too large", Phase: HeaderPhase}
	good := func(body string, reuse bool) verdict { return verdict{Status: 200, Body: body, Reuse: reuse} }
	broken := func(body, kind string) verdict {
		return verdict{Status: 200, Body: body, Kind: kind, Phase: BodyPhase}
	}
	chunked := ok200 + "Transfer-Encoding: chunked\r\n\r\n"
	return []answerCase{
		// How messages end.
		{"length", "GET", ok200 + "Content-Length: 5\r\n\r\nhello", good("hello", true)},
		{"no body", "GET", ok200 + "Content-Length: 0\r\n\r\n", good("", true)},
		{"chunks", "GET", chunked + "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", good("hello!", true)},
		{"chunk extension", "GET", chunked + "5;a=b\r\nhello\r\n0\r\n\r\n", good("hello", true)},
		{"trailer", "GET", chunked + "0\r\nX-A: 1\r\n\r\n", good("", true)},
		{"until it closes", "GET", ok200 + "\r\nhello", good("hello", false)},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", verdict{Status: 204, Reuse: true}},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", verdict{Status: 304, Reuse: true}},
		{"HEAD with a length", "HEAD", ok200 + "Content-Length: 5\r\n\r\n", good("", true)},
		{"HEAD with chunks announced", "HEAD", ok200 + "Transfer-Encoding: chunked\r\n\r\n", good("", true)},
		{"interim answers", "GET", "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + ok200 + "Content-Length: 1\r\n\r\nx", good("x", true)},
		{"no reason", "GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", good("", true)},
		{"same length twice in one field", "GET", ok200 + "Content-Length: 1, 1\r\n\r\nx", bad},

		// What may follow on the connection.
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", good("hello", false)},
		{"HTTP/1.0 kept", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", good("hello", true)},
		{"HTTP/1.0 in chunks", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
		{"to be closed", "GET", ok200 + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", good("hello", false)},
		{"surplus bytes", "GET", ok200 + "Content-Length: 5\r\n\r\nhello!", good("hello", false)},
		{"an answer too many", "GET", ok200 + "Content-Length: 5\r\n\r\nhello" + ok200 + "Content-Length: 4\r\n\r\nevil", good("hello", false)},
		{"surplus after chunks", "GET", chunked + "0\r\n\r\nx", good("", false)},
		{"body after HEAD", "HEAD", ok200 + "Content-Length: 5\r\n\r\nhello", good("", false)},
		{"body after 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", verdict{Status: 304}},
		{"body after 204", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello", verdict{Status: 204}},

		// Doubts about where a message ends.
		{"both lengths", "GET", ok200 + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
		{"both lengths, other order", "GET", ok200 + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", bad},
		{"two lengths", "GET", ok200 + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", bad},
		{"one length twice", "GET", ok200 + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", bad},
		{"negative length", "GET", ok200 + "Content-Length: -1\r\n\r\n", bad},
		{"signed length", "GET", ok200 + "Content-Length: +1\r\n\r\nx", bad},
		{"hexadecimal length", "GET", ok200 + "Content-Length: 0x1\r\n\r\nx", bad},
		{"length with a blank", "GET", ok200 + "Content-Length: 1 1\r\n\r\nx", bad},
		{"empty length", "GET", ok200 + "Content-Length: \r\n\r\n", bad},
		{"endless length", "GET", ok200 + "Content-Length: 99999999999999999999\r\n\r\nx", bad},
		{"unknown coding", "GET", ok200 + "Transfer-Encoding: gzip\r\n\r\n", bad},
		{"coding after chunked", "GET", ok200 + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", bad},
		{"chunked twice", "GET", ok200 + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", bad},
		{"chunked in two fields", "GET", ok200 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
		{"chunked, sort of", "GET", ok200 + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", bad},
		{"chunked with a tab", "GET", ok200 + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", bad},
		{"chunks in 204", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
		{"length in 103", "GET", "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nhello" + ok200 + "\r\n", bad},

		// Heads.
		{"bare LF after the status", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", bad},
		{"bare LF after a field", "GET", ok200 + "X-A: 1\nContent-Length: 0\r\n\r\n", bad},
		{"bare LF at the end", "GET", ok200 + "Content-Length: 0\r\n\n", bad},
		{"bare CR in a value", "GET", ok200 + "X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n", bad},
		{"NUL in a value", "GET", ok200 + "X-A: \x00\r\nContent-Length: 0\r\n\r\n", bad},
		{"control character in a value", "GET", ok200 + "X-A: \x01\r\nContent-Length: 0\r\n\r\n", bad},
		{"folded line", "GET", ok200 + "X-A: 1\r\n b\r\nContent-Length: 0\r\n\r\n", bad},
		{"blank before the colon", "GET", ok200 + "Content-Length : 0\r\n\r\n", bad},
		{"blank before the name", "GET", ok200 + " Content-Length: 0\r\n\r\n", bad},
		{"no colon", "GET", ok200 + "no colon\r\n\r\n", bad},
		{"no name", "GET", ok200 + ": x\r\n\r\n", bad},
		{"name that is none", "GET", ok200 + "X(A): x\r\n\r\n", bad},
		{"empty line first", "GET", "\r\n" + ok200 + "Content-Length: 0\r\n\r\n", bad},
		{"status of letters", "GET", "HTTP/1.1 abc OK\r\n\r\n", bad},
		{"status of two digits", "GET", "HTTP/1.1 20 OK\r\n\r\n", bad},
		{"status of four digits", "GET", "HTTP/1.1 2000 OK\r\n\r\n", bad},
		{"status below 100", "GET", "HTTP/1.1 099 OK\r\n\r\n", bad},
		{"HTTP/2.0", "GET", "HTTP/2.0 200 OK\r\n\r\n", bad},
		{"HTTP/1.2", "GET", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", bad},
		{"http in lower case", "GET", "http/1.1 200 OK\r\n\r\n", bad},
		{"two blanks", "GET", "HTTP/1.1  200 OK\r\n\r\n", bad},
		{"another protocol", "GET", "SSH-2.0-OpenSSH_9.2\r\n", bad},
		{"TLS", "GET", "\x15\x03\x01\x00\x02\x02\x0a", bad},
		{"a request", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", bad},
		{"unasked switch", "GET", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", bad},
		{"endless interim answers", "GET", strings.Repeat("HTTP/1.1 102 Wait\r\n\r\n", 200), bad},
		{"large head", "GET", ok200 + "X-A: " + strings.Repeat("a", 8<<10) + "\r\n\r\n", large},
		{"endless head", "GET", ok200 + strings.Repeat("X-A: aaaaaaaaaaaaaaaa\r\n", 1000), large},
		{"endless reason", "GET", "HTTP/1.1 200 " + strings.Repeat("a", 8<<10), large},

		// Chunks.
		{"size that is none", "GET", chunked + "zz\r\n", badBody},
		{"size with a sign", "GET", chunked + "+5\r\nhello\r\n0\r\n\r\n", badBody},
		{"size with 0x", "GET", chunked + "0x5\r\nhello\r\n0\r\n\r\n", badBody},
		{"size with a blank before", "GET", chunked + " 5\r\nhello\r\n0\r\n\r\n", badBody},
		{"size with a blank after", "GET", chunked + "5 \r\nhello\r\n0\r\n\r\n", badBody},
		{"no size", "GET", chunked + "\r\nhello\r\n0\r\n\r\n", badBody},
		{"endless size", "GET", chunked + "fffffffffffffffff\r\nx", badBody},
		{"size that overflows", "GET", chunked + "ffffffffffffffff\r\nx", badBody},
		{"bare LF after the size", "GET", chunked + "5\nhello\r\n0\r\n\r\n", badBody},
		{"bare LF after the data", "GET", chunked + "5\r\nhello\n0\r\n\r\n", broken("hello", "malformed")},
		{"data too long", "GET", chunked + "5\r\nhello!\r\n0\r\n\r\n", broken("hello", "malformed")},
		{"bare CR in an extension", "GET", chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n", badBody},
		{"length in the trailer", "GET", chunked + "0\r\nContent-Length: 5\r\n\r\n", badBody},
		{"bare LF in the trailer", "GET", chunked + "0\r\nX-A: 1\n\r\n", badBody},
		{"large trailer", "GET", chunked + "0\r\nX-A: " + strings.Repeat("a", 32<<10) + "\r\n\r\n", badBody},

		// Ends too soon.
		{"nothing", "GET", "", cut},
		{"half a version", "GET", "HTT", cut},
		{"half a status line", "GET", "HTTP/1.1 20", cut},
		{"half a head", "GET", ok200 + "Content-Le", cut},
		{"only an interim answer", "GET", "HTTP/1.1 103 Hints\r\n\r\n", cut},
		{"short of its length", "GET", ok200 + "Content-Length: 10\r\n\r\nhello", broken("hello", "truncated")},
		{"no body at all", "GET", ok200 + "Content-Length: 10\r\n\r\n", broken("", "truncated")},
		{"no last chunk", "GET", chunked + "5\r\nhello\r\n", broken("hello", "truncated")},
		{"half a chunk", "GET", chunked + "5\r\nhel", broken("hel", "truncated")},
		{"half a size", "GET", chunked + "5", broken("", "truncated")},
		{"no end of the trailer", "GET", chunked + "5\r\nhello\r\n0\r\n", broken("hello", "truncated")},
		{"half a trailer", "GET", chunked + "5\r\nhello\r\n0\r\nX-A: 1\r\n", broken("hello", "truncated")},
	}
}

// judge has a client read an answer that comes in pieces.
func judge(t testing.TB, method string, pieces [][]byte) (verdict, *canned, *http.Response) {
	nc := &canned{pieces: pieces}
	c := NewClientConn(nc, ClientOptions{MaxHeader: 4096})
	ended := 0
	c.o.Done = func() { ended++ }
	var got verdict
	resp, err := c.RoundTrip(context.Background(), outgoing(method, "/", nil), func(int, http.Header) error { return nil })
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		got.Status, got.Body = resp.StatusCode, string(body)
		if _, again := resp.Body.Read(make([]byte, 1)); err != nil && again != err {
			t.Errorf("after %v comes %v", err, again)
		}
		first, second := resp.Body.Close(), resp.Body.Close()
		if first != nil || second != nil {
			t.Error("it cannot be closed")
		}
	}
	if err != nil {
		e := failure(t, err)
		got.Kind, got.Phase = e.Kind.String(), e.Phase
		if !e.Sent || e.Reused || e.BodyRead || e.Timeout {
			t.Errorf("got %+v", e)
		}
	}
	if got.Reuse = c.Reusable(); got.Reuse == nc.closed {
		t.Errorf("reusable: %v, closed: %v", got.Reuse, nc.closed)
	}
	if ended != 1 {
		t.Errorf("the exchange ended %d times", ended)
	}
	if c.in.buf != nil {
		t.Error("a buffer is held")
	}
	return got, nc, resp
}

func TestClientAnswers(t *testing.T) {
	for _, c := range answerCases() {
		t.Run(c.name, func(t *testing.T) {
			got, _, _ := judge(t, c.method, [][]byte{[]byte(c.answer)})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			for seed := range uint64(20) {
				pieces := split([]byte(c.answer), seed)
				got, _, _ = judge(t, c.method, pieces)
				want := c.want
				if !want.Reuse && want.Kind == "" { // surplus bytes may not have come
					want.Reuse = got.Reuse
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("in pieces of seed %d: %s", seed, d)
				}
			}
		})
	}
}
