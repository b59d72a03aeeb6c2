package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// keySet are the provider's public keys. It asks for them anew when a token is signed by none that it knows; how often it does is bounded,
// so that tokens of strangers cannot make it ask without end.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	fetching sync.Mutex // one asks at a time
	mu       sync.RWMutex
	keys     []jose.JSONWebKey
	version  int
	budget   int       // how often it may still ask
	counted  time.Time // when the budget was last added to
}

const (
	fetchBurst = 5
	fetchEvery = 10 * time.Second
)

func newKeySet(url string, client *http.Client, now func() time.Time) *keySet {
	return &keySet{url: url, client: client, now: now, budget: fetchBurst, counted: now()}
}

// algorithms are those with public keys.
var algorithms = [...]jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

var _ oidc.KeySet = (*keySet)(nil)

// VerifySignature returns what a token says, if the provider has signed it. The verifier that calls it has checked the algorithm.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, algorithms[:])
	if err != nil {
		return nil, fmt.Errorf("cannot read a token: %w", err)
	}
	if len(jws.Signatures) != 1 {
		return nil, errors.New("the token has not one signature")
	}
	k.mu.RLock()
	keys, version := k.keys, k.version
	k.mu.RUnlock()
	if payload, ok := verify(jws, keys); ok {
		return payload, nil
	}
	if keys, err = k.renew(ctx, version); err != nil {
		return nil, err
	}
	if payload, ok := verify(jws, keys); ok {
		return payload, nil
	}
	return nil, fmt.Errorf("none of the provider's %d keys has signed the token (kid %q)", len(keys), jws.Signatures[0].Header.KeyID)
}

// verify tries the keys with the token's kid, or all where it has none.
func verify(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	kid := jws.Signatures[0].Header.KeyID
	for i := range keys {
		if kid != "" && keys[i].KeyID != kid || keys[i].Use == "enc" {
			continue
		}
		if payload, err := jws.Verify(&keys[i]); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// renew asks for the keys, unless somebody has since a version.
func (k *keySet) renew(ctx context.Context, version int) ([]jose.JSONWebKey, error) {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	k.mu.Lock()
	if k.version != version {
		defer k.mu.Unlock()
		return k.keys, nil
	}
	allowed := k.spend()
	keys := k.keys
	k.mu.Unlock()
	if !allowed {
		return keys, nil
	}
	keys, err := k.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot get the provider's keys: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.version = keys, k.version+1
	return keys, nil
}

// spend says whether the keys may be asked for again so soon.
func (k *keySet) spend() bool {
	if earned := int(k.now().Sub(k.counted) / fetchEvery); earned > 0 {
		k.budget, k.counted = min(k.budget+earned, fetchBurst), k.now()
	}
	if k.budget == 0 {
		return false
	}
	k.budget--
	return true
}

// fetch asks for the keys. Those that it does not understand are left out.
func (k *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the answer is no key set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.Valid() && key.IsPublic() && len(keys) < 100 {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
