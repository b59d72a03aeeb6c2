package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/gatewaytest"
)

// issuer is an issuer that changes its key, dies and comes back.
type issuer struct {
	*httptest.Server
	mu   sync.Mutex
	keys []jose.JSONWebKey
	down bool
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	i.rotate(t)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.down:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/keys")
	case r.URL.Path == "/keys":
		set := jose.JSONWebKeySet{}
		for _, k := range i.keys {
			set.Keys = append(set.Keys, k.Public())
		}
		_ = json.NewEncoder(w).Encode(set)
	default:
		http.NotFound(w, r)
	}
}

// rotate has it sign with a new key. The one before is good still.
func (i *issuer) rotate(t *testing.T) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys[max(0, len(i.keys)-1):], jose.JSONWebKey{Key: k, KeyID: rand.Text()})
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// token makes a token with the newest key.
func (i *issuer) token(t *testing.T) string {
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Error(err)
		return ""
	}
	claims, err := json.Marshal(map[string]any{"iss": i.URL, "sub": "ada", "aud": "orders", "jti": rand.Text(), "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Error(err)
		return ""
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Error(err)
		return ""
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return raw
}

// TestGatewayUnderLoad has the issuer change keys, die and come back, and the configuration be reloaded, under load.
func TestGatewayUnderLoad(t *testing.T) {
	i := newIssuer(t)
	config := func(n int) string {
		return fmt.Sprintf("jwt: {issuer: '%s', audience: orders, refresh: 1s, miss_interval: 100ms, claims_to_headers: {X-N%d: sub}}\nroutes: [{match: /**, respond: hello}]", i.URL, n)
	}
	g := gatewaytest.New(t, config(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, err := http.NewRequest(http.MethodGet, g.URL+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+i.token(t))
				resp, err := g.Client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("status %d", resp.StatusCode)
					return
				}
				sent.Add(1)
			}
		})
	}
	more := func(n int64, d time.Duration) {
		deadline := time.After(20 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for from, start := sent.Load(), time.Now(); sent.Load() < from+n || time.Since(start) < d; {
			select {
			case <-deadline:
				t.Fatal("no requests get through")
			case <-tick.C:
			}
		}
	}
	for n := 1; n <= 4; n++ {
		more(30, 0)
		i.rotate(t)
		more(30, 120*time.Millisecond) // in which the new key is learnt, and another could be
		i.setDown(true)
		if err := g.SetConfig(config(n)); err != nil {
			t.Error(err)
		}
		more(30, 0)
		i.setDown(false)
	}
	close(done)
	wg.Wait()
}
