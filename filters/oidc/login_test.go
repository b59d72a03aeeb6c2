package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/filters/oidc"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[oidc.Config](t, "oidc", 2) }

func TestLogin(t *testing.T) {
	s := newSite(t, "secret: "+secret+", forward: access_token")
	b := newBrowser(t)
	u, _ := url.Parse(s.URL)
	b.jar.SetCookies(u, []*http.Cookie{{Name: "theme", Value: "dark"}})

	first := b.still().visit(s.URL + "/app/reports?year=2026&q=a%2Fb")
	to, err := first.Location()
	if err != nil || first.StatusCode != 302 || !strings.HasPrefix(to.String(), s.idp.issuer) {
		t.Fatalf("got %d %v", first.StatusCode, to)
	}
	q := to.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("response_type") != "code" || q.Get("nonce") == "" {
		t.Errorf("the login is asked for with %v", q)
	}
	if c := first.Header.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly; SameSite=Lax") || strings.Contains(c, "Secure") {
		t.Errorf("got %s", c)
	}

	p := b.login(s.URL + "/app/reports?year=2026&q=a%2Fb")
	got := p.seen(t)
	if got.URL != "/app/reports?year=2026&q=a%2Fb" || got.Header.Get("X-User") != "id1" {
		t.Errorf("the upstream got %v", got)
	}
	if c := got.Header.Get("Cookie"); c != "theme=dark" {
		t.Errorf("the upstream got the cookies %q", c)
	}
	if !strings.HasPrefix(got.Header.Get("Authorization"), "Bearer ") {
		t.Errorf("the upstream got no token: %v", got.Header)
	}
	for _, c := range b.cookies(s.Gateway) {
		if state := strings.TrimPrefix(c.Name, strings.Split(c.Name, "-login-")[0]+"-login-"); state != c.Name && state != q.Get("state") {
			t.Errorf("the login's cookie %s is left", c.Name) // that of the first is right: it was not ended
		}
	}
	if p := b.visit(s.URL + "/app/again"); !p.in() {
		t.Errorf("the session does not hold: %d %s", p.StatusCode, p.text)
	}
}

func TestProgramsAreToldSo(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	for name, fields := range map[string][]string{
		"Accept":         {"Accept: application/json"},
		"anything":       {"Accept: */*"},
		"fetch":          {"Accept: text/html", "Sec-Fetch-Mode: cors"},
		"XMLHttpRequest": {"Accept: text/html", "X-Requested-With: XMLHttpRequest"},
	} {
		resp, body := s.Get("/app/x", fields...)
		if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("Www-Authenticate"), `Cookie realm="oidc"`) || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: got %d %v %s", name, resp.StatusCode, resp.Header, body)
		}
	}
	if resp, _ := s.Do("POST", "/app/x", "a=b", "Accept: text/html", "Sec-Fetch-Mode: navigate"); resp.StatusCode != 401 {
		t.Errorf("POST: got %d", resp.StatusCode)
	}
	if resp, _ := s.Get("/app/x", "Accept: text/html", "Sec-Fetch-Mode: navigate"); resp.StatusCode != 302 {
		t.Errorf("a browser got %d", resp.StatusCode)
	}
}

func TestTwoTabs(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	one, two := b.visit(s.URL+"/app/one"), b.visit(s.URL+"/app/two")
	if p := b.submit(two); !p.in() || p.seen(t).URL != "/app/two" {
		t.Errorf("the second tab ends at %s", p.Request.URL)
	}
	if p := b.submit(one); !p.in() || p.seen(t).URL != "/app/one" {
		t.Errorf("the first tab ends at %s", p.Request.URL)
	}
}
