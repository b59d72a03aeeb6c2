package cache_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// service is a service whose requests are counted.
type service struct {
	*httptest.Server
	asked atomic.Int64
}

func newService(t *testing.T, h http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// gateway runs a gateway whose one route has a cache.
func gateway(t *testing.T, s *service, policy string, more ...string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.New(t, "overload: off\nupstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, cache: "+policy+"}]\n"+strings.Join(more, "\n"))
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// page answers with a text that may be stored.
func page(fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Add(name, value)
		}
		if w.Header().Get("Etag") != "" && r.Header.Get("If-None-Match") == w.Header().Get("Etag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "hello, world")
	}
}

// expect sends a GET, and compares status, body and what Cache-Status begins with.
func expect(t *testing.T, g *gatewaytest.Gateway, path string, status int, body, cached string, fields ...string) *http.Response {
	t.Helper()
	resp, got := g.Get(path, fields...)
	if resp.StatusCode != status || got != body || !strings.HasPrefix(resp.Header.Get("Cache-Status"), "Cardea; "+cached) {
		t.Errorf("%s %v: %d %q %q, wanted %d %q %s", path, fields, resp.StatusCode, got, resp.Header.Get("Cache-Status"), status, body, cached)
	}
	return resp
}

func TestHits(t *testing.T) {
	s := newService(t, page("Cache-Control: max-age=60", `Etag: "1"`))
	g := gateway(t, s, "{}")
	expect(t, g, "/x", 200, "hello, world", "fwd=uri-miss; ttl=")
	resp := expect(t, g, "/x", 200, "hello, world", "hit; ttl=")
	if resp.Header.Get("Age") == "" || resp.ContentLength != 12 {
		t.Errorf("%v", resp.Header)
	}
	expect(t, g, "/x", 304, "", "hit", `If-None-Match: "1"`)
	resp = expect(t, g, "/x", 206, "world", "hit", "Range: bytes=7-")
	if resp.Header.Get("Content-Range") != "bytes 7-11/12" {
		t.Errorf("%v", resp.Header)
	}
	expect(t, g, "/x", 416, "", "hit", "Range: bytes=70-")
	if resp, body := g.Do("HEAD", "/x", ""); resp.StatusCode != 200 || body != "" || resp.ContentLength != 12 || !strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	if s.asked.Load() != 1 {
		t.Errorf("the service was asked %d times", s.asked.Load())
	}
	expect(t, g, "/y", 304, "", "fwd=uri-miss", `If-None-Match: "1"`)
	expect(t, g, "/y", 200, "hello, world", "hit")
	expect(t, g, "/z", 206, "hello", "fwd=uri-miss", "Range: bytes=0-4")
	expect(t, g, "/z", 200, "hello, world", "hit")
	if s.asked.Load() != 3 {
		t.Errorf("the service was asked %d times", s.asked.Load())
	}
}

func TestWhatIsNotStored(t *testing.T) {
	for name, test := range map[string]struct {
		config, request string
		fields          []string
		want            int64 // requests for two
	}{
		"says nothing":              {"{}", "", nil, 2},
		"says nothing, but ttl":     {"5m", "", nil, 1},
		"no-store":                  {"{ttl: 5m, override: true}", "", []string{"Cache-Control: no-store"}, 2},
		"private":                   {"{ttl: 5m, override: true}", "", []string{"Cache-Control: private, max-age=60"}, 2},
		"a cookie":                  {"5m", "", []string{"Set-Cookie: a=b"}, 2},
		"a cookie that is stripped": {"{ttl: 5m, cookies: strip}", "", []string{"Set-Cookie: a=b"}, 1},
		"credentials":               {"5m", "Authorization: Basic YTpi", nil, 2},
		"credentials, public":       {"5m", "Authorization: Basic YTpi", []string{"Cache-Control: public, max-age=9"}, 1},
		"credentials, of one's own": {"{ttl: 5m, per: identity}", "Authorization: Basic YTpi", []string{"Cache-Control: private, max-age=9"}, 1},
		"events":                    {"5m", "", []string{"Content-Type: text/event-stream"}, 2},
		"gRPC":                      {"5m", "", []string{"Content-Type: application/grpc"}, 2},
		"too large":                 {"{ttl: 5m, max_object: 5}", "", nil, 2},
		"bypass":                    {"{ttl: 5m, bypass: 'header[\"x-debug\"] == \"1\"'}", "X-Debug: 1", nil, 2},
		"store_when":                {"{ttl: 5m, store_when: 'response.header[\"x-ok\"] == \"1\"'}", "", nil, 2},
		"store_when holds":          {"{ttl: 5m, store_when: 'response.header[\"x-ok\"] == \"1\"'}", "", []string{"X-Ok: 1"}, 1},
		"the client's no-cache":     {"5m", "Cache-Control: no-cache", nil, 2},
		"which is ignored":          {"{ttl: 5m, requests: ignore}", "Cache-Control: no-cache", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, page(test.fields...))
			g := gateway(t, s, test.config)
			for range 2 {
				var fields []string
				if test.request != "" {
					fields = []string{test.request}
				}
				resp, body := g.Get("/x", fields...)
				if resp.StatusCode != 200 || body != "hello, world" {
					t.Errorf("%d %q", resp.StatusCode, body)
				}
			}
			if n := s.asked.Load(); n != test.want {
				t.Errorf("the service was asked %d times", n)
			}
		})
	}
}

// TestOneFetchForMany has 1000 clients ask for what is not stored: a slow one and one that vanishes are among them.
func TestOneFetchForMany(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 8<<10)
	release := make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		<-release
		_, _ = io.WriteString(w, body[:1000])
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, body[1000:])
	})
	g := gateway(t, s, "{wait: 10m}")
	g.Client.Transport.(*http.Transport).MaxConnsPerHost = 0
	ctx, vanish := context.WithCancel(t.Context())
	defer vanish()
	var all sync.WaitGroup
	all.Go(func() {
		r, _ := http.NewRequestWithContext(ctx, "GET", g.URL+"/x", nil)
		if resp, err := g.Client.Do(r); err == nil {
			_ = resp.Body.Close()
		}
	})
	until(t, "the first", func() bool { return s.asked.Load() == 1 })
	for i := range 1000 {
		all.Go(func() {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", g.URL+"/x", nil)
			resp, err := g.Client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			vanish() // with the first, before any other has joined, its fetch would end
			if i == 7 {
				one := make([]byte, 1)
				for range 2000 {
					_, _ = resp.Body.Read(one)
				}
				return
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != body {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	close(release)
	all.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
}

// TestAnErrorIsForOneVariant though it says no Vary, and though nothing else is ever fresh.
func TestAnErrorIsForOneVariant(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Language") != "de" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		page("Cache-Control: no-cache", "Vary: Accept-Language", `Etag: "1"`)(w, r)
	})
	g := gateway(t, s, "{ttl: {404: 1h}}")
	expect(t, g, "/x", 200, "hello, world", "fwd=uri-miss", "Accept-Language: de")
	expect(t, g, "/x", 404, "", "fwd=vary-miss", "Accept-Language: fr")
	until(t, "the error is stored", func() bool {
		resp, _ := g.Get("/x", "Accept-Language: fr")
		return strings.Contains(resp.Header.Get("Cache-Status"), "; hit")
	})
	expect(t, g, "/x", 200, "hello, world", "fwd=stale; fwd-status=304", "Accept-Language: de")
	expect(t, g, "/x", 404, "", "fwd=vary-miss", "Accept-Language: it")
}

// TestPurgedWhileItIsRead: who reads an answer slowly gets all of it, though it is purged before it is whole, and so is not stored.
func TestPurgedWhileItIsRead(t *testing.T) {
	body, rest := strings.Repeat("0123456789abcdef", 2<<20), make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, body[:1000])
		w.(http.Flusher).Flush()
		<-rest
		_, _ = io.WriteString(w, body[1000:])
	})
	g := gateway(t, s, "{}", "admin: 127.0.0.1:0\ncaches: {default: {memory: 1MiB, disk: "+t.TempDir()+"}}")
	resp, err := g.Client.Get(g.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	purged, err := g.Client.Post("http://"+g.AdminAddr()+"/caches/purge", "application/x-www-form-urlencoded", strings.NewReader("all=true"))
	if err != nil {
		t.Fatal(err)
	}
	_ = purged.Body.Close()
	close(rest)
	for range 3 { // the first fetch ends meanwhile
		if _, got := g.Get("/x"); got != body {
			t.Errorf("%d bytes", len(got))
		}
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("the service was asked %d times", n)
	}
}
