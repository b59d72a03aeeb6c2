package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/filter"
)

// hash is a SHA-256 in base64url.
func hash(text string) string {
	h := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// bound makes a token that is bound to a key, and a good proof's claims.
func bound(t testing.TB, to signer, more map[string]any) (raw string, proof map[string]any) {
	t.Helper()
	public := to.public()
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	with := map[string]any{"cnf": map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(thumbprint)}}
	maps.Copy(with, more)
	raw = keys()["ES256"].sign(t, claims(with), nil)
	return raw, map[string]any{"jti": rand.Text(), "htm": "GET", "htu": "http://api.test/orders", "iat": time.Now().Unix(), "ath": hash(raw)}
}

// prove makes a proof, with changes to its claims and its header.
func prove(t testing.TB, by signer, c, changes, header map[string]any) string {
	t.Helper()
	c = maps.Clone(c)
	for name, v := range changes {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	h := map[string]any{"typ": "dpop+jwt", "jwk": by.public()}
	maps.Copy(h, header)
	return by.sign(t, c, h)
}

func TestDPoP(t *testing.T) {
	rsaKey, ed := keys()["RS256"], keys()["EdDSA"]
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := signer{"", jose.ES256, key}
	for name, test := range map[string]struct {
		changes, header map[string]any
		by              *signer
		cause           string
	}{
		"good":              {},
		"query in htu":      {changes: map[string]any{"htu": "http://api.test/orders?a=b#c"}},
		"upper case":        {changes: map[string]any{"htu": "HTTP://API.test:80/orders"}},
		"escaped":           {changes: map[string]any{"htu": "http://api.test/%6frders"}},
		"escaped slash":     {changes: map[string]any{"htu": "http://api.test%2Forders"}, cause: "`htu` is"},
		"other key":         {by: &ed, cause: "the token is bound to"},
		"RSA key":           {by: &rsaKey, cause: "the token is bound to"},
		"method":            {changes: map[string]any{"htm": "POST"}, cause: "`htm` is \"POST\""},
		"other path":        {changes: map[string]any{"htu": "http://api.test/other"}, cause: "`htu` is"},
		"other host":        {changes: map[string]any{"htu": "http://evil.test/orders"}, cause: "`htu` is"},
		"other scheme":      {changes: map[string]any{"htu": "https://api.test/orders"}, cause: "`htu` is"},
		"other port":        {changes: map[string]any{"htu": "http://api.test:8080/orders"}, cause: "`htu` is"},
		"old":               {changes: map[string]any{"iat": time.Now().Add(-5 * time.Minute).Unix()}, cause: "`iat` is"},
		"of the future":     {changes: map[string]any{"iat": time.Now().Add(5 * time.Minute).Unix()}, cause: "`iat` is"},
		"no iat":            {changes: map[string]any{"iat": nil}, cause: "no `iat`"},
		"iat is a text":     {changes: map[string]any{"iat": "1"}, cause: "not a number"},
		"no jti":            {changes: map[string]any{"jti": nil}, cause: "no `jti`"},
		"long jti":          {changes: map[string]any{"jti": strings.Repeat("x", 300)}, cause: "`jti` has 300"},
		"no ath":            {changes: map[string]any{"ath": nil}, cause: "no `ath`"},
		"another's ath":     {changes: map[string]any{"ath": hash("x")}, cause: "`ath` is of another token"},
		"typ":               {header: map[string]any{"typ": "JWT"}, cause: "its `typ` is \"JWT\""},
		"no key":            {header: map[string]any{"jwk": nil}, cause: "it has no key"},
		"private key":       {header: map[string]any{"jwk": jose.JSONWebKey{Key: key}}, cause: "private"},
		"another's jwk":     {header: map[string]any{"jwk": ed.public()}, cause: "does not fit"},
		"shared secret":     {header: map[string]any{"jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, cause: "private or a shared secret"},
		"crit":              {header: map[string]any{"crit": []string{"x"}, "x": 1}, cause: "`crit`"},
		"key off its curve": {header: map[string]any{"jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}}, cause: "proof"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolicy(t, with(t, ", dpop: required"))
			raw, c := bound(t, own, nil)
			by := own
			if test.by != nil {
				by = *test.by
			}
			code := filter.TokenInvalid
			if test.cause == "" {
				code = ""
			}
			proof := prove(t, by, c, test.changes, test.header)
			ex := p.exchange("Authorization", "DPoP "+raw, "DPoP", proof)
			p.expect(t, ex, code, test.cause)
			if code == "" {
				p.expect(t, p.exchange("Authorization", "DPoP "+raw, "DPoP", proof), filter.TokenInvalid, "it was used already")
				return
			}
			again := p.exchange("Authorization", "DPoP "+raw, "DPoP", proof)
			if got := filter.AsError(p.Request(again)).Header.Get("Www-Authenticate"); !strings.HasPrefix(got, `DPoP error="invalid_dpop_proof"`) {
				t.Errorf("challenge %s", got)
			}
		})
	}
}

func TestDPoPAndBearer(t *testing.T) {
	own := keys()["EdDSA"]
	raw, c := bound(t, own, nil)
	plain := keys()["ES256"].sign(t, claims(nil), nil)
	proof := prove(t, own, c, nil, nil)

	p := newPolicy(t, with(t, ", dpop: required"))
	p.expect(t, p.exchange("Authorization", "Bearer "+raw, "DPoP", proof), filter.TokenInvalid, "must be shown with a proof")
	p.expect(t, p.exchange("Authorization", "Bearer "+plain), filter.TokenInvalid, "shown as Bearer, wanted DPoP")
	p.expect(t, p.exchange("Authorization", "DPoP "+plain, "DPoP", proof), filter.TokenInvalid, "not bound to a key")
	p.expect(t, p.exchange("Authorization", "DPoP "+raw), filter.TokenInvalid, "there are 0, wanted 1")
	p.expect(t, p.exchange("Authorization", "DPoP "+raw, "DPoP", proof, "DPoP", proof), filter.TokenInvalid, "there are 2, wanted 1")

	p = newPolicy(t, with(t, ", dpop: optional, forward: false"))
	p.expect(t, p.exchange("Authorization", "Bearer "+plain), "", "")
	p.expect(t, p.exchange("Authorization", "Bearer "+raw), filter.TokenInvalid, "must be shown with a proof")
	ex := p.exchange("Authorization", "DPoP "+raw, "DPoP", proof)
	p.expect(t, ex, "", "")
	if len(ex.Request.Header) != 0 {
		t.Errorf("left: %v", ex.Request.Header)
	}
}

func TestCertificates(t *testing.T) {
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("other")}
	raw := keys()["ES256"].sign(t, claims(map[string]any{"cnf": map[string]any{"x5t#S256": hash("mine")}}), nil)
	p := newPolicy(t, with(t, ""))
	ex := p.exchange("Authorization", "Bearer "+raw)
	ex.Request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mine, other}}
	p.expect(t, ex, "", "")
	ex = p.exchange("Authorization", "Bearer "+raw)
	ex.Request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{other, mine}}
	p.expect(t, ex, filter.TokenInvalid, "the client has shown "+hash("other"))
	ex = p.exchange("Authorization", "Bearer "+raw)
	ex.Request.TLS = &tls.ConnectionState{}
	p.expect(t, ex, filter.TokenInvalid, "has shown none")
}
