package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// lookUp is how long the store may take to give an answer that another gateway had asked for.
const lookUp = 2 * time.Second

// lookUps is how many such answers are looked for at once. Anybody can ask.
const lookUps = 16

// answers are what authorities that were asked for certificates are asking for now.
type answers struct {
	mu      sync.RWMutex
	asked   map[question]acme.Challenge
	looking map[question]*search
	slots   chan struct{}
}

// question is what an authority asks: by a kind of challenge, about a name.
type question struct{ kind, name string }

// search looks for an answer in the store, for all who ask meanwhile.
type search struct {
	done  chan struct{} // closed when it has ended
	found acme.Challenge
	ok    bool
}

func newAnswers() *answers {
	return &answers{asked: map[question]acme.Challenge{}, looking: map[question]*search{}, slots: make(chan struct{}, lookUps)}
}

// get returns what answers a question: one of this gateway, or of another one with the same store.
func (s *answers) get(ctx context.Context, a *authority, q question) (acme.Challenge, bool) {
	s.mu.RLock()
	c, ok := s.asked[q]
	s.mu.RUnlock()
	if ok || a == nil {
		return c, ok
	}
	ctx, cancel := context.WithTimeout(ctx, lookUp)
	defer cancel()
	s.mu.Lock()
	now := s.looking[q]
	first := now == nil
	if first {
		now = &search{done: make(chan struct{})}
		s.looking[q] = now
	}
	s.mu.Unlock()
	if first {
		now.found, now.ok = s.search(ctx, a, q)
		s.mu.Lock()
		delete(s.looking, q)
		s.mu.Unlock()
		close(now.done)
		return now.found, now.ok
	}
	select {
	case <-now.done:
		return now.found, now.ok
	case <-ctx.Done():
		return acme.Challenge{}, false
	}
}

// search looks in the store.
func (s *answers) search(ctx context.Context, a *authority, q question) (c acme.Challenge, ok bool) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return c, false
	}
	text, err := a.store.load(ctx, a.challenge(q))
	if err != nil || json.Unmarshal(text, &c) != nil {
		return acme.Challenge{}, false
	}
	return c, true
}

func (s *answers) set(q question, c acme.Challenge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[q] = c
}

func (s *answers) forget(q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, q)
}

// challenge is where other gateways find the answer to a question.
func (a *authority) challenge(q question) string {
	return a.place + "/" + q.kind + "/" + q.name + ".json"
}

// solver has the listeners answer, those of this gateway and those of others with the same store.
type solver struct {
	answers *answers
	of      *authority
}

// Present makes the answer known.
func (s solver) Present(ctx context.Context, c acme.Challenge) error {
	q := question{c.Type, c.Identifier.Value}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := s.of.store.save(ctx, s.of.challenge(q), text); err != nil {
		return fmt.Errorf("cannot store the answer to a challenge: %w", err)
	}
	s.answers.set(q, c)
	return nil
}

// CleanUp forgets the answer.
func (s solver) CleanUp(ctx context.Context, c acme.Challenge) error {
	q := question{c.Type, c.Identifier.Value}
	s.answers.forget(q)
	return s.of.store.remove(context.WithoutCancel(ctx), s.of.challenge(q))
}

// Answer answers an authority that asks by http-01, and says whether it did. What else begins with that path is not ours: an
// upstream may get certificates of its own.
func (m *Manager) Answer(w http.ResponseWriter, r *http.Request) bool {
	of := m.served.Load()
	if of == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	managed := of.names[host]
	if managed == nil {
		return false
	}
	c, ok := m.answers.get(r.Context(), managed.authority, question{acme.ChallengeTypeHTTP01, host})
	if !ok || r.URL.Path != c.HTTP01ResourcePath() {
		return false
	}
	m.log.Debug("an authority asks for a domain", "domain", host, "challenge", c.Type, "from", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, c.KeyAuthorization)
	return true
}

// Challenge returns what answers an authority that asks by tls-alpn-01; nil: nobody had it asked.
func (m *Manager) Challenge(name string) *tls.Certificate {
	of := m.served.Load()
	if of == nil || of.names[name] == nil {
		return nil
	}
	c, ok := m.answers.get(context.Background(), of.names[name].authority, question{acme.ChallengeTypeTLSALPN01, name})
	if !ok {
		return nil
	}
	cert, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		m.log.Error("cannot answer a challenge", "domain", name, "challenge", c.Type, "error", err)
		return nil
	}
	m.log.Debug("an authority asks for a domain", "domain", name, "challenge", c.Type)
	return cert
}
