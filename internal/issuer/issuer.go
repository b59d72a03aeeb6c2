package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Settings say where an issuer's keys are and how they are renewed.
type Settings struct {
	Issuer    string         // `iss`, and where discovery begins
	Discovery string         // the document's URL; "": the well-known ones
	JWKS      string         // the URL of the keys; "": the document says it
	Roots     *x509.CertPool // nil: those of the system
	AllowHTTP bool
	Timeout   time.Duration // of a fetch, discovery included
	Refresh   time.Duration // between fetches
	Stale     time.Duration // how long keys that cannot be renewed are used; 0: without end
	Miss      time.Duration // between fetches because of keys that are not known
	Log       *slog.Logger
}

// Issuer is an issuer with its keys. It is safe for use by several goroutines.
type Issuer struct {
	settings  Settings
	client    *Client
	discovery *Discovery // nil where the keys' URL is given
	fixed     bool

	current atomic.Pointer[dated]

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	flight   *flight
	running  bool // the loop
	missed   time.Time
	failed   time.Time
	failures int
	said     string // what was logged last
}

// dated is a set with the time when it was last confirmed.
type dated struct {
	set *Set
	at  time.Time
}

// flight is a fetch that is under way. Err is set before done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// Fixed makes an issuer with keys that never change.
func Fixed(keys []*Key) *Issuer {
	i := &Issuer{fixed: true}
	i.current.Store(&dated{set: NewSet(keys)})
	return i
}

// New makes an issuer. It fetches nothing until Keys is called.
func New(s Settings) (*Issuer, error) {
	i := &Issuer{settings: s, client: NewClient(s.Roots, s.AllowHTTP, s.Timeout)}
	if s.JWKS == "" {
		d, err := NewDiscovery(i.client, s.Issuer, s.Discovery)
		if err != nil {
			return nil, err
		}
		i.discovery = d
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	return i, nil
}

// Close ends what goes on in the background.
func (i *Issuer) Close() error {
	if i.fixed {
		return nil
	}
	i.cancel()
	i.mu.Lock()
	i.running = true // none begins any more
	i.mu.Unlock()
	i.wg.Wait()
	i.client.Close()
	return nil
}

// Current returns the keys as they are known, or nil. It does not wait.
func (i *Issuer) Current() *Set {
	d := i.current.Load()
	if d == nil || i.settings.Stale > 0 && time.Since(d.at) > i.settings.Stale {
		return nil
	}
	return d.set
}

// Keys returns the keys, and waits for them where none are known yet.
func (i *Issuer) Keys(ctx context.Context) (*Set, error) {
	if set := i.Current(); set != nil {
		return set, nil
	}
	f := i.begin(false)
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	if set := i.Current(); set != nil {
		return set, nil
	}
	return nil, errors.New("the keys are too old")
}

// Renewed fetches the keys again, because seen lack one, and returns those that are known then. It does so not too often: who asks in
// between gets what is known.
func (i *Issuer) Renewed(ctx context.Context, seen *Set) *Set {
	if i.fixed {
		return seen
	}
	if set := i.Current(); set != nil && set != seen {
		return set
	}
	if f := i.begin(true); f != nil {
		_ = f.wait(ctx) // the keys that are known stay good
	}
	if set := i.Current(); set != nil {
		return set
	}
	return seen
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("the keys did not arrive in time: %w", context.Cause(ctx))
	}
}

// begin joins the fetch that is under way, or begins one. For a key that is missed it returns nil when that was done just now; else,
// after a failure, it says the same again for a moment.
func (i *Issuer) begin(miss bool) *flight {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	switch {
	case i.ctx.Err() != nil:
		return over(errors.New("the gateway is being stopped"))
	case i.flight != nil:
		return i.flight
	case miss && now.Sub(i.missed) < i.settings.Miss:
		return nil
	case !miss && i.failures > 0 && now.Sub(i.failed) < i.pause(time.Second):
		return over(errors.New(i.said))
	}
	if miss {
		i.missed = now
	}
	f := &flight{done: make(chan struct{})}
	i.flight = f
	i.wg.Go(func() { i.fly(f) })
	if !i.running {
		i.running = true
		i.wg.Go(i.renew)
	}
	return f
}

// over is a fetch that is over.
func over(err error) *flight {
	f := &flight{done: make(chan struct{}), err: err}
	close(f.done)
	return f
}

// fly does a fetch.
func (i *Issuer) fly(f *flight) {
	set, err := i.fetch()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.flight = nil
	f.err = err
	if err == nil {
		if last := i.current.Load(); last != nil && last.set.hash == set.hash {
			set = last.set // those who compare sets see that nothing has changed
		}
		i.current.Store(&dated{set, time.Now()})
		if i.failures > 0 {
			i.settings.Log.Info("the issuer's keys were renewed", "issuer", i.settings.Issuer)
		}
		i.failures, i.said = 0, ""
	} else if i.ctx.Err() == nil {
		i.failures++
		i.failed = time.Now()
		if text := err.Error(); text != i.said {
			i.said = text
			i.settings.Log.Warn("cannot renew the issuer's keys", "issuer", i.settings.Issuer, "error", err)
		}
	}
	close(f.done)
}

// fetch fetches the keys.
func (i *Issuer) fetch() (*Set, error) {
	ctx, cancel := context.WithTimeout(i.ctx, i.settings.Timeout)
	defer cancel()
	where := i.settings.JWKS
	if where == "" {
		doc, err := i.discovery.Get(ctx)
		if err != nil {
			return nil, err
		}
		if where = doc.JWKS; where == "" {
			return nil, fmt.Errorf("the document of %s names no jwks_uri", i.settings.Issuer)
		}
	}
	body, err := i.client.Get(ctx, where)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch the keys: %w", err)
	}
	keys, left, err := ParseSet(body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the keys of %s: %w", where, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no usable key at %s: %w", where, errors.Join(left...))
	}
	if len(left) > 0 {
		i.settings.Log.Debug("keys of the issuer are left out", "issuer", i.settings.Issuer, "error", errors.Join(left...))
	}
	return NewSet(keys), nil
}

// renew fetches again and again, until the end. It is begun by the first fetch.
func (i *Issuer) renew() {
	for {
		i.mu.Lock()
		pause := i.settings.Refresh - time.Duration(rand.Int64N(int64(i.settings.Refresh)/10+1))
		if i.failures > 0 {
			pause = min(pause, i.pause(30*time.Second))
		}
		i.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-i.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		i.again()
	}
}

// again does a fetch of the loop, or waits for the one that is under way.
func (i *Issuer) again() {
	i.mu.Lock()
	f := i.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		i.flight = f
		i.mu.Unlock()
		i.fly(f)
		return
	}
	i.mu.Unlock()
	<-f.done
}

// pause is how long to wait after failures: longer each time, up to most.
func (i *Issuer) pause(most time.Duration) time.Duration {
	return min(most, 250*time.Millisecond<<min(i.failures-1, 10))
}
