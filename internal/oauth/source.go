package oauth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	unsaid     = 5 * time.Minute  // how long a token is taken to be good for when the server does not say
	early      = 5 * time.Minute  // how long before its end a token is renewed, at most
	margin     = 10 * time.Second // how long before its end a token is no longer sent, at most
	firstPause = 500 * time.Millisecond
	longest    = 30 * time.Second // pause after failures
	settle     = 10 * time.Second // a token younger than this is not renewed for being refused
)

// Grant is a token that is kept. It is immutable.
type Grant struct {
	Value         string
	Authorization []string // the values of the field Authorization, to be shared
	Expires       time.Time

	fetched, renew time.Time
	suspect        bool // a service has refused it
}

// newGrant keeps a token for a while.
func newGrant(t Token, now time.Time) *Grant {
	life := t.Lifetime
	if life <= 0 {
		life = unsaid
	}
	authorization := "Bearer " + t.Value
	return &Grant{
		Value: authorization[len("Bearer "):], Authorization: []string{authorization},
		fetched: now, renew: now.Add(life - min(early, life/5)), Expires: now.Add(life - min(margin, life/10)),
	}
}

// pause keeps those away for a while who would ask a server that fails.
type pause struct {
	failures int
	until    time.Time
	err      error // of the last failure
}

// failed lengthens the pause.
func (p *pause) failed(err error, now time.Time) {
	p.until, p.err = now.Add(min(firstPause<<min(p.failures, 10), longest)), err
	p.failures++
}

// flight is a request for a token that is under way. Its fields are set when done is closed.
type flight struct {
	done  chan struct{}
	grant *Grant
	err   error
}

// Fetch asks for a token.
type Fetch func(ctx context.Context) (Token, error)

// Source keeps one token, and renews it before its end. One request for a token is under way at a time.
type Source struct {
	fetch   Fetch
	now     func() time.Time
	current atomic.Pointer[Grant]

	mu     sync.Mutex
	flying *flight // nil: none
	pause  pause

	ctx     context.Context // of all requests; Close ends it
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewSource makes a source that has no token yet.
func NewSource(fetch Fetch, now func() time.Time) *Source {
	s := &Source{fetch: fetch, now: now}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends what is under way.
func (s *Source) Close() {
	s.mu.Lock()
	s.cancel() // under the lock: no flight begins after it
	s.mu.Unlock()
	s.running.Wait()
}

// Held returns the token that is kept, or nil.
func (s *Source) Held() *Grant { return s.current.Load() }

// Token returns a token that is good. It waits for one only where none is kept. While a server fails it is asked less and less often; an
// error then comes at once.
func (s *Source) Token(ctx context.Context) (*Grant, error) {
	if g := s.current.Load(); g != nil && s.now().Before(g.renew) && !g.suspect {
		return g, nil
	}
	return s.refresh(ctx)
}

// refresh is Token where there is something to do.
func (s *Source) refresh(ctx context.Context) (*Grant, error) {
	s.mu.Lock()
	now, g := s.now(), s.current.Load()
	good := g != nil && now.Before(g.Expires)
	if good && !g.suspect && now.Before(g.renew) {
		s.mu.Unlock()
		return g, nil // it has just been renewed
	}
	f := s.begin(now)
	err := s.pause.err
	s.mu.Unlock()
	switch {
	case good && (!g.suspect || f == nil):
		return g, nil // it is renewed meanwhile, or cannot be
	case f == nil:
		return nil, err
	}
	fresh, err := f.wait(ctx)
	if err != nil && good && ctx.Err() == nil {
		return g, nil // suspect, but there is no better one
	}
	return fresh, err
}

// begin begins a flight, unless one is under way or there is a pause. It returns the one under way, or nil. The lock is held.
func (s *Source) begin(now time.Time) *flight {
	if s.flying != nil {
		return s.flying
	}
	if now.Before(s.pause.until) {
		return nil
	}
	if s.ctx.Err() != nil {
		s.pause.err = errClosed
		return nil
	}
	f := &flight{done: make(chan struct{})}
	s.flying = f
	s.running.Go(func() { s.fly(f) })
	return f
}

var errClosed = errors.New("the source of tokens is closed")

// fly asks for a token.
func (s *Source) fly(f *flight) {
	token, err := s.fetch(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err != nil {
		f.err = err
		s.pause.failed(err, now)
		if g := s.current.Load(); g != nil && g.suspect {
			old := *g
			old.suspect, old.renew = false, now // nobody waits for the next try
			s.current.Store(&old)
		}
	} else {
		f.grant = newGrant(token, now)
		s.current.Store(f.grant)
		s.pause = pause{}
	}
	s.flying = nil
	close(f.done)
}

// wait waits for a flight.
func (f *flight) wait(ctx context.Context) (*Grant, error) {
	select {
	case <-f.done:
		return f.grant, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Suspect says that a service has refused a token. Unless it is quite new, or another one is there already, it is renewed: whoever
// asks next waits for that. The old one stays for the case that there is no other. It says whether there is, or will be, a new one.
func (s *Source) Suspect(refused *Grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, g := s.now(), s.current.Load()
	switch {
	case g == nil || g.Value != refused.Value:
		return true
	case g.suspect:
		return s.flying != nil
	case now.Sub(g.fetched) < settle || now.Before(s.pause.until):
		return false
	}
	marked := *g
	marked.suspect = true
	s.current.Store(&marked)
	return s.begin(now) != nil
}
