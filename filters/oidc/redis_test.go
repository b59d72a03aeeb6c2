package oidc_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/redis/redistest"
)

func TestSessionsInRedis(t *testing.T) {
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	settings := fmt.Sprintf("secret: %s, forward: id_token, session: {store: '%s/0'}", secret, r.URL())
	s := newSite(t, settings)
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	name, value := sessionCookie(t, b.cookies(s.Gateway))
	if len(value) != 44 {
		t.Errorf("the cookie has more than an id: %q", value)
	}
	line := "Cookie: " + name + "=" + value

	other := *s
	other.Gateway = second(t, fmt.Sprintf(s.text, settings), &other)
	if resp, _ := other.Get("/app/x", line); resp.StatusCode != 200 {
		t.Errorf("another gateway does not know the session: %d", resp.StatusCode)
	}

	s.clock.forward(4*time.Minute + 45*time.Second)
	var wg sync.WaitGroup
	for i := range 20 { // at two gateways at once
		g := s.Gateway
		if i%2 == 1 {
			g = other.Gateway
		}
		wg.Go(func() {
			if resp, body := g.Get("/app/x", line); resp.StatusCode != 200 {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if n := s.idp.refreshes(); n != "1" {
		t.Errorf("%s refresh tokens were used", n)
	}

	r.Kill()
	if resp, body := s.Get("/app/x", line); resp.StatusCode != 503 || !strings.Contains(body, "authentication_unavailable") {
		t.Errorf("without the store: got %d %s", resp.StatusCode, body)
	}
	if resp, _ := s.Get("/app/x"); resp.StatusCode != 401 {
		t.Errorf("without the store, and without a session: got %d", resp.StatusCode)
	}
	r.Run()
	r.Wait("have the session", func() bool {
		resp, _ := s.Get("/app/x", line)
		return resp.StatusCode == 200
	})

	if status, body := s.backchannel(s.logoutToken(`"sub":"id1"`)); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	if resp, _ := other.Get("/app/x", line); resp.StatusCode != 401 {
		t.Errorf("the session goes on at another gateway: %d", resp.StatusCode)
	}
	again := newBrowser(t)
	again.login(s.URL + "/app/x")
	line = "Cookie: " + cookieLine(again.cookies(s.Gateway))
	again.still().visit(s.URL + "/app/.oidc/logout")
	if resp, _ := other.Get("/app/x", line); resp.StatusCode != 401 {
		t.Errorf("after the logout the session goes on at another gateway: %d", resp.StatusCode)
	}
}

func TestRedisThatIsNotThere(t *testing.T) {
	s := newSite(t, "secret: "+secret+", session: {store: 'redis://:pass-word@127.0.0.1:1/0'}")
	b := newBrowser(t)
	callback := b.arrive(s.URL + "/app/x")
	if p := b.still().visit(callback); p.StatusCode != 503 {
		t.Errorf("got %d %s", p.StatusCode, p.text)
	}
	if strings.Contains(s.Log(), "pass-word") {
		t.Error("the log has the password")
	}
}

// TestSessionsInCluster: what belongs to one session is at several servers of a cluster.
func TestSessionsInCluster(t *testing.T) {
	url, servers := redistest.Cluster(t)
	settings := fmt.Sprintf("secret: %s, forward: id_token, session: {store: '%s'}", secret, url)
	s := newSite(t, settings)
	other := *s
	other.Gateway = second(t, fmt.Sprintf(s.text, settings), &other)
	var all []string
	empty := func(r *redistest.Server) bool { return r.Must("DBSIZE") == ":0\r\n" }
	for len(all) < 6 || slices.ContainsFunc(servers, empty) {
		if len(all) == 100 {
			t.Fatal("a server has nothing")
		}
		b := newBrowser(t)
		b.login(s.URL + "/app/x")
		line := "Cookie: " + cookieLine(b.cookies(s.Gateway))
		if resp, _ := other.Get("/app/x", line); resp.StatusCode != 200 {
			t.Errorf("another gateway does not know the session: %d", resp.StatusCode)
		}
		all = append(all, line)
	}
	s.clock.forward(4*time.Minute + 45*time.Second)
	var wg sync.WaitGroup
	for _, g := range []interface {
		Get(path string, lines ...string) (*http.Response, string)
	}{s, &other} {
		wg.Go(func() {
			if resp, body := g.Get("/app/x", all[0]); resp.StatusCode != 200 {
				t.Errorf("renewed: got %d %s", resp.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if status, body := s.backchannel(s.logoutToken(`"sub":"id1"`)); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	for _, line := range all {
		if resp, _ := other.Get("/app/x", line); resp.StatusCode != 401 {
			t.Errorf("the session goes on at another gateway: %d", resp.StatusCode)
		}
	}
}
