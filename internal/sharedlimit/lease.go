package sharedlimit

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/limit"
)

const (
	shards    = 64
	firstWant = 4       // what a lease has at first; it grows with what is used
	mostWant  = 1 << 20 // and no further
	settle    = 100 * time.Millisecond
)

// leases are what this gateway may let pass without asking. All that a lease has was counted in the store when it was taken, so that all
// gateways together never let more pass than the rules say. What is not used before a lease ends is given back.
type leases struct {
	c    *Counter
	life time.Duration
	most int64     // what passes at once where nothing was counted
	zero time.Time // times are since then
	seed maphash.Seed
	all  [shards]shard

	keys atomic.Int64

	mu      sync.Mutex
	running bool // the goroutine that ends leases
	closed  bool
	end     chan struct{}
	group   sync.WaitGroup
}

// shard holds a part of the keys.
type shard struct {
	mu   sync.Mutex
	keys map[limit.ID]*lessee
}

// lessee is a key that has leases, or that is known to be over its limit.
type lessee struct {
	id     limit.ID
	leases [2]lease // the older first; one of no size is none
	asking *asking
	want   int64          // how much the next lease should have
	lent   time.Duration  // when the last one was had
	full   time.Duration  // until then it is of no use to ask for a lease ahead
	last   limit.Decision // what the store said
	lastAt time.Duration

	refusal   limit.Decision // what the store said to a cost
	refusedAt time.Duration
	refused   time.Duration // until then it holds
	cost      int64
}

// lease is a share that has been counted already.
type lease struct {
	left  int64
	until time.Duration
	at    int64 // when the store counted it, by its clock
}

// asking is a question under way. Others for the same key wait for it.
type asking struct {
	done    chan struct{}
	cost    int64
	waiting bool // the one who asked waits; what it costs is taken from the lease first
	d       limit.Decision
	err     error
}

func newLeases(c *Counter, life time.Duration) *leases {
	l := &leases{c: c, life: life, most: math.MaxInt64, zero: c.o.Now(), seed: maphash.MakeSeed(), end: make(chan struct{})}
	for _, r := range c.rules {
		l.most = min(l.most, r.most)
	}
	for i := range l.all {
		l.all[i].keys = map[limit.ID]*lessee{}
	}
	return l
}

func (l *leases) now() time.Duration { return l.c.o.Now().Sub(l.zero) }

func (l *leases) shard(id limit.ID) *shard {
	return &l.all[maphash.Comparable(l.seed, id)%shards]
}

// take decides from a lease, or else asks the store for one. It waits for what others ask at most once, and no longer than the timeout.
func (l *leases) take(ctx context.Context, id limit.ID, cost int64) (limit.Decision, error) {
	s := l.shard(id)
	now := l.now()
	s.mu.Lock()
	k := s.keys[id]
	if k != nil {
		if d, ok := l.local(s, k, cost, now, true); ok {
			s.mu.Unlock()
			return l.said(id, d), nil
		}
	}
	if l.c.link.outage.Down() {
		s.mu.Unlock()
		return l.c.without(ctx, id, cost, errDown)
	}
	if k == nil {
		if k = l.add(s, id); k == nil {
			s.mu.Unlock()
			return l.c.exact(ctx, id, cost, l.c.o.Timeout)
		}
	}
	a, mine := k.asking, false
	if a == nil {
		a, mine = l.ask(s, k, cost, true), true
	}
	s.mu.Unlock()

	if err := l.wait(ctx, k, a); err != nil {
		if mine {
			s.mu.Lock()
			a.waiting = false
			s.mu.Unlock()
		}
		return l.c.without(ctx, id, cost, err)
	}
	switch {
	case a.err != nil:
		return l.c.without(ctx, id, cost, a.err)
	case mine:
		return a.d, nil
	}
	return l.again(ctx, s, k, cost, now)
}

// again decides for one who has waited for what others asked.
func (l *leases) again(ctx context.Context, s *shard, k *lessee, cost int64, began time.Duration) (limit.Decision, error) {
	now := l.now()
	s.mu.Lock()
	d, ok := l.local(s, k, cost, now, true)
	s.mu.Unlock()
	if ok {
		return l.said(k.id, d), nil
	}
	d, err := l.c.exact(ctx, k.id, cost, max(0, l.c.o.Timeout-(now-began)))
	if err == nil && !d.Allowed {
		s.mu.Lock()
		l.refuse(k, d, cost, l.now())
		s.mu.Unlock()
	}
	return d, err
}

// said remembers refusals for operators.
func (l *leases) said(id limit.ID, d limit.Decision) limit.Decision {
	if !d.Allowed {
		l.c.seen.note(id, d, l.c.rules[d.Rule].most, l.c.o.Now())
	}
	return d
}

// wait waits for an answer.
func (l *leases) wait(ctx context.Context, k *lessee, a *asking) error {
	wait := time.NewTimer(l.c.o.Timeout)
	defer wait.Stop()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		l.c.link.late(l.c.prefix + k.id.String())
		return errLate
	}
}

// add adds a key, if there is room. The shard is locked.
func (l *leases) add(s *shard, id limit.ID) *lessee {
	if len(s.keys) > l.c.o.MaxKeys/shards {
		return nil
	}
	k := &lessee{id: id, want: firstWant}
	s.keys[id] = k
	l.keys.Add(1)
	return k
}

// local decides without the store, if it can. The shard is locked.
func (l *leases) local(s *shard, k *lessee, cost int64, now time.Duration, count bool) (limit.Decision, bool) {
	left := int64(0)
	for i := range k.leases {
		if k.leases[i].until > now {
			left += k.leases[i].left
		}
	}
	if needs := max(cost, 1); left < needs {
		if needs < k.cost || cost > l.most || now >= k.refused {
			return limit.Decision{}, false
		}
		d := k.refusal
		d.Reset, d.Retry = max(0, d.Reset-(now-k.refusedAt)), max(1, d.Retry-(now-k.refusedAt))
		return d, true
	}
	left -= cost
	if count {
		l.use(k, cost, now)
		if left < k.want/2 && k.asking == nil && now >= max(k.full, k.refused) && !l.c.link.outage.Down() {
			l.ask(s, k, 0, false)
		}
	}
	d := k.last
	d.Allowed, d.Retry = true, 0
	d.Remaining, d.Reset = d.Remaining+left, max(0, d.Reset-(now-k.lastAt))
	return d, true
}

// use takes a cost from leases, the older first.
func (l *leases) use(k *lessee, cost int64, now time.Duration) {
	for i := range k.leases {
		if e := &k.leases[i]; e.until > now {
			n := min(cost, e.left)
			e.left -= n
			cost -= n
		}
	}
}

// ask asks the store for a lease. The shard is locked.
func (l *leases) ask(s *shard, k *lessee, cost int64, waiting bool) *asking {
	a := &asking{done: make(chan struct{}), cost: cost, waiting: waiting}
	q := l.c.call(k.id, "take", cost)
	q.want = max(1, k.want)
	began := l.now() // before the store counts: a lease never lasts longer than the store knows
	q.then = func(q *call) {
		l.answered(s, k, a, q, began)
		l.c.link.put(q)
	}
	if !l.start() || !l.c.link.start() {
		a.err = errDown
		close(a.done)
		return a
	}
	select {
	case l.c.link.queue <- q:
		k.asking = a
	default:
		l.c.link.m.failed("busy")
		a.err = errBusy
		close(a.done)
	}
	return a
}

// answered takes what the store answered.
func (l *leases) answered(s *shard, k *lessee, a *asking, q *call, began time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(a.done)
	now := l.now()
	k.asking = nil
	if a.err = q.err; a.err != nil {
		return
	}
	if now-began <= l.c.o.Timeout {
		l.c.link.outage.InTime()
	}
	l.c.link.m.duration.Observe((now - began).Seconds())
	a.d = q.answer.decision()
	l.c.seen.note(k.id, a.d, l.c.rules[a.d.Rule].most, l.c.o.Now())
	if !a.d.Allowed {
		l.refuse(k, a.d, a.cost, now)
		return
	}
	k.last, k.lastAt = a.d, now
	granted := q.answer.granted
	if a.waiting {
		a.waiting = false
		granted -= a.cost
		a.d.Remaining += granted
	}
	if granted == 0 {
		k.full = now + settle
		return
	}
	l.lend(s, k, lease{left: granted, until: began + l.life, at: q.answer.at}, now)
}

// refuse remembers a refusal, until a request of that cost could pass, but not for long: others may give back.
func (l *leases) refuse(k *lessee, d limit.Decision, cost int64, now time.Duration) {
	if d.Retry > 0 {
		k.refusal, k.refusedAt, k.refused, k.cost = d, now, now+min(d.Retry, l.life), max(cost, 1)
	}
}

// lend adds a lease. Where there are two the older one is given back. The next one is larger where this one came soon after the last.
func (l *leases) lend(s *shard, k *lessee, e lease, now time.Duration) {
	if s.keys[k.id] != k { // it was closed
		l.giveBack(k, e)
		return
	}
	if k.lent != 0 && now-k.lent < l.life/2 {
		k.want = min(2*k.want, mostWant)
	}
	k.lent = now
	switch {
	case k.leases[0].left == 0:
		k.leases = [2]lease{k.leases[1], e}
	case k.leases[1].left == 0:
		k.leases[1] = e
	default:
		l.giveBack(k, k.leases[0])
		k.leases = [2]lease{k.leases[1], e}
	}
}

// giveBack gives back what is left of a lease.
func (l *leases) giveBack(k *lessee, e lease) {
	if e.left == 0 {
		return
	}
	q := l.c.call(k.id, "back", e.left)
	q.at = e.at
	q.then = func(q *call) { l.c.link.put(q) }
	l.c.link.post(q) // where it is lost, the store counts it until time has passed
}

// look says what take would from leases.
func (l *leases) look(id limit.ID, cost int64) (limit.Decision, bool) {
	s := l.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[id]
	if k == nil {
		return limit.Decision{}, false
	}
	return l.local(s, k, cost, l.now(), false)
}

// forget drops the leases of a key, and that it was refused.
func (l *leases) forget(key string) {
	for i := range l.all {
		s := &l.all[i]
		s.mu.Lock()
		for id, k := range s.keys {
			if id.String() == key {
				k.leases, k.refused, k.full = [2]lease{}, 0, 0
			}
		}
		s.mu.Unlock()
	}
}
