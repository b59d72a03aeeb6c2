package oauth

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

// Exchange asks for a token in exchange for another one.
type Exchange func(ctx context.Context, subject string) (Token, error)

// Exchanger keeps the tokens that others were exchanged for, by the SHA-256 of those: as long as both are good, and no more than so many.
// One exchange of a token is under way at a time.
type Exchanger struct {
	exchange Exchange
	now      func() time.Time
	max      int

	mu     sync.Mutex
	kept   map[[sha256.Size]byte]*list.Element // of *entry
	order  *list.List                          // those used last are in front
	flying map[[sha256.Size]byte]*flight
	pause  pause // while the server fails for all

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// entry is what came of an exchange.
type entry struct {
	key   [sha256.Size]byte
	grant *Grant // nil: it was refused
	err   error
	until time.Time
}

// refusedFor is how long a refusal is remembered.
const refusedFor = 10 * time.Second

// NewExchanger makes an exchanger that keeps at most max tokens.
func NewExchanger(exchange Exchange, max int, now func() time.Time) *Exchanger {
	e := &Exchanger{
		exchange: exchange, max: max, now: now,
		kept: map[[sha256.Size]byte]*list.Element{}, order: list.New(), flying: map[[sha256.Size]byte]*flight{},
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Close ends what is under way.
func (e *Exchanger) Close() {
	e.mu.Lock()
	e.cancel()
	e.mu.Unlock()
	e.running.Wait()
}

// Token returns what a token was, or is now, exchanged for.
func (e *Exchanger) Token(ctx context.Context, subject string) (*Grant, error) {
	key := sha256.Sum256([]byte(subject))
	e.mu.Lock()
	now := e.now()
	if el := e.kept[key]; el != nil {
		if it := el.Value.(*entry); now.Before(it.until) {
			e.order.MoveToFront(el)
			e.mu.Unlock()
			return it.grant, it.err
		}
		e.drop(el)
	}
	f := e.flying[key]
	switch {
	case f != nil:
	case now.Before(e.pause.until):
		err := e.pause.err
		e.mu.Unlock()
		return nil, err
	case e.ctx.Err() != nil:
		e.mu.Unlock()
		return nil, errClosed
	default:
		f = &flight{done: make(chan struct{})}
		e.flying[key] = f
		e.running.Go(func() { e.fly(f, key, subject) })
	}
	e.mu.Unlock()
	return f.wait(ctx)
}

// fly exchanges a token.
func (e *Exchanger) fly(f *flight, key [sha256.Size]byte, subject string) {
	token, err := e.exchange(e.ctx, subject)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	it := &entry{key: key, err: err, until: now.Add(refusedFor)}
	var refused *Error
	switch {
	case err == nil:
		it.grant = newGrant(token, now)
		it.until = it.grant.Expires
		if end := expiry(subject); !end.IsZero() && end.Before(it.until) {
			it.until = end
		}
		e.pause = pause{}
	case !errors.As(err, &refused) || refused.general():
		e.pause.failed(err, now) // that says nothing of the token
		it = nil
	default:
		e.pause = pause{}
	}
	if it != nil {
		e.keep(it)
	}
	f.grant, f.err = nil, err
	if err == nil {
		f.grant = it.grant
	}
	delete(e.flying, key)
	close(f.done)
}

// keep keeps an entry, in place of those not used for longest. The lock is held.
func (e *Exchanger) keep(it *entry) {
	if el := e.kept[it.key]; el != nil {
		e.drop(el)
	}
	for e.order.Len() >= e.max {
		e.drop(e.order.Back())
	}
	e.kept[it.key] = e.order.PushFront(it)
}

func (e *Exchanger) drop(el *list.Element) {
	delete(e.kept, el.Value.(*entry).key)
	e.order.Remove(el)
}

// Len is how many tokens are kept.
func (e *Exchanger) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.order.Len()
}

// Suspect says that a service has refused what a token was exchanged for. It is forgotten, unless it is quite new. It says whether there
// is a new one to be had.
func (e *Exchanger) Suspect(subject string, refused *Grant) bool {
	key := sha256.Sum256([]byte(subject))
	e.mu.Lock()
	defer e.mu.Unlock()
	el := e.kept[key]
	if el == nil {
		return true
	}
	it := el.Value.(*entry)
	switch now := e.now(); {
	case it.grant == nil:
		return false
	case it.grant.Value != refused.Value:
		return true
	case now.Sub(it.grant.fetched) < settle || now.Before(e.pause.until):
		return false
	}
	e.drop(el)
	return true
}

// expiry is when a token ends by its own account, as far as that can be read: it is not verified. It is zero where it does not say.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp *float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp == nil || *claims.Exp < 0 || *claims.Exp > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(*claims.Exp), 0)
}
