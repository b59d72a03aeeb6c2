package identityheaders

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/signingkey"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "identity_headers", 4) }

// newEnv returns an Env with keys of all types in its folder.
func newEnv(t testing.TB) *filter.Env {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(env.Dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, key := range map[string]crypto.Signer{"ec.pem": ec, "other.pem": other, "ed.pem": ed, "rsa.pem": rs} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		write(name, "PRIVATE KEY", der, err)
	}
	der, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	write("public.pem", "PUBLIC KEY", der, err)
	return env
}

func build1(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, "x: "+text).Field("x"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func exchange(id *filter.Identity, fields ...string) *filter.Exchange {
	r := httptest.NewRequest("GET", "/", nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return &filter.Exchange{Request: r, Identity: id, Original: filter.Original{Method: "GET", Host: "h"}}
}

func ada() *filter.Identity {
	return &filter.Identity{
		Subject: "ada", Consumer: "acme", Groups: []string{"a", "b"}, Scopes: []string{"read", "write"}, Tags: map[string]string{"plan": "gold"}, Method: "jwt",
		Claims: map[string]any{"roles": []any{"x,y", "z"}, "mixed": []any{"a", map[string]any{"b": 1.0}}, "realm": map[string]any{"roles": []any{"r"}}},
	}
}

func TestFields(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		id     *filter.Identity
		sent   []string
		want   http.Header
	}{
		"defaults":             {"{}", ada(), nil, http.Header{"X-User": {"ada"}, "X-Consumer": {"acme"}, "X-Groups": {"a,b"}}},
		"nobody":               {"{}", nil, []string{"X-User: root", "X-Groups: admin", "X-Other: o"}, http.Header{"X-Other": {"o"}}},
		"no value":             {"{}", &filter.Identity{Subject: "ada"}, []string{"X-Consumer: root", "X-Groups: admin"}, http.Header{"X-User": {"ada"}}},
		"forged":               {"{}", ada(), []string{"X-User: root", "X-User: root2", "X_user: root", "x_user: root", "X.User: root", "X-USER: root", "x-user: root", "X~Groups: root"}, http.Header{"X-User": {"ada"}, "X-Consumer": {"acme"}, "X-Groups": {"a,b"}}},
		"like, but not forged": {"{}", ada(), []string{"X-Users: u", "X-Use: u", "XUser: u", "Y-User: u"}, http.Header{"X-User": {"ada"}, "X-Consumer": {"acme"}, "X-Groups": {"a,b"}, "X-Users": {"u"}, "X-Use": {"u"}, "XUser": {"u"}, "Y-User": {"u"}}},
		"own names":            {`{x-plan: identity.tags.plan, X-Roles: jwt.roles, X-Realm: jwt.realm.roles, X-Mixed: jwt.mixed, X-Scopes: identity.scopes, X-M: '"m-" + method', X-None: jwt.none}`, ada(), []string{"X-None: forged", "X-M: forged"}, http.Header{"X-Plan": {"gold"}, "X-Roles": {"x%2Cy,z"}, "X-Realm": {"r"}, "X-Mixed": {`["a",{"b":1}]`}, "X-Scopes": {"read,write"}, "X-M": {"m-GET"}}},
		"line breaks":          {"{}", &filter.Identity{Subject: "a\r\nX-Admin: 1\x00", Groups: []string{"a,admin", "50%", "é", " s "}}, nil, http.Header{"X-User": {"a%0D%0AX-Admin: 1%00"}, "X-Groups": {"a%2Cadmin,50%25,%C3%A9,%20s%20"}}},
		"of the request":       {`{X-Copy: header.x-a}`, nil, []string{"X-A: a\tb", "X-Copy: forged"}, http.Header{"X-A": {"a\tb"}, "X-Copy": {"a%09b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := build1(t, newEnv(t), c.config)
			for range 2 { // the second is remembered
				ex := exchange(c.id, c.sent...)
				if err := f.Request(ex); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, ex.Request.Header); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// Two identities of the same name do not get each other's fields.
func TestIdentitiesOfTheSameName(t *testing.T) {
	f := build1(t, newEnv(t), "{X-Groups: identity.groups, token: {key: ec.pem, issuer: i}}")
	a, b := &filter.Identity{Subject: "ada", Groups: []string{"admin"}}, &filter.Identity{Subject: "ada"}
	for range 3 {
		for _, id := range []*filter.Identity{a, b} {
			ex := exchange(id)
			if err := f.Request(ex); err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			token, err := jwt.ParseSigned(ex.Request.Header.Get("X-Identity-Token"), []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
				t.Fatal(err)
			}
			if got := ex.Request.Header.Get("X-Groups"); got != strings.Join(id.Groups, ",") || (claims["groups"] != nil) != (id == a) {
				t.Errorf("got %q, %v", got, claims)
			}
		}
	}
}

// trailing is a body whose trailer comes with its end.
type trailing struct {
	io.Reader
	r *http.Request
}

func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.r.Trailer.Set("X-User", "root")
		b.r.Trailer["X_user"] = []string{"root"}
		b.r.Trailer.Set("X-Sum", "1")
	}
	return n, err
}

func (b *trailing) Close() error { return nil }

func TestTrailersCannotForge(t *testing.T) {
	ex := exchange(nil)
	ex.Request.Trailer = http.Header{"X-User": nil}
	ex.Request.Body = &trailing{strings.NewReader("hello"), ex.Request}
	if err := build1(t, newEnv(t), "{}").Request(ex); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(ex.Request.Body); string(body) != "hello" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if diff := cmp.Diff(http.Header{"X-Sum": {"1"}}, ex.Request.Trailer); diff != "" {
		t.Error(diff)
	}
}

func TestToken(t *testing.T) {
	for algorithm, key := range map[string]string{"ES256": "ec.pem", "EdDSA": "ed.pem", "RS256": "rsa.pem", "PS256": "rsa.pem"} {
		env := newEnv(t)
		f := build1(t, env, fmt.Sprintf("{token: {header: Authorization, key: [%s, other.pem], algorithm: %s, issuer: gw, audience: [a, b], ttl: 90s, claims: {plan: identity.tags.plan, host: host, none: jwt.none}}}", key, algorithm))
		ex := exchange(ada(), "Authorization: Bearer client", "authorization: x")
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
		text, ok := strings.CutPrefix(ex.Request.Header.Get("Authorization"), "Bearer ")
		token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
		if err != nil || !ok || len(ex.Request.Header) != 1 {
			t.Fatalf("%v, %v", err, ex.Request.Header)
		}
		signer, err := signingkey.Read(env.Dir, key)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := token.Claims(signer.Public, &claims); err != nil {
			t.Fatal(err)
		}
		if token.Headers[0].KeyID != signer.ID || token.Headers[0].ExtraHeaders["typ"] != "JWT" {
			t.Errorf("%s: headers %+v", algorithm, token.Headers)
		}
		if claims["exp"].(float64)-claims["iat"].(float64) != 90 {
			t.Errorf("%s: %v", algorithm, claims)
		}
		delete(claims, "exp")
		delete(claims, "iat")
		want := map[string]any{"iss": "gw", "aud": []any{"a", "b"}, "sub": "ada", "consumer": "acme", "scope": "read write", "groups": []any{"a", "b"}, "plan": "gold", "host": "h"}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("%s: %s", algorithm, diff)
		}
	}
}

func TestNoTokenForNobody(t *testing.T) {
	ex := exchange(nil, "X-Identity-Token: forged", "X_Identity_Token: forged")
	if err := build1(t, newEnv(t), "{token: {key: ec.pem, issuer: gw}}").Request(ex); err != nil {
		t.Fatal(err)
	}
	if len(ex.Request.Header) != 0 {
		t.Errorf("got %v", ex.Request.Header)
	}
}

// A token is used again until a quarter of its time is left, and not for other claims.
func TestTokensAreUsedAgain(t *testing.T) {
	env := newEnv(t)
	var c Config
	if err := filtertest.Parse(t, "{token: {key: ec.pem, issuer: gw, ttl: 60s, claims: {host: host}}}").Decode(&c); err != nil {
		t.Fatal(err)
	}
	p := policyOf(t, env, &c)
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	p.now = func() time.Time { return now }
	get := func(id *filter.Identity, host string) string {
		ex := exchange(id)
		ex.Original.Host = host
		if err := p.request(ex); err != nil {
			t.Fatal(err)
		}
		return ex.Request.Header.Get("X-Identity-Token")
	}
	id := ada()
	first := get(id, "h")
	now = now.Add(44 * time.Second)
	if get(id, "h") != first || get(ada(), "h") != first {
		t.Error("it was made anew")
	}
	if get(id, "other") == first {
		t.Error("it was used for other claims")
	}
	second := get(id, "h")
	now = now.Add(46 * time.Second)
	if get(id, "h") == second {
		t.Error("it was used for too long")
	}
	if p2 := policyOf(t, env, &c); p2.known != p.known {
		t.Error("the same policy of another route does not share")
	}
}

// policyOf builds the policy itself.
func policyOf(t *testing.T, env *filter.Env, c *Config) *policy {
	t.Helper()
	p, err := newPolicy(env, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExplain(t *testing.T) {
	f := build1(t, newEnv(t), "{X-User: identity.subject, token: {key: ec.pem, issuer: gw}}")
	for want, id := range map[string]*filter.Identity{
		"sets X-User, X-Identity-Token (a token)":                     ada(),
		"nobody is known: removes X-User, X-Identity-Token (a token)": nil,
	} {
		ex := exchange(id, "X-User: root", "X-Identity-Token: forged")
		ex.Dry = true
		if v := f.Explain(ex); v.Action != filter.Changes || v.Note != want {
			t.Errorf("got %v, want %s", v, want)
		}
		if ex.Request.Header.Get("X-Identity-Token") != "" || (id == nil) != (ex.Request.Header.Get("X-User") == "") {
			t.Errorf("got %v", ex.Request.Header)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{X-User: identity.subjct}":                                     `did you mean "identity.subject"?`,
		"{X-User: [a, b]}":                                              "x.X-User",
		"{tokn: {key: ec.pem}}":                                         "tokn",
		"{'X User': identity}":                                          "cannot be the name of a field",
		"{Host: identity}":                                              "Host means something else",
		"{content-length: identity}":                                    "Content-Length means something else",
		"{X-User: identity, x_user: identity}":                          "is the same field as",
		"{token: {key: ec.pem}}":                                        `the key "issuer" is missing`,
		"{token: {key: [], issuer: a}}":                                 "no key is named",
		"{token: {issuer: a}}":                                          `the key "key" is missing`,
		"{token: {key: none.pem, issuer: a}}":                           "x.token.key[0]: cannot read the key",
		"{token: {key: public.pem, issuer: a}}":                         "only the public half",
		"{token: {key: ec.pem, issuer: a, algorithm: RS256}}":           "does not fit the algorithm RS256; it is for ES256",
		"{token: {key: ec.pem, issuer: a, algorithm: none}}":            "expected one of",
		"{token: {key: ec.pem, issuer: a, ttl: 1s}}":                    "ttl",
		"{token: {key: ec.pem, issuer: a, claims: {sub: method}}}":      `the claim "sub" is the token's own`,
		"{token: {key: ec.pem, issuer: a, claims: {x: mehod}}}":         `did you mean "method"?`,
		"{token: {key: [ec.pem, none.pem], issuer: a}}":                 "x.token.key[1]",
		"{X-Identity-Token: identity, token: {key: ec.pem, issuer: a}}": "is the same field as",
		"{token: {header: Connection, key: ec.pem, issuer: a}}":         "x.token.header",
	} {
		_, err := Kind().Build(newEnv(t), filtertest.Parse(t, "x: "+text).Field("x"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a,b\r\n%é ", true)
	f.Fuzz(func(t *testing.T, s string, inList bool) {
		got := encode(s, inList)
		for i := range len(got) {
			if c := got[i]; c < ' ' || c >= 0x7f || inList && c == ',' {
				t.Fatalf("%q gives %q", s, got)
			}
		}
		if strings.TrimSpace(got) != got {
			t.Fatalf("%q gives %q", s, got)
		}
		back, err := decode(got)
		if err != nil || back != s {
			t.Fatalf("%q gives %q and back %q, %v", s, got, back, err)
		}
	})
}

// decode is what a service does with a value.
func decode(s string) (string, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		var c byte
		if _, err := fmt.Sscanf(s[i+1:i+3], "%02X", &c); err != nil {
			return "", err
		}
		out, i = append(out, c), i+2
	}
	return string(out), nil
}

func TestNoAllocations(t *testing.T) {
	for _, text := range []string{"{}", "{X-User: identity, token: {key: ec.pem, issuer: gw, claims: {plan: identity.tags.plan}}}"} {
		f := build1(t, newEnv(t), text)
		ex := exchange(ada(), "X-User: root", "Accept: a", "User-Agent: b")
		if n := testing.AllocsPerRun(100, func() {
			if err := f.Request(ex); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{"fields": "{}", "token": "{token: {key: ec.pem, issuer: gw}}"} {
		f := build1(b, newEnv(b), text)
		ex := exchange(ada(), "X-User: root", "Accept: a", "User-Agent: b", "X-Forwarded-For: c", "Accept-Encoding: d", "X-Request-Id: e")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, key := range []string{"ec.pem", "ed.pem", "rsa.pem"} {
		env := newEnv(b)
		is, err := newIssuer(env, &Token{Key: []string{key}, Issuer: "gw"})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(key, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := is.sign(ada(), nil, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
