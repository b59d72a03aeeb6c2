package fallback_test

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// behind is a gateway whose last good answers are in a cache with something behind it.
func behind(s *service, cache string) string {
	return "store: local\ncaches: {default: " + cache + "}\n" + config(s.URL, s.URL, "[last_good, {body: later}]")
}

// expect asks, and fails where the body is another.
func expect(t *testing.T, g *gatewaytest.Gateway, path, want string) {
	t.Helper()
	if resp, body := g.Get(path, "Host: shop"); body != want {
		t.Errorf("%s: %d %q %v, wanted %q", path, resp.StatusCode, body, resp.Header, want)
	}
}

// TestLastGoodOnADisk outlives the gateway, and a directory that is gone is no failure.
func TestLastGoodOnADisk(t *testing.T) {
	for name, memory := range map[string]string{"some memory": "1MiB", "no memory": "0"} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, text(200, "good"))
			dir := t.TempDir() + "/cache"
			conf := behind(s, "{memory: "+memory+", disk: {path: "+dir+", size: 16MiB}}")
			g := gatewaytest.New(t, conf)
			expect(t, g, "/x", "good")
			s.do.Store(text(200, "better"))
			expect(t, g, "/x", "better")
			s.do.Store(text(503, "bad"))
			expect(t, g, "/x", "better")
			g.Shutdown(t.Context())
			g = gatewaytest.New(t, conf)
			expect(t, g, "/x", "better")
			if resp, _ := g.Get("/x", "Host: shop", "Range: bytes=0-1"); resp.StatusCode != 206 || resp.Header.Get("Content-Range") != "bytes 0-1/6" {
				t.Errorf("a part: %d %v", resp.StatusCode, resp.Header)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			expect(t, g, "/none", "later")
			s.do.Store(text(200, "best"))
			expect(t, g, "/x", "best")
			s.do.Store(text(503, "bad"))
			if _, body := g.Get("/x", "Host: shop"); body != "best" && (memory != "0" || body != "later") { // what was there before must not come back
				t.Errorf("%q", body)
			}
		})
	}
}

// TestWhatStandsInElsewhereIsNotGood: a gateway behind this one has marked it, and lets it be kept for a while.
func TestWhatStandsInElsewhereIsNotGood(t *testing.T) {
	s := newService(t, text(200, "good"))
	g := gateway(t, s.URL, s.URL, "last_good")
	expect(t, g, "/x", "good")
	s.do.Store(text(200, "later", "Cardea-Fallback: body; reason=503", "Cache-Control: max-age=5"))
	expect(t, g, "/x", "later")
	s.do.Store(text(503, "bad"))
	expect(t, g, "/x", "good")
}

// TestLastGoodInRedis is for all gateways, and while Redis is lost or hangs each has its own.
func TestLastGoodInRedis(t *testing.T) {
	s := newService(t, text(200, "good"))
	r := redistest.Start(t)
	conf := behind(s, "{memory: 1MiB, shared: true, store: "+r.URL()+", store_timeout: 200ms}")
	one, two := gatewaytest.New(t, conf), gatewaytest.New(t, conf)
	expect(t, one, "/x", "good")
	s.do.Store(text(503, "bad"))
	until(t, "the other has it", func() bool {
		_, body := two.Get("/x", "Host: shop")
		return body == "good"
	})

	r.Kill()
	expect(t, two, "/x", "good")
	expect(t, two, "/none", "later")
	s.do.Store(text(200, "better"))
	expect(t, one, "/x", "better")
	s.do.Store(text(503, "bad"))
	expect(t, one, "/x", "better")

	r.Run()
	s.do.Store(text(200, "best"))
	until(t, "it is in Redis again", func() bool {
		s.do.Store(text(200, "best"))
		expect(t, one, "/y", "best")
		s.do.Store(text(503, "bad"))
		_, body := two.Get("/y", "Host: shop")
		return body == "best"
	})

	r.Signal(syscall.SIGSTOP)
	defer r.Signal(syscall.SIGCONT)
	for i, do := range []http.HandlerFunc{text(200, "good"), text(503, "bad")} {
		s.do.Store(do)
		for range 4 {
			began := time.Now()
			expect(t, one, fmt.Sprintf("/hang%d", i), map[int]string{0: "good", 1: "later"}[i])
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("with a store that hangs, an answer took %v", took)
			}
		}
	}
}
