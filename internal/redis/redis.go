// Package redis connects to Redis and Valkey servers: URLs, buffers of a sensible size, bounded waits, and a connection that is made when it
// is first needed and again after it broke. What is stored there, and what becomes of a request when it cannot be, is for its users to say:
// sessions, certificates, and whatever gateways share.
package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

const (
	timeout = 2 * time.Second // for one question
	pause   = time.Second     // after a connection that could not be made
)

// Server is a server, which is connected to when that is first needed. It is safe for use by several goroutines.
type Server struct {
	options rueidis.ClientOption

	mu     sync.Mutex
	client rueidis.Client
	failed error
	until  time.Time // the failure counts
	closed bool
}

// New reads the URL of a server: "redis://HOST:PORT", "redis://USER:PASSWORD@HOST:PORT/NUMBER", or with TLS "rediss://…". It connects to nothing.
// What is wrong with a URL is not shown: there may be a password in it.
func New(url string) (*Server, error) {
	wrong := errors.New("the URL is not one of Redis: redis://HOST:PORT or redis://USER:PASSWORD@HOST:PORT/NUMBER, and with TLS rediss://")
	scheme, host, _ := strings.Cut(url, "://")
	o, err := rueidis.ParseURL(url)
	if err != nil || host == "" || o.SelectDB < 0 || scheme != "redis" && scheme != "rediss" {
		return nil, wrong
	}
	o.ReadBufferEachConn, o.WriteBufferEachConn, o.RingScaleEachConn = 32<<10, 32<<10, 8
	o.DisableCache, o.DisableRetry, o.ForceSingleClient = true, true, true
	o.Dialer.Timeout, o.ConnWriteTimeout = timeout, timeout
	return &Server{options: o}, nil
}

// Kept returns the server with a URL from env.Keeper: all policies that name it share its connections.
func Kept(env *filter.Env, url config.Secret) (*Server, error) {
	key := sha256.Sum256([]byte(url.Reveal()))
	return filter.Keep(env, "redis:"+hex.EncodeToString(key[:]), func() (*Server, error) { return New(url.Reveal()) })
}

// Ask runs f with the client and a bounded time.
func (s *Server) Ask(ctx context.Context, f func(ctx context.Context, client rueidis.Client) error) error {
	client, err := s.connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
	client, err := rueidis.NewClient(s.options)
	if err != nil {
		s.failed, s.until = fmt.Errorf("cannot connect: %w", err), time.Now().Add(pause)
		return nil, s.failed
	}
	s.client = client
	return client, nil
}

// Close ends the connections.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client != nil {
		s.client.Close()
	}
	return nil
}
