package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	discoveryLife  = time.Hour       // after which the provider is asked again what it offers
	discoveryPause = 2 * time.Second // after a failure
	reachable      = 10 * time.Second
)

// provider is the OpenID provider, which is asked what it offers when that is first needed. It is shared by all policies with its issuer.
type provider struct {
	issuer string
	client *http.Client
	now    func() time.Time
	ctx    context.Context // until it is closed
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu     sync.Mutex
	found  *discovered
	failed error
	until  time.Time // a failure counts
	flight chan struct{}
}

// discovered is what a provider says of itself.
type discovered struct {
	*oidc.Provider
	issuer     string
	keys       *keySet
	endpoint   oauth2.Endpoint
	endSession string
	algorithms []string
	saysIssuer bool // in its answers to the browser (RFC 9207)
	at         time.Time
}

func newProvider(issuer string, now func() time.Time) *provider {
	p := &provider{issuer: issuer, client: newClient(), now: now}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close stops what is under way.
func (p *provider) Close() error {
	p.cancel()
	p.asking.Wait()
	p.client.CloseIdleConnections()
	return nil
}

// background returns a context for work that goes on when the request that began it ends.
func (p *provider) background() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(p.ctx, askTimeout)
	return oidc.ClientContext(ctx, p.client), cancel
}

// get returns what the provider offers. It waits only where nothing is known yet.
func (p *provider) get(ctx context.Context) (*discovered, error) {
	return p.getWithin(ctx, discoveryLife, false)
}

// reach returns what the provider offers if it could be reached a moment ago: a login needs it, and not only what it once said.
func (p *provider) reach(ctx context.Context) (*discovered, error) {
	return p.getWithin(ctx, reachable, true)
}

// getWithin returns what the provider offers, and asks it where that is older than age. Then, if must is set, the answer is waited for.
func (p *provider) getWithin(ctx context.Context, age time.Duration, must bool) (*discovered, error) {
	p.mu.Lock()
	now := p.now()
	stale := p.found == nil || now.Sub(p.found.at) > age
	if stale && p.flight == nil && now.After(p.until) && p.ctx.Err() == nil {
		done := make(chan struct{})
		p.flight = done
		p.asking.Go(func() { p.discover(done) })
	}
	found, failed, flight := p.found, p.failed, p.flight
	p.mu.Unlock()
	if found != nil && (!stale || !must) {
		return found, nil
	}
	if flight == nil {
		return nil, cmp.Or(failed, errEnding)
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return nil, p.failed
	}
	return p.found, nil
}

var errEnding = errors.New("the gateway is ending")

// discover asks the provider. What was known stays where that fails.
func (p *provider) discover(done chan struct{}) {
	ctx, cancel := p.background()
	defer cancel()
	found, err := guarded(func() (*discovered, error) { return p.ask(ctx) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = nil
	if err != nil {
		p.failed, p.until = brief("cannot find out what the provider offers", err), p.now().Add(discoveryPause)
	} else {
		if p.found != nil && p.found.keys.url == found.keys.url {
			found.keys = p.found.keys
		}
		p.found = found
	}
	p.flight = nil
	close(done)
}

// ask is discovery (OpenID Connect Discovery 1.0, section 4).
func (p *provider) ask(ctx context.Context) (*discovered, error) {
	found, err := oidc.NewProvider(ctx, p.issuer)
	if err != nil {
		return nil, err
	}
	var meta struct {
		JWKS       string   `json:"jwks_uri"`
		EndSession string   `json:"end_session_endpoint"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		SaysIssuer bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&meta); err != nil {
		return nil, fmt.Errorf("cannot read what the provider says of itself: %w", err)
	}
	d := &discovered{Provider: found, issuer: p.issuer, endpoint: found.Endpoint(), endSession: meta.EndSession, saysIssuer: meta.SaysIssuer, at: p.now()}
	for name, text := range map[string]string{
		"authorization_endpoint": d.endpoint.AuthURL, "token_endpoint": d.endpoint.TokenURL, "jwks_uri": meta.JWKS,
	} {
		if !webAddress(text) {
			return nil, fmt.Errorf("its %s is no URL: %q", name, text)
		}
	}
	if d.endSession != "" && !webAddress(d.endSession) {
		return nil, fmt.Errorf("its end_session_endpoint is no URL: %q", d.endSession)
	}
	d.keys = newKeySet(meta.JWKS, p.client, p.now)
	d.endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default (OpenID Connect Discovery 1.0, section 3)
	if len(meta.Methods) > 0 && !slices.Contains(meta.Methods, "client_secret_basic") {
		d.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	for _, known := range algorithms {
		if slices.Contains(meta.Algorithms, string(known)) {
			d.algorithms = append(d.algorithms, string(known))
		}
	}
	return d, nil
}

// webAddress says whether a text is a URL that a browser or the gateway can be sent to.
func webAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// verifier verifies what the provider has signed for a client.
func (d *discovered) verifier(client string, now func() time.Time) *oidc.IDTokenVerifier {
	return oidc.NewVerifier(d.issuer, d.keys, &oidc.Config{ClientID: client, SupportedSigningAlgs: d.algorithms, Now: now})
}

// brief shortens an error that may hold a whole answer of the provider's.
func brief(what string, err error) error {
	const most = 300
	text := err.Error()
	if len(text) <= most {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %s…", what, text[:most])
}
