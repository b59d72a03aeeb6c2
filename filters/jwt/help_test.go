package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// signer is a key that a test signs with.
type signer struct {
	kid string
	alg jose.SignatureAlgorithm
	key any
}

// keys are made once: RSA keys take their time.
var keys = sync.OnceValue(func() map[string]signer {
	must := func(k any, err error) any {
		if err != nil {
			panic(err)
		}
		return k
	}
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]signer{
		"RS256": {"rs", jose.RS256, rsaKey},
		"PS384": {"rs", jose.PS384, rsaKey},
		"ES256": {"es", jose.ES256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))},
		"ES512": {"es5", jose.ES512, must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))},
		"EdDSA": {"ed", jose.EdDSA, must(ed, err)},
	}
})

// sign makes a token. A header of nil is that of a JWT.
func (s signer) sign(t testing.TB, claims any, header map[string]any) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType("JWT")
	for name, v := range header {
		if v == nil {
			delete(o.ExtraHeaders, jose.HeaderKey(name))
			continue
		}
		o.WithHeader(jose.HeaderKey(name), v)
	}
	var key any = jose.JSONWebKey{Key: s.key, KeyID: s.kid}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := claims.(string)
	if !ok {
		b, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	signed, err := made.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// public is the public key.
func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.(crypto.Signer).Public(), KeyID: s.kid}
}

// jwks is a JWK Set of the signers.
func jwks(t testing.TB, signers ...signer) string {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, s := range signers {
		set.Keys = append(set.Keys, s.public())
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// all is a JWK Set of all keys.
func all(t testing.TB) string {
	k := keys()
	return jwks(t, k["RS256"], k["ES256"], k["ES512"], k["EdDSA"])
}

// claims are those of a good token, with changes. A change to nil removes one.
func claims(changes map[string]any) map[string]any {
	c := map[string]any{"iss": "https://idp.test", "sub": "ada", "aud": "orders", "exp": time.Now().Add(time.Hour).Unix(), "scope": "read write"}
	for name, v := range changes {
		if v == nil {
			delete(c, name)
			continue
		}
		c[name] = v
	}
	return c
}

// policy is a policy under test.
type policy struct {
	*filter.Filter
	env *filter.Env
}

// newPolicy builds one. KEYS in the text is all keys.
func newPolicy(t testing.TB, text string) policy {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	return policy{newFilter(t, env, text), env}
}

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// exchange is a request with fields: name, value, …
func (p policy) exchange(fields ...string) *filter.Exchange {
	r := httptest.NewRequest(http.MethodGet, "http://api.test/orders", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	ex := &filter.Exchange{
		Request: r, Route: p.env.Route, Client: netip.MustParseAddr("192.0.2.1"), Start: time.Now(),
		Original: filter.Original{Method: r.Method, Scheme: "http", Host: "api.test", Path: "/orders"},
	}
	ex.Prepare(p.env.Slots())
	return ex
}
