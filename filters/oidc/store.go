package oidc

import (
	"context"
	"time"
)

// store is where sessions are kept. Texts are what the browser has of a session in its cookie.
type store interface {
	// find returns the session of a text, or nil where there is none. An error means that it cannot be said.
	find(ctx context.Context, text []byte) (*session, error)

	// begin keeps a new session and returns its text.
	begin(ctx context.Context, s *session) (string, error)

	// renew keeps a session in the place of its older self. It returns its text, or "" where the browser's stays good. False: it has ended meanwhile.
	renew(ctx context.Context, s *session) (text string, ok bool, err error)

	// idles says whether the session's text has to be renewed so that it does not end for idleness.
	idles(s *session, now time.Time) bool

	// hold waits until no other gateway renews a session, keeps the others from it until release is called, and returns the session as it is
	// then; nil where it has ended.
	hold(ctx context.Context, s *session) (latest *session, release func(), err error)

	// end ends a session.
	end(ctx context.Context, s *session) error

	// endAll ends the sessions of a session of the provider's, or where that is not said, of a user.
	endAll(ctx context.Context, sid, subject string) error

	// first says whether a logout token is seen for the first time.
	first(ctx context.Context, jti string, life time.Duration) (bool, error)
}

// cookies are sessions that are kept by the browser.
type cookies struct {
	codec   *codec
	limits  limits
	revoked *revocations
	jtis    *cache[name, struct{}]
	now     func() time.Time
}

var _ store = (*cookies)(nil)

func (c *cookies) find(_ context.Context, text []byte) (*session, error) {
	s := c.codec.open(text)
	if s == nil || c.limits.over(s, c.now()) != "" || c.revoked.over(s) {
		return nil, nil
	}
	return s, nil
}

func (c *cookies) begin(_ context.Context, s *session) (string, error) { return c.codec.seal(s) }

func (c *cookies) renew(_ context.Context, s *session) (string, bool, error) {
	if c.revoked.over(s) {
		return "", false, nil
	}
	text, err := c.codec.seal(s)
	return text, true, err
}

// hold returns at once: what another gateway has put into a cookie cannot be known.
func (c *cookies) hold(_ context.Context, s *session) (*session, func(), error) {
	return s, func() {}, nil
}

func (c *cookies) idles(s *session, now time.Time) bool {
	return c.limits.idle > 0 && now.UnixMilli()-s.Seen > c.limits.idle.Milliseconds()/20
}

func (c *cookies) end(_ context.Context, s *session) error {
	c.revoked.add(nameOf("id", s.ID), c.now(), c.limits.lifetime)
	return nil
}

func (c *cookies) endAll(_ context.Context, sid, subject string) error {
	n := nameOf("sub", subject)
	if sid != "" {
		n = nameOf("sid", sid)
	}
	c.revoked.add(n, c.now(), c.limits.lifetime)
	return nil
}

func (c *cookies) first(_ context.Context, jti string, _ time.Duration) (bool, error) {
	return c.jtis.add(nameOf("jti", jti), struct{}{}), nil
}
