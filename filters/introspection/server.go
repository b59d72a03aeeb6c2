package introspection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/issuer"
	"cardea.dev/cardea/internal/token"
)

// maxQuestions is how many questions may be under way.
const maxQuestions = 512

// server is the authorization server, with its answers.
type server struct {
	config    *Config
	client    *issuer.Client
	discovery *issuer.Discovery // nil where the endpoint is given
	leeway    time.Duration
	answers   *token.Cache[*answer]
	now       func() time.Time

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	questions map[token.ID]*question
}

// answer is what the server said of a token. It is never changed.
type answer struct {
	token *token.Token
	err   error // the token is refused
	until time.Time
}

// question is one that is under way. Its fields are set before done is closed.
type question struct {
	done   chan struct{}
	answer *answer
	err    error // there is no answer
}

// newServer makes a server. It asks nothing yet.
func newServer(c *Config, client *issuer.Client) (*server, error) {
	s := &server{
		config: c, client: client, leeway: time.Duration(c.Leeway), now: time.Now,
		answers: token.NewCache[*answer](c.CacheEntries), questions: map[token.ID]*question{},
	}
	if c.Endpoint == "" {
		d, err := issuer.NewDiscovery(client, c.Issuer, c.DiscoveryURL)
		if err != nil {
			return nil, err
		}
		s.discovery = d
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Close ends the questions that are under way.
func (s *server) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
	s.client.Close()
	return nil
}

// find returns the token that a raw one is, by an answer that is kept, or by asking.
func (s *server) find(ex *filter.Exchange, raw string, dry bool) (*token.Token, error) {
	id := token.NewID(raw)
	if a, ok := s.answers.Get(id); ok && s.now().Before(a.until) {
		return a.judge(s.now(), s.leeway)
	}
	if dry {
		return nil, fmt.Errorf("%w: no answer about this token is kept", filter.ErrUnsaid)
	}
	q := s.ask(id, raw)
	select {
	case <-q.done:
	case <-ex.Context().Done():
		return nil, token.Unavailable(fmt.Errorf("the answer did not arrive in time: %w", context.Cause(ex.Context())))
	}
	if q.err != nil {
		return nil, token.Unavailable(q.err)
	}
	return q.answer.judge(s.now(), s.leeway)
}

// judge says what follows from an answer now.
func (a *answer) judge(now time.Time, leeway time.Duration) (*token.Token, error) {
	if a.err != nil {
		return nil, a.err
	}
	return a.token, a.token.CheckTimes(now, leeway)
}

// ask joins the question about a token that is under way, or begins one.
func (s *server) ask(id token.ID, raw string) *question {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.questions[id]; q != nil {
		return q
	}
	q := &question{done: make(chan struct{})}
	switch {
	case s.ctx.Err() != nil:
		q.err = errors.New("the gateway is being stopped")
		close(q.done)
		return q
	case len(s.questions) >= maxQuestions:
		q.err = fmt.Errorf("%d tokens are being asked about already", len(s.questions))
		close(q.done)
		return q
	}
	s.questions[id] = q
	s.wg.Go(func() {
		a, err := s.introspect(raw)
		if err == nil && a.until.After(s.now()) {
			s.answers.Put(id, a)
		}
		s.mu.Lock()
		delete(s.questions, id)
		s.mu.Unlock()
		q.answer, q.err = a, err
		close(q.done)
	})
	return q
}

// introspect asks about a token (RFC 7662, section 2).
func (s *server) introspect(raw string) (*answer, error) {
	ctx, cancel := context.WithTimeout(s.ctx, time.Duration(s.config.Timeout))
	defer cancel()
	endpoint := s.config.Endpoint
	if endpoint == "" {
		doc, err := s.discovery.Get(ctx)
		switch {
		case err != nil:
			return nil, err
		case doc.Introspection == "":
			return nil, fmt.Errorf("the document of %s names no introspection_endpoint", s.config.Issuer)
		}
		endpoint = doc.Introspection
	}
	if err := issuer.CheckURL(endpoint, s.config.AllowHTTP); err != nil {
		return nil, err
	}
	r, err := s.request(endpoint, raw)
	if err != nil {
		return nil, err
	}
	body, err := s.client.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.read(body)
}

// request makes the request.
func (s *server) request(endpoint, raw string) (*http.Request, error) {
	c := s.config
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	if c.ClientAuth == "post" {
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.ClientSecret.Reveal())
	}
	r, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.ClientAuth == "basic" {
		// RFC 6749, section 2.3.1: both are encoded like a form before.
		r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret.Reveal()))
	}
	return r, nil
}

// read reads an answer and applies the rules to it.
func (s *server) read(body []byte) (*answer, error) {
	object, err := token.ParseObject(body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	now := s.now()
	refused := func(err error) (*answer, error) {
		return &answer{err: err, until: now.Add(time.Duration(s.config.CacheInactive))}, nil
	}
	active, ok := object["active"].(bool)
	switch {
	case !ok:
		return nil, errors.New("the answer does not say whether the token is active")
	case !active:
		return refused(filter.Reject(filter.TokenInactive, "").Because(errors.New("the server says that it is not active")))
	}
	claims, err := token.ParseClaims(body)
	if err != nil {
		return refused(token.Invalid("the answer: %w", err))
	}
	if s.config.Issuer != "" && claims.Issuer != "" && claims.Issuer != s.config.Issuer {
		return refused(token.Invalid("`iss` is %q, wanted %s", claims.Issuer, s.config.Issuer))
	}
	if err := claims.CheckAudience(s.config.Audience); err != nil {
		return refused(err)
	}
	t := &token.Token{}
	if err := s.config.Accept(t, claims, s.config.Issuer, now); err != nil {
		return refused(err)
	}
	until := now.Add(time.Duration(s.config.Cache))
	if end := time.Unix(claims.Expires, 0); claims.Expires != 0 && end.Before(until) {
		until = end
	}
	return &answer{token: t, until: until}, nil
}
