// Command provider is a real OpenID provider for tests: that of github.com/zitadel/oidc with its example's storage, and a few switches under
// /control. It prints its address on the standard output. It is a module of its own, so that the gateway does not depend on it.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	life := flag.Duration("life", 5*time.Minute, "of access tokens")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String() + "/"
	storage.RegisterClients(storage.WebClient("app", "secret"))
	s := &store{Storage: storage.NewStorage(storage.NewUserStore(issuer)), life: *life}
	s.rotate()
	mux := http.NewServeMux()
	mux.Handle("/", exampleop.SetupServer(issuer, s, slog.New(slog.DiscardHandler), false))
	mux.HandleFunc("POST /control/client", s.register)
	mux.HandleFunc("POST /control/rotate", func(http.ResponseWriter, *http.Request) { s.rotate() })
	mux.HandleFunc("POST /control/sign", s.sign)
	mux.HandleFunc("GET /control/refreshes", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.refreshes.Load()) })
	fmt.Println(issuer)
	log.Fatal(http.Serve(listener, mux))
}

// store is the example's, with keys that can be changed, and groups.
type store struct {
	*storage.Storage
	life      time.Duration
	refreshes atomic.Int64

	mu        sync.Mutex
	keys      []*key // the newest first
	redirects []string
	landings  []string
}

// key is a signing key.
type key struct {
	id      string
	private *rsa.PrivateKey
}

func (k *key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *key) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (k *key) Key() any                                    { return k.private }
func (k *key) ID() string                                  { return k.id }

// public is a key as it is published.
type public struct{ *key }

func (k public) Key() any    { return &k.private.PublicKey }
func (k public) Use() string { return "sig" }

// rotate makes a new key and forgets the one before the last.
func (s *store) rotate() {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append([]*key{{rand.Text(), private}}, s.keys...)
	s.keys = s.keys[:min(2, len(s.keys))]
}

// SigningKey is the newest key.
func (s *store) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[0], nil
}

// KeySet are the keys that are published.
func (s *store) KeySet(context.Context) ([]op.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []op.Key
	for _, k := range s.keys {
		all = append(all, public{k})
	}
	return all, nil
}

// sign signs the claims of a body.
func (s *store) sign(w http.ResponseWriter, r *http.Request) {
	claims, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[0]
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		log.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(w, token)
}

// register sets the client's URLs.
func (s *store) register(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redirects, s.landings = strings.Fields(r.FormValue("redirect")), strings.Fields(r.FormValue("landing"))
}

// client is the example's client, with URLs after a logout.
type client struct {
	op.Client
	landings []string
}

func (c client) PostLogoutRedirectURIs() []string { return c.landings }

// GetClientByClientID finds the client.
func (s *store) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "app" {
		return nil, fmt.Errorf("there is no client %q", id)
	}
	return client{storage.WebClient("app", "secret", s.redirects...), s.landings}, nil
}

// CreateAccessToken shortens the token's life.
func (s *store) CreateAccessToken(ctx context.Context, request op.TokenRequest) (string, time.Time, error) {
	id, _, err := s.Storage.CreateAccessToken(ctx, request)
	return id, time.Now().Add(s.life), err
}

// CreateAccessAndRefreshTokens shortens the token's life, and counts refreshes.
func (s *store) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (string, string, time.Time, error) {
	id, refresh, _, err := s.Storage.CreateAccessAndRefreshTokens(ctx, request, current)
	if current != "" {
		s.refreshes.Add(1)
	}
	return id, refresh, time.Now().Add(s.life), err
}

// SetUserinfoFromRequest adds the groups.
func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	info.AppendClaims("groups", []string{"admins", "users"})
	return s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes)
}
