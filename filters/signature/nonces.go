package signature

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxNonces is how many nonces are kept for each half of the time in which one could be used again.
const maxNonces = 200_000

// nonces are the nonces that were used. Each is kept for a span at least, and for two at most. They outlive reloads.
type nonces struct {
	span time.Duration

	mu        sync.Mutex
	now, last map[[sha256.Size]byte]struct{}
	began     time.Time
}

func newNonces(span time.Duration) *nonces {
	return &nonces{span: span, now: map[[sha256.Size]byte]struct{}{}}
}

// use says whether a nonce of a key is used for the first time, and false for full where it cannot be kept.
func (n *nonces) use(key, nonce string, at time.Time) (first, kept bool) {
	id := sha256.Sum256([]byte(key + "\x00" + nonce)) // a key id has no such character
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Sub(n.began) >= n.span {
		n.last, n.now = n.now, map[[sha256.Size]byte]struct{}{}
		if at.Sub(n.began) >= 2*n.span {
			n.last = nil
		}
		n.began = at
	}
	_, a := n.now[id]
	_, b := n.last[id]
	switch {
	case a || b:
		return false, true
	case len(n.now) >= maxNonces:
		return true, false
	}
	n.now[id] = struct{}{}
	return true, true
}
