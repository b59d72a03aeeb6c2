package quota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
)

// ErrUnavailable says that the store cannot be reached.
var ErrUnavailable = errors.New("the store of quotas cannot be reached")

const (
	patience = 250 * time.Millisecond // with the store, for one request
	again    = 500 * time.Millisecond // between two tries while it cannot be reached
	backlog  = 1 << 20                // keys whose usage the store is not told of yet
	push     = 256                    // of them at once
	quietly  = time.Minute            // between two lines that say so
)

// SharedOptions are what a Shared is made with.
type SharedOptions struct {
	Server *redis.Server
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
	Failed func()           // called when the store was asked and did not answer; may be nil
}

// Shared counts in a Redis or Valkey, where gateways count together. What this gateway heard of is in memory as well, so that it can count on
// by itself while the store is away; what it counts then the store is told of when it is back. One goroutine does that; Close ends it.
type Shared struct {
	o     SharedOptions
	local *Ledger
	lua   *rueidis.Lua

	down  atomic.Bool
	first chan struct{} // closed once the store was tried
	wake  chan struct{}
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	owed   map[string]debt // what the store is not told of, by key
	failed bool            // it was logged that the store is away
	told   time.Time       // when
}

// debt is usage that the store is not told of yet.
type debt struct {
	cost int64
	args [3]string // slot, slots and time to live, of the script
}

// NewShared makes a Shared, which begins to connect.
func NewShared(o SharedOptions) (*Shared, error) {
	if o.Failed == nil {
		o.Failed = func() {}
	}
	local, err := Open(Options{Log: o.Log, Now: o.Now})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Shared{o: o, local: local, lua: rueidis.NewLuaScript(script), first: make(chan struct{}), wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}), owed: map[string]debt{}}
	s.down.Store(true)
	go s.run(ctx)
	return s, nil
}

// SharedCounter is a Shared, with what becomes of requests while the store is away.
type SharedCounter struct {
	*Shared
	OnFailure string // "allow", "deny" or "local"
}

// Take counts a cost in the store, in one round trip, if all quotas let it pass.
func (c SharedCounter) Take(ctx context.Context, now time.Time, asks []Ask, cost, need int64) (int, error) {
	refused, err := c.ask(ctx, now, asks, cost, need)
	switch {
	case err == nil || ctx.Err() != nil:
		return refused, err
	case c.OnFailure == "allow":
		return -1, c.Charge(now, asks, cost)
	case c.OnFailure == "deny":
		return -1, err
	}
	refused, err = c.local.Take(ctx, now, asks, cost, need)
	if refused < 0 && err == nil {
		c.owe(asks, cost)
	}
	return refused, err
}

// Charge counts a cost that was had already. The store is told of it in a moment.
func (s *Shared) Charge(now time.Time, asks []Ask, cost int64) error {
	if cost == 0 {
		return nil
	}
	_ = s.local.Charge(now, asks, cost) // when it is full, the store counts still
	s.owe(asks, cost)
	return nil
}

// Look says what is known here, which is not all.
func (s *Shared) Look(now time.Time, asks []Ask, need int64) (int, bool) {
	refused, _ := s.local.Look(now, asks, need)
	return refused, false
}

// Top lists the keys that used most, as far as this gateway knows.
func (s *Shared) Top(series *Series, n int) []limit.Usage { return s.local.Top(series, n) }

// Keys is how many keys of a series are counted here.
func (s *Shared) Keys(series *Series) int64 { return s.local.Keys(series) }

// Series returns the counts with a name and a period, or begins them.
func (s *Shared) Series(name string, p Period, maxKeys int) *Series {
	return s.local.Series(name, p, maxKeys)
}

// Store describes where the counts are.
func (*Shared) Store() string { return "redis" }

// ask counts in the store.
func (s *Shared) ask(ctx context.Context, now time.Time, asks []Ask, cost, need int64) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-s.first:
	case <-ctx.Done():
		return -1, ErrUnavailable
	}
	if s.down.Load() {
		return -1, ErrUnavailable
	}
	var answer []int64
	err := s.o.Server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		var err error
		answer, err = s.exec(ctx, client, asks, cost, need)
		return err
	})
	if err == nil && len(answer) != 1+3*len(asks) {
		err = fmt.Errorf("%d numbers are no answer", len(answer))
	}
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // the client has left, which says nothing of the store
			s.lost(err)
		}
		return -1, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	refused := -1
	for i := range asks {
		q := &asks[i]
		q.answered(now, need, [3]int64(answer[1+3*i:]))
		refuses := answer[0] > 0 && q.Amount != Unlimited && q.Used+need > q.Amount
		if refuses && (refused < 0 || later(q.Retry, asks[refused].Retry)) {
			refused = i
		}
	}
	s.local.learn(asks, cost, refused)
	return refused, nil
}

// answered takes in what the store says: what is used, and of a rolling period the first slot and the one whose falling out leaves enough.
func (q *Ask) answered(now time.Time, need int64, answer [3]int64) {
	p := q.Series.period
	q.Used, q.Reset, q.Retry = answer[0], q.end(now), q.end(now)
	if p.Unit == "" && answer[1] != 0 {
		q.Reset = p.fallsOut(answer[1])
	}
	switch {
	case q.Amount != Unlimited && need > q.Amount, answer[0]+need <= q.Amount:
		q.Retry = time.Time{}
	case p.Unit == "" && answer[2] != 0:
		q.Retry = p.fallsOut(answer[2])
	}
}

// learn notes what the store said, for operators and for the time that it is away. Of a rolling period only what passed here is known by slot.
func (l *Ledger) learn(asks []Ask, cost int64, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range asks {
		q := &asks[i]
		q.Series.latest = q.Span.Label
		a := q.account()
		if a == nil {
			if q.Used == 0 || len(q.Series.list) >= q.Series.maxKeys {
				continue
			}
			a = q.Series.add(q.ID)
		}
		a.amount = q.Amount
		if i == refused {
			a.refused++
		}
		switch {
		case q.Series.period.Unit != "":
			a.set(usage{q.Span.Label, q.Used})
		case refused < 0 && cost > 0:
			a.add(&Ask{Series: q.Series, ID: q.ID, Span: q.Span}, time.Time{}, cost)
		}
	}
}

// owe notes what the store is to be told of.
func (s *Shared) owe(asks []Ask, cost int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range asks {
		key, args := asks[i].key(), asks[i].args()
		d, known := s.owed[key+" "+args[0]]
		if !known && len(s.owed) >= backlog {
			continue // each of them is a key that the memory of this gateway has, too
		}
		s.owed[key+" "+args[0]] = debt{min(d.cost+cost, Most), args}
	}
	s.rouse()
}

// rouse has the goroutine look.
func (s *Shared) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lost notes that the store cannot be reached.
func (s *Shared) lost(err error) {
	s.down.Store(true)
	s.o.Failed()
	s.mu.Lock()
	tell := !s.failed && time.Since(s.told) > quietly
	if tell {
		s.failed, s.told = true, time.Now()
	}
	s.mu.Unlock()
	if tell {
		s.o.Log.Error("the store of quotas cannot be reached", "error", err)
	}
	s.rouse()
}

// run tells the store what it is owed, and tries it while it is away.
func (s *Shared) run(ctx context.Context) {
	defer close(s.done)
	t := time.NewTicker(again)
	defer t.Stop()
	began := false
	for {
		err := s.settle(ctx)
		if err == nil && began && s.down.Load() {
			err = s.refresh(ctx)
		}
		if err == nil {
			s.found()
		} else if ctx.Err() == nil {
			s.lost(err)
		}
		if !began {
			close(s.first)
			began = true
		}
		if !s.rest(ctx, t, err != nil) {
			return
		}
	}
}

// rest waits for the next time to look. It says whether there is one.
func (s *Shared) rest(ctx context.Context, t *time.Ticker, failed bool) bool {
	wake := s.wake
	if failed {
		wake = nil // a store that is away is tried at its times
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-wake:
			return true
		case <-t.C:
			if failed || s.down.Load() {
				return true
			}
		}
	}
}

// found notes that the store is there.
func (s *Shared) found() {
	s.mu.Lock()
	told := s.failed
	s.failed = false
	s.mu.Unlock()
	s.down.Store(false)
	if told {
		s.o.Log.Info("the store of quotas can be reached again")
	}
}

// settle tells the store all that it is owed. Without debts it is asked for a sign of life.
func (s *Shared) settle(ctx context.Context) error {
	for {
		keys, debts := s.some()
		err := s.o.Server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
			if len(keys) == 0 {
				return client.Do(ctx, client.B().Ping().Build()).Error()
			}
			return s.tell(ctx, client, keys, debts)
		})
		if err != nil || len(keys) == 0 {
			return err
		}
	}
}

// refresh has the client find out which of its connections are dead. It has a few, takes one of them by chance, and each one that died fails
// one question: that shall not be a request's.
func (s *Shared) refresh(ctx context.Context) error {
	return s.o.Server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		for right, all := 0, 0; right < 32; all++ {
			err := client.Do(ctx, client.B().Exists().Key("cardea:quota:").Build()).Error() // what names no key goes over one of them alone
			if right++; err != nil {
				right = 0
			}
			if err != nil && all >= 64 {
				return err
			}
		}
		return nil
	})
}

// some returns a part of what is owed.
func (s *Shared) some() (keys []string, debts []debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, d := range s.owed {
		keys, debts = append(keys, key), append(debts, d)
		if len(keys) == push {
			break
		}
	}
	return keys, debts
}

// paid takes off what the store was told of.
func (s *Shared) paid(key string, cost int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.owed[key]
	if d.cost -= cost; d.cost > 0 {
		s.owed[key] = d
		return
	}
	delete(s.owed, key)
}

// Close tells the store what it is owed, if it is there, and ends the goroutine.
func (s *Shared) Close() error {
	s.stop()
	<-s.done
	if !s.down.Load() {
		_ = s.settle(context.Background())
	}
	return s.local.Close()
}
