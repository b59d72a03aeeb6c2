package http1_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/internal/http1/client"
	"cardea.dev/cardea/internal/http1/http1test"
	"cardea.dev/cardea/internal/http1/server"
)

// proxy is the plainest handler that passes requests on with the client half. Connections are kept in a list.
type proxy struct {
	t       testing.TB
	address string
	mu      sync.Mutex
	idle    []*client.Conn
}

func newProxy(t testing.TB, address string) *proxy {
	p := &proxy{t: t, address: strings.TrimPrefix(address, "http://")}
	t.Cleanup(func() {
		for _, c := range p.idle {
			c.Close()
		}
	})
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := p.take()
	r.Header.Del("Connection")
	resp, err := c.RoundTrip(r.Context(), r, nil)
	if err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if _, err := w.(server.ResponseSender).WriteResponse(resp); err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	resp.Body.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Reusable() {
		p.idle = append(p.idle, c)
	}
}

func (p *proxy) take() *client.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.idle) - 1; last >= 0 {
		c := p.idle[last]
		p.idle = p.idle[:last]
		return c
	}
	nc, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	return client.NewConn(nc, client.Options{})
}

// TestBothHalves passes requests on from the server to the client, between a client and an endpoint of net/http.
func TestBothHalves(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 50000)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/long":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
		case "/chunked":
			for i := range 10 {
				fmt.Fprint(w, i, strings.Repeat("x", i*1000))
				w.(http.Flusher).Flush()
			}
			w.Header().Set(http.TrailerPrefix+"X-Sum", fmt.Sprint(len(body)))
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			fmt.Fprintf(w, "%s %s %d %s", r.Method, r.URL.RequestURI(), len(body), r.Trailer.Get("X-In"))
		}
	}))
	defer origin.Close()
	address := serve(t, newProxy(t, origin.URL).ServeHTTP)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	ask := func(method, path, body string, known bool) string {
		t.Helper()
		var r io.Reader = strings.NewReader(body)
		if !known {
			r = onlyReader{r}
		}
		req, _ := http.NewRequest(method, "http://"+address+path, r)
		if !known {
			req.Trailer = http.Header{"X-In": {"in"}}
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + resp.Trailer.Get("X-Sum")
	}
	for range 3 {
		for _, known := range []bool{true, false} {
			trailer := map[bool]string{false: "in"}[known]
			for _, body := range []string{"a", long} {
				if got, want := ask("POST", "/x?y=%20", body, known), fmt.Sprintf("POST /x?y=%%20 %d %s", len(body), trailer); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		}
		if got := ask("GET", "/long", "", true); got != long {
			t.Errorf("long: %d bytes", len(got))
		}
		if got := ask("POST", "/chunked", "abc", true); len(got) != 45000+10+1 || !strings.HasSuffix(got, "3") {
			t.Errorf("chunked: %d bytes, trailer %q", len(got), got[len(got)-1:])
		}
		if got := ask("GET", "/none", "", true) + ask("HEAD", "/x", "", true); got != "" {
			t.Errorf("got %q", got)
		}
	}
}

// BenchmarkProxy compares both halves with httputil.ReverseProxy on net/http, on the same endpoint.
func BenchmarkProxy(b *testing.B) {
	origin := serve(b, http1test.Answer)
	b.Run("http1", func(b *testing.B) {
		trip := http1test.RoundTrips(b, serve(b, newProxy(b, origin).ServeHTTP))
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
	b.Run("net-http", func(b *testing.B) {
		p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: origin})
		p.Transport = &http.Transport{DisableCompression: true}
		s := httptest.NewServer(p)
		defer s.Close()
		defer p.Transport.(*http.Transport).CloseIdleConnections()
		trip := http1test.RoundTrips(b, strings.TrimPrefix(s.URL, "http://"))
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
}
