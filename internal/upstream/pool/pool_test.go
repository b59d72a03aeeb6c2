package pool

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// protocols runs a test over all protocols.
func protocols(t *testing.T, test func(t *testing.T, start func(http.Handler) (*Pool, Target))) {
	for _, c := range []struct {
		name, protocol string
		secure         bool
	}{
		{"http1", "http1", false},
		{"h2c", "h2c", false},
		{"auto", "auto", false},
		{"h2c by scheme", "auto", false},
		{"http1 TLS", "http1", true},
		{"http2 TLS", "http2", true},
		{"auto TLS", "auto", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			test(t, func(h http.Handler) (*Pool, Target) {
				to, s := serve(t, c.secure, h)
				o := Options{Protocol: c.protocol}
				if c.name == "h2c by scheme" {
					to.Scheme = "h2c"
				}
				if c.secure {
					roots := x509.NewCertPool()
					roots.AddCert(s.Certificate())
					o.TLS = &tls.Config{RootCAs: roots}
				}
				return open(t, o), to
			})
		})
	}
}

func TestRequestPassesUnchanged(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		type seen struct {
			Method, URI, Host, Body string
			Length                  int64
			Header                  http.Header
		}
		var got seen
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = seen{r.Method, r.RequestURI, r.Host, string(body), r.ContentLength, r.Header.Clone()}
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(299)
			io.WriteString(w, "not gzip at all")
		}))
		req := request("PUT", "/a%2Fb//c?x=1&y=%20", strings.NewReader("hello"))
		req.Host = "shop.example"
		req.Header = http.Header{"X-A": {"1", "2"}, "Te": {"trailers"}}
		req.Close = true // what the client wishes of its own connection
		before := req.Header.Clone()
		resp, body, info := fetch(t, p, to, req)

		want := seen{"PUT", "/a%2Fb//c?x=1&y=%20", "shop.example", "hello", 5, http.Header{
			"X-A": {"1", "2"}, "Te": {"trailers"}, "Content-Length": {"5"},
		}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if resp.StatusCode != 299 || body != "not gzip at all" || resp.Request != req {
			t.Errorf("got %d %q for %v", resp.StatusCode, body, resp.Request)
		}
		if info.Reused || info.Connect <= 0 || info.FirstByte < info.Connect || info.Start.IsZero() {
			t.Errorf("got %+v", info)
		}
		if d := cmp.Diff(before, req.Header); d != "" {
			t.Errorf("the caller's header was changed: %s", d)
		}
		if _, _, info = fetch(t, p, to, request("GET", "/", nil)); !info.Reused || info.Connect != 0 {
			t.Errorf("second request: %+v", info)
		}
	})
}

func TestBodyless(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(204)
			case "/304":
				w.Header().Set("Etag", `"x"`)
				w.WriteHeader(304)
			case "/0":
				w.Header().Set("Content-Length", "0")
			default:
				w.Header().Set("Content-Length", "7")
				io.WriteString(w, "content")
			}
		}))
		for range 3 {
			for _, c := range []struct{ method, path string }{{"GET", "/204"}, {"GET", "/304"}, {"HEAD", "/"}, {"POST", "/0"}} {
				resp, body, _ := fetch(t, p, to, request(c.method, c.path, nil))
				if body != "" {
					t.Errorf("%s %s: %d %q", c.method, c.path, resp.StatusCode, body)
				}
				if c.method == "HEAD" && resp.ContentLength != 7 {
					t.Errorf("HEAD: length %d", resp.ContentLength)
				}
			}
		}
		if got, want := p.Stats()[to.Address].Open, 1; got != want {
			t.Errorf("%d connections were opened, want %d", got, want)
		}
	})
}

func TestTrailersAndStreamsBothWays(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Trailer", "Grpc-Status, X-Sum")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			buf := make([]byte, 4)
			for {
				n, err := r.Body.Read(buf)
				w.Write(bytes.ToUpper(buf[:n]))
				w.(http.Flusher).Flush()
				if err != nil {
					break
				}
			}
			w.Header().Set("Grpc-Status", "0")
			w.Header().Set("X-Sum", r.Trailer.Get("X-Sum"))
		}))
		pr, pw := io.Pipe()
		req := request("POST", "/", nil)
		req.Body, req.ContentLength = pr, -1
		req.Trailer = http.Header{"X-Sum": nil}
		resp, err := p.RoundTrip(t.Context(), req, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		buf := make([]byte, 2)
		for _, s := range []string{"ab", "cd", "ef"} { // each echo is awaited before the next is sent
			io.WriteString(pw, s)
			if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != strings.ToUpper(s) {
				t.Fatalf("got %q, %v", buf, err)
			}
		}
		req.Trailer["X-Sum"] = []string{"42"}
		pw.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Fatalf("got %q, %v", rest, err)
		}
		if d := cmp.Diff(http.Header{"Grpc-Status": {"0"}, "X-Sum": {"42"}}, resp.Trailer); d != "" {
			t.Error(d)
		}
	})
}

func TestInterimAnswers(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // which sends 100
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(103)
			w.Header().Del("Link")
			w.Write(body)
		}))
		var got []string
		info := &Info{Interim: func(status int, h http.Header) error {
			got = append(got, fmt.Sprint(status, h["Link"]))
			return nil
		}}
		req := request("POST", "/", strings.NewReader("x"))
		req.Header.Set("Expect", "100-continue")
		resp, err := p.RoundTrip(t.Context(), req, to, info)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "x" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
		if !slices.Contains(got, "103 [</a.css>; rel=preload]") || !slices.Contains(got, "100 []") {
			t.Errorf("got %q", got)
		}

		gone := errors.New("the client has gone")
		info.Interim = func(int, http.Header) error { return gone }
		_, err = p.RoundTrip(t.Context(), request("GET", "/", nil), to, info)
		if e := asError(t, err); e.Kind != Canceled || !errors.Is(err, gone) {
			t.Errorf("got %+v", e)
		}
	})
}

func TestExpectRefused(t *testing.T) {
	to := script(t, func(_ int, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	p := open(t, Options{Continue: time.Minute})
	body := newNever(t)
	req := request("POST", "/", body)
	req.ContentLength = 10
	req.Header.Set("Expect", "100-continue")
	resp, err := p.RoundTrip(t.Context(), req, to, nil)
	if err != nil || resp.StatusCode != 417 {
		t.Fatal(resp, err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })}
	go s.Serve(l)
	defer s.Close()
	p := open(t, Options{})
	to := Target{Scheme: "http", Address: "unix:" + path}
	if got := get(t, p, to); got != "example.com" {
		t.Errorf("got %q", got)
	}
	if got := p.Stats()[to.Address].Open; got != 1 {
		t.Errorf("%d open", got)
	}
}

func TestTLSNames(t *testing.T) {
	cert, roots := certificate(t, "api.internal")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.TLS.ServerName) })}
	s.ErrorLog = quiet()
	go s.Serve(l)
	defer s.Close()
	address := l.Addr().String()
	for _, c := range []struct {
		name string
		to   Target
		tls  *tls.Config
		want string // "" is a failure
	}{
		{"by the target", Target{"https", address, "api.internal"}, &tls.Config{RootCAs: roots}, "api.internal"},
		{"by the options", Target{"https", address, "other"}, &tls.Config{RootCAs: roots, ServerName: "api.internal"}, "api.internal"},
		{"scheme left open", Target{"", address, "api.internal"}, &tls.Config{RootCAs: roots}, "api.internal"},
		{"wrong name", Target{"https", address, "api.external"}, &tls.Config{RootCAs: roots}, ""},
		{"address is no name", Target{"https", address, ""}, &tls.Config{RootCAs: roots}, ""},
		{"unknown root", Target{"https", address, "api.internal"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, Options{TLS: c.tls})
			if c.want != "" {
				if got := get(t, p, c.to); got != c.want {
					t.Errorf("got %q", got)
				}
				return
			}
			_, err := p.RoundTrip(t.Context(), request("GET", "/", nil), c.to, nil)
			if d := cmp.Diff(Error{Phase: TLS, Kind: Failed}, asError(t, err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNoHTTP2OnOffer(t *testing.T) {
	cert, roots := certificate(t, "a")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ErrorLog: quiet()}
	go s.Serve(l)
	defer s.Close()
	p := open(t, Options{Protocol: "http2", TLS: &tls.Config{RootCAs: roots}})
	_, err = p.RoundTrip(t.Context(), request("GET", "/", nil), Target{"https", l.Addr().String(), "a"}, nil)
	if d := cmp.Diff(Error{Phase: TLS, Kind: Failed}, asError(t, err)); d != "" {
		t.Error(d)
	}
}

func TestManyAtOnce(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.URL.Path, body, r.Proto)
		}))
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				for j := range 20 {
					path := fmt.Sprintf("/%d/%d", i, j)
					req := request("POST", path, strings.NewReader(path))
					resp, err := p.RoundTrip(context.Background(), req, to, nil)
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || !strings.HasPrefix(string(body), path+" "+path+" ") {
						t.Errorf("%s: %q, %v", path, body, err)
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all rest", func() bool {
			s := p.Stats()[to.Address]
			return s.Open <= 32 && s.Idle == s.Open && s.Waiting == 0
		})
		s := p.Stats()[to.Address]
		if p.muxOnly(to) && s.Open != 1 {
			t.Errorf("HTTP/2 took %d connections", s.Open)
		}
	})
}

func TestSequenceKeepsOneConnection(t *testing.T) {
	to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }))
	p := open(t, Options{})
	for range 2000 {
		get(t, p, to)
	}
	if got := p.Stats()[to.Address]; got.Open != 1 {
		t.Errorf("got %+v", got)
	}
}

// A request that asks for a fresh connection gets one, though there are others, and though there may be no more of them.
func TestFreshConnection(t *testing.T) {
	to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }))
	for _, limit := range []int{0, 1} {
		p := open(t, Options{MaxConns: limit})
		seen := map[string]bool{}
		for range 3 {
			get(t, p, to)
			info := Info{Fresh: true}
			resp, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, &info)
			if err != nil {
				t.Fatal(err)
			}
			from, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if info.Reused || seen[string(from)] {
				t.Errorf("at most %d connections: %s was used before", limit, from)
			}
			seen[string(from)] = true
		}
	}
}

func TestMaxConnsWaits(t *testing.T) {
	release := make(chan struct{})
	var at, most atomic.Int32
	to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := at.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		<-release
		at.Add(-1)
	}))
	p := open(t, Options{MaxConns: 2})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { get(t, p, to) })
	}
	eventually(t, "four wait", func() bool { return p.Stats()[to.Address] == Stats{Open: 2, Waiting: 4} })

	ctx, cancel := cancelWith(t)
	cause := errors.New("had enough")
	done := make(chan error)
	go func() {
		_, err := p.RoundTrip(ctx, request("GET", "/", nil), to, nil)
		done <- err
	}()
	eventually(t, "five wait", func() bool { return p.Stats()[to.Address].Waiting == 5 })
	cancel(cause)
	err := <-done
	if e := asError(t, err); e.Kind != Canceled || e.Phase != Queue || e.Sent || !errors.Is(err, cause) {
		t.Errorf("got %+v", e)
	}

	close(release)
	wg.Wait()
	if most.Load() != 2 {
		t.Errorf("%d at a time", most.Load())
	}
	eventually(t, "all rest", func() bool { return p.Stats()[to.Address] == Stats{Open: 2, Idle: 2} })
}

func TestQueueTimeout(t *testing.T) {
	release := make(chan struct{})
	to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	p := open(t, Options{MaxConns: 1, Connect: 300 * time.Millisecond})
	var wg sync.WaitGroup
	wg.Go(func() { get(t, p, to) })
	eventually(t, "one is busy", func() bool { return p.Stats()[to.Address] == Stats{Open: 1} })
	_, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
	if d := cmp.Diff(Error{Phase: Queue, Kind: TimedOut, Timeout: true}, asError(t, err)); d != "" {
		t.Error(d)
	}
	close(release)
	wg.Wait()
}

func TestUnusedConnectionsAreClosed(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }))
		p.o.KeepAlive = 20 * time.Millisecond
		get(t, p, to)
		eventually(t, "it is closed", func() bool { return p.Stats()[to.Address].Open == 0 })
		eventually(t, "the host is forgotten", func() bool { return len(p.all()) == 0 })
		get(t, p, to)
		p.CloseIdle()
		eventually(t, "it is closed", func() bool { return p.Stats()[to.Address].Open == 0 })
	})
}

func TestMaxIdle(t *testing.T) {
	var wait sync.WaitGroup
	wait.Add(5)
	to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { wait.Done(); wait.Wait() }))
	p := open(t, Options{MaxIdle: 2})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { get(t, p, to) })
	}
	wg.Wait()
	eventually(t, "two are left", func() bool { return p.Stats()[to.Address] == Stats{Open: 2, Idle: 2} })
}

func TestClose(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			if n, _ := r.Body.Read(make([]byte, 1)); n == 1 {
				io.WriteString(w, " last")
			}
		}))
		pr, pw := io.Pipe()
		req := request("POST", "/", pr)
		resp, err := p.RoundTrip(t.Context(), req, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		_, err = p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
		if d := cmp.Diff(Error{Phase: Queue, Kind: Closed}, asError(t, err)); d != "" {
			t.Error(d)
		}
		io.WriteString(pw, "x")
		pw.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "first last" {
			t.Errorf("got %q, %v", body, err)
		}
		resp.Body.Close()
	})
}
