package engine

import (
	"strings"
	"sync"
	"unsafe"
)

// Bounds of what is remembered, in numbers and bytes.
const (
	maxFailed      = 4096
	maxFailedBytes = 8 << 20
	maxFine        = 1024 // of the slow ones, and of the others
	maxFineBytes   = 4 << 20
	slowMS         = 1000
	maxText        = 16 << 10 // of a cause
)

// recent remembers requests: those that failed or lack something, slow ones, and the others that made calls. Each of the three has room of its own, so that
// what is common does not drive out what is rare.
type recent struct {
	mu                 sync.Mutex
	failed, slow, fine memory
}

func newRecent(size int) *recent {
	return &recent{
		failed: memory{count: size, most: maxFailedBytes}, slow: memory{count: maxFine, most: maxFineBytes}, fine: memory{count: maxFine, most: maxFineBytes},
	}
}

// add remembers a request that failed.
func (r *recent) add(p Past) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed.add(p)
}

// finish remembers a request that is over. What is known already of its failure stays.
func (r *recent) finish(p Past) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := r.failed.byID[p.RequestID]; ok && r.failed.ring[i].Time.Equal(p.Time) {
		known := r.failed.ring[i].Past
		p.Code, p.Source, p.Detail, p.Cause, p.Limit, p.LimitKey = known.Code, known.Source, known.Detail, known.Cause, known.Limit, known.LimitKey
		if p.Status == 0 {
			p.Status = known.Status // nothing was sent
		}
		r.failed.replace(i, p)
		return
	}
	switch {
	case p.lacking():
		r.failed.add(p)
	case p.TookMS >= slowMS:
		r.slow.add(p)
	default:
		r.fine.add(p)
	}
}

// find returns the latest request with an id.
func (r *recent) find(id string) (Past, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range []*memory{&r.failed, &r.slow, &r.fine} {
		if i, ok := m.byID[id]; ok {
			return m.ring[i].Past, true
		}
	}
	return Past{}, false
}

// memory is a ring of requests that is bounded in number and bytes. The oldest ones are forgotten.
type memory struct {
	count, most int
	ring        []remembered
	first, n    int
	bytes       int
	byID        map[string]int
}

type remembered struct {
	Past
	bytes int
}

func (m *memory) add(p Past) {
	if m.ring == nil {
		m.ring, m.byID = make([]remembered, m.count), make(map[string]int, m.count)
	}
	p.own()
	size := p.size()
	for m.n > 0 && (m.n == len(m.ring) || m.bytes+size > m.most) {
		m.forget()
	}
	i := (m.first + m.n) % len(m.ring)
	m.ring[i] = remembered{p, size}
	m.byID[p.RequestID] = i
	m.n++
	m.bytes += size
}

// replace puts a request in the place of what was known of it.
func (m *memory) replace(i int, p Past) {
	p.own()
	size := p.size()
	m.bytes += size - m.ring[i].bytes
	m.ring[i] = remembered{p, size}
	for m.n > 1 && m.bytes > m.most {
		m.forget()
	}
}

// forget forgets the oldest.
func (m *memory) forget() {
	old := &m.ring[m.first]
	if m.byID[old.RequestID] == m.first {
		delete(m.byID, old.RequestID)
	}
	m.bytes -= old.bytes
	*old = remembered{}
	m.first = (m.first + 1) % len(m.ring)
	m.n--
}

// own has texts in memory of their own, which are parts of the request's head otherwise, and would keep all of that.
func (p *Past) own() {
	p.RequestID, p.Method, p.LimitKey = strings.Clone(p.RequestID), strings.Clone(p.Method), strings.Clone(p.LimitKey)
	p.Detail, p.Cause = clipped(p.Detail), clipped(p.Cause)
	for i := range p.Calls {
		p.Calls[i].Path, p.Calls[i].Why = strings.Clone(p.Calls[i].Path), strings.Clone(p.Calls[i].Why)
	}
}

// clipped is a text, or the beginning of one that would drive out many others.
func clipped(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return strings.Clone(s)
}

// size is about how many bytes a request takes.
func (p *Past) size() int {
	n := int(unsafe.Sizeof(remembered{})) + len(p.RequestID) + len(p.Client) + len(p.Method) + len(p.URL) + len(p.Detail) + len(p.Cause) + len(p.Limit) + len(p.LimitKey) + len(p.CacheWhy)
	n += sizeOfAttempts(p.Attempts)
	for i := range p.Calls {
		c := &p.Calls[i]
		n += int(unsafe.Sizeof(*c)) + len(c.Path) + len(c.Why) + sizeOfAttempts(c.Attempts)
		if c.Time != nil {
			n += int(unsafe.Sizeof(*c.Time))
		}
		if c.Loop != nil {
			n += int(unsafe.Sizeof(*c.Loop))
		}
		for _, name := range c.After {
			n += int(unsafe.Sizeof(name)) + len(name)
		}
	}
	return n
}

func sizeOfAttempts(all []AttemptOut) (n int) {
	for i := range all {
		n += int(unsafe.Sizeof(all[i])) + len(all[i].Endpoint) + len(all[i].Error)
	}
	return n
}
