package oidc

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis"
)

// shared are sessions in a Redis or Valkey server: encrypted as cookies would be, under the hash of an id that the browser alone has. So whoever
// reads the server can neither take a session over nor read one.
type shared struct {
	server *redis.Server
	codec  *codec
	limits limits
	prefix string // of keys
	now    func() time.Time
}

var _ store = (*shared)(nil)

// key is where a session is.
func (r *shared) key(id string) string { return fmt.Sprintf("%ss:%x", r.prefix, nameOf("id", id)) }

// index is where the keys of all sessions of a user, or of a session of the provider's, are.
func (r *shared) index(kind, of string) string {
	return fmt.Sprintf("%s%s:%x", r.prefix, kind, nameOf(kind, of))
}

// life is how long a session stays without a request.
func (r *shared) life() time.Duration {
	if r.limits.idle > 0 {
		return min(r.limits.idle, r.limits.lifetime)
	}
	return r.limits.lifetime
}

// ask runs f with the client and a bounded time.
func (r *shared) ask(ctx context.Context, f func(ctx context.Context, client rueidis.Client) error) error {
	if err := r.server.Ask(ctx, f); err != nil {
		return fmt.Errorf("cannot use the store of the sessions: %w", err)
	}
	return nil
}

// idLength is how long an id is.
const idLength = 43

func (r *shared) find(ctx context.Context, text []byte) (*session, error) {
	if len(text) != idLength {
		return nil, nil
	}
	var found *session
	id := string(text)
	err := r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		sealed, err := c.Do(ctx, c.B().Getex().Key(r.key(id)).ExSeconds(int64(r.life()/time.Second)).Build()).AsBytes()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		if err == nil {
			found = r.codec.open(sealed)
		}
		return err
	})
	if err != nil || found == nil || found.ID != id || r.now().UnixMilli()-found.Created >= r.limits.lifetime.Milliseconds() {
		return nil, err
	}
	return found, nil
}

func (r *shared) begin(ctx context.Context, s *session) (string, error) {
	sealed, err := r.codec.seal(s)
	if err != nil {
		return "", err
	}
	if len(sealed) > maxShared {
		return "", filter.Reject(filter.LoginFailed, "").Because(fmt.Errorf("the session takes %d bytes, more than the store is given", len(sealed)))
	}
	return s.ID, r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		key, whole := r.key(s.ID), int64(r.limits.lifetime/time.Second)
		commands := rueidis.Commands{c.B().Set().Key(key).Value(sealed).ExSeconds(int64(r.life() / time.Second)).Build()}
		for _, index := range r.indexes(s) {
			commands = append(commands,
				c.B().Zremrangebyscore().Key(index).Min("-inf").Max(strconv.FormatInt(r.now().Unix(), 10)).Build(), // what its time has ended
				c.B().Zadd().Key(index).ScoreMember().ScoreMember(float64(r.now().Unix()+whole), key).Build(),
				c.B().Expire().Key(index).Seconds(whole).Build())
		}
		return firstError(c.DoMulti(ctx, commands...))
	})
}

// indexes are those that a session is in.
func (r *shared) indexes(s *session) []string {
	all := []string{r.index("sub", s.subject)}
	if s.sid != "" {
		all = append(all, r.index("sid", s.sid))
	}
	return all
}

func firstError(results []rueidis.RedisResult) error {
	for _, result := range results {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

func (r *shared) renew(ctx context.Context, s *session) (string, bool, error) {
	sealed, err := r.codec.seal(s)
	if err != nil {
		return "", false, err
	}
	ok := false
	err = r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		err := c.Do(ctx, c.B().Set().Key(r.key(s.ID)).Value(sealed).Xx().ExSeconds(int64(r.life()/time.Second)).Build()).Error()
		if rueidis.IsRedisNil(err) {
			return nil // it was deleted, and must not come back
		}
		ok = err == nil
		return err
	})
	return "", ok, err
}

// idles is never so: reading a session is what keeps it.
func (r *shared) idles(*session, time.Time) bool { return false }

func (r *shared) end(ctx context.Context, s *session) error {
	return r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		key := r.key(s.ID)
		commands := rueidis.Commands{c.B().Del().Key(key).Build()}
		for _, index := range r.indexes(s) {
			commands = append(commands, c.B().Zrem().Key(index).Member(key).Build())
		}
		return firstError(c.DoMulti(ctx, commands...))
	})
}

func (r *shared) endAll(ctx context.Context, sid, subject string) error {
	index := r.index("sub", subject)
	if sid != "" {
		index = r.index("sid", sid)
	}
	return r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		keys, err := c.Do(ctx, c.B().Zrange().Key(index).Min("0").Max("-1").Build()).AsStrSlice()
		if err != nil {
			return err
		}
		commands := rueidis.Commands{c.B().Del().Key(index).Build()}
		for _, key := range keys {
			commands = append(commands, c.B().Del().Key(key).Build())
		}
		return firstError(c.DoMulti(ctx, commands...))
	})
}

func (r *shared) first(ctx context.Context, jti string, life time.Duration) (bool, error) {
	first := false
	err := r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		err := c.Do(ctx, c.B().Set().Key(r.index("jti", jti)).Value("1").Nx().ExSeconds(int64(life/time.Second)+1).Build()).Error()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		first = err == nil
		return err
	})
	return first, err
}

// hold waits until no other gateway renews a session, and returns it as it is then; nil where it has ended.
func (r *shared) hold(ctx context.Context, s *session) (*session, func(), error) {
	key := r.index("lock", s.ID)
	for wait := time.NewTicker(50 * time.Millisecond); ; {
		mine := false
		err := r.ask(ctx, func(ctx context.Context, c rueidis.Client) error {
			err := c.Do(ctx, c.B().Set().Key(key).Value("1").Nx().PxMilliseconds(2*askTimeout.Milliseconds()).Build()).Error()
			mine = err == nil
			if rueidis.IsRedisNil(err) {
				return nil
			}
			return err
		})
		if err == nil {
			var latest *session
			if latest, err = r.find(ctx, []byte(s.ID)); err == nil && (mine || latest == nil || latest.Version > s.Version) {
				wait.Stop()
				return latest, func() { r.release(ctx, key, mine) }, nil
			}
		}
		if err != nil {
			wait.Stop()
			r.release(ctx, key, mine)
			return nil, nil, err
		}
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, nil, ctx.Err()
		}
	}
}

// release lets other gateways renew a session again. Where that fails, time does it.
func (r *shared) release(ctx context.Context, key string, mine bool) {
	if !mine {
		return
	}
	_ = r.ask(context.WithoutCancel(ctx), func(ctx context.Context, c rueidis.Client) error {
		return c.Do(ctx, c.B().Del().Key(key).Build()).Error()
	})
}
