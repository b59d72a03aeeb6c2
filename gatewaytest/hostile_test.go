package gatewaytest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"cardea.dev/cardea/gatewaytest"
)

// witness is a service that notes what it is asked, as net/http reads it.
type witness struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newWitness(t *testing.T) *witness {
	w := &witness{}
	w.Server = upstream(t, func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = append(w.seen, fmt.Sprintf("%s %s %q whole=%v", r.Method, r.URL.Path, body, err == nil))
	})
	return w
}

func (w *witness) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// TestNothingIsSmuggled sends random streams of requests, many of them ambiguous, through a gateway and straight to a witness. Behind
// the gateway there must never be a request that the client's bytes are not, in the reading of net/http.
func TestNothingIsSmuggled(t *testing.T) {
	behind, beside := newWitness(t), newWitness(t)
	g := gatewaytest.New(t, one(behind.Server))
	random := rand.New(rand.NewPCG(5, 6))
	rounds := 1500
	if testing.Short() {
		rounds = 150
	}
	passed := 0
	for range rounds {
		var in strings.Builder
		for i := range 1 + random.IntN(3) {
			in.WriteString(hostileRequest(random, i))
		}
		speak(t, strings.TrimPrefix(g.URL, "http://"), in.String())
		speak(t, strings.TrimPrefix(beside.URL, "http://"), in.String())
		got, want := behind.take(), beside.take()
		passed += len(got)
		for _, request := range got {
			if strings.Contains(request, "whole=false") { // it ends with the connection: nobody takes it for complete
				continue
			}
			if !slices.Contains(want, request) {
				t.Fatalf("of %q the upstream sees\n%s\nand net/http sees\n%s", in.String(), strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	if passed < rounds/3 {
		t.Errorf("only %d requests passed in %d rounds: this tests little", passed, rounds)
	}
}

// hidden is what bodies are made of.
const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"

// hostileRequest makes a request with a body in which another one hides, by lengths that are right, wrong or doubtful.
func hostileRequest(random *rand.Rand, i int) string {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	length := fmt.Sprint(len(hidden))
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	framing := []struct{ fields, body string }{
		{"", ""},
		{"Content-Length: " + length + "\r\n", hidden},
		{"Transfer-Encoding: chunked\r\n", chunks},
		{"Transfer-Encoding: chunked\r\n", pick("0\r\nX-A: b\r\n\r\n", "0;x\r\n\r\n", "000\r\n\r\n")},
		{"Content-Length: " + pick("0", "3", "+"+length, length+", "+length, "0x"+length, length+" ", " "+length, "\v"+length) + "\r\n", hidden},
		{"Content-Length: " + length + "\r\nContent-Length: " + pick("0", length) + "\r\n", hidden},
		{"Content-Length: " + pick("0", length, "5") + "\r\nTransfer-Encoding: chunked\r\n", pick(chunks, "0\r\n\r\n"+hidden)},
		{pick("Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:\tchunked", " Transfer-Encoding: chunked",
			"X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding: identity, chunked",
			"Transfer_Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x") + "\r\n", pick(chunks, "0\r\n\r\n"+hidden)},
		{"Transfer-Encoding: chunked\r\n", pick("0\r\n", "0\n\r\n", "5;\n"+hidden, "fffffffffffffffe\r\n", "-1\r\n", "1\rx\r\n0\r\n\r\n") + hidden},
	}[random.IntN(9)]
	line := pick("GET", "POST", "HEAD", "PUT", "OPTIONS") + fmt.Sprintf(" /%d ", i) + pick("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2")
	extra := pick("", "", "", "Connection: keep-alive\r\n", "Connection: content-length, transfer-encoding\r\n", "Expect: 100-continue\r\n",
		"Connection: upgrade\r\nUpgrade: x\r\n", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n", "Trailer: Content-Length\r\n")
	return line + "\r\nHost: x\r\n" + extra + framing.fields + "\r\n" + framing.body
}

// speak sends bytes and waits until there is nothing more to come.
func speak(t *testing.T, address, in string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, in)
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, bufio.NewReader(c))
}

// TestWhatClientsMayNotSay sends fields that would open a way around the gateway, and compares what the upstream sees of them.
func TestWhatClientsMayNotSay(t *testing.T) {
	seen := make(chan string, 1)
	g := gatewaytest.New(t, one(upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- fmt.Sprintf("upgrade=%q settings=%q %q lengths=%q%q trailer=%v", r.Header["Upgrade"], r.Header["Http2-Settings"], body,
			r.Header["Content_length"], r.Header["Transfer_encoding"], r.Trailer)
	})))
	for name, c := range map[string]struct{ in, want string }{
		"upgrade to h2c": {
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
			`upgrade=[] settings=[] "" lengths=[][] trailer=map[]`,
		},
		"upgrade to h2c among others": {
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: x, H2C\r\n\r\n",
			`upgrade=[] settings=[] "" lengths=[][] trailer=map[]`,
		},
		"upgrade to HTTP/2.0": {
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: HTTP/2.0, TLS/1.0\r\n\r\n",
			`upgrade=[] settings=[] "" lengths=[][] trailer=map[]`,
		},
		"upgrade in HTTP/1.0": {
			"GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			`upgrade=[] settings=[] "" lengths=[][] trailer=map[]`,
		},
		"another upgrade": {
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			`upgrade=["websocket"] settings=[] "" lengths=[][] trailer=map[]`,
		},
		"lengths with underscores": {
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent_Length: 1\r\nTransfer_Encoding: chunked\r\n\r\nabc",
			`upgrade=[] settings=[] "abc" lengths=[][] trailer=map[]`,
		},
		"forwarding fields in trailers": {
			"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Request-Id, X-Check\r\n\r\n3\r\nabc\r\n0\r\n" +
				"X-Forwarded-Port: 1\r\nX_Forwarded_For: 1.1.1.1\r\nX-Request-Id: 1\r\nX-Real-IP: 1.1.1.1\r\nX-Check: y\r\n\r\n",
			`upgrade=[] settings=[] "abc" lengths=[][] trailer=map[X-Check:[y]]`,
		},
	} {
		conn, r := dial(t, g)
		_, _ = io.WriteString(conn, c.in)
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := <-seen; got != c.want {
			t.Errorf("%s: the upstream sees %s, want %s", name, got, c.want)
		}
	}
}

// TestHostileHTTP2 sends heads that HTTP/2 can carry and HTTP/1.1 cannot, or only as two messages. None may reach the upstream.
func TestHostileHTTP2(t *testing.T) {
	reached := make(chan string, 100)
	g := gatewaytest.New(t, one(upstream(t, func(_ http.ResponseWriter, r *http.Request) { reached <- r.RequestURI })))
	for _, fields := range [][]string{
		{":method", "GET", ":path", "http://evil/x"},
		{":method", "GET", ":path", "/a#b"},
		{":method", "GET", ":path", "*"},
		{":method", "GET", ":path", "x"},
		{":method", "GET", ":path", "/?a b"},
		{":method", "GET / HTTP/1.1\r\nX: y", ":path", "/"},
		{":method", "G T", ":path", "/"},
		{":method", "GET", ":path", "/", "x", "b\r\nY: z"},
		{":method", "GET", ":path", "/", "x", "b\x00"},
		{":method", "GET", ":path", "/", "x:y", "b"},
		{":method", "GET", ":path", "/", "transfer-encoding", "chunked"},
		{":method", "GET", ":path", "/", "connection", "x"},
		{":method", "GET", ":path", "/", "upgrade", "h2c"},
	} {
		head := append([]string{":scheme", "http", ":authority", "a"}, fields...)
		if got := statusOf2(t, g, head); got != "" && got[0] != '4' {
			t.Errorf("%q: status %s", fields, got)
		}
	}
	for _, authority := range []string{"u@a", "a/b", "a b", "a,b", "[a]", "a:99999"} {
		if got := statusOf2(t, g, []string{":scheme", "http", ":authority", authority, ":method", "GET", ":path", "/"}); got != "" && got[0] != '4' {
			t.Errorf("host %q: status %s", authority, got)
		}
	}
	select {
	case target := <-reached:
		t.Errorf("the upstream is asked for %s", target)
	default:
	}
	if got := statusOf2(t, g, []string{":scheme", "http", ":authority", "a", ":method", "GET", ":path", "/"}); got != "200" {
		t.Errorf("a good request: status %q", got)
	}
}

// statusOf2 sends a request in HTTP/2, field by field as it is, and returns the status of the answer, or "" when the stream is refused.
func statusOf2(t *testing.T, g *gatewaytest.Gateway, fields []string) (status string) {
	c, r := dial(t, g)
	defer c.Close()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := range len(fields) / 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: strings.TrimSpace(fields[2*i]), Value: fields[2*i+1]})
	}
	_, _ = io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, r)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}
