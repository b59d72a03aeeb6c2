package oidc_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRefreshHappensOnce(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	before := b.cookies(s.Gateway)
	name, value := sessionCookie(t, before)
	s.clock.forward(4*time.Minute + 45*time.Second)

	var wg sync.WaitGroup
	renewed := make(chan string, 30)
	for range 30 { // a page's requests, all with the old cookie
		wg.Go(func() {
			resp, body := s.Get("/app/x", "Cookie: "+name+"="+value)
			if resp.StatusCode != 200 {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			renewed <- resp.Header.Get("Set-Cookie")
		})
	}
	wg.Wait()
	close(renewed)
	for c := range renewed {
		if !strings.HasPrefix(c, name+"=1") {
			t.Errorf("an answer renews no cookie: %q", c)
		}
	}
	if n := s.idp.refreshes(); n != "1" {
		t.Errorf("%s refresh tokens were used", n)
	}
	if resp, _ := s.Get("/app/late", "Cookie: "+name+"="+value); resp.StatusCode != 200 {
		t.Errorf("a request that comes late with the old cookie: got %d", resp.StatusCode)
	}
	b.visit(s.URL + "/app/x") // takes the new cookie
	s.clock.forward(4*time.Minute + 45*time.Second)
	if p := b.still().visit(s.URL + "/app/x"); !p.in() || s.idp.refreshes() != "2" {
		t.Errorf("the next refresh: got %d, %s refreshes", p.StatusCode, s.idp.refreshes())
	}
}

func TestUsersWhoAreRefusedLogInAgain(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	kept := b.cookies(s.Gateway)
	p := b.still().visit(s.URL + "/app/.oidc/logout")
	if newBrowser(t).visit(p.Header.Get("Location")); p.StatusCode != 303 {
		t.Fatalf("got %d", p.StatusCode)
	}
	// At the provider the refresh token is gone now. Another gateway has not heard of the logout.
	text := fmt.Sprintf(s.text, "secret: "+secret)
	other := *s
	other.Gateway = second(t, text, &other)
	again := newBrowser(t)
	again.jar.SetCookies(mustParse(t, other.URL), kept)
	if p := again.still().visit(other.URL + "/app/x"); !p.in() {
		t.Fatalf("got %d", p.StatusCode)
	}
	s.clock.forward(5 * time.Minute)
	if p := again.still().visit(other.URL + "/app/x"); p.StatusCode != 302 {
		t.Errorf("a session that the provider refuses goes on: %d", p.StatusCode)
	}
	if resp, _ := other.Get("/app/x", "Accept: application/json", "Cookie: "+cookieLine(kept)); resp.StatusCode != 401 {
		t.Errorf("a program gets %d", resp.StatusCode)
	}
}

func TestLogout(t *testing.T) {
	s := newSite(t, "secret: "+secret+", after_logout: /app/bye")
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	stolen := cookieLine(b.cookies(s.Gateway))

	if resp, _ := s.Get("/app/.oidc/logout", "Cookie: "+stolen, "Sec-Fetch-Site: cross-site"); resp.StatusCode != 403 {
		t.Errorf("another site logs people out: %d", resp.StatusCode)
	}
	p := b.still().visit(s.URL + "/app/.oidc/logout")
	to, err := p.Location()
	if err != nil || !strings.HasPrefix(to.String(), s.idp.issuer+"end_session") {
		t.Fatalf("got %d %v", p.StatusCode, to)
	}
	if q := to.Query(); q.Get("id_token_hint") == "" || q.Get("post_logout_redirect_uri") != s.URL+"/app/bye" || q.Get("client_id") != "app" {
		t.Errorf("the provider gets %v", q)
	}
	if len(b.cookies(s.Gateway)) != 0 {
		t.Errorf("cookies are left: %v", b.cookies(s.Gateway))
	}
	after := b.still().visit(to.String())
	if l := after.Header.Get("Location"); l != s.URL+"/app/bye" {
		t.Errorf("the provider sends the browser to %q: %d %s", l, after.StatusCode, after.text)
	}
	if resp, _ := s.Get("/app/x", "Cookie: "+stolen); resp.StatusCode != 401 {
		t.Errorf("the cookie is good after the logout: %d", resp.StatusCode)
	}
}

// logoutToken has the provider sign a logout token; changes are laid over one that is right.
func (s *site) logoutToken(changes string) string {
	now := s.clock.now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"aud":"app","iat":%d,"exp":%d,"jti":"%d","events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
		s.idp.issuer, now, now+120, time.Now().UnixNano())
	for _, key := range []string{"iss", "aud", "iat", "exp", "jti", "events"} {
		if strings.Contains(changes, `"`+key+`":`) { // the last of two would count as well
			claims = without(claims, key)
		}
	}
	return s.idp.control("sign", "application/json", claims+","+changes+"}")
}

// without takes a key out of an object whose values have no commas.
func without(object, key string) string {
	i := strings.Index(object, `"`+key+`":`)
	j := strings.Index(object[i:], `,"`)
	if j < 0 {
		return strings.TrimSuffix(object[:i], ",")
	}
	return object[:i] + object[i+j+1:]
}

func (s *site) backchannel(token string) (int, string) {
	resp, body := s.Do("POST", "/app/.oidc/backchannel-logout", url.Values{"logout_token": {token}}.Encode(), "Content-Type: application/x-www-form-urlencoded")
	return resp.StatusCode, body
}

func TestBackchannelLogout(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	for what, changes := range map[string]string{
		"another issuer":    `"sub":"id1","iss":"https://evil.example/"`,
		"another audience":  `"sub":"id1","aud":"other"`,
		"a nonce":           `"sub":"id1","nonce":"x"`,
		"no event":          `"sub":"id1","events":{}`,
		"nobody":            `"x":1`,
		"an old one":        `"sub":"id1","iat":1000000000`,
		"an ended one":      `"sub":"id1","exp":1000000000`,
		"one of the future": `"sub":"id1","iat":4000000000`,
		"no id":             `"sub":"id1","jti":""`,
	} {
		if status, body := s.backchannel(s.logoutToken(changes)); status != 400 {
			t.Errorf("%s: got %d %s", what, status, body)
		}
	}
	good := s.logoutToken(`"sub":"id1"`)
	for what, token := range map[string]string{"nothing": "", "no token": "abc", "a changed one": good[:len(good)-8] + "AAAAAAAA", "unsigned": "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + "."} {
		if status, _ := s.backchannel(token); status != 400 {
			t.Errorf("%s: got %d", what, status)
		}
	}
	if p := b.still().visit(s.URL + "/app/x"); !p.in() {
		t.Fatal("a bad token ends a session")
	}
	if status, body := s.backchannel(s.logoutToken(`"sub":"id2"`)); status != 200 {
		t.Errorf("somebody else: got %d %s", status, body)
	}
	if p := b.still().visit(s.URL + "/app/x"); !p.in() {
		t.Fatal("the logout of another user ends a session")
	}
	if status, body := s.backchannel(good); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	if p := b.still().visit(s.URL + "/app/x"); p.StatusCode != 302 {
		t.Errorf("the session goes on: %d", p.StatusCode)
	}
	b.login(s.URL + "/app/x")
	if status, _ := s.backchannel(good); status != 400 {
		t.Errorf("the token is good twice: %d", status)
	}
	if p := b.still().visit(s.URL + "/app/x"); !p.in() {
		t.Error("an old token ends a new session")
	}
	if resp, _ := s.Get("/app/.oidc/backchannel-logout"); resp.StatusCode != 405 {
		t.Errorf("GET: got %d", resp.StatusCode)
	}
}

func TestTheProvidersKeysRotate(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	for range 3 {
		newBrowser(t).login(s.URL + "/app/x")
		s.idp.control("rotate", "text/plain", "")
	}
	newBrowser(t).login(s.URL + "/app/x")
}

func TestSecretsRotate(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	const next = "fedcba9876543210fedcba9876543210"
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	old := cookieLine(b.cookies(s.Gateway))
	set := func(settings string) {
		t.Helper()
		if err := s.SetConfig(fmt.Sprintf(s.text, settings)); err != nil {
			t.Fatal(err)
		}
	}
	set("secret: [" + next + ", " + secret + "]")
	s.clock.forward(4*time.Minute + 45*time.Second) // so that the cookie is renewed
	if p := b.still().visit(s.URL + "/app/x"); !p.in() || p.Header.Get("Set-Cookie") == "" || !strings.HasPrefix(p.Header.Get("Cache-Control"), "private") {
		t.Fatalf("the old secret is not known any more: %d", p.StatusCode)
	}
	set("secret: " + next)
	if p := b.still().visit(s.URL + "/app/x"); !p.in() {
		t.Errorf("the new secret was not used: %d", p.StatusCode)
	}
	if resp, _ := s.Get("/app/x", "Cookie: "+old); resp.StatusCode != 401 {
		t.Errorf("the old secret is known still: %d", resp.StatusCode)
	}
}

func TestWithoutASecret(t *testing.T) {
	s := newSite(t, "groups: groups")
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	if err := s.SetConfig(fmt.Sprintf(s.text, "groups: roles")); err != nil {
		t.Fatal(err)
	}
	if p := b.still().visit(s.URL + "/app/x"); !p.in() {
		t.Errorf("a reload ends sessions: %d", p.StatusCode)
	}
	if !strings.Contains(s.Log(), "oidc has no secret") {
		t.Error("nothing warns")
	}
}

func TestTheProviderGoesAway(t *testing.T) {
	s := newSite(t, "secret: "+secret+", outage: 30m")
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	line := "Cookie: " + cookieLine(b.cookies(s.Gateway))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if resp, body := s.Get("/app/x", line); resp.StatusCode != 200 {
					t.Errorf("a session breaks: %d %s", resp.StatusCode, body)
					return
				}
			}
		})
	}
	s.idp.kill()
	s.clock.forward(11 * time.Second) // what was known of the provider is no longer fresh
	if p := newBrowser(t).still().visit(s.URL + "/app/x"); p.StatusCode != 503 || !strings.Contains(p.text, "authentication_unavailable") || p.Header.Get("Retry-After") == "" {
		t.Errorf("a new login: got %d %s", p.StatusCode, p.text)
	}
	s.clock.forward(10 * time.Minute) // the access token has ended, and cannot be renewed
	if resp, _ := s.Get("/app/x", line); resp.StatusCode != 200 {
		t.Errorf("the session does not outlast the provider: %d", resp.StatusCode)
	}
	end() // the provider that comes back has forgotten its refresh tokens
	s.idp.start()
	s.idp.register(s.URL+"/app/.oidc/callback", "")
	s.clock.forward(10 * time.Second)
	newBrowser(t).login(s.URL + "/app/x")
}

func TestOutagesAreBounded(t *testing.T) {
	s := newSite(t, "secret: "+secret+", outage: 10m")
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	s.idp.kill()
	s.clock.forward(16 * time.Minute)
	if p := b.still().visit(s.URL + "/app/x"); p.StatusCode != 503 {
		t.Errorf("got %d", p.StatusCode)
	}
}

func TestUserInfoGroupsAndConsumers(t *testing.T) {
	s := newSite(t, "secret: "+secret+", userinfo: true")
	text := fmt.Sprintf(s.text, "secret: "+secret+", userinfo: true") + fmt.Sprintf("consumers: {ada: {groups: [staff], subjects: [%q]}}\n", s.idp.issuer+" id1")
	text = strings.Replace(text, `X-User: "{identity}"`, `X-User: "{identity.consumer} {jwt.preferred_username} {jwt.groups}"`, 1)
	if err := s.SetConfig(text); err != nil {
		t.Fatal(err)
	}
	got := newBrowser(t).login(s.URL + "/app/x").seen(t).Header.Get("X-User")
	if !strings.HasPrefix(got, "ada test-user@127.0.0.1") {
		t.Errorf("the upstream is told of %q", got)
	}
}

// cookieLine is a field Cookie.
func cookieLine(cookies []*http.Cookie) string {
	var pairs []string
	for _, c := range cookies {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}
