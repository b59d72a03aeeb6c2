// Package keep holds what must outlive a reload: counters, health, pools, caches. A snapshot takes what it needs through a
// Scope; a value that no scope holds any more is closed. It knows nothing of what it holds. The compiler and the engine use it.
package keep

import (
	"errors"
	"io"
	"sync"
)

// Keeper holds values by key. Snapshots are built one after the other: two scopes never make the same value at once.
type Keeper struct {
	mu     sync.Mutex
	values map[string]*value
}

type value struct {
	v     any
	users int
}

// New returns an empty Keeper.
func New() *Keeper { return &Keeper{values: map[string]*value{}} }

// Scope returns the view of one snapshot. It implements filter.Keeper.
func (k *Keeper) Scope() *Scope { return &Scope{keeper: k, held: map[string]bool{}} }

// Scope is what one snapshot holds.
type Scope struct {
	keeper *Keeper
	held   map[string]bool // guarded by keeper.mu
}

// Keep returns the value with a key, or makes it. Making may itself keep other values.
func (s *Scope) Keep(key string, make func() (any, error)) (any, error) {
	if v, ok := s.hold(key, nil); ok {
		return v, nil
	}
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
	for _, v := range s.release() {
		if c, ok := v.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// release returns the values that nobody holds any more. They are closed without the lock: closing may take a while.
func (s *Scope) release() []any {
	k := s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	var orphans []any
	for key := range s.held {
		kept := k.values[key]
		kept.users--
		if kept.users == 0 {
			delete(k.values, key)
			orphans = append(orphans, kept.v)
		}
	}
	clear(s.held)
	return orphans
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
