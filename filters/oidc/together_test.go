package oidc_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

func TestWithOtherPolicies(t *testing.T) {
	l := newLiar(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
consumers: {robot: {keys: [robot-key-0123456789]}}
oidc: {issuer: %q, client_id: app, client_secret: s, secret: %s, callback: /.oidc/callback, forward: id_token}
routes:
  - {match: /**, respond: "a person"}
  - {match: /any/**, respond: "anybody", authenticate: any, api_key: {}}
  - {match: /optional/**, respond: "nobody", authenticate: {optional: true}}
  - {match: /open/**, respond: open, oidc: off}
`, l.URL, secret))
	for path, want := range map[string]int{"/x": 401, "/any/x": 401, "/optional/x": 200, "/open/x": 200} {
		if resp, body := g.Get(path); resp.StatusCode != want {
			t.Errorf("%s: got %d %s", path, resp.StatusCode, body)
		}
		if resp, body := g.Get(path, "Cookie: oidc-00000000=1abc"); resp.StatusCode != want {
			t.Errorf("%s with a false cookie: got %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := g.Get("/any/x", "X-Api-Key: robot-key-0123456789"); resp.StatusCode != 200 {
		t.Errorf("a key: got %d", resp.StatusCode)
	}
	if resp, _ := g.Get("/any/x", "Accept: text/html"); resp.StatusCode != 302 {
		t.Errorf("a browser: got %d", resp.StatusCode)
	}
	p, b := l.login(g, "") // at one route, by the callback of another
	if p.StatusCode != 303 {
		t.Fatalf("got %d %s", p.StatusCode, p.text)
	}
	for _, path := range []string{"/x", "/any/x", "/optional/x"} {
		if p := b.still().visit(g.URL + path); p.StatusCode != 200 {
			t.Errorf("%s: got %d", path, p.StatusCode)
		}
	}
}

func TestCallbacksThatNoRouteMatches(t *testing.T) {
	l := newLiar(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
routes:
  - {match: /report, respond: secret, oidc: {issuer: %q, client_id: app, secret: %s}}
  - {match: /covered/**, respond: secret, oidc: {issuer: %q, client_id: other, secret: %s}}
`, l.URL, secret, l.URL, secret))
	newBrowser(t).begin(g.URL + "/covered/x")
	if strings.Contains(g.Log(), "seems to match its callback") {
		t.Errorf("a callback that is covered is warned of:\n%s", g.Log())
	}
	newBrowser(t).begin(g.URL + "/report")
	newBrowser(t).begin(g.URL + "/report")
	if n := strings.Count(g.Log(), "seems to match its callback"); n != 1 {
		t.Errorf("there are %d warnings", n)
	}
}

func TestReloadsUnderLoad(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	line := "Cookie: " + cookieLine(b.cookies(s.Gateway))
	var wg sync.WaitGroup
	done := make(chan struct{})
	defer wg.Wait()
	defer close(done)
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if resp, body := s.Get("/app/x", line); resp.StatusCode != 200 {
					t.Errorf("got %d %s", resp.StatusCode, body)
					return
				}
			}
		})
	}
	for i := range 10 {
		b := newBrowser(t)
		callback := b.arrive(s.URL + "/app/y") // a login goes on over a reload
		if err := s.SetConfig(fmt.Sprintf(s.text, fmt.Sprintf("secret: %s, groups: g%d", secret, i))); err != nil {
			t.Fatal(err)
		}
		if p := b.still().visit(callback); p.StatusCode != 303 {
			t.Errorf("got %d %s", p.StatusCode, p.text)
		}
	}
}
