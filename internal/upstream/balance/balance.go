// Package balance chooses the endpoint of a request. It knows how much each endpoint has to do and how fast it was, and
// nothing of connections, health or retries: which endpoints may be chosen is said to it.
//
// Only package upstream imports it. A choice takes no lock, allocates nothing, and costs the same for three endpoints as for
// ten thousand.
package balance

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Algorithm is a way to choose.
type Algorithm string

// The algorithms.
const (
	RoundRobin   Algorithm = "round_robin"   // in turn, by weight
	LeastRequest Algorithm = "least_request" // of two, the one with less to do
	EWMA         Algorithm = "ewma"          // of two, the one that will answer sooner
	Random       Algorithm = "random"        // by weight
	Hash         Algorithm = "hash"          // the same for the same key
)

// Options say how endpoints are chosen.
type Options struct {
	By        Algorithm
	Bound     float64       // Hash: how much more than its share an endpoint may have; 0: any
	Decay     time.Duration // EWMA: how long slow answers are remembered
	SlowStart time.Duration // in which a new endpoint comes up to its share; 0: at once
}

// Member is an endpoint as it takes part in the choice. It is immutable but for its Load.
type Member struct {
	Name   string // unique; Hash goes by it
	Weight int    // 0: never chosen
	Load   *Load
}

// Query is what one choice is made for.
type Query struct {
	Hash  uint64    // of the key; Hash alone looks at it
	Now   int64     // nanoseconds, by the clock that the Loads go by
	Tried []*Member // not to be chosen again while there are others
}

// Picker chooses among the members that it was built for.
type Picker interface {
	// Pick returns the index of a member, or -1 when none may be chosen.
	Pick(q Query) int
}

// Balancer builds pickers. It keeps what is costly to make from one to the next, and is used by one goroutine at a time.
type Balancer struct {
	options Options
	group   *Group
	ring    *ring // the last one
}

// New returns a Balancer. The group is that of the members' Loads.
func New(o Options, group *Group) *Balancer {
	if o.Decay <= 0 {
		o.Decay = 10 * time.Second
	}
	return &Balancer{options: o, group: group}
}

// Build returns a Picker over the members that are usable; usable[i] says so of members[i].
func (b *Balancer) Build(members []*Member, usable []bool) Picker {
	var order []uint32
	for i, m := range members {
		if usable[i] && m.Weight > 0 {
			order = append(order, uint32(i))
		}
	}
	if len(order) == 0 {
		return none{}
	}
	if b.options.By == Hash {
		return b.buildHash(members, order)
	}
	c := candidates{members: members, order: order, slots: schedule(members, order), slowStart: int64(b.options.SlowStart)}
	switch b.options.By {
	case LeastRequest:
		return &leastRequest{c}
	case EWMA:
		return &ewma{c, b.options.Decay}
	case Random:
		return &random{c}
	}
	rr := &roundRobin{candidates: c}
	rr.next.Store(rand.Uint64N(uint64(len(c.slots))))
	return rr
}

// none is the choice among nothing.
type none struct{}

func (none) Pick(Query) int { return -1 }

// candidates are the members that may be chosen, each as often in slots as its weight says.
type candidates struct {
	members   []*Member
	order     []uint32 // each once
	slots     []uint32
	slowStart int64
}

// suits reports whether a member may be taken: it was not tried, and if it is still warming up, chance allows it.
func (c *candidates) suits(i uint32, q *Query) bool {
	m := c.members[i]
	if len(q.Tried) > 0 && slices.Contains(q.Tried, m) {
		return false
	}
	if c.slowStart == 0 {
		return true
	}
	warm := m.Load.warmth(q.Now, c.slowStart)
	return warm >= 1 || rand.Float64() < warm
}

// draws is how often chance is asked before any member that was not tried will do.
const draws = 8

// draw returns a member at random, by weight.
func (c *candidates) draw(q *Query) uint32 {
	for range draws {
		i := c.slots[rand.Uint64N(uint64(len(c.slots)))]
		if c.suits(i, q) {
			return i
		}
	}
	return c.any(q)
}

// any returns a member that was not tried, or just any when all were.
func (c *candidates) any(q *Query) uint32 {
	start := rand.IntN(len(c.order))
	for k := range c.order {
		i := c.order[(start+k)%len(c.order)]
		if !slices.Contains(q.Tried, c.members[i]) {
			return i
		}
	}
	return c.order[start]
}

// pair returns two members at random, by weight, that differ where there are two that were not tried.
func (c *candidates) pair(q *Query) (a, b uint32) {
	if len(c.order) == 2 && len(q.Tried) == 0 && c.slowStart == 0 {
		if c.slots[rand.Uint64N(uint64(len(c.slots)))] == c.order[0] { // the first wins ties, so it is drawn by weight
			return c.order[0], c.order[1]
		}
		return c.order[1], c.order[0]
	}
	a = c.draw(q)
	for range draws {
		if b = c.draw(q); b != a {
			break
		}
	}
	return a, b
}

// share is how much a member may carry in relation to others: its weight, less while it warms up.
func (c *candidates) share(i uint32, now int64) float64 {
	m := c.members[i]
	share := float64(m.Weight)
	if c.slowStart > 0 {
		share *= m.Load.warmth(now, c.slowStart)
	}
	return share
}
