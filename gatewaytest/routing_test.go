package gatewaytest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cardea.dev/cardea/gatewaytest"
)

func TestEveryConditionMatches(t *testing.T) {
	g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", trusted_proxies: loopback}
routes:
  - {match: /**, respond: any}
  - {match: /exact, respond: exact}
  - {match: "/users/{id}", respond: {template: "user {path.id}"}}
  - {match: /users/me, respond: me}
  - {match: "/files/{rest...}", respond: {template: "file {path.rest}"}}
  - {match: '~^/v(?P<n>[0-9]+)/.*$', respond: {template: "version {path.n}"}}
  - {match: api.example.com/**, respond: host}
  - {match: "*.example.com/**", respond: wildcard}
  - {match: POST /exact, respond: method}
  - {match: {path: /exact, header: {x-v: "2"}}, respond: header}
  - {match: {path: /exact, header: {x-v: "~[3-5]"}}, respond: header expression}
  - {match: {path: /exact, query: {debug: true}}, respond: query}
  - {match: {path: /exact, cookie: {sid: "1"}}, respond: cookie}
  - {match: {path: /exact, address: 10.0.0.0/8}, respond: address}
  - {match: {path: /exact, when: 'header["x-a"] == "1" && request.method == "GET"'}, respond: condition}
  - {match: {path: /exact, accept: application/vnd.example.v2+json}, respond: media type}
`)
	for _, c := range []struct {
		want, method, path string
		fields             []string
	}{
		{"any", "GET", "/x/y", nil},
		{"exact", "GET", "/exact", nil},
		{"user 7", "GET", "/users/7", nil},
		{"user a b", "GET", "/users/a%20b", nil},
		{"me", "GET", "/users/me", nil},
		{"file a/b", "GET", "/files/a/b", nil},
		{"version 12", "GET", "/v12/x", nil},
		{"host", "GET", "/x", []string{"Host: api.example.com"}},
		{"host", "GET", "/x", []string{"Host: API.example.com:8443"}},
		{"wildcard", "GET", "/x", []string{"Host: a.b.example.com"}},
		{"method", "POST", "/exact", nil},
		{"header", "GET", "/exact", []string{"X-V: 2"}},
		{"header expression", "GET", "/exact", []string{"X-V: 4"}},
		{"exact", "GET", "/exact", []string{"X-V: 44"}},
		{"query", "GET", "/exact?debug", nil},
		{"cookie", "GET", "/exact", []string{"Cookie: a=b; sid=1"}},
		{"address", "GET", "/exact", []string{"X-Forwarded-For: 10.1.2.3"}},
		{"exact", "GET", "/exact", []string{"X-Forwarded-For: 11.1.2.3"}},
		{"condition", "GET", "/exact", []string{"X-A: 1"}},
		{"media type", "GET", "/exact", []string{"Accept: text/html, application/vnd.example.v2+json;q=0.9"}},
		{"exact", "GET", "/exact", []string{"Accept: */*"}},
	} {
		if _, body := g.Do(c.method, c.path, "", c.fields...); body != c.want {
			t.Errorf("%s %s %v: got %q, want %q", c.method, c.path, c.fields, body, c.want)
		}
	}
}

func TestWeightsAndStickiness(t *testing.T) {
	g := gatewaytest.New(t, `
upstreams: {a: `+echo(t, "a").URL+`, b: `+echo(t, "b").URL+`}
routes:
  - {match: /split, to: [{upstream: a, weight: 3}, {upstream: b, weight: 1}]}
  - {match: /sticky, to: {upstream: [a, b], sticky: cookie}}
  - {match: /user, to: {upstream: [a, b], sticky: header.x-user}}
`)
	count := map[string]int{}
	for range 400 {
		resp, _ := g.Get("/split")
		count[resp.Header.Get("X-Upstream")]++
	}
	if count["a"] < 240 || count["a"] > 360 || count["a"]+count["b"] != 400 {
		t.Errorf("of 400 requests at 3 to 1: %v", count)
	}
	jar, _ := cookiejar.New(nil)
	g.Client.Jar = jar // for the cookie of the split
	first, _ := g.Get("/sticky")
	for range 20 {
		if resp, _ := g.Get("/sticky"); resp.Header.Get("X-Upstream") != first.Header.Get("X-Upstream") {
			t.Fatal("the user left his arm")
		}
	}
	arm, _ := g.Get("/user", "X-User: ada")
	for range 20 {
		if resp, _ := g.Get("/user", "X-User: ada"); resp.Header.Get("X-Upstream") != arm.Header.Get("X-Upstream") {
			t.Fatal("the user left his arm")
		}
	}
}

func TestMirroring(t *testing.T) {
	copies := make(chan string, 10)
	shadow := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		copies <- r.Method + " " + r.URL.Path + " " + string(body)
	})
	g := gatewaytest.New(t, `
upstreams: {u: `+echo(t, "u").URL+`, shadow: `+shadow.URL+`}
routes: [{match: /**, to: u, mirror: shadow}]
`)
	if resp, body := g.Do("POST", "/orders", "hello"); resp.StatusCode != 200 || parse(t, body).Body != "hello" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	select {
	case got := <-copies:
		if got != "POST /orders hello" {
			t.Errorf("the copy is %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no copy came")
	}
}

func TestVersionsSayThatTheyEnd(t *testing.T) {
	g := gatewaytest.New(t, `
routes:
  - {match: /v1/**, respond: old, deprecation: {since: 2026-01-01, sunset: 2099-12-31, successor: "https://api.example.com/v2"}}
  - {match: /v2/**, respond: new}
`)
	resp, _ := g.Get("/v1/x")
	for name, want := range map[string]string{"Deprecation": "@1767225600", "Sunset": "Thu, 31 Dec 2099", "Link": "successor-version"} {
		if got := resp.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestPlainRequestsAreSentToHTTPS(t *testing.T) {
	g := gatewaytest.New(t, "listen: {address: '127.0.0.1:0', redirect_https: true}\nroutes: [{match: /**, respond: x}]")
	resp, _ := g.Get("/a?b=c", "Host: api.example.com")
	if resp.StatusCode != 308 || resp.Header.Get("Location") != "https://api.example.com/a?b=c" {
		t.Errorf("got %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestCountersOutliveReloads(t *testing.T) {
	var checks atomic.Int64
	up := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			checks.Add(1)
		}
	})
	config := "upstreams: {u: {endpoints: " + up.URL + ", health: {path: /healthz, interval: 1h}}}\nroutes: [{match: /**, to: u}]"
	g := gatewaytest.New(t, config)
	waitFor(t, func() bool { return checks.Load() == 1 })
	for range 5 {
		if err := g.SetConfig(config + "\nheaders: {response: {set: {X-A: b}}}"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // a check that should not come has no event
	if n := checks.Load(); n != 1 {
		t.Errorf("%d health checks: the upstream was built anew", n)
	}
}

func TestWebSocketsAreCutAtTheEndOfTheDrain(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_, _, _ = c.Read(r.Context())
		_ = c.CloseNow()
	})
	g := gatewaytest.New(t, "shutdown: {drain: 200ms}\n"+one(up))
	c, _, err := websocket.Dial(context.Background(), g.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	began := time.Now()
	g.Shutdown(context.Background())
	if took := time.Since(began); took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	waitFor(t, func() bool { return g.Engine.Running() == 0 })
}
