package quota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
)

// ErrUnavailable says that the store cannot be reached.
var ErrUnavailable = errors.New("the store of quotas cannot be reached")

const (
	backlog = 1 << 20 // keys whose usage the store is not told of yet
	pushed  = 256     // of them at once
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
	o      SharedOptions
	local  *Ledger
	lua    *rueidis.Lua
	outage *redis.Outage
	wake   chan struct{}
	stop   context.CancelFunc
	group  sync.WaitGroup // the goroutine, and questions

	settling sync.Mutex // the store is told by one at a time
	mu       sync.Mutex
	owed     map[string]debt // what the store is not told of, by key
}

// debt is usage that the store is not told of yet.
type debt struct {
	cost int64
	args [3]string // slot, slots and time to live, of the script
}

// NewShared makes a Shared, which begins to connect.
func NewShared(o SharedOptions) *Shared {
	if o.Failed == nil {
		o.Failed = func() {}
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Shared{
		o: o, local: newLedger(Options{Log: o.Log, Now: o.Now}), lua: rueidis.NewLuaScript(script),
		wake: make(chan struct{}, 1), stop: stop, owed: map[string]debt{},
	}
	s.local.begin()
	s.outage = redis.NewOutage(redis.OutageOptions{
		Server: o.Server, Log: o.Log, Probe: s.probe, Settle: s.settle, Changed: func(bool) { s.rouse() },
		Lost:    "the store of quotas cannot be reached",
		Back:    "the store of quotas can be reached again",
		Refused: "the store refuses to count a quota",
	})
	s.group.Go(func() { s.run(ctx) })
	return s
}

// For returns the counter of one policy: how long its requests wait for the store, and what becomes of them while it is away: "allow", "deny"
// or "local".
func (s *Shared) For(timeout time.Duration, onFailure string) SharedCounter {
	s.outage.Patience(timeout)
	return SharedCounter{s, timeout, onFailure}
}

// SharedCounter is a Shared as one policy uses it.
type SharedCounter struct {
	*Shared
	timeout   time.Duration
	onFailure string
}

// Take counts a cost in the store, in one round trip, if all quotas let it pass.
func (c SharedCounter) Take(ctx context.Context, now time.Time, asks []Ask, cost, need int64) (int, error) {
	refused, err := c.ask(ctx, now, asks, cost, need, c.timeout)
	switch {
	case err == nil || ctx.Err() != nil:
		return refused, err
	case c.onFailure == "allow":
		err := c.Charge(now, asks, cost)
		c.local.Look(now, asks, 0) // what is told of it is what this gateway knows
		return -1, err
	case c.onFailure == "deny":
		return -1, err
	}
	refused, err = c.local.Take(ctx, now, asks, cost, need)
	if refused < 0 && err == nil {
		c.owe(asks, cost)
	}
	return refused, err
}

// Unavailable says that Take refuses whoever asks: the store is known to be away, and that is to be done then.
func (c SharedCounter) Unavailable() bool { return c.onFailure == "deny" && c.outage.Down() }

// Look says what is known here. That is not all, unless the store is away: then it is what Take goes by.
func (c SharedCounter) Look(now time.Time, asks []Ask, need int64) (int, bool) {
	refused, _ := c.local.Look(now, asks, need)
	if !c.outage.Down() {
		return refused, false
	}
	if c.onFailure == "allow" {
		refused = -1
	}
	return refused, true
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

// Top lists the keys that used most, as far as this gateway knows.
func (s *Shared) Top(series *Series, n int) []limit.Usage { return s.local.Top(series, n) }

// Keys is how many keys of a series are counted here.
func (s *Shared) Keys(series *Series) int64 { return s.local.Keys(series) }

// Series returns the counts with a name and a period, or begins them.
func (s *Shared) Series(name string, p Period, maxKeys int) *Series {
	return s.local.Series(name, p, maxKeys)
}

// Store describes where the counts are.
func (*Shared) Store() string { return "redis exact" }

// ask counts in the store.
func (s *Shared) ask(ctx context.Context, now time.Time, asks []Ask, cost, need int64, timeout time.Duration) (int, error) {
	if s.outage.Down() {
		return -1, ErrUnavailable
	}
	answer, err := s.wait(ctx, newQuestion(asks, cost, need), timeout)
	if err != nil {
		return -1, err
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

// wait asks the store and waits for the answer, but no longer than the timeout: the library may take longer, where it connects.
func (s *Shared) wait(ctx context.Context, q question, timeout time.Duration) ([]int64, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var answer []int64
	done := make(chan error, 1)
	s.group.Go(func() {
		done <- s.o.Server.Ask(limited, func(ctx context.Context, client rueidis.Client) error {
			var err error
			answer, err = s.exec(ctx, client, q)
			return err
		})
	})
	var err error
	select {
	case err = <-done:
	case <-limited.Done():
		err = limited.Err()
	}
	switch {
	case err == nil:
		s.outage.InTime()
		return answer, nil
	case ctx.Err() != nil: // the client has left, which says nothing of the store
	case limited.Err() != nil:
		s.o.Failed()
		s.outage.Late(q.keys[0])
	default:
		s.failed(q.keys[0], err)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// failed notes that the store did not do what it was asked.
func (s *Shared) failed(key string, err error) {
	s.o.Failed()
	s.outage.Failed(key, err)
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

// run tells the store what it is owed. While the store is away, the probe does.
func (s *Shared) run(ctx context.Context) {
	key, err := probed, s.probe(ctx, probed) // so that the first request finds it connected
	for {
		if err != nil && ctx.Err() == nil {
			s.failed(key, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		if key, err = "", nil; !s.outage.Down() {
			key, err = s.push(ctx)
		}
	}
}

// settle tells the store all that it is owed.
func (s *Shared) settle(ctx context.Context) error {
	_, err := s.push(ctx)
	return err
}

// push tells the store all that it is owed. It returns a key that it failed at.
func (s *Shared) push(ctx context.Context) (key string, err error) {
	s.settling.Lock()
	defer s.settling.Unlock()
	for {
		keys, debts := s.some()
		if len(keys) == 0 {
			return "", nil
		}
		err = s.o.Server.Ask(ctx, func(ctx context.Context, client rueidis.Client) (err error) {
			key, err = s.tell(ctx, client, keys, debts)
			return err
		})
		if err != nil {
			return cmp.Or(key, keys[0]), err
		}
	}
}

// some returns a part of what is owed.
func (s *Shared) some() (keys []string, debts []debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, d := range s.owed {
		keys, debts = append(keys, key), append(debts, d)
		if len(keys) == pushed {
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
	err := s.outage.Close()
	s.group.Wait()
	if !s.outage.Down() {
		_ = s.settle(context.Background())
	}
	return errors.Join(err, s.local.Close())
}
