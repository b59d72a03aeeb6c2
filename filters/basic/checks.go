package basic

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/password"
)

const (
	maxKnown  = 50_000          // passwords that are remembered at once
	maxQueue  = 128             // requests that wait for a check at once
	maxEach   = 16              // of these, from one address
	maxWait   = 5 * time.Second // of one of them
	retryText = "1"             // seconds
)

// fingerprint stands for a user, a password and the user's hash. Who has no key cannot make one.
type fingerprint [sha256.Size]byte

// checks are the checks of passwords of the whole process: how many may run, and which were right lately. It outlives reloads.
type checks struct {
	scratch sync.Pool
	places  chan struct{} // one for each check that may run

	queue  sync.Mutex
	queued map[netip.Prefix]int
	total  int

	mu    sync.RWMutex
	known map[fingerprint]time.Time // until when
}

// scratch is what a request needs to look for its password.
type scratch struct {
	mac     hash.Hash
	encoded []byte
	plain   []byte
	sum     []byte
}

func newChecks() *checks {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	return &checks{
		scratch: sync.Pool{New: func() any { return &scratch{mac: hmac.New(sha256.New, key)} }},
		// Half of the processors stay for requests that need no check.
		places: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		queued: map[netip.Prefix]int{}, known: map[fingerprint]time.Time{},
	}
}

// print makes the fingerprint. A zero byte is in none of the parts.
func (s *scratch) print(name, pass []byte, hash string) (f fingerprint) {
	s.mac.Reset()
	s.plain = append(append(s.plain, 0), hash...) // the plain text has room, and ends with the password
	s.mac.Write(name)
	s.mac.Write(s.plain[len(s.plain)-len(hash)-1 : len(s.plain)-len(hash)])
	s.mac.Write(pass)
	s.mac.Write(s.plain[len(s.plain)-len(hash)-1:])
	s.sum = s.mac.Sum(s.sum[:0])
	copy(f[:], s.sum)
	return f
}

// remembers says whether a password was right lately.
func (c *checks) remembers(f fingerprint, now time.Time) bool {
	c.mu.RLock()
	until, ok := c.known[f]
	c.mu.RUnlock()
	return ok && now.Before(until)
}

// remember keeps that a password was right. Where there are too many, others are forgotten: those that are over, or else any.
func (c *checks) remember(f fingerprint, now time.Time, d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		seen := 0
		for old, until := range c.known {
			if seen++; seen > 16 && len(c.known) < maxKnown {
				break
			}
			if seen > 16 || !now.Before(until) {
				delete(c.known, old)
			}
		}
	}
	c.known[f] = now.Add(d)
}

var (
	errBusy    = errors.New("too many passwords are being checked, and this one had to wait too long")
	errCrowded = errors.New("too many passwords from this address wait to be checked")
)

// check checks a password, once there is a place for it. Again says whether it has turned out to be right while it waited; it may be nil.
func (c *checks) check(ctx context.Context, from netip.Addr, h *password.Hash, pass []byte, again func() bool) (bool, error) {
	if err := c.enter(ctx, from); err != nil {
		return false, err
	}
	defer func() { <-c.places }()
	if again != nil && again() {
		return true, nil
	}
	return h.Matches(pass), nil
}

// try is check without waiting: said is false where all places are taken.
func (c *checks) try(h *password.Hash, pass []byte) (right, said bool) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
		return h.Matches(pass), true
	default:
		return false, false
	}
}

// enter takes a place, for which it may have to wait.
func (c *checks) enter(ctx context.Context, from netip.Addr) error {
	select {
	case c.places <- struct{}{}:
		return nil
	default:
	}
	who := network(from)
	if err := c.join(who); err != nil {
		return err
	}
	defer c.leave(who)
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case c.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return filter.Reject(filter.ClientClosed, "").Because(context.Cause(ctx))
	case <-timer.C:
		return busy(errBusy)
	}
}

// join takes a place in the queue.
func (c *checks) join(who netip.Prefix) error {
	c.queue.Lock()
	defer c.queue.Unlock()
	switch {
	case c.queued[who] >= maxEach:
		return filter.Reject(filter.TooManyFailures, "Too many passwords from this address wait to be checked. Try again later.").
			Because(errCrowded).With("Retry-After", retryText)
	case c.total >= maxQueue:
		return busy(errBusy)
	}
	c.queued[who]++
	c.total++
	return nil
}

func (c *checks) leave(who netip.Prefix) {
	c.queue.Lock()
	defer c.queue.Unlock()
	c.total--
	if c.queued[who]--; c.queued[who] == 0 {
		delete(c.queued, who)
	}
}

func busy(why error) error {
	return filter.Reject(filter.AuthUnavailable, "").Because(why).With("Retry-After", retryText)
}

// network is what one caller may well have all addresses of.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
