package mtls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

const (
	maxFound  = 20_000           // certificates that something is kept of, in each of the maps
	forgetBad = 10 * time.Second // how long a refusal is kept: the certificate may become good
)

// verdict is what was found out about a certificate. It never changes.
type verdict struct {
	identity *filter.Identity
	err      error
	until    time.Time
	leaf     []string // the field Client-Cert; nil where it is not passed on
	chain    []string // the field Client-Cert-Chain
}

// cache keeps verdicts. Whoever keeps a connection open has the same certificate in memory for each request, which is found at once;
// others are found by what the client sent.
type cache struct {
	mu     sync.RWMutex
	open   map[*x509.Certificate]*verdict // good ones alone, which do not depend on what else was sent; it holds the keys, so that none is used anew
	byText map[[sha256.Size]byte]*verdict
}

func newCache() *cache {
	return &cache{open: map[*x509.Certificate]*verdict{}, byText: map[[sha256.Size]byte]*verdict{}}
}

// get returns what is known of a chain, or finds it out. Alike says that nothing but the first certificate shows in a good verdict.
func (c *cache) get(sent []*x509.Certificate, alike bool, now time.Time, find func() *verdict) *verdict {
	if alike {
		c.mu.RLock()
		v := c.open[sent[0]]
		c.mu.RUnlock()
		if v != nil && now.Before(v.until) {
			return v
		}
	}
	sum := digest(sent)
	c.mu.RLock()
	v := c.byText[sum]
	c.mu.RUnlock()
	known := v != nil && now.Before(v.until)
	if !known {
		v = find()
	}
	open := alike && v.err == nil
	if known && !open {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.byText, sum, v)
	if open {
		put(c.open, sent[0], v)
	}
	return v
}

// put adds to a bounded map. Where it is full, any other makes room.
func put[K comparable](m map[K]*verdict, k K, v *verdict) {
	if _, there := m[k]; !there && len(m) >= maxFound {
		for other := range m {
			delete(m, other)
			break
		}
	}
	m[k] = v
}

// digest stands for all that a client sent.
func digest(sent []*x509.Certificate) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range sent {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(c.Raw)))
		h.Write(size[:])
		h.Write(c.Raw)
	}
	h.Sum(sum[:0])
	return sum
}
