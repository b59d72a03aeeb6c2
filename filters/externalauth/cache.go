package externalauth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// cache remembers verdicts for a while. It has two halves: a new verdict goes into the young one; when that is full, it becomes the old
// one, and what was old is forgotten. So the room is bounded, and what is in use stays.
type cache struct {
	keys       []filter.Value
	ttl        time.Duration
	refusalTTL time.Duration
	half       int
	now        func() time.Time

	mu         sync.Mutex
	young, old map[key]entry
	asking     map[key]*question
}

// key is the SHA-256 of what a verdict depends on: credentials are among that, and are not to be kept.
type key [sha256.Size]byte

// entry is a verdict and until when it holds.
type entry struct {
	verdict *verdict
	until   time.Time
}

// question is one that is being asked, for all requests with its key.
type question struct {
	done    chan struct{}
	verdict *verdict
	err     error
	own     bool // what came of it is not for others
}

// maxSize is how large a verdict may be to be remembered.
const maxSize = 8 << 10

func newCache(env *filter.Env, c *Cache) (*cache, error) {
	out := &cache{
		ttl: time.Duration(c.TTL), refusalTTL: time.Duration(c.RefusalTTL), half: max(1, c.Max/2), now: time.Now,
		young: map[key]entry{}, asking: map[key]*question{},
	}
	var errs []error
	for i, source := range c.Key {
		value, err := env.Expr.Value(source)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("cache.key[%d]", i), "%w", err))
		}
		out.keys = append(out.keys, value)
	}
	if len(c.Key) == 0 {
		errs = append(errs, config.FieldErrorf("cache.key", "name what the answer depends on, such as header.authorization"))
	}
	return out, errors.Join(errs...)
}

// keyOf returns the key of a request, or false where a part of it is missing.
func (c *cache) keyOf(ex *filter.Exchange) (key, bool) {
	var space [512]byte
	text := space[:0]
	for _, value := range c.keys {
		v, ok := value(ex)
		if !ok || v == "" {
			return key{}, false
		}
		text = binary.AppendUvarint(text, uint64(len(v)))
		text = append(text, v...)
	}
	return sha256.Sum256(text), true
}

// get returns the verdict that is remembered, or nil.
func (c *cache) get(k key) *verdict {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[k]
	if !ok {
		if e, ok = c.old[k]; !ok {
			return nil
		}
		delete(c.old, k)
		if now.Before(e.until) {
			c.put(k, e)
		}
	}
	if !now.Before(e.until) {
		delete(c.young, k)
		return nil
	}
	return e.verdict
}

// put remembers a verdict. The lock is held.
func (c *cache) put(k key, e entry) {
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[key]entry)
	}
	c.young[k] = e
}

// share asks, once for all requests with the same key that come meanwhile. Where the one that asks leaves, or is told what is for it
// alone, the others ask for themselves. Shared says that another request has asked.
func (c *cache) share(ctx context.Context, k key, ask func() (*verdict, error)) (v *verdict, shared bool, err error) {
	c.mu.Lock()
	if q := c.asking[k]; q != nil {
		c.mu.Unlock()
		select {
		case <-q.done:
			if q.own {
				v, err = ask()
				return v, false, err
			}
			return q.verdict, true, q.err
		case <-ctx.Done():
			return nil, false, filter.Reject(filter.ClientClosed, "").Because(ctx.Err())
		}
	}
	q := &question{done: make(chan struct{}), own: true}
	c.asking[k] = q
	c.mu.Unlock()
	defer c.settle(ctx, k, q)
	q.verdict, q.err = ask()
	q.own = ctx.Err() != nil || q.err == nil && q.verdict.private()
	return q.verdict, false, q.err
}

// settle ends a question, and remembers its verdict where that may be.
func (c *cache) settle(ctx context.Context, k key, q *question) {
	ttl := time.Duration(0)
	if v := q.verdict; v != nil && !q.own && v.size <= maxSize && ctx.Err() == nil {
		if ttl = c.ttl; v.denied != nil {
			ttl = c.refusalTTL
		}
	}
	until := c.now().Add(ttl)
	c.mu.Lock()
	delete(c.asking, k)
	if ttl > 0 {
		c.put(k, entry{q.verdict, until})
	}
	c.mu.Unlock()
	close(q.done)
}
