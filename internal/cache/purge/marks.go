package purge

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

// State is whether a response may be used, as far as purges go.
type State uint8

// The states.
const (
	Valid  State = iota // not purged
	Soft                // purged softly: it is stale
	Purged              // not to be used any more
)

// String returns "valid", "soft" or "purged".
func (s State) String() string { return [...]string{"valid", "soft", "purged"}[s] }

// Marks are all purges there were. They are safe for use by several goroutines; looking takes no lock.
type Marks struct {
	seq        atomic.Uint64
	adding     sync.Mutex
	hard, soft class
}

// class are the purges of one kind, hard or soft.
type class struct {
	all        atomic.Uint64
	urls, tags table
	prefixes   prefixes
}

// New returns Marks without any.
func New() *Marks {
	m := &Marks{}
	for _, c := range []*class{&m.hard, &m.soft} {
		c.urls.bits, c.tags.bits = urlBits, tagBits
	}
	return m
}

// Seq returns the number of the latest purge, 0 before the first.
func (m *Marks) Seq() uint64 { return m.seq.Load() }

// Add notes a purge under the next number. From its return on Check knows it.
func (m *Marks) Add(p filter.Purge) (seq uint64) {
	m.adding.Lock()
	defer m.adding.Unlock()
	seq = m.seq.Load() + 1
	m.mark(seq, p)
	return seq
}

// Apply notes a purge that has a number already. Purges may come in any order, and more than once.
func (m *Marks) Apply(seq uint64, p filter.Purge) {
	m.adding.Lock()
	defer m.adding.Unlock()
	m.mark(seq, p)
}

// AtLeast has the next purge get a higher number than seq. Nothing is purged by it.
func (m *Marks) AtLeast(seq uint64) {
	m.adding.Lock()
	defer m.adding.Unlock()
	raise(&m.seq, seq)
}

// mark notes a purge. The number is told last: a response that has it was asked for when the mark was there.
func (m *Marks) mark(seq uint64, p filter.Purge) {
	c := &m.hard
	if p.Soft {
		c = &m.soft
	}
	switch {
	case p.All:
		c.purgeAll(seq)
	case p.Tag != "":
		c.tags.mark(xxhash.Sum64String(p.Tag), seq)
	case p.URL != "":
		for _, form := range forms(p.URL, false) {
			c.urls.mark(xxhash.Sum64String(form), seq)
			if path, _, asks := strings.Cut(form, "?"); asks {
				c.urls.mark(ofQueries(path), seq)
			}
		}
	case p.Prefix != "":
		for _, form := range forms(p.Prefix, true) {
			c.purgeAll(c.prefixes.add(form, seq))
		}
	}
	raise(&m.seq, seq)
}

// purgeAll notes a purge of all. Prefixes that were purged before that say nothing any more.
func (c *class) purgeAll(seq uint64) {
	if seq > c.all.Load() {
		c.all.Store(seq)
		c.prefixes.forget(seq)
	}
}

// Check says whether a response is purged. It does not allocate.
func (m *Marks) Check(r *stored.Response) State {
	if r.Seq >= m.seq.Load() {
		return Valid
	}
	url := bare(r.URL)
	switch {
	case m.hard.newer(r, url):
		return Purged
	case m.soft.newer(r, url):
		return Soft
	}
	return Valid
}

// newer says whether a response was purged after it had been asked for.
func (c *class) newer(r *stored.Response, url string) bool {
	if c.all.Load() > r.Seq || c.prefixes.latest(url) > r.Seq {
		return true
	}
	if c.urls.newest.Load() > r.Seq {
		if c.urls.newer(xxhash.Sum64String(url), r.Seq) || r.Terms.Flags.Has(stored.NoVarySearch) && c.anyQuery(url) > r.Seq {
			return true
		}
	}
	if c.tags.newest.Load() <= r.Seq {
		return false
	}
	for _, tag := range r.Tags {
		if c.tags.newer(xxhash.Sum64String(tag), r.Seq) {
			return true
		}
	}
	return false
}

// Latest returns the number of the latest purge, but for soft ones, that may be for what has a URL, 0 for none. Tags are not known of a URL, so that any
// purge of a tag is taken for one of it.
func (m *Marks) Latest(url string) uint64 {
	c := &m.hard
	url = bare(url)
	latest := max(c.all.Load(), c.prefixes.latest(url), c.tags.newest.Load())
	if c.urls.newest.Load() > latest {
		latest = max(latest, c.urls.latest(xxhash.Sum64String(url)), c.anyQuery(url))
	}
	return latest
}

// anyQuery returns the number of the latest purge of a URL with any query or none. It is taken for one of all responses for which parts of the query make no
// difference: which queries those are is not known when something is purged.
func (c *class) anyQuery(url string) uint64 {
	path, _, _ := strings.Cut(url, "?")
	return max(c.urls.latest(xxhash.Sum64String(path)), c.urls.latest(ofQueries(path)))
}

// ofQueries is the hash under which purges of a URL with any query are marked.
func ofQueries(path string) uint64 { return xxhash.Sum64String(path) ^ 0x9e3779b97f4a7c15 }

// bare is a URL without its scheme. Purges do not tell https from http: behind something that ends TLS and is not trusted to say so, the gateway does
// not know the scheme that clients, and those who purge, see.
func bare(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		return rest
	}
	return url
}

// raise sets a number to at least seq. Those who set it hold a lock.
func raise(number *atomic.Uint64, seq uint64) {
	if seq > number.Load() {
		number.Store(seq)
	}
}
