package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"cardea.dev/cardea/filter"
)

const (
	refreshAhead = 30 * time.Second // of the end of the access token
	refreshPause = 5 * time.Second  // after the provider could not be reached
	refreshWait  = 3 * time.Second  // of a request, for its session's renewal
	maxRenewed   = 4096
	maxSeen      = 10_000 // states and logout tokens that were used
)

var errSlow = errors.New("the provider takes too long")

// errEnded says that the provider does not let a session go on.
var errEnded = errors.New("the provider does not renew the session")

// renewals are the sessions that are being renewed, or were a moment ago. A page's requests come at once and with the same cookie, and a
// refresh token is good once only: so one of them renews the session, and the others take what it got. It is shared by all policies of an
// application.
type renewals struct {
	mu      sync.Mutex
	flights map[string]*renewal
	latest  *cache[string, *session] // by id
	pause   time.Time                // the provider is not asked before
	running sync.WaitGroup
}

// renewal is one that is under way.
type renewal struct {
	done chan struct{}
	s    *session // as it is now; nil: it has ended
	err  error    // the provider could not be reached
}

func newRenewals() *renewals {
	return &renewals{flights: map[string]*renewal{}, latest: newCache[string, *session](maxRenewed)}
}

// Close waits for those that are under way.
func (r *renewals) Close() error {
	r.running.Wait()
	return nil
}

// due says whether a session's tokens have to be renewed.
func (p *policy) due(s *session, now time.Time) bool {
	if s.Refresh == "" || s.Ends == 0 || !p.refreshes {
		return false
	}
	ahead := min(refreshAhead, time.Duration(s.Ends*1000-s.Seen)*time.Millisecond/2)
	return now.After(time.Unix(s.Ends, 0).Add(-max(ahead, 0)))
}

// current returns a session as it is now: renewed where that is due. Nil: it has ended.
func (p *policy) current(ex *filter.Exchange, s *session) (*session, error) {
	now := p.now()
	if s.Refresh != "" {
		if later, ok := p.renewals.latest.get(s.ID); ok && later.Version > s.Version {
			s = later
		}
	}
	if !p.due(s, now) {
		if s.Refresh == "" && s.forwardEnds != 0 && now.Unix() >= s.forwardEnds {
			return nil, nil // the upstream would refuse it
		}
		return s, nil
	}
	good := now.Before(time.Unix(s.Ends, 0).Add(p.outage))
	ctx := ex.Context()
	if good { // a provider that does not answer must not keep the requests of good sessions
		short, cancel := context.WithTimeoutCause(ctx, refreshWait, errSlow)
		defer cancel()
		ctx = short
	}
	renewed, err := p.renewOnce(ctx, s)
	switch {
	case errors.Is(err, errEnded):
		return nil, nil
	case err == nil:
		return renewed, nil
	case good:
		return s, nil
	}
	return nil, filter.Reject(filter.AuthUnavailable, "").Because(err)
}

// renewOnce renews a session, or waits for the one that does.
func (p *policy) renewOnce(ctx context.Context, s *session) (*session, error) {
	r := p.renewals
	r.mu.Lock()
	if later, ok := r.latest.get(s.ID); ok && later.Version > s.Version {
		r.mu.Unlock()
		return later, nil
	}
	flight := r.flights[s.ID]
	if flight == nil {
		if p.now().Before(r.pause) {
			r.mu.Unlock()
			return nil, errors.New("the provider could not be reached a moment ago")
		}
		flight = &renewal{done: make(chan struct{})}
		r.flights[s.ID] = flight
		r.running.Go(func() { p.renew(flight, s) })
	}
	r.mu.Unlock()
	select {
	case <-flight.done:
		return flight.s, flight.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// renew renews a session. It goes on when the request that began it ends, so that no refresh token is lost.
func (p *policy) renew(flight *renewal, s *session) {
	ctx, cancel := p.provider.background()
	defer cancel()
	renewed, err := guarded(func() (*session, error) { return p.renewHeld(ctx, s) })
	if errors.Is(err, errEnded) {
		p.count("session_refused")
		_ = p.store.end(ctx, s)
	} else if err != nil {
		p.count("refresh_failed")
		p.log.Warn("cannot renew a session", "route", p.route, "error", err)
	}
	r := p.renewals
	r.mu.Lock()
	defer r.mu.Unlock()
	flight.s, flight.err = renewed, err
	if err == nil {
		r.latest.put(s.ID, renewed)
	} else if !errors.Is(err, errEnded) {
		r.pause = p.now().Add(refreshPause)
	}
	delete(r.flights, s.ID)
	close(flight.done)
}

// renewHeld renews a session while no other gateway does.
func (p *policy) renewHeld(ctx context.Context, s *session) (*session, error) {
	latest, release, err := p.store.hold(ctx, s)
	if err != nil {
		return nil, err
	}
	defer release()
	if latest == nil {
		return nil, errEnded
	}
	if latest.Version > s.Version {
		return latest, nil
	}
	renewed, err := p.exchangeRefresh(ctx, latest)
	if err != nil {
		return nil, err
	}
	if _, ok, err := p.store.renew(ctx, renewed); err != nil || !ok {
		return nil, errors.Join(err, endedUnless(ok || err != nil))
	}
	p.count("refreshed")
	return renewed, nil
}

// guarded makes an error of a panic: nobody else looks after the goroutines that ask the provider.
func guarded[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

func endedUnless(ok bool) error {
	if ok {
		return nil
	}
	return errEnded
}

// exchangeRefresh gets new tokens for the refresh token of a session (OpenID Connect Core 1.0, section 12).
func (p *policy) exchangeRefresh(ctx context.Context, s *session) (*session, error) {
	d, err := p.provider.get(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := p.oauth(d, "").TokenSource(ctx, &oauth2.Token{RefreshToken: s.Refresh}).Token()
	if err != nil {
		return nil, refusedRefresh(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		raw = s.IDToken
	} else if err := p.verify(ctx, d, raw, tokens.AccessToken, ""); err != nil {
		return nil, fmt.Errorf("%w: %w", errEnded, err)
	}
	renewed, err := p.session(ctx, d, s, tokens, raw)
	if err == nil && renewed.subject != s.subject {
		err = errors.New("the new tokens are of somebody else")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEnded, err)
	}
	return renewed, nil
}

// refusedRefresh tells a provider that refuses from one that is out of order.
func refusedRefresh(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		if status := refused.Response.StatusCode; status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden {
			return fmt.Errorf("%w: %s", errEnded, shown(refused.ErrorCode))
		}
	}
	return brief("cannot refresh the tokens", err)
}
