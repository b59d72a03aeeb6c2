package shared

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/rueidis"
)

const (
	firstLook = 4 * time.Millisecond // between two looks whether another gateway still fetches
	lastLook  = 50 * time.Millisecond
	apart     = "-" // is in the place of a lease where gateways do not wait for each other
)

// Lease says who fetches what several gateways want. Its zero value is for those who need not agree.
type Lease struct {
	// Leads says that this gateway fetches, and that others wait until End.
	Leads bool

	// Look says that it may be stored by now. Another gateway has fetched it, or did so right before this one asked.
	Look bool

	end func(apart time.Duration)
}

// End gives a lease back, once what was fetched is committed, or will not be. Then others do not wait for each other's fetches for the time apart: as
// what is fetched is not for them. Only the first call counts.
func (l *Lease) End(apart time.Duration) {
	if l.end != nil {
		l.end(apart)
		l.end = nil
	}
}

// Lease waits for as long as another gateway fetches something and the context goes on. Where the server does not say in time, nobody waits.
func (s *Store) Lease(ctx context.Context, key string) Lease {
	if !s.ready() {
		return Lease{}
	}
	name, token := s.names(key).lease, rand.Text()
	release := job{kind: release, names: names{head: name, lease: name}, token: token}
	f, ok := s.bounded(ctx, name, func(ctx context.Context) (found, error) { return s.lead(ctx, name, token) })
	switch {
	case !ok:
		s.writes.add(release) // the server may have given it too late
		return Lease{}
	case f.lead:
		return Lease{Leads: true, Look: true, end: func(apart time.Duration) {
			release.apart, release.until = apart > 0, s.o.Now().Add(apart)
			s.writes.add(release)
		}}
	case !f.held:
		return Lease{}
	}
	return Lease{Look: s.await(ctx, name)}
}

// lead tries to get a lease.
func (s *Store) lead(ctx context.Context, name, token string) (f found, err error) {
	err = s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		all := client.DoMulti(ctx, client.B().Set().Key(name).Value(token).Nx().Px(s.o.Lease).Build(), client.B().Get().Key(name).Build())
		if err := all[0].Error(); err != nil && !rueidis.IsRedisNil(err) {
			if isFull(err) {
				return nil // nobody leads
			}
			return err
		}
		holder, err := holderIn(all[1])
		f.lead, f.held = holder == token, holder != "" && holder != apart
		return err
	})
	return f, err
}

// holderIn is who has a lease: "" for nobody. A value of another type is not one.
func holderIn(r rueidis.RedisResult) (string, error) {
	holder, err := r.ToString()
	if rueidis.IsRedisNil(err) || isType(err) {
		return "", nil
	}
	return holder, err
}

// await waits until nobody has a lease any more. It is false where the wait was too long, or in vain.
func (s *Store) await(ctx context.Context, name string) bool {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		case <-t.C:
		}
		t.Stop()
		if ctx.Err() != nil || s.ctx.Err() != nil {
			return false
		}
		f, ok := s.bounded(ctx, name, func(ctx context.Context) (found, error) { return s.holder(ctx, name) })
		switch {
		case !ok:
			return false
		case !f.held:
			return !f.apart
		}
	}
}

// holder looks whether somebody has a lease.
func (s *Store) holder(ctx context.Context, name string) (f found, err error) {
	err = s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		holder, err := holderIn(client.Do(ctx, client.B().Get().Key(name).Build()))
		f.apart = holder == apart
		f.held = holder != "" && !f.apart
		return err
	})
	return f, err
}
