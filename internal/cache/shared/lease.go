package shared

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/stored"
)

const (
	firstLook = 4 * time.Millisecond // between two looks for what another gateway fetches
	lastLook  = 50 * time.Millisecond
)

// Lease has one gateway fetch what several want. Who leads fetches, and calls done once what was fetched is committed, or will not be. The others
// call wait, which returns what the one that leads has stored since, or nil: then look once more (another key may have it, as where the answer
// varies), and fetch. It waits no longer than Options.Wait. Where the server does not say, everybody leads. All three may be called in any case.
func (s *Store) Lease(ctx context.Context, key string) (lead bool, wait func(ctx context.Context) *stored.Response, done func()) {
	n, token := s.names(key), rand.Text()
	none := func(context.Context) *stored.Response { return nil }
	if !s.ready() {
		return true, none, func() {}
	}
	f, ok := s.bounded(ctx, n.head, func(ctx context.Context) (found, error) { return s.lead(ctx, n, token) })
	if ok && !f.lead {
		return false, func(ctx context.Context) *stored.Response { return s.await(ctx, key, n, f.sum) }, func() {}
	}
	var once sync.Once
	return true, none, func() { once.Do(func() { s.writes.add(job{kind: release, names: n, token: token}) }) }
}

// lead tries to get a lease, and looks at what is stored now.
func (s *Store) lead(ctx context.Context, n names, token string) (f found, err error) {
	err = s.server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		all := client.DoMulti(ctx,
			client.B().Set().Key(n.lease).Value(token).Nx().Px(s.o.Lease).Build(),
			client.B().Getrange().Key(n.head).Start(0).End(frameSize-1).Build())
		switch err := all[0].Error(); {
		case err == nil || isFull(err):
			f.lead = true
		case !rueidis.IsRedisNil(err):
			return err
		}
		f.sum, err = sumIn(all[1])
		return err
	})
	return f, err
}

// sumIn is the sum in the frame that was read, or 0 where there is none.
func sumIn(r rueidis.RedisResult) (uint64, error) {
	b, err := r.AsBytes()
	if isType(err) {
		return 0, nil
	}
	f, wrong := readFrame(b)
	if wrong != nil {
		return 0, err
	}
	return f.sum, err
}

// await waits until another value is stored, or nobody has the lease any more.
func (s *Store) await(ctx context.Context, key string, n names, before uint64) *stored.Response {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Wait, errors.New("another gateway takes its time"))
	defer cancel()
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		case <-t.C:
		}
		t.Stop()
		if ctx.Err() != nil || s.ctx.Err() != nil {
			return nil
		}
		f, ok := s.bounded(ctx, n.head, func(ctx context.Context) (found, error) { return s.peek(ctx, n) })
		if !ok {
			return nil
		}
		if f.held && (f.sum == 0 || f.sum == before) {
			continue
		}
		f, _ = s.bounded(ctx, n.head, func(ctx context.Context) (found, error) { return s.look(ctx, key, n) })
		if f.sum != before {
			return f.r
		}
		return nil
	}
}

// peek looks whether another value is stored, and whether somebody has the lease.
func (s *Store) peek(ctx context.Context, n names) (f found, err error) {
	err = s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		all := client.DoMulti(ctx,
			client.B().Getrange().Key(n.head).Start(0).End(frameSize-1).Build(),
			client.B().Exists().Key(n.lease).Build())
		if f.sum, err = sumIn(all[0]); err != nil {
			return err
		}
		f.held, err = all[1].AsBool()
		return err
	})
	return f, err
}
