package upstream

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/upstream/balance"
	"cardea.dev/cardea/internal/upstream/outlier"
)

// memory is what is known of an upstream beyond one configuration of it: how each endpoint does, connections, the breaker. When
// the settings change, the new Cluster takes over what its own settings leave as it was.
type memory struct {
	epoch time.Time     // where the clock of all its parts begins
	group balance.Group // what all endpoints have to do together

	mu    sync.Mutex
	parts map[string]*part
}

// part is something that Clusters share, until none of them holds it.
type part struct {
	v     any
	users int
}

// newMemory returns an empty memory.
func newMemory() *memory { return &memory{epoch: time.Now(), parts: map[string]*part{}} }

// clock is the time as it has run since the epoch, which is cheaper to have than time.Now, and does not jump.
func (m *memory) clock() time.Time { return m.epoch.Add(time.Since(m.epoch)) }

// at is a time by the clock of the parts.
func (m *memory) at(t time.Time) int64 { return int64(t.Sub(m.epoch)) }

// hold returns the part with a key, or makes it. It is to be given back once.
func hold[T any](m *memory, key string, make func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.parts[key]
	if p == nil {
		p = &part{v: make()}
		m.parts[key] = p
	}
	p.users++
	return p.v.(T)
}

// give gives a part back. The last to do so closes it, and gets true.
func (m *memory) give(key string) bool {
	m.mu.Lock()
	p := m.parts[key]
	p.users--
	last := p.users == 0
	if last {
		delete(m.parts, key)
	}
	m.mu.Unlock()
	if c, ok := p.v.(io.Closer); ok && last {
		_ = c.Close()
	}
	return last
}

// state is how an endpoint does.
type state struct {
	load   *balance.Load
	record outlier.Record
	sick   atomic.Bool // what the last health check came to
}

// endpointKey is the key of an endpoint's state.
func endpointKey(id string) string { return "endpoint " + id }

// holdState returns the state of an endpoint.
func (m *memory) holdState(id string) *state {
	return hold(m, endpointKey(id), func() *state { return &state{load: balance.NewLoad(&m.group)} })
}
