// Package redis connects to Redis and Valkey: single servers, clusters, and masters that sentinels watch over. It knows URLs, buffers of a
// sensible size, bounded waits, a connection that is made when it is first needed and again after it broke, and guards the program against
// answers that no Redis gives. Who asks for each request has an Outage besides, which remembers that a server is down, so that no request waits
// for it. What is stored there, and what becomes of a request when it cannot be, is for its users to say: sessions,
// certificates, and whatever gateways share.
package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

const (
	timeout = 2 * time.Second // for one question, by default
	pause   = time.Second     // after a connection that could not be made
	refresh = 5 * time.Second // how often it is asked who is who in a cluster, or with sentinels
)

// Server is a server or a cluster, which is connected to when that is first needed. It is safe for use by several goroutines.
type Server struct {
	target *target

	mu      sync.Mutex
	client  rueidis.Client
	failed  error
	until   time.Time // the failure counts
	closed  bool
	holders int                  // who must call Close until it closes
	parts   map[string]io.Closer // of Attach
}

// New reads the URL of a server: "redis://HOST:PORT", "redis://USER:PASSWORD@HOST:PORT/NUMBER", "redis+cluster://HOST:PORT,HOST:PORT",
// "redis+sentinel://HOST:PORT,HOST:PORT?master=NAME", or with TLS "rediss://…". It connects to nothing. What is wrong with a URL is not shown:
// there may be a password in it.
func New(url string) (*Server, error) {
	t, err := parse(url)
	if err != nil {
		return nil, err
	}
	return &Server{target: t, holders: 1, parts: map[string]io.Closer{}}, nil
}

// Kept returns the server with a URL from env.Keeper: all policies that name it share its connections.
func Kept(env *filter.Env, url config.Secret) (*Server, error) {
	key := sha256.Sum256([]byte(url.Reveal()))
	return filter.Keep(env, "redis:"+hex.EncodeToString(key[:]), func() (*Server, error) { return New(url.Reveal()) })
}

// Name returns the servers' addresses, for metrics and logs.
func (s *Server) Name() string { return strings.Join(s.target.hosts, ",") }

// Retain keeps the server open until Close was called once more than before.
func (s *Server) Retain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders++
}

// Attach returns what was made for a server under a name, or makes it. It is closed before the server's connections are.
func Attach[T io.Closer](s *Server, name string, make func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts[name] == nil {
		s.parts[name] = make()
	}
	return s.parts[name].(T)
}

// Ask runs f with the client and a bounded time.
func (s *Server) Ask(ctx context.Context, f func(ctx context.Context, client rueidis.Client) error) error {
	return s.AskFor(ctx, 0, f)
}

// AskFor is Ask for questions that the server itself waits with for a while, such as reading what is yet to come.
func (s *Server) AskFor(ctx context.Context, wait time.Duration, f func(ctx context.Context, client rueidis.Client) error) (err error) {
	defer func() { // the library trusts some answers to have the shape that they should have
		if wrong := recover(); wrong != nil {
			err = fmt.Errorf("cannot understand the server: %v", wrong)
		}
	}()
	client, err := s.connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.target.timeout+wait)
	defer cancel()
	return f(ctx, client)
}

// connect returns the client. Once there is one it reconnects by itself.
func (s *Server) connect() (rueidis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.client != nil:
		return s.client, nil
	case s.closed:
		return nil, errors.New("the connection is closed")
	case s.failed != nil && time.Now().Before(s.until):
		return nil, s.failed
	}
	client, err := s.target.client()
	if err != nil {
		s.failed, s.until = fmt.Errorf("cannot connect: %w", err), time.Now().Add(pause)
		return nil, s.failed
	}
	s.client = client
	return client, nil
}

// client connects.
func (t *target) client() (rueidis.Client, error) {
	client, err := rueidis.NewClient(t.options())
	if err != nil {
		if client != nil && t.mode != single {
			client.Close()
		}
		return nil, err
	}
	if t.mode == cluster && client.Mode() != rueidis.ClientModeCluster {
		client.Close()
		return nil, errors.New("the server is not one of a cluster: write redis:// instead of redis+cluster://")
	}
	return client, nil
}

// Close ends the connections, unless somebody else retains the server.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.holders--; s.holders != 0 {
		s.mu.Unlock()
		return nil
	}
	parts := s.parts
	s.parts = map[string]io.Closer{}
	s.mu.Unlock()
	var errs []error
	for _, part := range parts { // without the lock: they may still be asking
		errs = append(errs, part.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
	return errors.Join(errs...)
}
