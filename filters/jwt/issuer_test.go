package jwt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"cardea.dev/cardea/internal/porttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// idp is an issuer with an HTTP server.
type idp struct {
	*httptest.Server
	fetches atomic.Int64

	mu     sync.Mutex
	keys   []signer
	answer http.HandlerFunc // in place of the keys; nil for none
	says   string           // is the issuer of its document; "": the truth
	path   string           // of the document
}

func newIDP(t *testing.T, keys ...signer) *idp {
	i := &idp{keys: keys, path: "/.well-known/openid-configuration"}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		answer, says, path, set := i.answer, i.says, i.path, jwks(t, i.keys...)
		i.mu.Unlock()
		if says == "" {
			says = i.URL
		}
		switch {
		case r.URL.Path == path:
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, says, i.URL+"/keys")
		case r.URL.Path != "/keys":
			http.NotFound(w, r)
		case answer != nil:
			i.fetches.Add(1)
			answer(w, r)
		default:
			i.fetches.Add(1)
			_, _ = io.WriteString(w, set)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// set changes the issuer.
func (i *idp) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *idp) token(t testing.TB, by signer) string {
	return by.sign(t, claims(map[string]any{"iss": i.URL}), nil)
}

func newKey(t *testing.T, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, jose.ES256, key}
}

// do sends a token through the policy.
func (p policy) do(raw string) error {
	return p.Request(p.exchange("Authorization", "Bearer "+raw))
}

func TestNothingIsFetchedBeforeItIsNeeded(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	p := newPolicy(t, i.URL)
	ex := p.exchange("Authorization", "Bearer "+i.token(t, key))
	ex.Dry = true
	if v := p.Explain(ex); v.Action != filter.Unknown || i.fetches.Load() != 0 {
		t.Errorf("explain says %v, after %d fetches", v, i.fetches.Load())
	}
	if err := p.do(i.token(t, key)); err != nil || i.fetches.Load() != 1 {
		t.Errorf("%v, after %d fetches", err, i.fetches.Load())
	}
	ex = p.exchange("Authorization", "Bearer "+i.token(t, key))
	ex.Dry = true
	if v := p.Explain(ex); v.Action != filter.Passes {
		t.Errorf("explain says %v", v)
	}
}

func TestFirstRequestsShareAFetch(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	p := newPolicy(t, i.URL)
	var wg sync.WaitGroup
	for range 50 {
		raw := i.token(t, key)
		wg.Go(func() {
			if err := p.do(raw); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestDiscoveryByRFC8414(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	i.path = "/.well-known/oauth-authorization-server/tenant/a"
	i.says = i.URL + "/tenant/a"
	p := newPolicy(t, i.URL+"/tenant/a")
	if err := p.do(key.sign(t, claims(map[string]any{"iss": i.says}), nil)); err != nil {
		t.Error(err)
	}
}

// TestRotation changes the key again and again under load: no request may fail.
func TestRotation(t *testing.T) {
	current := newKey(t, "0")
	i := newIDP(t, current)
	p := newPolicy(t, "{issuer: '"+i.URL+"', miss_interval: 100ms}")
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
				i.mu.Lock()
				key := i.keys[len(i.keys)-1]
				i.mu.Unlock()
				if err := p.do(i.token(t, key)); err != nil {
					t.Errorf("%s: %v", key.kid, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for n := 1; n <= 5; n++ {
		key := newKey(t, fmt.Sprint(n))
		before := sent.Load()
		i.set(func() { i.keys = append(i.keys[len(i.keys)-1:], key) })
		until(t, func() bool { return sent.Load() > before+50 })
		wait(t, 110*time.Millisecond) // as long as the policy asks no more than once
	}
	close(done)
	wg.Wait()
	if n := i.fetches.Load(); n < 5 || n > 40 {
		t.Errorf("%d fetches for 6 keys", n)
	}
	// The first key is withdrawn, and with it the tokens that were remembered.
	if err := p.do(i.token(t, current)); filter.AsError(err).Code != filter.TokenInvalid {
		t.Errorf("a token by a withdrawn key: %v", err)
	}
}

func TestWithdrawnKeysEndRememberedTokens(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	i := newIDP(t, a)
	p := newPolicy(t, "{issuer: '"+i.URL+"', miss_interval: 100ms}")
	raw := i.token(t, a)
	for range 2 {
		if err := p.do(raw); err != nil {
			t.Fatal(err)
		}
	}
	i.set(func() { i.keys = []signer{b} })
	if err := p.do(i.token(t, b)); err != nil { // which has the keys fetched
		t.Fatal(err)
	}
	if err := p.do(raw); filter.AsError(err).Code != filter.TokenInvalid {
		t.Errorf("%v", err)
	}
}

func TestUnknownKeysAreAskedForNotTooOften(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	p := newPolicy(t, i.URL)
	for n := range 50 {
		raw := i.token(t, signer{fmt.Sprint("x", n), key.alg, key.key})
		if err := p.do(raw); filter.AsError(err).Code != filter.TokenInvalid {
			t.Fatal(err)
		}
	}
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// TestDeadIssuer has the issuer die and come back under load: known keys go on being used.
func TestDeadIssuer(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	p := newPolicy(t, "{issuer: '"+i.URL+"', refresh: 1s, miss_interval: 100ms, timeout: 500ms}")
	if err := p.do(i.token(t, key)); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } })
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := p.do(i.token(t, key)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	before := i.fetches.Load()
	until(t, func() bool { return i.fetches.Load() >= before+2 })
	second := newKey(t, "2")
	i.set(func() { i.answer, i.keys = nil, []signer{key, second} })
	until(t, func() bool { return p.do(i.token(t, second)) == nil })
	close(done)
	wg.Wait()
}

// TestBadIssuers has issuers that lie, send elsewhere, hang, or answer nonsense: requests get 503, in a bounded time.
func TestBadIssuers(t *testing.T) {
	key := newKey(t, "1")
	release := make(chan struct{})
	good := newIDP(t, key)
	for name, test := range map[string]struct {
		says   string
		answer http.HandlerFunc
		cause  string
	}{
		"lies":      {says: "https://other.test", cause: `the document is of the issuer "https://other.test"`},
		"redirects": {answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good.URL+"/keys", http.StatusFound) }, cause: "answered 302"},
		"hangs": {answer: func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, cause: "cannot "},
		"a gigabyte": {answer: func(w http.ResponseWriter, _ *http.Request) {
			junk := bytes.Repeat([]byte{' '}, 1<<20)
			for range 1 << 10 {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		}, cause: "longer than 1 MiB"},
		"trickles": {answer: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, cause: "cannot "},
		"HTML": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>Please log in</html>")
		}, cause: "a page of HTML"},
		"no JSON": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, cause: "no JWK Set"},
		"no keys": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) }, cause: "no usable key"},
		"a secret": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[{"kty":"oct","k":"AAAA"}]}`)
		}, cause: "shared secret"},
		"weak key": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[{"kty":"RSA","e":"AQAB","n":"`+strings.Repeat("_", 171)+`"}]}`)
		}, cause: "1024 bits"},
		"status": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, cause: "answered 500"},
		"too many": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`+strings.Repeat("{},", 1000)+`{}]}`)
		}, cause: "no more than 200"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t, key)
			i.says, i.answer = test.says, test.answer
			p := newPolicy(t, "{issuer: '"+i.URL+"', timeout: 200ms}")
			for range 2 {
				start := time.Now()
				err := filter.AsError(p.do(i.token(t, key)))
				if err.Code != filter.AuthUnavailable || err.HTTPStatus() != 503 || !strings.Contains(err.Cause.Error(), test.cause) {
					t.Errorf("got %v, wanted %s", err, test.cause)
				}
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("it took %s", d)
				}
			}
		})
	}
	close(release)
}

func TestClientsThatLeaveDoNotWait(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	i.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	p := newPolicy(t, "{issuer: '"+i.URL+"', timeout: 1m}")
	ex := p.exchange("Authorization", "Bearer "+i.token(t, key))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ex.Request = ex.Request.WithContext(ctx)
	if err := filter.AsError(p.Request(ex)); err.Code != filter.AuthUnavailable {
		t.Error(err)
	}
}

func TestKeysOutliveAReload(t *testing.T) {
	key := newKey(t, "1")
	i := newIDP(t, key)
	env := filtertest.NewEnv(t, "r")
	p := policy{newFilter(t, env, i.URL), env}
	raw := i.token(t, key)
	if err := p.do(raw); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) } })
	again := filtertest.NewEnv(t, "r")
	again.Keeper = env.Keeper
	again.Consumers = filtertest.Consumers(t, `{acme: {subjects: ["`+i.URL+` ada"]}}`)
	q := policy{newFilter(t, again, i.URL), again}
	ex := q.exchange("Authorization", "Bearer "+raw)
	if err := q.Request(ex); err != nil || ex.Identity.Consumer != "acme" {
		t.Errorf("%v, %v", err, ex.Identity)
	}
}

// TestRefusedConnection is an issuer that does not run.
func TestRefusedConnection(t *testing.T) {
	at := "http://" + porttest.Address(t)
	p := newPolicy(t, at)
	got := filter.AsError(p.do(keys()["ES256"].sign(t, claims(map[string]any{"iss": at}), nil)))
	if got.Code != filter.AuthUnavailable || !strings.Contains(got.Cause.Error(), "connection refused") {
		t.Error(got)
	}
}

// until waits until something holds.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatal("it never came")
		case <-tick.C:
		}
	}
}

// wait lets a time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	start := time.Now()
	until(t, func() bool { return time.Since(start) > d })
}
