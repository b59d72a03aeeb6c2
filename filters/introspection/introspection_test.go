package introspection

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExamplesOfTheManual(t *testing.T) {
	filtertest.Examples[Config](t, "oauth2_introspection", 2)
}

// authority is an authorization server.
type authority struct {
	*httptest.Server
	asked atomic.Int64

	mu     sync.Mutex
	says   map[string]string // of tokens
	answer http.HandlerFunc  // in place of that; nil for none
}

func newAuthority(t testing.TB) *authority {
	a := &authority{says: map[string]string{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/oauth-authorization-server" {
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"introspection_endpoint":%q}`, a.URL, a.URL+"/introspect")
			return
		}
		if r.URL.Path != "/introspect" {
			http.NotFound(w, r)
			return
		}
		a.asked.Add(1)
		a.mu.Lock()
		answer, says := a.answer, a.says[r.PostFormValue("token")]
		a.mu.Unlock()
		id, secret, ok := r.BasicAuth()
		if !ok {
			id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		switch {
		case answer != nil:
			answer(w, r)
		case r.Method != http.MethodPost || id != "gate" || secret != "hush%3A" && secret != "hush:":
			w.WriteHeader(http.StatusUnauthorized)
		case says == "":
			_, _ = io.WriteString(w, `{"active":false}`)
		default:
			_, _ = io.WriteString(w, says)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

type policy struct {
	*filter.Filter
	env *filter.Env
}

func newPolicy(t testing.TB, text string) policy {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, `{acme: {subjects: ["https://idp.test ada"]}}`)
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return policy{f, env}
}

// at is a configuration that asks an authority.
func (a *authority) at(more string) string {
	return "{endpoint: '" + a.URL + "/introspect', client_id: gate, client_secret: 'hush:'" + more + "}"
}

func (p policy) exchange(scheme, token string) *filter.Exchange {
	r := httptest.NewRequest(http.MethodGet, "http://api.test/orders", nil)
	r.Header.Set("Authorization", scheme+" "+token)
	ex := &filter.Exchange{
		Request: r, Route: p.env.Route, Start: time.Now(),
		Original: filter.Original{Method: r.Method, Scheme: "http", Host: "api.test", Path: "/orders"},
	}
	ex.Prepare(p.env.Slots())
	return ex
}

// do sends a token, and says what came of it: a code, or "" and who it is.
func (p policy) do(token string) (code, cause string) {
	ex := p.exchange("Bearer", token)
	err := p.Request(ex)
	if err == nil {
		return "", ex.Identity.String()
	}
	e := filter.AsError(err)
	return string(e.Code), fmt.Sprint(e.Cause)
}

func TestAnswers(t *testing.T) {
	a := newAuthority(t)
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, test := range map[string]struct{ config, says, code, cause string }{
		"active":         {"", `{"active":true,"sub":"ada","scope":"a b"}`, "", "subject ada, scopes a b"},
		"no consumer":    {"", `{"active":true,"sub":"ada","iss":"https://idp.test"}`, "", "subject ada"},
		"consumer":       {", issuer: https://idp.test", `{"active":true,"sub":"ada","iss":"https://idp.test"}`, "", "subject ada, consumer acme"},
		"user name":      {", subject_claim: username", `{"active":true,"sub":"7","username":"ada"}`, "", "subject ada"},
		"post":           {", client_auth: post", `{"active":true,"sub":"ada"}`, "", "subject ada"},
		"not active":     {"", `{"active":false,"sub":"ada"}`, "token_inactive", "not active"},
		"active as text": {"", `{"active":"true"}`, "authentication_unavailable", "does not say"},
		"no active":      {"", `{"sub":"ada"}`, "authentication_unavailable", "does not say"},
		"active twice":   {"", `{"active":false,"active":true}`, "authentication_unavailable", "duplicate"},
		"Active":         {"", `{"Active":true}`, "authentication_unavailable", "does not say"},
		"no JSON":        {"", `active`, "authentication_unavailable", "no JSON object"},
		"expired":        {"", fmt.Sprintf(`{"active":true,"exp":%d}`, in(-time.Hour)), "jwt_expired", "`exp`"},
		"not yet":        {"", fmt.Sprintf(`{"active":true,"nbf":%d}`, in(time.Hour)), "jwt_invalid", "`nbf`"},
		"audience":       {", audience: b", `{"active":true,"aud":"a"}`, "jwt_invalid", "`aud` is [a], wanted b"},
		"scope":          {", scopes: [x]", `{"active":true,"scope":"y"}`, "insufficient_scope", "the scopes are [y], wanted x"},
		"claim":          {", required_claims: {client_id: web}", `{"active":true,"client_id":"app"}`, "jwt_invalid", "`client_id` is app, wanted web"},
		"bound":          {"", `{"active":true,"cnf":{"x5t#S256":"` + strings.Repeat("A", 43) + `"}}`, "jwt_invalid", "bound to a certificate"},
		"bound to a key": {"", `{"active":true,"cnf":{"jkt":"` + strings.Repeat("A", 43) + `"}}`, "jwt_invalid", "bound to a key"},
		"other issuer":   {", issuer: https://idp.test", `{"active":true,"iss":"https://evil.test"}`, "jwt_invalid", "`iss` is"},
		"wrong types":    {"", `{"active":true,"sub":7}`, "jwt_invalid", "`sub` is not a text"},
		"other secret":   {", client_id: other", `{"active":true}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := a.at(test.config)
			if name == "other secret" {
				text = strings.Replace(a.at(""), "hush", "loud", 1)
				test.code, test.cause = "authentication_unavailable", "answered 401"
			}
			p := newPolicy(t, text)
			a.set(func() { a.says["tok"] = test.says })
			for range 2 {
				if code, cause := p.do("tok"); code != test.code || name == "no consumer" && strings.Contains(cause, "consumer") || !strings.Contains(cause, test.cause) {
					t.Errorf("got %q: %s, wanted %q: %s", code, cause, test.code, test.cause)
				}
			}
		})
	}
}

func TestAnswersAreKept(t *testing.T) {
	a := newAuthority(t)
	a.says["tok"] = `{"active":true,"sub":"ada"}`
	p := newPolicy(t, a.at(""))
	dry := p.exchange("Bearer", "tok")
	dry.Dry = true
	if v := p.Explain(dry); v.Action != filter.Unknown || a.asked.Load() != 0 {
		t.Errorf("explain says %v, and has asked %d times", v, a.asked.Load())
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if code, cause := p.do("tok"); code != "" {
				t.Error(code, cause)
			}
		})
	}
	wg.Wait()
	p.do("bad")
	p.do("bad")
	if n := a.asked.Load(); n != 2 {
		t.Errorf("it was asked %d times", n)
	}
	if v := p.Explain(p.exchange("Bearer", "tok")); v.Action != filter.Passes {
		t.Errorf("explain says %v", v)
	}
	// The server dies: what is kept is good within its time, and nothing else.
	a.set(func() { a.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } })
	if code, cause := p.do("tok"); code != "" {
		t.Error(code, cause)
	}
	if code, cause := p.do("new"); code != "authentication_unavailable" {
		t.Error(code, cause)
	}
	// And comes back.
	a.set(func() { a.answer, a.says["new"] = nil, `{"active":true}` })
	if code, cause := p.do("new"); code != "" {
		t.Error(code, cause)
	}
}

func TestAnswersEnd(t *testing.T) {
	a := newAuthority(t)
	s, err := newServer(&Config{Endpoint: a.URL + "/introspect", ClientID: "gate", ClientSecret: "hush:", ClientAuth: "basic", Cache: 60e9, CacheInactive: 10e9, Timeout: 5e9}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.cancel()
	now := time.Unix(1_000_000_000, 0)
	s.now = func() time.Time { return now }
	for says, want := range map[string]time.Duration{
		`{"active":true}`:                  time.Minute,
		`{"active":true,"exp":1000000020}`: 20 * time.Second,
		`{"active":true,"exp":2000000000}`: time.Minute,
		`{"active":false}`:                 10 * time.Second,
		`{"active":true,"sub":7}`:          10 * time.Second,
	} {
		got, err := s.read([]byte(says))
		if err != nil || got.until.Sub(now) != want {
			t.Errorf("%s: %v, %v, wanted %s", says, got, err, want)
		}
	}
}

func TestBadServers(t *testing.T) {
	a := newAuthority(t)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		cause  string
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "answered 500"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "answered 307"},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "cannot ask"},
		"floods": {func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 20 {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1024)); err != nil {
					return
				}
			}
		}, "longer than 1 MiB"},
		"HTML": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, "HTML"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolicy(t, a.at(", timeout: 200ms"))
			a.set(func() {
				a.answer = func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					test.answer(w, r)
				}
			})
			code, cause := p.do("tok")
			if code != "authentication_unavailable" || !strings.Contains(cause, test.cause) || strings.Contains(cause, "hush") || strings.Contains(cause, "tok") {
				t.Error(code, cause)
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	a := newAuthority(t)
	a.says["tok"] = `{"active":true,"sub":"ada"}`
	p := newPolicy(t, "{issuer: '"+a.URL+"', client_id: gate, client_secret: 'hush:'}")
	if code, cause := p.do("tok"); code != "" || cause != "subject ada" {
		t.Error(code, cause)
	}
}

func TestDPoP(t *testing.T) {
	a := newAuthority(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: &key.PublicKey}
	thumbprint, err := public.Thumbprint(5)
	if err != nil {
		t.Fatal(err)
	}
	a.says["tok"] = `{"active":true,"sub":"ada","cnf":{"jkt":"` + base64.RawURLEncoding.EncodeToString(thumbprint) + `"}}`
	hash := sha256.Sum256([]byte("tok"))
	claims, err := json.Marshal(map[string]any{"jti": "1", "htm": "GET", "htu": "http://api.test/orders", "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:])})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	p := newPolicy(t, a.at(", dpop: required"))
	for _, want := range []string{"", "used already"} {
		ex := p.exchange("DPoP", "tok")
		ex.Request.Header.Set("DPoP", proof)
		if err := p.Request(ex); want == "" && err != nil || want != "" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, wanted %q", err, want)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{
		"{}", "{client_id: a, client_secret: b}", "{endpoint: https://i, client_id: a}", "{endpoint: http://i.test/x, client_id: a, client_secret: b}",
		"{issuer: idp, client_id: a, client_secret: b}", "{endpoint: https://i, discovery_url: https://i, client_id: a, client_secret: b}",
		"{endpoint: https://i, client_id: a, client_secret: b, client_auth: magic}", "{endpoint: https://i, client_id: a, client_secret: b, cache: 1w}",
		"{endpoint: https://i, client_id: a, client_secret: b, ca: none.pem}",
	} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// BenchmarkKept is the cost of a token about which an answer is kept.
func BenchmarkKept(b *testing.B) {
	a := newAuthority(b)
	a.says["tok"] = `{"active":true,"sub":"ada"}`
	p := newPolicy(b, a.at(", cache: 1h"))
	ex := p.exchange("Bearer", "tok")
	b.ReportAllocs()
	for b.Loop() {
		ex.Identity = nil
		if err := p.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}
