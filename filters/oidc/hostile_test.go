package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/filters/oidc"
	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// liar is a provider that says what the test wants.
type liar struct {
	*httptest.Server
	t        *testing.T
	key      *ecdsa.PrivateKey
	metadata map[string]any // laid over what is right
	claims   map[string]any // likewise
	answer   func(w http.ResponseWriter, r *http.Request) bool
	nonce    string
	refresh  string // the refresh token that it gives
	drop     string // a claim that is left out
	raw      func(token string) string
}

func newLiar(t *testing.T) *liar {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{t: t, key: key, metadata: map[string]any{}, claims: map[string]any{}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.answer != nil && l.answer(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		meta := map[string]any{
			"issuer": l.URL, "authorization_endpoint": l.URL + "/auth", "token_endpoint": l.URL + "/token", "jwks_uri": l.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256", "none", "HS256"},
		}
		maps.Copy(meta, l.metadata)
		_ = json.NewEncoder(w).Encode(meta)
	case "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &l.key.PublicKey, KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	case "/token":
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": l.token(), "refresh_token": l.refresh})
	}
}

// token is an ID token, right but for the claims.
func (l *liar) token() string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": l.URL, "sub": "ada", "aud": "app", "iat": now, "exp": now + 300, "nonce": l.nonce, "groups": []string{"g"}}
	maps.Copy(claims, l.claims)
	delete(claims, l.drop)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: l.key, KeyID: "1"}}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	payload, _ := json.Marshal(claims)
	signed, err := signer.Sign(payload)
	if err != nil {
		l.t.Fatal(err)
	}
	token, _ := signed.CompactSerialize()
	if l.raw != nil {
		token = l.raw(token)
	}
	return token
}

// gateway is one in front of an upstream, with the liar as its provider.
func (l *liar) gateway() *gatewaytest.Gateway {
	return gatewaytest.New(l.t, fmt.Sprintf("routes: [{match: /**, respond: \"hello\", oidc: {issuer: %q, client_id: app, client_secret: s, secret: %s}}]", l.URL, secret))
}

// gatewayAt is one with a clock and further settings.
func (l *liar) gatewayAt(c *clock, settings string) *gatewaytest.Gateway {
	return gatewaytest.New(l.t, fmt.Sprintf("routes: [{match: /**, respond: hello, login: {issuer: %q, client_id: app, client_secret: s, secret: %s%s}}]", l.URL, secret, settings),
		oidc.KindAt("login", c.now))
}

// login goes to the login and comes back from it, and returns the answer of the callback.
func (l *liar) login(g *gatewaytest.Gateway, more string) (*page, *browser) {
	b := newBrowser(l.t)
	p, state := b.begin(g.URL + "/x")
	l.nonce = mustParse(l.t, p.Header.Get("Location")).Query().Get("nonce")
	return b.still().visit(g.URL + "/.oidc/callback?code=c&state=" + state + more), b
}

func TestTokensThatLie(t *testing.T) {
	half := sha256.Sum256([]byte("at"))
	atHash := base64.RawURLEncoding.EncodeToString(half[:16])
	now := time.Now().Unix()
	for what, c := range map[string]struct {
		claims map[string]any
		raw    func(string) string
		ok     bool
	}{
		"right":                     {ok: true},
		"right at_hash":             {claims: map[string]any{"at_hash": atHash}, ok: true},
		"right azp":                 {claims: map[string]any{"aud": []string{"app", "x"}, "azp": "app"}, ok: true},
		"another issuer":            {claims: map[string]any{"iss": "https://evil.example"}},
		"another audience":          {claims: map[string]any{"aud": "other"}},
		"no audience":               {claims: map[string]any{"aud": nil}},
		"two audiences, no azp":     {claims: map[string]any{"aud": []string{"app", "x"}}},
		"another party":             {claims: map[string]any{"azp": "other"}},
		"ended":                     {claims: map[string]any{"exp": now - 10}},
		"of the future":             {claims: map[string]any{"iat": now + 3600}},
		"another nonce":             {claims: map[string]any{"nonce": "other"}},
		"no nonce":                  {claims: map[string]any{"nonce": ""}},
		"another access token":      {claims: map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
		"nobody":                    {claims: map[string]any{"sub": ""}},
		"a long name":               {claims: map[string]any{"sub": strings.Repeat("a", 300)}},
		"none":                      {raw: func(string) string { return "" }},
		"unsigned":                  {raw: func(s string) string { return "eyJhbGciOiJub25lIn0." + strings.Split(s, ".")[1] + "." }},
		"a changed signature":       {raw: func(s string) string { return s[:len(s)-6] + "AAAAAA" }},
		"signed with a public text": {raw: func(s string) string { return signedWithSecret(t, s) }},
	} {
		l := newLiar(t)
		g := l.gateway()
		l.claims, l.raw = c.claims, c.raw
		p, b := l.login(g, "")
		if c.ok {
			if p.StatusCode != 303 || b.visit(g.URL+"/x").text != "hello" {
				t.Errorf("%s: got %d %s", what, p.StatusCode, p.text)
			}
			continue
		}
		failed(t, what, p)
	}
}

// signedWithSecret signs a token's claims with the client's secret, as HS256.
func signedWithSecret(t *testing.T, token string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("s", 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := signed.CompactSerialize()
	return out
}

func TestProvidersThatLie(t *testing.T) {
	discovery := func(f func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/.well-known/openid-configuration" {
				return false
			}
			f(w)
			return true
		}
	}
	for what, c := range map[string]struct {
		metadata map[string]any
		answer   func(http.ResponseWriter, *http.Request) bool
	}{
		"another issuer":      {metadata: map[string]any{"issuer": "https://evil.example"}},
		"no endpoint":         {metadata: map[string]any{"authorization_endpoint": ""}},
		"a script for a URL":  {metadata: map[string]any{"authorization_endpoint": "javascript:alert(1)"}},
		"no keys":             {metadata: map[string]any{"jwks_uri": ""}},
		"a redirect":          {answer: discovery(func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(302) })},
		"an error":            {answer: discovery(func(w http.ResponseWriter) { w.WriteHeader(500) })},
		"no JSON":             {answer: discovery(func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") })},
		"more than a million": {answer: discovery(func(w http.ResponseWriter) { fmt.Fprint(w, `{"issuer":"`+strings.Repeat("a", 2<<20)+`"}`) })},
	} {
		l := newLiar(t)
		l.metadata, l.answer = c.metadata, c.answer
		p := newBrowser(t).still().visit(l.gateway().URL + "/x")
		if p.StatusCode != 503 || !strings.Contains(p.text, "authentication_unavailable") || strings.Contains(p.text, "evil") {
			t.Errorf("%s: got %d %s", what, p.StatusCode, p.text)
		}
	}
}

func TestAnswersNameTheirIssuer(t *testing.T) {
	l := newLiar(t)
	l.metadata["authorization_response_iss_parameter_supported"] = true
	g := l.gateway()
	p, _ := l.login(g, "")
	failed(t, "no issuer", p)
	p, _ = l.login(g, "&iss=https://evil.example")
	failed(t, "another issuer", p)
	if p, _ = l.login(g, "&iss="+l.URL); p.StatusCode != 303 {
		t.Errorf("got %d %s", p.StatusCode, p.text)
	}
}

func TestSessionsOfMoreThanACookie(t *testing.T) {
	l := newLiar(t)
	g := l.gateway()
	l.claims["long"] = strings.Repeat("x", 6000)
	p, b := l.login(g, "")
	if n := len(b.cookies(g)); p.StatusCode != 303 || n != 3 {
		t.Fatalf("got %d, %d cookies", p.StatusCode, n)
	}
	for _, c := range p.Cookies() {
		if size := len(c.Raw); size > 4096 {
			t.Errorf("a cookie has %d bytes", size)
		}
	}
	if p := b.visit(g.URL + "/x"); p.text != "hello" {
		t.Errorf("got %d %s", p.StatusCode, p.text)
	}
	l.claims["long"] = strings.Repeat("x", 30_000)
	p, _ = l.login(g, "")
	failed(t, "a session of more than all cookies", p)
	l.claims["long"] = ""
	p = again(t, l, g, b)
	if n := len(b.cookies(g)); p.StatusCode != 303 || n != 1 {
		t.Errorf("after a smaller session there are %d cookies", n)
	}
}

// again logs a browser in that is logged in.
func again(t *testing.T, l *liar, g *gatewaytest.Gateway, b *browser) *page {
	t.Helper()
	fresh := newBrowser(t)
	p, state := fresh.begin(g.URL + "/x")
	l.nonce = mustParse(t, p.Header.Get("Location")).Query().Get("nonce")
	b.jar.SetCookies(mustParse(t, g.URL), p.Cookies())
	return b.still().visit(g.URL + "/.oidc/callback?code=c&state=" + state)
}

func TestLoginsAreGoodOnceWhateverTheProviderSays(t *testing.T) {
	l := newLiar(t)
	g := l.gateway()
	b := newBrowser(t)
	p, state := b.begin(g.URL + "/x")
	l.nonce = mustParse(t, p.Header.Get("Location")).Query().Get("nonce")
	cookie := p.Cookies()[0]
	callback := "/.oidc/callback?code=c&state="
	resp, body := g.Get(callback+state, "Cookie: "+cookie.Name+"="+cookie.Value)
	if resp.StatusCode != 303 {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	if resp, _ := g.Get(callback+state, "Cookie: "+cookie.Name+"="+cookie.Value); resp.StatusCode != 400 {
		t.Errorf("again: got %d", resp.StatusCode)
	}
	p, state = b.begin(g.URL + "/x")
	l.nonce = mustParse(t, p.Header.Get("Location")).Query().Get("nonce")
	cookie = p.Cookies()[0]
	other := "zzzzzz" + state[6:]
	if resp, _ := g.Get(callback+other, "Cookie: "+strings.Replace(cookie.Name, state, other, 1)+"="+cookie.Value); resp.StatusCode != 400 {
		t.Errorf("the cookie of another state: got %d", resp.StatusCode)
	}
}

func TestSessionsThatEndWhileTheyAreRenewed(t *testing.T) {
	r := redistest.Start(t)
	for what, settings := range map[string]string{"cookies": "", "redis": ", session: '" + r.URL() + "'"} {
		l, c := newLiar(t), &clock{}
		l.refresh = "rt"
		g := l.gatewayAt(c, settings)
		p, b := l.login(g, "")
		if p.StatusCode != 303 {
			t.Fatalf("%s: got %d %s", what, p.StatusCode, p.text)
		}
		c.forward(290 * time.Second)
		now := c.now().Unix()
		l.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/token" {
				l.answer = nil
				l.claims = map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}, "jti": what, "iat": now, "exp": now + 60, "nonce": nil}
				resp, body := g.Do("POST", "/.oidc/backchannel-logout", "logout_token="+l.token(), "Content-Type: application/x-www-form-urlencoded")
				if resp.StatusCode != 400 || !strings.Contains(body, "bad_request") {
					t.Errorf("%s: a logout token with a nonce: %d %s", what, resp.StatusCode, body)
				}
				l.drop = "nonce"
				resp, body = g.Do("POST", "/.oidc/backchannel-logout", "logout_token="+l.token(), "Content-Type: application/x-www-form-urlencoded")
				if resp.StatusCode != 200 {
					t.Errorf("%s: the logout: %d %s", what, resp.StatusCode, body)
				}
				l.claims = nil
			}
			return false
		}
		if p := b.still().visit(g.URL + "/x"); p.StatusCode != 302 {
			t.Errorf("%s: the session outlives its logout: %d", what, p.StatusCode)
		}
		if p := b.still().visit(g.URL + "/x"); p.StatusCode != 302 {
			t.Errorf("%s: the session comes back: %d", what, p.StatusCode)
		}
	}
}
