package oidc

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// revocations are the sessions in cookies that have ended before their time. Cookies cannot be taken back, so the gateway remembers
// which not to accept any more.
type revocations struct {
	count atomic.Int64 // of entries; most gateways have none
	floor atomic.Int64 // sessions made before are over, in ms since 1970

	mu      sync.RWMutex
	ended   map[name]int64 // sessions of a name made until then are over, in ms
	most    int
	cleaned time.Time
}

// name is a session, or all of a user, in one form.
type name [sha256.Size]byte

// nameOf makes a name of what kind of thing it is for, and its own.
func nameOf(kind, of string) name { return sha256.Sum256([]byte(kind + " " + of)) }

// maxRevocations is how many are remembered.
const maxRevocations = 100_000

func newRevocations() *revocations {
	return &revocations{ended: map[name]int64{}, most: maxRevocations}
}

// add ends the sessions of a name that were made until now. Life is the longest that any lasts. Where there are too many names, all sessions end
// that are as old as the oldest of them: rather a login too many than a session too long.
func (r *revocations) add(n name, now time.Time, life time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.cleaned) > time.Minute || len(r.ended) >= r.most {
		r.cleaned = now
		for old, until := range r.ended {
			if now.UnixMilli()-until > life.Milliseconds() {
				delete(r.ended, old)
			}
		}
	}
	if _, ok := r.ended[n]; !ok && len(r.ended) >= r.most {
		oldest, at := name{}, int64(1<<62)
		for other, until := range r.ended {
			if until < at {
				oldest, at = other, until
			}
		}
		delete(r.ended, oldest)
		r.floor.Store(max(at, r.floor.Load()))
	}
	r.ended[n] = now.UnixMilli()
	r.count.Store(int64(len(r.ended)))
}

// over says whether a session has ended.
func (r *revocations) over(s *session) bool {
	if s.Created <= r.floor.Load() {
		return true
	}
	if r.count.Load() == 0 {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := range s.names {
		if until, ok := r.ended[s.names[i]]; ok && s.Created <= until {
			return true
		}
	}
	return false
}
