package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newKeySet is a JWK Set of one key.
func newKeySet(t *testing.T, kid string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &k.PublicKey, KeyID: kid}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func settings(at string) Settings {
	return Settings{
		Issuer: at, JWKS: at, Timeout: time.Second, Refresh: time.Hour, Miss: time.Hour, Log: slog.New(slog.DiscardHandler),
	}
}

func newIssuer(t *testing.T, s Settings) *Issuer {
	t.Helper()
	i, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func TestPrivateAuthority(t *testing.T) {
	set := newKeySet(t, "1")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, set) }))
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if _, err := newIssuer(t, settings(server.URL)).Keys(context.Background()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that is not known: %v", err)
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings(server.URL)
	var err error
	if s.Roots, _, err = Authorities(filepath.Dir(name), "ca.pem"); err != nil {
		t.Fatal(err)
	}
	if keys, err := newIssuer(t, s).Keys(context.Background()); err != nil || len(keys.Keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestOldKeysAreUsedForATime(t *testing.T) {
	var down atomic.Bool
	set := newKeySet(t, "1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, set)
	}))
	defer server.Close()
	s := settings(server.URL)
	s.Stale = time.Hour
	i := newIssuer(t, s)
	if _, err := i.Keys(context.Background()); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	last := i.current.Load()
	i.current.Store(&dated{last.set, time.Now().Add(-59 * time.Minute)})
	if i.Current() == nil {
		t.Error("keys of 59 minutes are not used")
	}
	i.current.Store(&dated{last.set, time.Now().Add(-61 * time.Minute)})
	if _, err := i.Keys(context.Background()); err == nil {
		t.Error("keys of 61 minutes are used")
	}
	down.Store(false)
	i.mu.Lock()
	i.failed = time.Time{} // the pause is over
	i.mu.Unlock()
	if _, err := i.Keys(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestTheSameKeysAreTheSameSet(t *testing.T) {
	set := newKeySet(t, "1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, set) }))
	defer server.Close()
	i := newIssuer(t, settings(server.URL))
	first, err := i.Keys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if i.Renewed(context.Background(), first) != first {
		t.Error("the set is another, and the keys are the same")
	}
}

func TestCloseDoesNotWaitForTheIssuer(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	s := settings(server.URL)
	s.Timeout = time.Hour
	i := newIssuer(t, s)
	done := make(chan error)
	go func() {
		_, err := i.Keys(context.Background())
		done <- err
	}()
	<-arrived
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("there are keys")
	}
	if _, err := i.Keys(context.Background()); err == nil || !strings.Contains(err.Error(), "being stopped") {
		t.Error(err)
	}
}

func TestURLs(t *testing.T) {
	for where, ok := range map[string]bool{
		"https://idp.test/keys": true, "http://127.0.0.1/keys": true, "http://[::1]:80/": true, "http://localhost:1/": true,
		"http://idp.test/keys": false, "ftp://idp.test/": false, "file:///etc/passwd": false, "idp": false, "https://u:p@idp.test/": false,
		"https://idp.test/#x": false, "http://127.0.0.1.evil.test/": false, "http://localhost.evil.test/": false, "https:///x": false,
	} {
		if err := CheckURL(where, false); (err == nil) != ok {
			t.Errorf("%s: %v", where, err)
		}
	}
}

func TestKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkix := func(k any) string {
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: private})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		fit  []string // of each key, an algorithm that it fits
	}{
		"PKIX":        {pkix(&rsaKey.PublicKey), []string{"RS256"}},
		"two":         {pkix(&rsaKey.PublicKey) + pkix(public), []string{"PS512", "EdDSA"}},
		"PKCS 1":      {string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)})), []string{"RS384"}},
		"set":         {newKeySet(t, "a"), []string{"ES256"}},
		"private":     {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil},
		"private JWK": {string(jwk), nil},
		"P-224":       {pkix(&p224.PublicKey), nil},
		"nothing":     {"", nil},
		"nonsense":    {"hello", nil},
		"number":      {"7", nil},
		"null":        {"null", nil},
		"bad block":   {string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})), nil},
		"names twice": {`{"kty":"OKP","kty":"OKP"}`, nil},
	} {
		keys, err := ParseKeys([]byte(test.text))
		if (err == nil) != (test.fit != nil) || err == nil && len(keys) != len(test.fit) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
			continue
		}
		for i, alg := range test.fit {
			if !keys[i].Fits(alg) || keys[i].Fits("HS256") || keys[i].Fits("none") || keys[i].Fits("") {
				t.Errorf("%s: key %d fits %v", name, i, keys[i].algorithms)
			}
		}
	}
}
