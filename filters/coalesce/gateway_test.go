package coalesce_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// service is a service that waits until it is released.
type service struct {
	*httptest.Server
	asked, gone atomic.Int64
	release     chan struct{}
}

// page is what it answers with.
var page = strings.Repeat("All the same for all. ", 10_000)

func newService(t *testing.T, serve http.HandlerFunc) *service {
	t.Helper()
	s := &service{release: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		select {
		case <-s.release:
		case <-r.Context().Done():
			s.gone.Add(1)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		serve(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func whole(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Path", r.URL.Path)
	w.Header().Set("X-Agent", r.UserAgent())
	_, _ = io.WriteString(w, page)
}

// waiting is how many wait for the answer to a GET, as explain says.
func waiting(t *testing.T, g *gatewaytest.Gateway, url string) int {
	t.Helper()
	r, _ := http.NewRequest("GET", url, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	for _, p := range g.Engine.Snapshot().Explain(r, netip.MustParseAddr("127.0.0.1")).Policies {
		if p.Policy != "coalesce" {
			continue
		}
		_, rest, _ := strings.Cut(p.Note, "the answer that ")
		n, _ := strconv.Atoi(strings.TrimSuffix(rest, " others wait for"))
		return n
	}
	t.Fatal("there is no policy coalesce")
	return 0
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came: " + what)
		}
	}
}

// get asks for a path, and returns the answer, decoded.
func get(ctx context.Context, g *gatewaytest.Gateway, path, agent string) (*http.Response, string, error) {
	r, _ := http.NewRequestWithContext(ctx, "GET", g.URL+path, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", agent)
	resp, err := g.Client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	var from io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(resp.Body); err != nil {
			return resp, "", err
		}
	}
	body, err := io.ReadAll(from)
	return resp, string(body), err
}

func TestAThousandClientsOneRequest(t *testing.T) {
	s := newService(t, whole)
	lines := filepath.Join(t.TempDir(), "log")
	g := gatewaytest.New(t, `
log: {file: `+lines+`, fields: [upstream, tries, status]}
upstreams: {a: `+s.URL+`}
routes: [{match: /**, to: a, coalesce: {wait: 10m, patience: 10m}, compress: gzip, rewrite: {path: /v2}, headers: {response: {set: {X-After: "yes"}}}}]
`)
	const clients = 1000
	var all sync.WaitGroup
	ids := sync.Map{}
	for range clients {
		all.Go(func() {
			resp, body, err := get(t.Context(), g, "/x", "test")
			if err != nil || body != page || resp.Header.Get("X-Path") != "/v2" || resp.Header.Get("X-After") != "yes" {
				t.Errorf("%v: %d bytes", err, len(body))
				return
			}
			ids.Store(resp.Header.Get("X-Request-Id"), true)
		})
	}
	until(t, "all wait", func() bool { return waiting(t, g, g.URL+"/x") == clients })
	close(s.release)
	all.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != clients {
		t.Errorf("there are %d request ids", n)
	}
	until(t, "one has made the request, the others not", func() bool {
		text, _ := os.ReadFile(lines)
		return bytes.Count(text, []byte(`{"upstream":"a","tries":1,"status":200}`)) == 1 && bytes.Count(text, []byte(`{"upstream":"a","status":200}`)) == clients-1
	})
}

func TestTheFirstClientLeaves(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2 %v", http2), func(t *testing.T) { theFirstClientLeaves(t, http2) })
	}
}

func theFirstClientLeaves(t *testing.T, http2 bool) {
	s := newService(t, whole)
	g := gatewaytest.New(t, "upstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, coalesce: {wait: 10m}}]")
	if http2 {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		g.Client.Transport = &http.Transport{Protocols: protocols}
	}
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, _, err := get(ctx, g, "/x", "first"); err == nil {
			t.Error("the first got an answer")
		}
	})
	until(t, "the first", func() bool { return s.asked.Load() == 1 })
	for range 20 {
		all.Go(func() {
			resp, body, err := get(t.Context(), g, "/x", "later")
			if err != nil || body != page || resp.Header.Get("X-Agent") != "first" {
				t.Errorf("%v: %d bytes", err, len(body))
			}
		})
	}
	until(t, "the others", func() bool { return waiting(t, g, g.URL+"/x") == 21 })
	leave()
	until(t, "the first has left", func() bool { return waiting(t, g, g.URL+"/x") == 20 })
	close(s.release)
	all.Wait()
	if s.asked.Load() != 1 {
		t.Errorf("the service was asked %d times", s.asked.Load())
	}
}

func TestAllClientsLeave(t *testing.T) {
	s := newService(t, whole)
	g := gatewaytest.New(t, "upstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, coalesce: {wait: 10m}}]")
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { _, _, _ = get(ctx, g, "/x", "test") })
	}
	until(t, "all wait", func() bool { return waiting(t, g, g.URL+"/x") == 5 })
	until(t, "the request", func() bool { return s.asked.Load() == 1 })
	leave()
	all.Wait()
	until(t, "the service sees that all have left", func() bool { return s.gone.Load() == 1 })
}

// An answer that breaks off in the middle breaks off for all: none takes it for whole, with a length or without.
func TestTheServiceDiesInTheMiddle(t *testing.T) {
	for _, length := range []bool{true, false} {
		s := newService(t, func(w http.ResponseWriter, r *http.Request) {
			if length {
				w.Header().Set("Content-Length", strconv.Itoa(len(page)))
			}
			_, _ = io.WriteString(w, page[:100_000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		g := gatewaytest.New(t, "upstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, coalesce: {wait: 10m}}]")
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				resp, body, err := get(t.Context(), g, "/x", "test")
				if resp == nil || resp.StatusCode != 200 || err == nil || !strings.HasPrefix(page, body) {
					t.Errorf("with a length %v: %v, %d bytes", length, err, len(body))
				}
			})
		}
		until(t, "all wait", func() bool { return waiting(t, g, g.URL+"/x") == 50 })
		close(s.release)
		all.Wait()
		if s.asked.Load() != 1 {
			t.Errorf("the service was asked %d times", s.asked.Load())
		}
	}
}

// A client that takes nothing holds nobody up for ever.
func TestAClientThatTakesNothing(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 2<<20) // 32 MiB, more than sockets hold
	s := newService(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, large) })
	g := gatewaytest.New(t, "upstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, coalesce: {wait: 10m, patience: 3s}}]")
	var all sync.WaitGroup
	stuck := make(chan *http.Response, 1)
	all.Go(func() {
		r, _ := http.NewRequest("GET", g.URL+"/x", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := g.Client.Do(r)
		if err != nil {
			t.Error(err)
		}
		stuck <- resp
	})
	until(t, "the first", func() bool { return s.asked.Load() == 1 })
	for range 3 {
		all.Go(func() {
			if _, body, err := get(t.Context(), g, "/x", "test"); err != nil || body != large {
				t.Errorf("%v: %d bytes", err, len(body))
			}
		})
	}
	until(t, "all wait", func() bool { return waiting(t, g, g.URL+"/x") == 4 })
	close(s.release)
	all.Wait()
	if resp := <-stuck; resp != nil {
		if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= int64(len(large)) {
			t.Errorf("the one that took nothing got %d bytes, %v", n, err)
		}
		_ = resp.Body.Close()
	}
}

func TestAReloadInBetween(t *testing.T) {
	s := newService(t, whole)
	config := "upstreams: {a: " + s.URL + "}\nroutes: [{match: /**, to: a, coalesce: {wait: 10m}, headers: {response: {set: {X-Config: VERSION}}}}]"
	g := gatewaytest.New(t, strings.Replace(config, "VERSION", "'1'", 1))
	var all sync.WaitGroup
	ask := func(version string) {
		for range 10 {
			all.Go(func() {
				resp, body, err := get(t.Context(), g, "/x", "test")
				if err != nil || body != page || resp.Header.Get("X-Config") != version {
					t.Errorf("%v: %d bytes", err, len(body))
				}
			})
		}
		until(t, "all wait", func() bool { return waiting(t, g, g.URL+"/x") == 10 })
	}
	ask("1")
	if err := g.SetConfig(strings.Replace(config, "VERSION", "'2'", 1)); err != nil {
		t.Fatal(err)
	}
	ask("2")
	close(s.release)
	all.Wait()
	if s.asked.Load() != 2 {
		t.Errorf("the service was asked %d times", s.asked.Load())
	}
}

// Callers who are known by a key never share, whatever the key stands in; policies of later stages tell the service who calls.
func TestCallersDoNotShare(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("X-User")) })
	g := gatewaytest.New(t, `
consumers: {ada: {keys: [key-of-ada-0123456789]}, bob: {keys: [key-of-bob-0123456789]}}
upstreams: {a: `+s.URL+`}
routes: [{match: /**, to: a, api_key: {}, coalesce: {wait: 10m, fields: []}, identity_headers: {X-User: identity.consumer}}]
`)
	var all sync.WaitGroup
	for i := range 20 {
		name := []string{"ada", "bob"}[i%2]
		all.Go(func() {
			if _, body := g.Get("/x", "X-Api-Key: key-of-"+name+"-0123456789"); body != name {
				t.Errorf("%s got %q", name, body)
			}
		})
	}
	until(t, "both", func() bool { return s.asked.Load() == 2 })
	close(s.release)
	all.Wait()
}

// Trailers and errors of the gateway reach all.
func TestTrailersAndErrors(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "5")
	})
	lines := filepath.Join(t.TempDir(), "log")
	g := gatewaytest.New(t, "log: {file: "+lines+", fields: [upstream, tries, error]}\nupstreams: {a: "+s.URL+", gone: 'http://127.0.0.1:1'}\nroutes: [{match: /gone, to: gone, coalesce: {}}, {match: /**, to: a, coalesce: {wait: 10m}}]")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			resp, body, err := get(t.Context(), g, "/x", "test")
			if err != nil || body != "hello" || resp.Trailer.Get("X-Sum") != "5" {
				t.Errorf("%q, %v, %v", body, err, resp.Trailer)
			}
		})
		all.Go(func() {
			resp, body := g.Get("/gone")
			if resp.StatusCode != 502 || !strings.Contains(body, resp.Header.Get("X-Request-Id")) || !strings.Contains(body, "upstream_connect_failed") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
	until(t, "all wait", func() bool { return waiting(t, g, g.URL+"/x") == 5 })
	close(s.release)
	all.Wait()
	until(t, "failures say whom they were of", func() bool {
		text, _ := os.ReadFile(lines)
		return bytes.Contains(text, []byte(`{"upstream":"gone","tries":3,"error":"upstream_connect_failed"}`)) &&
			bytes.Count(text, []byte(`{"upstream":"gone",`)) == 5
	})
}

// Nobody loses an answer to reloads, whoever's request it was.
func TestReloadsUnderLoad(t *testing.T) {
	s := newService(t, whole)
	close(s.release)
	config := "upstreams: {a: " + s.URL + "}\nroutes: [{match: /**, to: a, coalesce: {}, compress: gzip, headers: {response: {set: {X-Config: VERSION}}}}]"
	g := gatewaytest.New(t, config)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 30 {
				if _, body, err := get(t.Context(), g, "/x", "test"); err != nil || body != page {
					t.Errorf("%v: %d bytes", err, len(body))
					return
				}
			}
		})
	}
	for i := range 20 {
		if err := g.SetConfig(strings.Replace(config, "VERSION", strconv.Itoa(i), 1)); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if n := s.asked.Load(); n == 0 || n > 600 {
		t.Errorf("the service was asked %d times for 600", n)
	}
}

// HEAD and conditional requests are joined as well; interim answers do no harm.
func TestAnswersWithoutABody(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = io.WriteString(w, page)
	})
	g := gatewaytest.New(t, "upstreams: {a: "+s.URL+"}\nroutes: [{match: /**, to: a, coalesce: {wait: 10m}}]")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if resp, _ := g.Do("HEAD", "/x", ""); resp.StatusCode != 200 || resp.ContentLength != int64(len(page)) || resp.Header.Get("Etag") != `"1"` {
				t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
			}
		})
		all.Go(func() {
			if resp, _ := g.Get("/x", `If-None-Match: "1"`); resp.StatusCode != 304 || resp.Header.Get("Etag") != `"1"` {
				t.Errorf("GET: %d %v", resp.StatusCode, resp.Header)
			}
		})
	}
	until(t, "both requests", func() bool { return s.asked.Load() == 2 })
	close(s.release)
	all.Wait()
}
