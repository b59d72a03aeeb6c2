// Package keep holds what must outlive a reload: counters, health, pools, caches. A snapshot takes what it needs through a
// Scope; a value that no scope holds any more is closed. It knows nothing of what it holds. The compiler and the engine use it.
package keep

import (
	"errors"
	"io"
	"sync"
	"time"
)

// Keeper holds values by key. Snapshots are built one after the other: two scopes never make the same value at once.
type Keeper struct {
	mu      sync.Mutex
	values  map[string]*value
	closing map[string]chan struct{} // of values that nobody holds any more; closed when they are
}

type value struct {
	v     any
	users int
}

// New returns an empty Keeper.
func New() *Keeper { return &Keeper{values: map[string]*value{}, closing: map[string]chan struct{}{}} }

// patience is how long Keep waits for the one before with the same key to be closed.
const patience = 10 * time.Second

// Scope returns the view of one snapshot. It implements filter.Keeper.
func (k *Keeper) Scope() *Scope { return &Scope{keeper: k, held: map[string]bool{}} }

// Scope is what one snapshot holds.
type Scope struct {
	keeper *Keeper
	held   map[string]bool // guarded by keeper.mu
}

// Keep returns the value with a key, or makes it, once one with that key is closed that nobody holds any more: both may want the same file. Making may
// itself keep other values.
func (s *Scope) Keep(key string, make func() (any, error)) (any, error) {
	if v, ok := s.hold(key, nil); ok {
		return v, nil
	}
	s.keeper.settle(key)
	v, err := make()
	if err != nil {
		return nil, err
	}
	held, _ := s.hold(key, &value{v: v})
	return held, nil
}

// hold holds the value with a key. Where there is none it takes fresh, if that is given.
func (s *Scope) hold(key string, fresh *value) (any, bool) {
	k := s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.values[key]
	if kept == nil {
		if fresh == nil {
			return nil, false
		}
		kept = fresh
		k.values[key] = kept
	}
	if !s.held[key] {
		s.held[key] = true
		kept.users++
	}
	return kept.v, true
}

// Close lets go of all that the scope holds, and closes what nobody else does.
func (s *Scope) Close() error {
	var errs []error
	for key, o := range s.release() {
		if c, ok := o.v.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
		s.keeper.closed(key, o.done)
	}
	return errors.Join(errs...)
}

// orphan is a value that nobody holds any more.
type orphan struct {
	v    any
	done chan struct{} // to be closed when it is
}

// release returns the values that nobody holds any more. They are closed without the lock: closing may take a while.
func (s *Scope) release() map[string]orphan {
	k := s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	orphans := map[string]orphan{}
	for key := range s.held {
		kept := k.values[key]
		kept.users--
		if kept.users == 0 {
			delete(k.values, key)
			done := make(chan struct{})
			k.closing[key] = done
			orphans[key] = orphan{kept.v, done}
		}
	}
	clear(s.held)
	return orphans
}

// closed notes that an orphan is closed.
func (k *Keeper) closed(key string, done chan struct{}) {
	close(done)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closing[key] == done {
		delete(k.closing, key)
	}
}

// settle waits until no value with a key is being closed.
func (k *Keeper) settle(key string) {
	k.mu.Lock()
	done := k.closing[key]
	k.mu.Unlock()
	if done == nil {
		return
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// Each calls f with every value that is held.
func (k *Keeper) Each(f func(v any)) {
	k.mu.Lock()
	all := make([]any, 0, len(k.values))
	for _, kept := range k.values {
		all = append(all, kept.v)
	}
	k.mu.Unlock()
	for _, v := range all {
		f(v)
	}
}
