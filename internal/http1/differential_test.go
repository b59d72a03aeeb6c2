package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/http1/http1test"
	"cardea.dev/cardea/internal/http1/server"
)

// seen is what a server made of the requests on a connection: one text for each, in order.
func seen(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q %q %q %q %s %d %v close=%v\n", r.Method, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Host, r.Proto, r.ContentLength, r.TransferEncoding, r.Close)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
	}
	fmt.Fprintf(&b, "%q complete=%v\n", body, err == nil)
	for _, name := range slices.Sorted(maps.Keys(r.Trailer)) {
		if r.Trailer[name] != nil && http1.PassesInTrailer(name) {
			fmt.Fprintf(&b, "%s: %q\n", name, r.Trailer[name])
		}
	}
	return b.String()
}

// ask gives bytes to a server, in pieces, and returns what its handler saw.
func ask(t testing.TB, in []byte, size int, serve func(net.Conn, http.Handler)) (all []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		if there, err := l.Accept(); err == nil {
			serve(there, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { all = append(all, seen(r)) }))
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	here := conn.(*net.TCPConn)
	here.SetDeadline(time.Now().Add(10 * time.Second))
	for rest := in; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := here.Write(rest[:n]); err != nil {
			break
		}
		rest = rest[n:]
	}
	here.CloseWrite()
	io.Copy(io.Discard, here)
	here.Close()
	<-done
	return all
}

func byOurs(c net.Conn, h http.Handler) {
	s := &server.Server{Handler: h, DrainTimeout: 10 * time.Millisecond}
	s.ServeConn(c, nil)
	s.Close()
}

// byTheirs serves a connection with net/http.
func byTheirs(c net.Conn, h http.Handler) {
	l := &oneConn{c: make(chan net.Conn, 1), done: make(chan struct{})}
	l.c <- c
	s := &http.Server{Handler: h, DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(l.done)
		}
	}}
	s.Serve(l)
}

type oneConn struct {
	c    chan net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.c:
		return c, nil
	case <-l.done:
		return nil, io.EOF
	}
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// checkAgainstNetHTTP fails when ours takes a request that net/http takes for another one, or does not take.
func checkAgainstNetHTTP(t testing.TB, in []byte, size int) {
	ours := ask(t, in, size, byOurs)
	theirs := ask(t, in, 64<<10, byTheirs)
	for i, got := range ours {
		if i < len(theirs) && got == theirs[i] {
			continue
		}
		if strings.Contains(got, "complete=false") || strings.Contains(got, "Connection: ") && strings.Contains(got, "close=false") {
			return // an error in both, after different bytes; or net/http is done with the connection
		}
		want := "nothing"
		if i < len(theirs) {
			want = theirs[i]
		}
		t.Fatalf("request %d of %q in pieces of %d:\nours:   %s\ntheirs: %s", i, in, size, got, want)
	}
}

func TestAgreesWithNetHTTP(t *testing.T) {
	for _, test := range strictness {
		if len(test.in) > 10000 || strings.HasPrefix(test.in, "CONNECT") {
			continue
		}
		for range 3 {
			checkAgainstNetHTTP(t, []byte(test.in), 1+rand.IntN(len(test.in)))
		}
		checkAgainstNetHTTP(t, []byte(test.in+http1test.Get), 1+rand.IntN(len(test.in)))
	}
}

// spice is what good requests are spoilt with.
var spice = []string{
	"\r", "\n", "\r\n", " ", "\t", "\x00", ":", ";", ",", "0", "1", "f", "x", "-", "+", "%", "#", "?", "/", "\"", "\x7f", "\xff",
	"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "Connection: close\r\n", "HTTP/1.1", "HTTP/1.0",
}

// TestAgreesWithNetHTTPOnVariations breaks good requests in random places.
func TestAgreesWithNetHTTPOnVariations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		test := strictness[random.IntN(len(strictness))]
		if len(test.in) > 2000 || strings.HasPrefix(test.in, "CONNECT") {
			continue
		}
		in := []byte(test.in)
		for range 1 + random.IntN(3) {
			at, what := random.IntN(len(in)), spice[random.IntN(len(spice))]
			switch random.IntN(3) {
			case 0:
				in = slices.Insert(in, at, []byte(what)...)
			case 1:
				in = slices.Delete(in, at, at+1)
			case 2:
				in[at] = what[0]
			}
			if len(in) == 0 {
				in = []byte(http1test.Get)
			}
		}
		if bytes.HasPrefix(in, []byte("CONNECT")) {
			continue
		}
		checkAgainstNetHTTP(t, in, 1+random.IntN(len(in)))
	}
}

func FuzzRequestHead(f *testing.F) {
	for _, test := range strictness {
		if len(test.in) < 2000 {
			f.Add([]byte(test.in))
		}
	}
	l := http1.Limits{}.OrDefaults()
	var h http1.Head
	f.Fuzz(func(t *testing.T, in []byte) {
		var r http1.Reader
		r.Attach(bytes.NewReader(in))
		defer r.Drop()
		var u url.URL
		if err := r.ReadRequestHead(&h, &l); err != nil || h.SetURL(&u) != nil {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			t.Fatalf("ours takes %q, net/http says %v", in, err)
		}
		if h.Method == http.MethodConnect {
			return
		}
		f, length := http1.RequestLength(&h)
		chunkedThere := len(theirs.TransferEncoding) > 0
		if h.Method != theirs.Method || h.Target != theirs.RequestURI || h.Host != theirs.Host || u != *theirs.URL || (f == http1.Chunked) != chunkedThere || length != theirs.ContentLength {
			t.Fatalf("%q:\nours %q %q %q %v %d\ntheirs %q %q %q %v %d", in, h.Method, h.Target, h.Host, f, length, theirs.Method, theirs.RequestURI, theirs.Host, theirs.TransferEncoding, theirs.ContentLength)
		}
		if !maps.EqualFunc(h.Header, theirs.Header, slices.Equal) {
			t.Fatalf("%q:\nours   %q\ntheirs %q", in, h.Header, theirs.Header)
		}
		values := map[string]string{}
		for name, v := range h.Header {
			values[name] = strings.Join(v, "|")
		}
		for name := range h.Header {
			h.Header[name] = append(h.Header[name], "more")
		}
		for name, before := range values {
			if got := strings.Join(h.Header[name], "|"); got != before+"|more" {
				t.Fatalf("%q: appending to one field changed %s: %q", in, name, got)
			}
		}
	})
}

func FuzzResponseHead(f *testing.F) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\nX: z\r\n\r\nab", "HTTP/1.1 204\r\n\r\n", "HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	} {
		f.Add([]byte(in))
	}
	l := http1.Limits{}.OrDefaults()
	var h http1.Head
	f.Fuzz(func(t *testing.T, in []byte) {
		var r http1.Reader
		r.Attach(bytes.NewReader(in))
		defer r.Drop()
		if err := r.ReadResponseHead(&h, &l); err != nil {
			return
		}
		framing, length, bad := http1.ResponseLength(&h, "GET")
		if bad != nil {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err != nil {
			t.Fatalf("ours takes %q, net/http says %v", in, err)
		}
		same := h.Status == theirs.StatusCode && (framing == http1.Chunked) == (len(theirs.TransferEncoding) > 0)
		if framing == http1.Fixed {
			same = same && length == theirs.ContentLength
		}
		if !same || !maps.EqualFunc(h.Header, theirs.Header, slices.Equal) {
			t.Fatalf("%q:\nours   %d %v %d %q\ntheirs %d %v %d %q", in, h.Status, framing, length, h.Header, theirs.StatusCode, theirs.TransferEncoding, theirs.ContentLength, theirs.Header)
		}
	})
}

// theirTrailer is how long a trailer section may be for net/http at the most, which is less than for us.
const theirTrailer = 4 << 10

func FuzzChunked(f *testing.F) {
	for _, test := range strictness {
		if rest, ok := strings.CutPrefix(test.in, chunkedHead); ok && len(rest) < 2000 {
			f.Add([]byte(rest), 1)
			f.Add([]byte(rest), 100)
		}
	}
	l := http1.Limits{}.OrDefaults()
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if len(in) > theirTrailer {
			return
		}
		var r http1.Reader
		r.Attach(&http1test.Pieces{Data: in, Size: max(1, size&0xffff)})
		defer r.Drop()
		var b http1.BodyReader
		b.Begin(&r, http1.Chunked, -1, &l)
		got, err := io.ReadAll(&b)
		var bad *http1.ParseError
		if err != nil && err != io.ErrUnexpectedEOF && !errors.As(err, &bad) {
			t.Fatalf("%q: %v", in, err)
		}
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(&r)
		all := bufio.NewReader(io.MultiReader(strings.NewReader(chunkedHead), bytes.NewReader(in)))
		theirs, err := http.ReadRequest(all)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(theirs.Body)
		left, _ := io.ReadAll(all)
		if err != nil || !bytes.Equal(got, want) || !bytes.Equal(rest, left) {
			t.Fatalf("%q: ours %q with %q left, theirs %q, %v", in, got, rest, want, err)
		}
	})
}
