package jwks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/target"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "jwks", 3) }

func newTarget(t *testing.T, text string) (target.Target, error) {
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	for _, name := range []string{"a.pem", "b.pem"} {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(env.Dir, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Kind().Build(env, filtertest.Parse(t, "x: "+text).Field("x"))
}

func TestServe(t *testing.T) {
	for method, length := range map[string]int{"GET": 2, "HEAD": 0} {
		target, err := newTarget(t, "{keys: [a.pem, b.pem], max_age: 1m}")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := target.Serve(&filter.Exchange{Request: httptest.NewRequest(method, "/", nil)})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		var set jose.JSONWebKeySet
		if length > 0 {
			if err := json.Unmarshal(body, &set); err != nil {
				t.Fatal(err)
			}
		}
		if len(set.Keys) != length || strings.Contains(string(body), `"d"`) || resp.Header.Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("%s: got %s, %v", method, body, resp.Header)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{"[]": "no key is named", "none.pem": "x.keys[0]: cannot read", "[a.pem, a.pem]": "in the list already"} {
		if _, err := newTarget(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
