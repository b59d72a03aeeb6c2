package cache_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// turns answers with the number of the request, and with the fields of this turn, the last ones for all further.
func turns(t *testing.T, fields ...[]string) *service {
	t.Helper()
	var s *service
	s = newService(t, func(w http.ResponseWriter, _ *http.Request) {
		n := s.asked.Load()
		for _, f := range fields[min(int(n), len(fields))-1] {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Add(name, value)
		}
		_, _ = fmt.Fprint(w, n)
	})
	return s
}

// TestRefreshedBeforeItIsAskedFor: what is stale for a moment, or soon, is given at once, and asked for anew meanwhile, once.
func TestRefreshedBeforeItIsAskedFor(t *testing.T) {
	const stale = "Cache-Control: max-age=10, stale-while-revalidate=600"
	for name, c := range map[string]struct {
		policy, cached string
		first          []string
	}{
		"early":                         {"{refresh_early: 10%}", "hit; ttl=", []string{"Cache-Control: max-age=1000", "Age: 950"}},
		"stale while it is revalidated": {"{}", "hit; ttl=-", []string{stale, "Age: 20"}},
		"as configured":                 {"{stale_while_revalidate: 10m}", "hit; ttl=-", []string{"Cache-Control: max-age=10", "Age: 20"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := turns(t, c.first, []string{"Cache-Control: max-age=1000"})
			g := gateway(t, s, c.policy)
			expect(t, g, "/x", 200, "1", "fwd=uri-miss")
			expect(t, g, "/x", 200, "1", c.cached)
			until(t, "it is fetched anew", func() bool {
				_, body := g.Get("/x")
				return body == "2"
			})
			expect(t, g, "/x", 200, "2", "hit; ttl=")
			if n := s.asked.Load(); n != 2 {
				t.Errorf("the service was asked %d times", n)
			}
		})
	}
}

// TestWhoWantsWhatIsFreshGetsTheFailure: the operator's grace is for clients that take what is stored; one that says no-cache wants the service's word (RFC 9111, section 5.2.1.4).
func TestWhoWantsWhatIsFreshGetsTheFailure(t *testing.T) {
	for _, c := range []struct {
		policy, field string
		status        int
		cached        string
	}{
		{"{grace: 1h}", "Cache-Control: no-cache", 502, "fwd=request"},
		{"{grace: 1h}", "Pragma: no-cache", 502, "fwd=request"},
		{"{grace: 1h, requests: ignore}", "Cache-Control: no-cache", 200, "hit"},
		{"{grace: 1h}", "Cache-Control: max-age=0", 200, "hit"},
		{"{}", "Cache-Control: max-age=0", 200, "hit"},
		{"{grace: 1h}", "", 200, "hit"},
	} {
		s := newService(t, page("Cache-Control: max-age=60", `Etag: "1"`))
		g := gateway(t, s, c.policy)
		expect(t, g, "/x", 200, "hello, world", "fwd=uri-miss")
		expect(t, g, "/x", 200, "hello, world", "hit")
		s.Close()
		var fields []string
		if c.field != "" {
			fields = []string{c.field}
		}
		resp, _ := g.Get("/x", fields...)
		if got := resp.Header.Get("Cache-Status"); resp.StatusCode != c.status || !strings.HasPrefix(got, "Cardea; "+c.cached) {
			t.Errorf("%s, %s: %d %s", c.policy, c.field, resp.StatusCode, got)
		}
	}
}

// TestDisconnectedIsAnError: what must be validated is not used while the service cannot be asked, whatever is configured (RFC 9111, section 5.2.2.2).
func TestDisconnectedIsAnError(t *testing.T) {
	for _, control := range []string{"max-age=0, must-revalidate", "max-age=0, proxy-revalidate", "s-maxage=0", "no-cache", "no-cache, stale-if-error=600", "must-revalidate, max-age=10, stale-if-error=600"} {
		s := newService(t, page("Cache-Control: "+control, `Etag: "1"`, "Age: 20"))
		g := gateway(t, s, "{grace: 1h, stale_while_revalidate: 1h}")
		expect(t, g, "/x", 200, "hello, world", "fwd=uri-miss")
		expect(t, g, "/x", 200, "hello, world", "fwd=stale; fwd-status=304")
		s.Close()
		for _, field := range []string{"X-No: 1", "Cache-Control: max-stale", "Cache-Control: stale-if-error=600"} {
			resp, body := g.Get("/x", field)
			if resp.StatusCode != 502 || strings.Contains(body, "hello") {
				t.Errorf("%s, %s: %d %q", control, field, resp.StatusCode, body)
			}
		}
	}
}

// speaking are clients that speak to a gateway in some way, and how it listens for that.
func speaking(t *testing.T) map[string]struct {
	listen    string
	transport *http.Transport
} {
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	return map[string]struct {
		listen    string
		transport *http.Transport
	}{
		"HTTP/1.1":        {`"127.0.0.1:0"`, &http.Transport{DisableCompression: true}},
		"h2c":             {`{address: "127.0.0.1:0", protocols: [http1, h2c]}`, &http.Transport{DisableCompression: true, Protocols: &h2c}},
		"HTTP/2 over TLS": {`{address: "127.0.0.1:0", tls: {cert: ` + certificate(t) + `}}`, &http.Transport{DisableCompression: true, ForceAttemptHTTP2: true, TLSClientConfig: insecure()}},
	}
}

func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } //nolint:gosec // the certificate is the test's own

// certificate is a file with a certificate and its key.
func certificate(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	path := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAllProtocols: misses, hits, conditions, parts, HEAD and trailers, for clients of each protocol.
func TestAllProtocols(t *testing.T) {
	for name, c := range speaking(t) {
		t.Run(name, func(t *testing.T) {
			s := newService(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"1"`)
				if r.URL.Path == "/trailer" {
					w.Header().Set("Trailer", "X-Sum, X-Parts")
					defer func() {
						w.Header().Set("X-Sum", "abc")
						w.Header().Add("X-Parts", "1")
						w.Header().Add("X-Parts", "2")
					}()
				}
				_, _ = io.WriteString(w, "hello, world")
			})
			g := gatewaytest.New(t, "overload: off\nlisten: "+c.listen+"\nupstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, cache: {}}]\n")
			g.Client.Transport = c.transport
			t.Cleanup(c.transport.CloseIdleConnections)
			expect(t, g, "/x", 200, "hello, world", "fwd=uri-miss")
			resp := expect(t, g, "/x", 200, "hello, world", "hit")
			if major := map[bool]int{true: 1, false: 2}[name == "HTTP/1.1"]; resp.ProtoMajor != major || resp.ContentLength != 12 {
				t.Errorf("%s, %d bytes", resp.Proto, resp.ContentLength)
			}
			expect(t, g, "/x", 304, "", "hit", `If-None-Match: "1"`)
			expect(t, g, "/x", 206, "hello", "hit", "Range: bytes=0-4")
			if resp, body := g.Do("HEAD", "/x", ""); resp.StatusCode != 200 || body != "" || resp.ContentLength != 12 {
				t.Errorf("HEAD: %d %q %v", resp.StatusCode, body, resp.Header)
			}
			for _, cached := range []string{"fwd=uri-miss", "hit", "hit"} {
				resp := expect(t, g, "/trailer", 200, "hello, world", cached, "TE: trailers")
				if got := fmt.Sprint(resp.Trailer); got != "map[X-Parts:[1 2] X-Sum:[abc]]" {
					t.Errorf("%s: the trailer is %s", cached, got)
				}
			}
			if n := s.asked.Load(); n != 2 {
				t.Errorf("the service was asked %d times", n)
			}
		})
	}
}

// TestNoStoreIsEachOnesOwn: clients that wait together for what says no-store each get their own (RFC 9111, section 5.2.2.5).
func TestNoStoreIsEachOnesOwn(t *testing.T) {
	release := make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, rand.Text())
	})
	g := gateway(t, s, "{wait: 10m}")
	var all sync.WaitGroup
	var seen sync.Map
	for range 20 {
		all.Go(func() {
			_, body := g.Get("/x")
			if _, twice := seen.LoadOrStore(body, true); twice {
				t.Errorf("two got %s", body)
			}
		})
	}
	until(t, "the first", func() bool { return s.asked.Load() > 0 })
	close(release)
	all.Wait()
	if n := s.asked.Load(); n != 20 {
		t.Errorf("the service was asked %d times", n)
	}
}

// TestNoTransform: nothing is done to the content of what says no-transform, when it comes and when it is stored (RFC 9111, section 5.2.2.6).
func TestNoTransform(t *testing.T) {
	text := strings.Repeat("hello, world\n", 500)
	for control, coding := range map[string]string{"max-age=60": "gzip", "max-age=60, no-transform": ""} {
		s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", control)
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, text)
		})
		g := gateway(t, s, "{}", "compress: {}")
		for _, cached := range []string{"fwd=uri-miss", "hit", "hit"} {
			resp, body := g.Get("/x", "Accept-Encoding: gzip")
			if resp.Header.Get("Content-Encoding") != coding || (body == text) != (coding == "") || !strings.HasPrefix(resp.Header.Get("Cache-Status"), "Cardea; "+cached) {
				t.Errorf("%s, %s: %v, %d bytes", control, cached, resp.Header, len(body))
			}
		}
	}
}

// TestTargetURI: an answer is for its URI alone (RFC 9111, section 4).
func TestTargetURI(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, r.Host+r.RequestURI)
	})
	g := gateway(t, s, "{}")
	for _, c := range []struct {
		host, path string
		hit        bool
	}{
		{"a.example", "/x", false},
		{"a.example", "/x", true},
		{"A.Example:80", "/x", true},
		{"a.example:81", "/x", false},
		{"b.example", "/x", false},
		{"a.example", "/X", false},
		{"a.example", "/x/", false},
		{"a.example", "/x?", false},
		{"a.example", "/x?a=1&b=2", false},
		{"a.example", "/x?b=2&a=1", false},
		{"a.example", "/x?a=%31&b=2", false},
		{"a.example", "/x%3Fa=1", false},
		{"a.example", "/y/../x", true},
		{"a.example", "/%78", true},
	} {
		resp, body := g.Get(c.path, "Host: "+c.host)
		if got := strings.Contains(resp.Header.Get("Cache-Status"), "hit"); resp.StatusCode != 200 || got != c.hit {
			t.Errorf("%s%s: %d %s, %s", c.host, c.path, resp.StatusCode, body, resp.Header.Get("Cache-Status"))
		}
	}
}

// TestOnlyIfCachedIsAnswered from what is stored, or by 504 (RFC 9111, section 5.2.1.7).
func TestOnlyIfCachedIsAnswered(t *testing.T) {
	s := newService(t, page("Cache-Control: max-age=60", "Vary: Accept"))
	g := gateway(t, s, "{}")
	const only = "Cache-Control: only-if-cached"
	refused := func(fields ...string) {
		t.Helper()
		if resp, body := g.Get("/x", fields...); resp.StatusCode != 504 || !strings.Contains(body, "not_cached") {
			t.Errorf("%v: %d %s", fields, resp.StatusCode, body)
		}
	}
	refused(only)
	expect(t, g, "/x", 200, "hello, world", "fwd=uri-miss")
	expect(t, g, "/x", 200, "hello, world", "hit", only)
	refused(only, "Accept: text/html")
	refused(only + ", max-age=0")
	refused(only + ", no-cache")
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
}
