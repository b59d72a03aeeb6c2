package upstreamauth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/oauth"
)

// server is a token endpoint that is asked, and what is counted of it.
type server struct {
	client  *oauth.Client
	name    string // as in metrics and logs: the host
	log     *slog.Logger
	failing atomic.Bool

	granted, refused, failed prometheus.Counter
}

// newServer makes a server. Roots are the certificates of its authorities, in PEM; empty: those of the system.
func newServer(env *filter.Env, s *Server, roots []byte, grant string) (*server, error) {
	c := oauth.Config{
		TokenURL: s.TokenURL, Issuer: s.Issuer, ID: s.ClientID, Secret: s.ClientSecret.Reveal(), Post: s.AuthStyle == "post",
		Timeout: s.Timeout.Std(),
	}
	if len(roots) > 0 {
		c.Roots = x509.NewCertPool()
		if !c.Roots.AppendCertsFromPEM(roots) {
			return nil, fmt.Errorf("there is no certificate in %s", s.CA)
		}
	}
	at, err := url.Parse(s.TokenURL + s.Issuer) // one of them is empty
	if err != nil {
		return nil, err
	}
	requests := env.Metrics.Counter("upstream_auth_tokens_total", "Requests for tokens, by server and what came of them.", "server", "grant", "result")
	with := func(result string) prometheus.Counter { return requests.WithLabelValues(at.Host, grant, result) }
	return &server{
		client: oauth.New(c), name: at.Host, log: env.Log,
		granted: with("granted"), refused: with("refused"), failed: with("failed"),
	}, nil
}

// fetch asks for a token, and counts what comes of it.
func (s *server) fetch(ctx context.Context, form url.Values) (oauth.Token, error) {
	token, err := s.client.Fetch(ctx, form)
	var refused *oauth.Error
	switch {
	case err == nil:
		s.granted.Inc()
		if s.failing.Swap(false) {
			s.log.Info("a token server grants tokens again", "server", s.name)
		}
		return token, nil
	case errors.As(err, &refused):
		s.refused.Inc()
	default:
		s.failed.Inc()
	}
	subject := form.Has("subject_token") && refused != nil && refused.Status < 500
	if !subject && ctx.Err() == nil && !s.failing.Swap(true) {
		s.log.Warn("a token server grants no tokens", "server", s.name, "error", err)
	}
	return oauth.Token{}, err
}

// form are the parameters of a grant, as far as they are the same for all.
func (s *Server) form(grant string) url.Values {
	form := url.Values{"grant_type": {grant}}
	if len(s.Scopes) > 0 {
		form.Set("scope", strings.Join(s.Scopes, " "))
	}
	if s.Audience != "" {
		form.Set("audience", s.Audience)
	}
	return form
}

// roots reads the certificates of the server's authorities.
func (s *Server) roots(env *filter.Env) ([]byte, error) {
	if s.CA == "" {
		return nil, nil
	}
	env.Reads(s.CA)
	path := s.CA
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.Dir, path)
	}
	pem, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = fmt.Errorf("there is no certificate in %s", s.CA)
	}
	if err != nil {
		return nil, config.FieldErrorf("ca", "cannot use the certificates: %w", err)
	}
	return pem, nil
}

// key is what tokens are kept by: a hash of all that they depend on, secrets among it.
func (s *Server) key(kind string, roots []byte, more ...string) string {
	sum := sha256.New()
	for _, part := range append([]string{
		s.TokenURL, s.Issuer, s.ClientID, s.ClientSecret.Reveal(), s.AuthStyle, strings.Join(s.Scopes, " "), s.Audience,
		s.Timeout.Std().String(), string(roots),
	}, more...) {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "upstream_auth:" + kind + ":" + hex.EncodeToString(sum.Sum(nil))
}

// own are tokens of the gateway's own. All routes with the same settings share them, and they outlive a reload.
type own struct {
	server *server
	source *oauth.Source
	now    func() time.Time
}

func clientCredentials(env *filter.Env, c *ClientCredentials, now func() time.Time) (tokens, error) {
	roots, err := c.roots(env)
	if err != nil {
		return nil, below("client_credentials", err)
	}
	return filter.Keep(env, c.key("client_credentials", roots), func() (*own, error) {
		s, err := newServer(env, &c.Server, roots, "client_credentials")
		if err != nil {
			return nil, err
		}
		form := c.form("client_credentials")
		return &own{s, oauth.NewSource(func(ctx context.Context) (oauth.Token, error) { return s.fetch(ctx, form) }, now), now}, nil
	})
}

// below is an error about a field of a field.
func below(field string, err error) error {
	var f *config.FieldError
	if errors.As(err, &f) {
		return &config.FieldError{Path: field + "." + f.Path, Err: f.Err, Expected: f.Expected, Hint: f.Hint}
	}
	return config.FieldErrorf(field, "%w", err)
}

func (o *own) token(ctx context.Context, _ string) (*oauth.Grant, error) { return o.source.Token(ctx) }

func (o *own) suspect(s *sent) bool { return o.source.Suspect(s.grant) }

func (o *own) fromCaller() bool { return false }

func (o *own) state() string {
	g := o.source.Held()
	if g == nil || !o.now().Before(g.Expires) {
		return "none is held, so that one would be asked for at " + o.server.name
	}
	return "one from " + o.server.name + " is held until " + g.Expires.UTC().Format(time.RFC3339)
}

// Close ends what is under way, when no configuration uses it any more.
func (o *own) Close() error {
	o.source.Close()
	o.server.client.Close()
	return nil
}

// exchanged are tokens for those of callers.
type exchanged struct {
	server    *server
	exchanger *oauth.Exchanger
}

func tokenExchange(env *filter.Env, t *TokenExchange, now func() time.Time) (tokens, error) {
	roots, err := t.roots(env)
	if err != nil {
		return nil, below("token_exchange", err)
	}
	key := t.key("token_exchange", roots, t.Resource, t.SubjectTokenType, t.RequestedTokenType, fmt.Sprint(t.Cache))
	return filter.Keep(env, key, func() (*exchanged, error) {
		s, err := newServer(env, &t.Server, roots, "token_exchange")
		if err != nil {
			return nil, err
		}
		exchange := func(ctx context.Context, subject string) (oauth.Token, error) {
			return s.fetch(ctx, t.formFor(subject))
		}
		return &exchanged{s, oauth.NewExchanger(exchange, t.Cache, now)}, nil
	})
}

// formFor are the parameters of the exchange of a token (RFC 8693, section 2.1).
func (t *TokenExchange) formFor(subject string) url.Values {
	form := t.form("urn:ietf:params:oauth:grant-type:token-exchange")
	form.Set("subject_token", subject)
	form.Set("subject_token_type", t.SubjectTokenType)
	if t.RequestedTokenType != "" {
		form.Set("requested_token_type", t.RequestedTokenType)
	}
	if t.Resource != "" {
		form.Set("resource", t.Resource)
	}
	return form
}

func (e *exchanged) token(ctx context.Context, subject string) (*oauth.Grant, error) {
	return e.exchanger.Token(ctx, subject)
}

func (e *exchanged) suspect(s *sent) bool { return e.exchanger.Suspect(s.subject, s.grant) }

func (e *exchanged) fromCaller() bool { return true }

func (e *exchanged) state() string {
	return fmt.Sprintf("%d of %s are held", e.exchanger.Len(), e.server.name)
}

// Close ends what is under way, when no configuration uses it any more.
func (e *exchanged) Close() error {
	e.exchanger.Close()
	e.server.client.Close()
	return nil
}
