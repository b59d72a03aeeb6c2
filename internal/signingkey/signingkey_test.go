package signingkey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pemOf writes a key as openssl does.
func pemOf(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestParse(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	large, _ := rsa.GenerateKey(rand.Reader, 2048)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	sec1, _ := x509.MarshalECPrivateKey(ec)
	public, _ := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	damaged := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secretsecret")})
	for name, c := range map[string]struct {
		text []byte
		want string // the usual algorithm, or the error
		pair bool
	}{
		"EC":              {pemOf(t, ec), "ES256", true},
		"Ed25519":         {pemOf(t, ed), "EdDSA", true},
		"RSA":             {pemOf(t, large), "RS256", true},
		"PKCS 1":          {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(large)}), "RS256", true},
		"SEC 1":           {append([]byte("# parameters\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...), "ES256", true},
		"public":          {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "ES256", false},
		"small RSA":       {pemOf(t, small), "has 1024 bits", false},
		"other curve":     {pemOf(t, p224), "P-224 is not supported", false},
		"nothing":         {[]byte("hello"), "there is no key in it", false},
		"a certificate":   {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "there is no key in it", false},
		"encrypted":       {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), "it is encrypted", false},
		"damaged":         {damaged, "it is damaged", false},
		"damaged, public": {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "it is damaged", false},
	} {
		key, err := Parse(c.text)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", name, err, c.want)
			}
			continue
		}
		if string(key.Algorithms[0]) != c.want || (key.Private != nil) != c.pair || len(key.ID) != 43 {
			t.Errorf("%s: got %+v", name, key)
		}
		jwk := key.JWK()
		text, err := json.Marshal(jwk)
		if err != nil || !jwk.IsPublic() || strings.Contains(string(text), `"d"`) {
			t.Errorf("%s: the JWK is not public: %v", name, err)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := os.WriteFile(filepath.Join(dir, "a.pem"), pemOf(t, ec), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, "a.pem"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"none.pem", "."} {
		if _, err := Read(dir, name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
