package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/http1/http1test"
	"cardea.dev/cardea/internal/socket"
)

func TestKeepsItsConnection(t *testing.T) {
	c := client(t, Options{}, answers(http1test.OK+"Content-Length: 5\r\n\r\nhello"))
	for i := range 5 {
		if resp, body := exchange(t, c, http1test.Outgoing("GET", "/", nil)); resp.StatusCode != 200 || body != "hello" {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
		if !c.Reusable() || c.Served() != i+1 || c.in.Peek() != nil {
			t.Fatalf("after %d: not at rest", i)
		}
	}
	c.Close()
	_, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
	if d := cmp.Diff(Error{Phase: WritePhase, Kind: IdleClosed}, failure(t, err)); d != "" {
		t.Error(d)
	}
}

// What a request is on the wire, as net/http reads it.
func TestRequests(t *testing.T) {
	type seen struct {
		Line, Host, Body string
		Length           int64
		Header, Trailer  http.Header
	}
	for _, c := range []struct {
		name string
		make func() *http.Request
		want seen
	}{
		{"plain", func() *http.Request { return http1test.Outgoing("GET", "/a%2Fb//c?x=1&y=%20", nil) }, seen{Line: "GET /a%2Fb//c?x=1&y=%20", Host: "example.com"}},
		{"empty query", func() *http.Request { return http1test.Outgoing("GET", "/?", nil) }, seen{Line: "GET /?", Host: "example.com"}},
		{"asterisk", func() *http.Request { return http1test.Outgoing("OPTIONS", "*", nil) }, seen{Line: "OPTIONS *", Host: "example.com"}},
		{"no method, path and host", func() *http.Request {
			r := http1test.Outgoing("GET", "/", nil)
			r.Method, r.URL.Path, r.Host = "", "", ""
			return r
		}, seen{Line: "GET /", Host: "fallback:80"}},
		{"fields", func() *http.Request {
			r := http1test.Outgoing("GET", "/", nil)
			r.Header = http.Header{"X-A": {"1", "\t2"}, "Te": {"trailers"}, "Host": {"evil"}, "Content-Length": {"7"}, "Transfer-Encoding": {"gzip"}, "X-B": nil}
			return r
		}, seen{Line: "GET /", Host: "example.com", Header: http.Header{"X-A": {"1", "2"}, "Te": {"trailers"}}}},
		{"POST without a body", func() *http.Request { return http1test.Outgoing("POST", "/", nil) }, seen{Line: "POST /", Host: "example.com", Header: http.Header{"Content-Length": {"0"}}}},
		{"body in memory", func() *http.Request {
			r := http1test.Outgoing("PUT", "/", strings.NewReader("hello"))
			r.GetBody = func() (io.ReadCloser, error) { return nil, nil }
			return r
		}, seen{Line: "PUT /", Host: "example.com", Body: "hello", Length: 5, Header: http.Header{"Content-Length": {"5"}}}},
		{"body that is there", func() *http.Request {
			r := http1test.Outgoing("PUT", "/", nil)
			r.Body, r.ContentLength = there{bufio.NewReader(strings.NewReader("hello"))}.fill(5), 5
			return r
		}, seen{Line: "PUT /", Host: "example.com", Body: "hello", Length: 5, Header: http.Header{"Content-Length": {"5"}}}},
		{
			"body that comes", func() *http.Request { return http1test.Outgoing("PUT", "/", strings.NewReader("hello")) },
			seen{Line: "PUT /", Host: "example.com", Body: "hello", Length: 5, Header: http.Header{"Content-Length": {"5"}}},
		},
		{"long body in memory", func() *http.Request {
			r := http1test.Outgoing("PUT", "/", strings.NewReader(strings.Repeat("x", 100_000)))
			r.GetBody = func() (io.ReadCloser, error) { return nil, nil }
			return r
		}, seen{Line: "PUT /", Host: "example.com", Body: strings.Repeat("x", 100_000), Length: 100_000, Header: http.Header{"Content-Length": {"100000"}}}},
		{"chunks and trailers", func() *http.Request {
			r := http1test.Outgoing("PUT", "/", io.MultiReader(strings.NewReader(strings.Repeat("a", 70_000)), strings.NewReader("b")))
			r.ContentLength = -1
			r.Trailer = http.Header{"X-Sum": {"1"}, "Content-Length": {"5"}}
			return r
		}, seen{Line: "PUT /", Host: "example.com", Body: strings.Repeat("a", 70_000) + "b", Length: -1, Trailer: http.Header{"X-Sum": {"1"}}}},
		{"no chunk but the last", func() *http.Request {
			r := http1test.Outgoing("PUT", "/", io.MultiReader())
			r.ContentLength = -1
			return r
		}, seen{Line: "PUT /", Host: "example.com", Length: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan seen, 1)
			cc := client(t, Options{Host: "fallback:80"}, func(_ int, c net.Conn, r *bufio.Reader) {
				req, err := http.ReadRequest(r)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(req.Body)
				got <- seen{req.Method + " " + req.RequestURI, req.Host, string(body), req.ContentLength, req.Header, req.Trailer}
				io.WriteString(c, http1test.OK+"Content-Length: 0\r\n\r\n")
			})
			req := c.make()
			before := req.Header.Clone()
			exchange(t, cc, req)
			if c.want.Header == nil {
				c.want.Header = http.Header{}
			}
			if d := cmp.Diff(c.want, <-got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(before, req.Header); d != "" {
				t.Errorf("the request was changed: %s", d)
			}
		})
	}
}

// there is a body that knows how much of it is there.
type there struct{ *bufio.Reader }

func (r there) fill(n int) there { r.Peek(n); return r }
func (there) Close() error       { return nil }

// What cannot be sent safely is not sent, and harms nothing.
func TestRefusesRequests(t *testing.T) {
	c := client(t, Options{}, answers(http1test.OK+"Content-Length: 0\r\n\r\n"))
	for name, change := range map[string]func(*http.Request){
		"line break in a value":    func(r *http.Request) { r.Header["X-A"] = []string{"a\r\nX-B: c"} },
		"LF in a value":            func(r *http.Request) { r.Header["X-A"] = []string{"a\nb"} },
		"NUL in a value":           func(r *http.Request) { r.Header["X-A"] = []string{"a\x00"} },
		"line break in a name":     func(r *http.Request) { r.Header["X-A: 1\r\nX-B"] = []string{"c"} },
		"blank in a name":          func(r *http.Request) { r.Header["X A"] = []string{"c"} },
		"no name":                  func(r *http.Request) { r.Header[""] = []string{"c"} },
		"blank in the method":      func(r *http.Request) { r.Method = "G T" },
		"line break in the method": func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\n" },
		"CONNECT":                  func(r *http.Request) { r.Method = "CONNECT" },
		"blank in the host":        func(r *http.Request) { r.Host = "a b" },
		"line break in the host":   func(r *http.Request) { r.Host = "a\r\nX: y" },
		"path in the host":         func(r *http.Request) { r.Host = "a/b" },
		"line break in the query":  func(r *http.Request) { r.URL.RawQuery = "a\r\nb" },
		"blank in the query":       func(r *http.Request) { r.URL.RawQuery = "a b" },
		"fragment in the query":    func(r *http.Request) { r.URL.RawQuery = "a#b" },
		"path without a slash":     func(r *http.Request) { r.URL.Path = "a" },
		"asterisk without OPTIONS": func(r *http.Request) { r.URL.Path = "*" },
		"raw path with a line break": func(r *http.Request) {
			r.URL.Opaque, r.URL.RawPath, r.URL.Path = "", "/\r\n", "/\r\n"
			r.URL.RawQuery = "\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			req := http1test.Outgoing("GET", "/", nil)
			change(req)
			_, err := c.RoundTrip(t.Context(), req, nil)
			got := failure(t, err)
			got.Reused = false
			if d := cmp.Diff(Error{Phase: WritePhase, Kind: BadRequest}, got); d != "" {
				t.Error(d)
			}
			exchange(t, c, http1test.Outgoing("GET", "/", nil)) // over the same connection
		})
	}
}

func TestInterimAnswers(t *testing.T) {
	c := client(t, Options{}, answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"+http1test.OK+"Content-Length: 1\r\n\r\nx"))
	var got []string
	resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), func(status int, h http.Header) error {
		got = append(got, fmt.Sprint(status, h))
		return nil
	})
	if err != nil || resp.StatusCode != 200 || len(resp.Header) != 1 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	if want := []string{"100 map[]", "103 map[Link:[a]]"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if !c.Reusable() {
		t.Error("a body that has come already and is not wanted ended the connection")
	}
	gone := errors.New("the client has gone")
	_, err = c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), func(int, http.Header) error { return gone })
	if d := cmp.Diff(Error{Phase: HeaderPhase, Kind: Canceled, Reused: true, Sent: true}, failure(t, err)); d != "" || !errors.Is(err, gone) {
		t.Error(d, err)
	}
}

func TestTrailersBothWays(t *testing.T) {
	c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			req := http1test.TakeRequest(r)
			if req == nil {
				return
			}
			fmt.Fprintf(c, http1test.OK+"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: %s\r\nx-more: 1\r\n\r\n", req.Trailer.Get("X-Sum"))
		}
	})
	for range 3 {
		req := http1test.Outgoing("POST", "/", io.MultiReader(strings.NewReader("hello")))
		req.ContentLength, req.Trailer = -1, http.Header{"X-Sum": {"42"}}
		resp, err := c.RoundTrip(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(http.Header{"X-Sum": nil}, resp.Trailer); d != "" {
			t.Error(d)
		}
		io.Copy(io.Discard, resp.Body)
		if d := cmp.Diff(http.Header{"X-Sum": {"42"}, "X-More": {"1"}}, resp.Trailer); d != "" {
			t.Error(d)
		}
		if !c.Reusable() {
			t.Fatal("the connection was closed")
		}
	}
}

func TestWaitsForConsent(t *testing.T) {
	send := func(c *Conn, body io.Reader) (*http.Response, error) {
		req := http1test.Outgoing("POST", "/", body)
		req.ContentLength = 5
		req.Header.Set("Expect", "100-continue")
		return c.RoundTrip(context.Background(), req, nil)
	}
	t.Run("given", func(t *testing.T) {
		c := client(t, Options{Continue: time.Hour}, func(_ int, c net.Conn, r *bufio.Reader) {
			req, _ := http.ReadRequest(r)
			if r.Buffered() > 0 {
				t.Error("the body came with the head")
			}
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			body, _ := io.ReadAll(req.Body)
			fmt.Fprintf(c, http1test.OK+"Content-Length: 5\r\n\r\n%s", body)
		})
		resp, err := send(c, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("not given in time", func(t *testing.T) {
		c := client(t, Options{Continue: 20 * time.Millisecond, FirstByte: time.Minute}, answers(http1test.OK+"Content-Length: 0\r\n\r\n"))
		if _, err := send(c, strings.NewReader("hello")); err != nil || !c.Reusable() {
			t.Fatal(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		c := client(t, Options{Continue: time.Hour}, func(_ int, c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
			io.Copy(io.Discard, r)
		})
		resp, err := send(c, newSilent(t))
		if err != nil || resp.StatusCode != 417 {
			t.Fatal(resp, err)
		}
		if c.Reusable() {
			t.Error("the endpoint still waits for a body")
		}
	})
}

// An endpoint may answer before it has the whole request.
func TestHearsEarlyAnswers(t *testing.T) {
	t.Run("and the endpoint closes", func(t *testing.T) {
		for range 20 {
			c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
			})
			req := http1test.Outgoing("POST", "/", io.LimitReader(zeros{}, 16<<20))
			req.ContentLength = 16 << 20
			if resp, body := exchange(t, c, req); resp.StatusCode != 413 || body != "big" || c.Reusable() {
				t.Fatalf("got %d %q", resp.StatusCode, body)
			}
		}
	})
	t.Run("and the client stands still", func(t *testing.T) {
		c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
			io.Copy(io.Discard, r)
		})
		resp, body := exchange(t, c, http1test.Outgoing("POST", "/", newSilent(t)))
		if resp.StatusCode != 413 || body != "big" || c.Reusable() {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	})
	t.Run("and both go on", func(t *testing.T) {
		c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
			req, _ := http.ReadRequest(r)
			io.WriteString(c, http1test.OK+"Transfer-Encoding: chunked\r\n\r\n")
			buf := make([]byte, 8)
			for {
				n, err := req.Body.Read(buf)
				if n > 0 {
					fmt.Fprintf(c, "%x\r\n%s\r\n", n, bytes.ToUpper(buf[:n]))
				}
				if err != nil {
					io.WriteString(c, "0\r\n\r\n")
					return
				}
			}
		})
		pr, pw := io.Pipe()
		req := http1test.Outgoing("POST", "/", pr)
		resp, err := c.RoundTrip(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"ab", "cd"} { // each is answered before the next is sent
			io.WriteString(pw, s)
			got := make([]byte, 2)
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != strings.ToUpper(s) {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		pw.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("got %q, %v", rest, err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func upgrading() *http.Request {
	req := http1test.Outgoing("GET", "/", nil)
	req.Header.Set("Connection", "keep-alive, Upgrade")
	req.Header.Set("Upgrade", "echo")
	return req
}

func TestUpgrade(t *testing.T) {
	c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ")
		io.Copy(c, r)
		io.WriteString(c, " bye")
	})
	resp, err := c.RoundTrip(t.Context(), upgrading(), nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
		t.Fatal(resp, err)
	}
	tunnel := resp.Body.(io.ReadWriteCloser)
	io.WriteString(tunnel, "world")
	if err := tunnel.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(tunnel); err != nil || string(got) != "hello world bye" {
		t.Errorf("got %q, %v", got, err)
	}
	if c.Closed() {
		t.Error("the tunnel was closed before its Close")
	}
	tunnel.Close()
	tunnel.Close()
	if !c.Closed() {
		t.Error("the tunnel is open after its Close")
	}
}

func TestUpgradeRefused(t *testing.T) {
	c := client(t, Options{}, answers("HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n"))
	if resp, _ := exchange(t, c, upgrading()); resp.StatusCode != 426 || !c.Reusable() {
		t.Error(resp)
	}
}

// A switch with a length leaves a doubt: are the bytes behind it a body's, or the other protocol's?
func TestUpgradeWithALength(t *testing.T) {
	for _, field := range []string{"Content-Length: 5", "Transfer-Encoding: chunked"} {
		c := client(t, Options{}, answers("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n"+field+"\r\n\r\nhello"))
		_, err := c.RoundTrip(t.Context(), upgrading(), nil)
		if got := failure(t, err); got.Kind != Malformed || !c.Closed() {
			t.Errorf("%s: got %+v", field, got)
		}
	}
}

// Cancellation is heard in each phase, with its cause.
func TestCancellation(t *testing.T) {
	cause := errors.New("the client left")
	reached := make(chan struct{}, 1)
	hang := func(say string) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, say)
			reached <- struct{}{}
			io.Copy(io.Discard, r) // ends when the client closes
		}
	}
	t.Run("before", func(t *testing.T) {
		c := client(t, Options{}, answers(http1test.OK+"Content-Length: 0\r\n\r\n"))
		ctx, cancel := wayward(t)
		cancel(cause)
		_, err := c.RoundTrip(ctx, http1test.Outgoing("GET", "/", nil), nil)
		if d := cmp.Diff(Error{Phase: WritePhase, Kind: Canceled}, failure(t, err)); d != "" || !errors.Is(err, cause) {
			t.Error(d, err)
		}
		if !c.Reusable() {
			t.Error("it was not used, and is closed")
		}
	})
	for _, p := range []struct {
		name, say string
		req       func(t *testing.T) *http.Request
		want      Error
	}{
		{"head", "", func(*testing.T) *http.Request { return http1test.Outgoing("GET", "/", nil) }, Error{Phase: HeaderPhase, Kind: Canceled, Sent: true}},
		{"half a head", http1test.OK, func(*testing.T) *http.Request { return http1test.Outgoing("GET", "/", nil) }, Error{Phase: HeaderPhase, Kind: Canceled, Sent: true}},
		{"silent upload", "", func(t *testing.T) *http.Request { return http1test.Outgoing("POST", "/", newSilent(t)) }, Error{Phase: HeaderPhase, Kind: Canceled, Sent: true, BodyRead: true}},
		{"consent", "", func(t *testing.T) *http.Request {
			req := http1test.Outgoing("POST", "/", newSilent(t))
			req.Header.Set("Expect", "100-continue")
			return req
		}, Error{Phase: HeaderPhase, Kind: Canceled, Sent: true}},
		{"body", http1test.OK + "Content-Length: 5\r\n\r\nhe", func(*testing.T) *http.Request { return http1test.Outgoing("GET", "/", nil) }, Error{Phase: BodyPhase, Kind: Canceled, Sent: true}},
		{"chunk", http1test.OK + "Transfer-Encoding: chunked\r\n\r\n5\r\nhe", func(*testing.T) *http.Request { return http1test.Outgoing("GET", "/", nil) }, Error{Phase: BodyPhase, Kind: Canceled, Sent: true}},
		{"until it closes", http1test.OK + "\r\nhe", func(*testing.T) *http.Request { return http1test.Outgoing("GET", "/", nil) }, Error{Phase: BodyPhase, Kind: Canceled, Sent: true}},
		{"tunnel", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhe", func(*testing.T) *http.Request { return upgrading() }, Error{Phase: BodyPhase, Kind: Canceled, Sent: true}},
	} {
		t.Run(p.name, func(t *testing.T) {
			c := client(t, Options{Continue: time.Hour}, hang(p.say))
			ctx, cancel := wayward(t)
			leave := func() { time.AfterFunc(25*time.Millisecond, func() { cancel(cause) }) }
			if p.want.Phase == HeaderPhase {
				go func() { <-reached; leave() }()
			}
			resp, err := c.RoundTrip(ctx, p.req(t), nil)
			if err == nil {
				<-reached
				leave()
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if d := cmp.Diff(p.want, failure(t, err)); d != "" || !errors.Is(err, cause) {
				t.Error(d, err)
			}
			if !c.Closed() {
				t.Error("the connection is open")
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		c := client(t, Options{}, hang(""))
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, err := c.RoundTrip(ctx, http1test.Outgoing("GET", "/", nil), nil)
		if d := cmp.Diff(Error{Phase: HeaderPhase, Kind: Canceled, Sent: true, Timeout: true}, failure(t, err)); d != "" {
			t.Error(d)
		}
	})
}

func TestLimits(t *testing.T) {
	const limit = 200 * time.Millisecond
	hang := func(say string) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, say)
			if say == "" {
				for range 3 {
					http.ReadRequest(r)
				}
			}
			io.Copy(io.Discard, r)
		}
	}
	deaf := func(_ int, c net.Conn, r *bufio.Reader) { // takes nothing after the head
		http.ReadRequest(r)
		for end := time.Now().Add(5 * limit); time.Now().Before(end); time.Sleep(limit) {
		}
	}
	get := func(*testing.T) *http.Request { return http1test.Outgoing("GET", "/", nil) }
	for _, p := range []struct {
		name   string
		o      Options
		handle func(int, net.Conn, *bufio.Reader)
		req    func(t *testing.T) *http.Request
		want   Error
	}{
		{"first byte", Options{FirstByte: limit}, hang(""), get, Error{Phase: HeaderPhase, Kind: TimedOut, Sent: true}},
		{"half a head", Options{FirstByte: limit}, hang(http1test.OK), get, Error{Phase: HeaderPhase, Kind: TimedOut, Sent: true}},
		{"interim answers do not count", Options{FirstByte: limit}, hang("HTTP/1.1 102 Wait\r\n\r\n"), get, Error{Phase: HeaderPhase, Kind: TimedOut, Sent: true}},
		{"first byte after an upload", Options{FirstByte: limit, Idle: time.Hour}, hang(""), func(*testing.T) *http.Request {
			pr, pw := io.Pipe()
			time.AfterFunc(2*limit, func() { io.WriteString(pw, "x"); pw.Close() })
			return http1test.Outgoing("POST", "/", pr)
		}, Error{Phase: HeaderPhase, Kind: TimedOut, Sent: true, BodyRead: true}},
		{"the client stands still", Options{Idle: limit}, hang(""), func(t *testing.T) *http.Request {
			return http1test.Outgoing("POST", "/", newSilent(t))
		}, Error{Phase: WritePhase, Kind: RequestBody, Sent: true, BodyRead: true}},
		{"the endpoint takes nothing", Options{Idle: limit}, deaf, func(t *testing.T) *http.Request {
			return http1test.Outgoing("POST", "/", zeros{})
		}, Error{Phase: WritePhase, Kind: TimedOut, Sent: true, BodyRead: true}},
		{"the body stands still", Options{Idle: limit}, hang(http1test.OK + "Content-Length: 5\r\n\r\nhe"), get, Error{Phase: BodyPhase, Kind: TimedOut, Sent: true}},
		{
			"the tunnel stands still",
			Options{Idle: limit},
			hang("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhe"),
			func(*testing.T) *http.Request { return upgrading() },
			Error{Phase: BodyPhase, Kind: TimedOut, Sent: true},
		},
	} {
		t.Run(p.name, func(t *testing.T) {
			c := client(t, p.o, p.handle)
			start := time.Now()
			resp, err := c.RoundTrip(t.Context(), p.req(t), nil)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			p.want.Timeout = true
			if d := cmp.Diff(p.want, failure(t, err)); d != "" {
				t.Error(d)
			}
			if took := time.Since(start); took < limit {
				t.Errorf("it was ended after %v", took)
			}
		})
	}
}

// A limit below the time for which the context need not be watched is told as any other.
func TestShortLimit(t *testing.T) {
	c := client(t, Options{FirstByte: patience / 2}, func(_ int, _ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	_, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
	if d := cmp.Diff(Error{Phase: HeaderPhase, Kind: TimedOut, Timeout: true, Sent: true}, failure(t, err)); d != "" {
		t.Error(d)
	}
}

// What is slow but moves is left alone.
func TestSlowBodies(t *testing.T) {
	c := client(t, Options{Idle: 400 * time.Millisecond}, func(_ int, c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		for err == nil {
			if body, _ := io.ReadAll(req.Body); string(body) != "abcdefgh" {
				t.Errorf("got %q", body)
			}
			io.WriteString(c, http1test.OK+"Transfer-Encoding: chunked\r\n\r\n")
			for range 8 {
				time.Sleep(60 * time.Millisecond)
				io.WriteString(c, "1\r\nx\r\n")
			}
			io.WriteString(c, "0\r\n\r\n")
			req, err = http.ReadRequest(r)
		}
	})
	for range 2 {
		pr, pw := io.Pipe()
		go func() {
			for _, b := range []byte("abcdefgh") {
				time.Sleep(60 * time.Millisecond)
				pw.Write([]byte{b})
			}
			pw.Close()
		}()
		req := http1test.Outgoing("POST", "/", pr)
		ctx, _ := wayward(t)
		resp, err := c.RoundTrip(ctx, req, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(450 * time.Millisecond) // it is the reader that is slow: that does not count
		if body, err := io.ReadAll(resp.Body); string(body) != "xxxxxxxx" || err != nil {
			t.Fatalf("got %q, %v", body, err)
		}
		if !c.Reusable() {
			t.Fatal("the connection was closed")
		}
	}
}

// An endpoint that dies is told apart by when it does.
func TestDyingEndpoint(t *testing.T) {
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }
	for _, p := range []struct {
		name  string
		first bool // there was an exchange before
		die   func(c net.Conn, r *bufio.Reader)
		want  Error
	}{
		{"unanswered", false, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r) }, Error{Phase: HeaderPhase, Kind: Reset, Sent: true}},
		{"reset unanswered", false, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r); reset(c) }, Error{Phase: HeaderPhase, Kind: Reset, Sent: true}},
		{"unanswered after idleness", true, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r) }, Error{Phase: HeaderPhase, Kind: IdleClosed, Sent: true, Reused: true}},
		{"reset after idleness", true, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r); reset(c) }, Error{Phase: HeaderPhase, Kind: IdleClosed, Sent: true, Reused: true}},
		{"half a head after idleness", true, func(c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, http1test.OK)
		}, Error{Phase: HeaderPhase, Kind: Reset, Sent: true, Reused: true}},
		{"half a body", false, func(c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, http1test.OK+"Content-Length: 5\r\n\r\nhe")
		}, Error{Phase: BodyPhase, Kind: Truncated, Sent: true}},
	} {
		t.Run(p.name, func(t *testing.T) {
			c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
				if p.first {
					http1test.TakeRequest(r)
					io.WriteString(c, http1test.OK+"Content-Length: 0\r\n\r\n")
				}
				p.die(c, r)
			})
			if p.first {
				exchange(t, c, http1test.Outgoing("GET", "/", nil))
			}
			resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
			}
			if d := cmp.Diff(p.want, failure(t, err)); d != "" {
				t.Error(d)
			}
			if !c.Closed() {
				t.Error("the connection is open")
			}
		})
	}
	t.Run("a reset body", func(t *testing.T) {
		read := make(chan struct{})
		c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, http1test.OK+"\r\nhello")
			<-read
			reset(c)
		})
		resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(resp.Body, make([]byte, 5))
		close(read)
		_, err = io.ReadAll(resp.Body)
		if d := cmp.Diff(Error{Phase: BodyPhase, Kind: Reset, Sent: true}, failure(t, err)); d != "" {
			t.Error(d)
		}
	})
}

// Requests whose body cannot be read are not the endpoint's fault.
func TestBrokenUploads(t *testing.T) {
	broken := errors.New("the client broke off")
	inMemory := func(r *http.Request) { r.GetBody = func() (io.ReadCloser, error) { return nil, nil } }
	streamed := func(*http.Request) {}
	for _, p := range []struct {
		name   string
		body   io.Reader
		length int64
		kind   func(*http.Request)
		cause  error
		want   Error
	}{
		{"read error", io.MultiReader(strings.NewReader("abc"), unreadable{broken}), -1, streamed, broken, Error{Sent: true, BodyRead: true}},
		{"too short", strings.NewReader("abc"), 5, streamed, io.ErrUnexpectedEOF, Error{Sent: true, BodyRead: true}},
		{"too long", strings.NewReader("abc"), 2, streamed, ErrBodyTooLong, Error{Sent: true, BodyRead: true}},
		{"read error in memory", io.MultiReader(strings.NewReader("abc"), unreadable{broken}), 5, inMemory, broken, Error{}},
		{"too short in memory", strings.NewReader("abc"), 5, inMemory, io.ErrUnexpectedEOF, Error{}},
		{"too long in memory", strings.NewReader("abc"), 2, inMemory, ErrBodyTooLong, Error{}},
	} {
		t.Run(p.name, func(t *testing.T) {
			c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
			req := http1test.Outgoing("POST", "/", p.body)
			req.ContentLength = p.length
			p.kind(req)
			_, err := c.RoundTrip(t.Context(), req, nil)
			p.want.Phase, p.want.Kind = WritePhase, RequestBody
			if d := cmp.Diff(p.want, failure(t, err)); d != "" || !errors.Is(err, p.cause) {
				t.Error(d, err)
			}
			if c.Closed() != p.want.Sent {
				t.Errorf("closed: %v", c.Closed())
			}
		})
	}
}

type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }

func TestSeesWhatIdleConnectionsDo(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, p := range []struct {
			name string
			do   func(c net.Conn)
		}{
			{"close", func(c net.Conn) { c.Close() }},
			{"speak", func(c net.Conn) { io.WriteString(c, http1test.OK+"Content-Length: 4\r\n\r\nevil") }},
		} {
			t.Run(fmt.Sprint(p.name, " secure: ", secure), func(t *testing.T) {
				noLeaks(t)
				now, did := make(chan struct{}), make(chan struct{})
				handle := func(_ int, c net.Conn, r *bufio.Reader) {
					http1test.TakeRequest(r)
					io.WriteString(c, http1test.OK+"Content-Length: 0\r\n\r\n")
					<-now
					p.do(c)
					close(did)
					io.Copy(io.Discard, r)
				}
				c := connect(t, secure, handle)
				exchange(t, c, http1test.Outgoing("GET", "/", nil))
				for range 3 {
					if !c.Reusable() {
						t.Fatal("it is at rest, and not reusable")
					}
				}
				close(now)
				<-did
				http1test.Soon(t, "it is seen", func() bool { return !c.Reusable() })
				if !c.Closed() {
					t.Error("it was not closed")
				}
			})
		}
	}
	// Over TLS, what came together with the answer is in no socket any more.
	t.Run("speak at once, secure", func(t *testing.T) {
		noLeaks(t)
		c := connect(t, true, func(_ int, c net.Conn, r *bufio.Reader) {
			http1test.TakeRequest(r)
			var records bytes.Buffer
			tc := c.(*tls.Conn)
			under := tc.NetConn().(*corked)
			under.cork = &records
			io.WriteString(c, http1test.OK+"Content-Length: 0\r\n\r\n")
			io.WriteString(c, http1test.OK+"Content-Length: 4\r\n\r\nevil")
			under.cork = nil
			under.Write(records.Bytes())
			io.Copy(io.Discard, r)
		})
		exchange(t, c, http1test.Outgoing("GET", "/", nil))
		if c.Reusable() {
			t.Error("it is reusable")
		}
	})
}

// corked collects what is written to it.
type corked struct {
	net.Conn
	cork *bytes.Buffer
}

func (c *corked) Write(p []byte) (int, error) {
	if c.cork != nil {
		return c.cork.Write(p)
	}
	return c.Conn.Write(p)
}

// connect starts an endpoint with or without TLS, and connects to it.
func connect(t *testing.T, secure bool, handle func(int, net.Conn, *bufio.Reader)) *Conn {
	if !secure {
		return dialClient(t, http1test.Endpoint(t, handle), Options{})
	}
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	address := http1test.Endpoint(t, func(n int, c net.Conn, _ *bufio.Reader) {
		tc := tls.Server(&corked{Conn: c}, config)
		defer tc.Close()
		handle(n, tc, bufio.NewReader(tc))
	})
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	tc := tls.Client(socket.NewCarrier(raw), &tls.Config{InsecureSkipVerify: true})
	if err := tc.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := NewConn(tc, Options{})
	t.Cleanup(func() { c.Close() })
	return c
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
