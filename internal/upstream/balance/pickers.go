package balance

import (
	"sync/atomic"
	"time"
)

// roundRobin takes the members in turn.
type roundRobin struct {
	candidates
	next atomic.Uint64
}

// Pick returns the next member. One that does not suit is replaced at random, so that its neighbour does not get its share. A
// further try is no turn: it would bring the next request back to the member that has just failed.
func (p *roundRobin) Pick(q Query) int {
	if len(q.Tried) > 0 {
		return int(p.draw(&q))
	}
	i := p.slots[p.next.Add(1)%uint64(len(p.slots))]
	if p.suits(i, &q) {
		return int(i)
	}
	return int(p.draw(&q))
}

// random takes the members at random.
type random struct{ candidates }

// Pick returns a member at random.
func (p *random) Pick(q Query) int { return int(p.draw(&q)) }

// leastRequest takes the better of two, by what they have to do. That is nearly as good as taking the best of all, and many
// gateways that do it do not all run to the same endpoint (Mitzenmacher, "The power of two choices").
type leastRequest struct{ candidates }

// Pick returns the one of two members that has less to do.
func (p *leastRequest) Pick(q Query) int {
	a, b := p.pair(&q)
	if a == b {
		return int(a)
	}
	// Members are drawn by weight already: with nothing to do, the first is taken.
	busyA, busyB := float64(p.members[a].Load.Active()), float64(p.members[b].Load.Active())
	if busyB*p.share(a, q.Now) < busyA*p.share(b, q.Now) {
		return int(b)
	}
	return int(a)
}

// ewma takes the better of two, by how long a request will probably take.
type ewma struct {
	candidates
	decay time.Duration
}

// Pick returns the one of two members that will answer sooner.
func (p *ewma) Pick(q Query) int {
	a, b := p.pair(&q)
	if a == b {
		return int(a)
	}
	costA, costB := p.members[a].Load.cost(q.Now, p.decay), p.members[b].Load.cost(q.Now, p.decay)
	if costB*p.share(a, q.Now) < costA*p.share(b, q.Now) {
		return int(b)
	}
	return int(a)
}
