// Package sharedlimit counts what callers do where several gateways count together: in a Redis or Valkey that they share. It is a
// limit.Counter, with the semantics that package limit states: all rules of a counter hold together, and what is refused counts for none.
//
// In the mode Exact each decision is one call of a script in Redis, whose clock is the only one. In the mode Approximate a gateway takes leases of
// what is left, and decides by itself as long as they last; what is leased has been counted already, so that limits are never exceeded.
//
// A decision waits for Redis for a bounded time. What becomes of it when Redis does not answer is for the options to say. While Redis is down nobody
// waits.
//
// It is not for counting in memory (package limit), nor does it know what is limited, or what becomes of requests that are refused. Policies
// import it.
package sharedlimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/observe"
)

// Mode is how exactly gateways count together.
type Mode string

// The modes.
const (
	Exact       Mode = "exact"       // each decision asks the store
	Approximate Mode = "approximate" // gateways lease shares of what is left
)

// OnFailure is what becomes of a decision when the store does not answer.
type OnFailure string

// What may become of it.
const (
	Allow OnFailure = "allow" // it passes, and is not counted
	Deny  OnFailure = "deny"  // Take returns an error
	Local OnFailure = "local" // this gateway counts by itself
)

// ErrUnavailable is what Take returns where the store does not answer and OnFailure is Deny.
var ErrUnavailable = errors.New("the store of the limits does not answer")

// Options say how a Counter works. The zero value of each field is its default.
type Options struct {
	Mode      Mode          // Exact by default
	OnFailure OnFailure     // Allow by default
	Local     limit.Counter // counts with Local; the Counter does not close it
	Timeout   time.Duration // how long a decision waits for the store; 100ms by default

	// Lease is how long a lease lasts at most; 1s by default. Rules make it shorter: no rule becomes stricter by more than a tenth. Rules that
	// would need leases shorter than 10ms, or let only one pass at once, are counted exactly.
	Lease time.Duration

	// MaxShare is how much of what is left one lease may have, in thousandths; 100 by default.
	MaxShare int64

	// MaxKeys is how many keys may have leases at a time; 100,000 by default. Others are counted exactly.
	MaxKeys int

	Log     *slog.Logger
	Metrics *observe.Metrics
	Now     func() time.Time // for leases alone

	script *source // for tests
}

// Check says what is wrong with rules that are to be shared.
func Check(rules []limit.Rule) error {
	_, err := compile(rules, 0)
	return err
}

// Counter is a limit.Counter whose counts are in a store that gateways share.
type Counter struct {
	o      Options
	server *redis.Server
	link   *link
	prefix string
	rules  []compiled
	seen   *seen
	leases *leases // nil: each decision asks the store
	close  sync.Once
}

var _ limit.Counter = (*Counter)(nil)

const (
	prefix  = "cardea:limit:"
	maxName = 64
)

// New returns a Counter. Counters with the same name and the same rules, at whatever gateway, count together. It connects to nothing yet. Close
// must be called.
func New(server *redis.Server, name string, rules []limit.Rule, o Options) (*Counter, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	lease := time.Duration(0)
	if o.Mode == Approximate {
		lease = leaseTime(rules, o.Lease)
	}
	compiled, err := compile(rules, lease)
	if err != nil {
		return nil, fmt.Errorf("cannot share limits: %w", err)
	}
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:16])
	}
	server.Retain()
	c := &Counter{o: o, server: server, prefix: prefix + name + ":" + fingerprint(compiled) + ":", rules: compiled, seen: newSeen()}
	c.link = redis.Attach(server, "limits", func() *link {
		script := newSource(ofRedis)
		if o.script != nil {
			script = *o.script
		}
		return newLink(server, script, o.Log, newMetrics(o.Metrics, server.Name()))
	})
	c.link.outage.Patience(o.Timeout)
	if lease > 0 {
		c.leases = newLeases(c, lease)
	}
	return c, nil
}

// complete sets defaults, and says what is wrong.
func (o *Options) complete() error {
	orElse(&o.Mode, Exact)
	orElse(&o.OnFailure, Allow)
	orElse(&o.Timeout, redis.DefaultTimeout)
	orElse(&o.Lease, time.Second)
	orElse(&o.MaxShare, 100)
	orElse(&o.MaxKeys, 100_000)
	orElse(&o.Log, slog.New(slog.DiscardHandler))
	if o.Metrics == nil {
		o.Metrics = observe.NewMetrics()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Mode != Exact && o.Mode != Approximate:
		return fmt.Errorf("%q is no mode of sharing limits", o.Mode)
	case o.OnFailure != Allow && o.OnFailure != Deny && o.OnFailure != Local:
		return fmt.Errorf("%q says nothing of what is to be done without the store", o.OnFailure)
	case o.OnFailure == Local && o.Local == nil:
		return errors.New("there is no counter to count with locally")
	case o.Timeout < 0 || o.Lease < 0 || o.MaxKeys < 0 || o.MaxShare < 1 || o.MaxShare > 1000:
		return errors.New("a time or share of sharing limits is out of range")
	}
	return nil
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Keys is how many keys this gateway knows something of, at most the number that Top can list.
func (c *Counter) Keys() int { return c.seen.len() }

// Take counts a cost, if all rules let it pass.
func (c *Counter) Take(ctx context.Context, id limit.ID, cost int64) (limit.Decision, error) {
	if cost < 0 {
		return limit.Decision{}, errors.New("a cost is not below 0")
	}
	if c.leases != nil {
		return c.leases.take(ctx, id, cost)
	}
	return c.exact(ctx, id, cost, c.o.Timeout)
}

// exact asks the store.
func (c *Counter) exact(ctx context.Context, id limit.ID, cost int64, timeout time.Duration) (limit.Decision, error) {
	q := c.call(id, "take", cost)
	if err := c.link.ask(ctx, q, timeout); err != nil {
		return c.without(ctx, id, cost, err)
	}
	d := q.answer.decision()
	c.link.put(q)
	c.seen.note(id, d, c.rules[d.Rule].most, c.o.Now())
	return d, nil
}

// decision is what an answer says.
func (a *answer) decision() limit.Decision {
	d := limit.Decision{Allowed: a.allowed, Rule: a.rule, Remaining: a.left, Reset: a.reset, Retry: a.retry}
	if a.retry < 0 {
		d.Retry = -1
	}
	return d
}

// call returns a question about a key.
func (c *Counter) call(id limit.ID, op string, cost int64) *call {
	q := c.link.get()
	q.key, q.op, q.cost, q.rules, q.share = c.prefix+id.String(), op, cost, c.rules, c.o.MaxShare
	return q
}

// without decides where the store does not answer.
func (c *Counter) without(ctx context.Context, id limit.ID, cost int64, err error) (limit.Decision, error) {
	if ctx.Err() != nil {
		return limit.Decision{}, ctx.Err()
	}
	c.link.m.fallbacks[c.o.OnFailure].Inc()
	switch c.o.OnFailure {
	case Deny:
		return limit.Decision{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case Local:
		return c.o.Local.Take(ctx, id, cost)
	case Allow:
	}
	return limit.Decision{Allowed: true, Remaining: c.rules[0].most}, nil
}

// Charge counts a cost that was had already. It does not wait; while the store is down it is lost, or this gateway counts it.
func (c *Counter) Charge(id limit.ID, cost int64) {
	if cost == 0 {
		return
	}
	q := c.call(id, "charge", cost)
	q.then = func(q *call) { c.link.put(q) }
	if !c.link.post(q) && c.o.OnFailure == Local {
		c.o.Local.Charge(id, cost)
	}
}

// Unavailable says that Take refuses whoever asks: the store is known to be down, and that is to be done then.
func (c *Counter) Unavailable() bool { return c.o.OnFailure == Deny && c.link.outage.Down() }

// Look says what Take would where that is known without asking: while the store is down, and from leases.
func (c *Counter) Look(id limit.ID, cost int64) (limit.Decision, bool) {
	if c.leases != nil {
		if d, ok := c.leases.look(id, cost); ok {
			return d, true
		}
	}
	if !c.link.outage.Down() {
		return limit.Decision{}, false
	}
	switch c.o.OnFailure {
	case Allow:
		return limit.Decision{Allowed: true, Remaining: c.rules[0].most}, true
	case Local:
		return c.o.Local.Look(id, cost)
	case Deny:
	}
	return limit.Decision{}, false
}

// Top lists the keys that used most lately, of what this gateway has seen.
func (c *Counter) Top(n int) []limit.Usage { return c.seen.top(n, c.o.Now()) }

// Reset forgets what was counted for a key, in the store and here. Other gateways use up what they have leased.
func (c *Counter) Reset(ctx context.Context, key string) (bool, error) {
	found := c.seen.forget(key)
	if c.leases != nil {
		c.leases.forget(key)
	}
	if c.o.OnFailure == Local {
		local, err := c.o.Local.Reset(ctx, key)
		if err != nil {
			return false, err
		}
		found = found || local
	}
	q := c.link.get()
	q.key, q.reset = c.prefix+key, true
	if err := c.link.ask(ctx, q, max(c.o.Timeout, time.Second)); err != nil { // an operator waits
		return false, fmt.Errorf("cannot reset a limit: %w", err)
	}
	found = found || q.answer.allowed
	c.link.put(q)
	return found, nil
}

// Close gives leases back, and lets go of the server.
func (c *Counter) Close() error {
	var err error
	c.close.Do(func() {
		if c.leases != nil {
			c.leases.close()
		}
		err = c.server.Close()
	})
	return err
}
