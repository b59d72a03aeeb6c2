package oidc_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// begin starts a login without following it, and returns the page and the state.
func (b *browser) begin(address string) (*page, string) {
	b.t.Helper()
	p := b.still().visit(address)
	to, err := p.Location()
	if err != nil || p.StatusCode != 302 {
		b.t.Fatalf("no login begins: %d %v\n%s", p.StatusCode, err, p.text)
	}
	return p, to.Query().Get("state")
}

// arrive logs in as far as the callback, which is not visited. It returns its address.
func (b *browser) arrive(address string) string {
	b.t.Helper()
	form := b.visit(address)
	c := *b.Client
	callback := ""
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/.oidc/callback") {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	(&browser{b.t, &c, b.jar}).submit(form)
	if callback == "" {
		b.t.Fatal("the provider does not send the browser back")
	}
	return callback
}

// failed checks that a login failed, and that the page says nothing it should not.
func failed(t *testing.T, what string, p *page) {
	t.Helper()
	if p.StatusCode != 400 || !strings.Contains(p.text, "login_failed") {
		t.Errorf("%s: got %d\n%s", what, p.StatusCode, p.text)
	}
	for _, c := range p.Cookies() {
		if !strings.Contains(c.Name, "-login-") && c.MaxAge >= 0 {
			t.Errorf("%s: a session is made: %v", what, c)
		}
	}
}

func TestCallbacksThatAreNobodys(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	victim, attacker := newBrowser(t), newBrowser(t)
	callback := s.URL + "/app/.oidc/callback"

	stolen := attacker.arrive(s.URL + "/app/x")
	failed(t, "the attacker's login in the victim's browser", victim.still().visit(stolen))

	_, state := victim.begin(s.URL + "/app/x")
	code := mustParse(t, stolen).Query().Get("code")
	failed(t, "the attacker's code with the victim's state", victim.still().visit(callback+"?"+url.Values{"code": {code}, "state": {state}}.Encode()))

	for what, query := range map[string]string{
		"nothing":          "",
		"a made up state":  "?code=x&state=abc-0123456789012345678901234567890123456789012",
		"two states":       "?code=x&state=" + state + "&state=" + state,
		"a broken query":   "?code=%zz&state=" + state,
		"a hostile state":  "?code=x&state=" + url.QueryEscape("=; Path=/\r\nSet-Cookie: a=b"),
		"no state, and ok": "?code=" + code,
	} {
		failed(t, what, victim.still().visit(callback+query))
	}
	if p := attacker.still().visit(stolen); p.StatusCode != 303 {
		t.Errorf("the attempts of others end the attacker's own login: %d", p.StatusCode)
	}
}

func TestLoginsAreGoodOnce(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	callback := b.arrive(s.URL + "/app/x")
	kept := b.cookies(s.Gateway)
	if p := b.visit(callback); !p.in() {
		t.Fatalf("got %d %s", p.StatusCode, p.text)
	}
	failed(t, "the same address again", b.still().visit(callback))
	again := newBrowser(t)
	again.jar.SetCookies(mustParse(t, s.URL), kept)
	failed(t, "the same address with the same cookies", again.still().visit(callback))
}

func TestStatesEnd(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	callback := b.arrive(s.URL + "/app/x")
	s.clock.forward(11 * time.Minute)
	failed(t, "after eleven minutes", b.still().visit(callback))
}

func TestTheProvidersErrorsAreShownSafely(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	for code, want := range map[string]string{
		"access_denied":             "The login was refused: access_denied.",
		"<script>alert(1)</script>": "The login was refused: unknown_error.",
		strings.Repeat("a", 1000):   "The login was refused: unknown_error.",
	} {
		_, state := b.begin(s.URL + "/app/x")
		q := url.Values{"error": {code}, "error_description": {"<b>call the number\r\n"}, "state": {state}}
		p := b.still().visit(s.URL + "/app/.oidc/callback?" + q.Encode())
		failed(t, code, p)
		if !strings.Contains(p.text, want) || strings.Contains(p.text, "number") || strings.Contains(p.text, "script") {
			t.Errorf("%s: got %s", code, p.text)
		}
	}
	p := b.still().visit(s.URL + "/app/.oidc/callback?error=access_denied&state=made-up-" + strings.Repeat("a", 40))
	if failed(t, "no login", p); strings.Contains(p.text, "access_denied") {
		t.Errorf("a stranger chooses the text: %s", p.text)
	}
}

func TestReturnsAreLocal(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	root := gatewaytest.New(t, strings.NewReplacer("/app/**", "/**", "%s", "secret: "+secret).Replace(s.text), s.kind())
	s.idp.register(root.URL+"/.oidc/callback", "")
	logins := 0
	for _, path := range []string{
		"//evil.example/x", "/%5cevil.example", "/\\evil.example", "/%09/evil.example", "///evil.example", "/.//evil.example", "/x/..//evil.example", "/%2f%2fevil.example",
		"/.oidc/callback?x=1", "/.oidc/logout",
	} {
		b := newBrowser(t)
		start := raw(t, root.URL, path)
		if start.StatusCode != 302 {
			t.Logf("%q: %d", path, start.StatusCode) // it is not even a login
			continue
		}
		logins++
		b.jar.SetCookies(mustParse(t, root.URL), start.Cookies())
		c := *b.Client
		c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
			if strings.Contains(r.URL.Host, "evil") {
				t.Errorf("%q leads to %s", path, r.URL)
				return http.ErrUseLastResponse
			}
			return nil
		}
		follow := &browser{t, &c, b.jar}
		if p := follow.submit(follow.visit(start.Header.Get("Location"))); !p.in() || p.Request.URL.Host != mustParse(t, root.URL).Host {
			t.Errorf("%q ends at %s: %d", path, p.Request.URL, p.StatusCode)
		}
	}
	if logins < 5 {
		t.Errorf("only %d of the paths were logins", logins)
	}
}

// raw asks for a path that no client would send as it is.
func raw(t *testing.T, base, path string) *http.Response {
	t.Helper()
	host := mustParse(t, base).Host
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/html\r\nConnection: close\r\n\r\n", path, host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestSessionsThatAreTamperedWith(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	name, value := sessionCookie(t, b.cookies(s.Gateway))
	check := func(what, cookie string, want int) {
		t.Helper()
		if resp, body := s.Get("/app/x", "Cookie: "+cookie); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d\n%s", what, resp.StatusCode, want, body)
		}
	}
	check("as it is", name+"="+value, 200)
	check("among others", "a=b; "+name+"="+value+"; c=d", 200)
	check("empty", name+"=", 401)
	check("shorter", name+"="+value[:len(value)-1], 401)
	check("longer", name+"="+value+"A", 401)
	check("two chunks said, one there", name+"=2"+value[1:], 401)
	check("two chunks", name+"=2"+value[1:100]+"; "+name+".1="+value[100:], 200)
	check("two chunks, out of order", name+"=2"+value[100:]+"; "+name+".1="+value[1:100], 401)
	check("nine chunks", name+"=9"+value[1:], 401)
	check("not base64", name+"=1!!!!", 401)
	check("huge", name+"=1"+strings.Repeat("A", 50_000), 401)
	check("another name", name+"x="+value, 401)
	for i := 1; i < len(value); i += 97 {
		flipped := []byte(value)
		flipped[i] ^= 1
		check(fmt.Sprintf("character %d changed", i), name+"="+string(flipped), 401)
	}
}

func TestSessionsEnd(t *testing.T) {
	s := newSite(t, "secret: "+secret+", refresh: false, session: {lifetime: 2h, idle: 30m}")
	b := newBrowser(t)
	b.login(s.URL + "/app/x")
	for range 3 {
		s.clock.forward(25 * time.Minute)
		if p := b.still().visit(s.URL + "/app/x"); !p.in() || p.Header.Get("Set-Cookie") == "" {
			t.Fatalf("a session in use ends: %d", p.StatusCode)
		}
	}
	idle := b.cookies(s.Gateway)
	s.clock.forward(25 * time.Minute)
	if p := b.still().visit(s.URL + "/app/x"); !p.in() {
		t.Fatalf("a session in use ends: %d", p.StatusCode)
	}
	s.clock.forward(6 * time.Minute)
	other := newBrowser(t)
	other.jar.SetCookies(mustParse(t, s.URL), idle)
	if p := other.still().visit(s.URL + "/app/x"); p.StatusCode != 302 {
		t.Errorf("after 31 idle minutes: got %d", p.StatusCode)
	}
	s.clock.forward(15 * time.Minute)
	if p := b.still().visit(s.URL + "/app/x"); p.StatusCode != 302 {
		t.Errorf("after its lifetime: got %d", p.StatusCode)
	}
}

func TestManyTabsKeepTheCookiesFew(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	b := newBrowser(t)
	for i := range 20 {
		s.clock.forward(time.Second)
		b.begin(fmt.Sprintf("%s/app/%d", s.URL, i))
	}
	if n := len(b.cookies(s.Gateway)); n > 5 {
		t.Errorf("there are %d cookies", n)
	}
	if p := b.login(s.URL + "/app/last"); !p.in() {
		t.Errorf("got %d", p.StatusCode)
	}
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sessionCookie finds a session that is in one cookie.
func sessionCookie(t *testing.T, cookies []*http.Cookie) (name, value string) {
	t.Helper()
	for _, c := range cookies {
		if strings.HasPrefix(c.Name, "oidc-") && !strings.Contains(c.Name, "-login-") {
			name, value = c.Name, c.Value
		}
	}
	if name == "" {
		t.Fatalf("there is no session among %v", cookies)
	}
	return name, value
}
