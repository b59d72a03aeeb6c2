package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/upstream/breaker"
	"cardea.dev/cardea/internal/upstream/latency"
)

// hedger says when a request is sent once more because its answer takes long. It outlives reloads.
type hedger struct {
	after   config.HedgeAfter
	atLeast time.Duration
	methods []string
	budget  *budget
	times   latency.Estimate // until answers began
	sent    atomic.Int64
	won     atomic.Int64
}

// hedgeSamples is how many answers there must have been for a percentile of them to mean something.
const hedgeSamples = 50

// buildHedge takes over or makes what hedges.
func (c *Cluster) buildHedge() {
	h := c.config.Hedge
	if h == nil || h.Off {
		return
	}
	key := "hedge " + digest(h)
	c.hedge = hold(c.memory, key, func() *hedger {
		return &hedger{
			after: h.After, atLeast: time.Duration(h.AtLeast), methods: h.Methods,
			budget: &budget{window: breaker.NewWindow(budgetWindow), share: float64(h.Max), min: 1},
		}
	})
	c.parts = append(c.parts, key)
}

// wait is how long an answer may take before the request is sent once more; 0: it is not.
func (h *hedger) wait(now int64) time.Duration {
	if h.after.Time > 0 {
		return time.Duration(h.after.Time)
	}
	d, n := h.times.Percentile(now, h.after.Percentile)
	if n < hedgeSamples {
		return 0
	}
	return max(d, h.atLeast)
}

// hedgeAfter is how long the answer to the first try may take before the request is sent once more; 0: it is not. Requests with a body are not: two
// tries at once would read it.
func (x *call) hedgeAfter() time.Duration {
	c := x.cluster
	if c.hedge == nil || x.tries > 0 || x.req.Body != nil && x.req.Body != http.NoBody || !slices.Contains(c.hedge.methods, x.req.Method) ||
		x.req.Header["Upgrade"] != nil || c.table.Load().inUse < 2 {
		return 0
	}
	return c.hedge.wait(c.memory.at(x.chosen))
}

// race is a try, and maybe a second one beside it. The goroutine that has the exchange counts and decides; each try's round trip is on one of its own,
// which ends soon after the try is cancelled, touches nothing of the exchange, and is waited for when the Cluster closes.
type race struct {
	*call
	arrivals chan *leg // as large as there are legs, so that nobody waits to send
	interims chan interim
	running  []*leg
	place    bool // the second has a place of its own at the gate
}

// leg is one of the tries.
type leg struct {
	try
	out    http.Request
	answer *http.Response
	err    error
	hedge  bool // it is the second
	state  atomic.Int32
}

// The states of a leg.
const (
	underWay int32 = iota
	arrived        // it is in the channel
	lost           // nobody waits for it
)

// interim is an interim answer.
type interim struct {
	status int
	header http.Header
}

var errHedgeLost = errors.New("the other of two tries at once was answered first")

// race makes a try, and another one beside it when the answer takes longer than it may. The first answer counts.
func (x *call) race(e *endpoint, ticket breaker.Ticket, after time.Duration) *failure {
	r := &race{call: x, arrivals: make(chan *leg, 2), interims: make(chan interim)}
	defer r.end()
	r.start(e, ticket)
	timer := time.NewTimer(after)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			r.hedge(e)
		case i := <-r.interims:
			x.ex.Interim(i.status, i.header)
		case l := <-r.arrivals:
			r.running = slices.DeleteFunc(r.running, func(other *leg) bool { return other == l })
			failed := r.take(l)
			if len(r.running) == 0 || x.ctx.Err() != nil || failed == nil && !r.disappoints() {
				r.count(l, failed)
				return failed
			}
			if failed == nil {
				x.drain()
				x.endTry(x.outcome(), nil)
			}
		}
	}
}

// start sends the request.
func (r *race) start(e *endpoint, ticket breaker.Ticket) {
	x := r.call
	x.begin(e, ticket)
	if x.cancel == nil {
		x.limited, x.cancel = context.WithCancelCause(x.limited)
	}
	l := &leg{try: x.try, out: x.out, hedge: len(r.running) > 0}
	l.info.Start, l.info.Fresh, l.info.Interim = x.began, x.fresh, nil
	l.out.Header = x.out.Header.Clone()
	url := *x.out.URL
	l.out.URL = &url
	if x.ex.Interim != nil {
		l.info.Interim = r.interim(l.limited)
	}
	r.running = append(r.running, l)
	pool := x.cluster.pool
	x.cluster.tasks.Go(func() { // ends when l.cancel is called at the latest
		l.answer, l.err = pool.RoundTrip(l.limited, &l.out, l.endpoint.target, &l.info)
		if l.state.CompareAndSwap(underWay, arrived) {
			r.arrivals <- l
		} else if l.answer != nil {
			_ = l.answer.Body.Close()
		}
	})
}

// interim hands interim answers to the goroutine that has the exchange.
func (r *race) interim(ctx context.Context) func(int, http.Header) error {
	return func(status int, header http.Header) error {
		select {
		case r.interims <- interim{status, header.Clone()}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take takes over what came of a leg: it is the present try from now on.
func (r *race) take(l *leg) *failure {
	r.try = l.try
	r.ended.Store(false)
	return r.arrive(l.answer, l.err)
}

// disappoints says whether the answer is one that would be tried again.
func (r *race) disappoints() bool {
	p := r.cluster.retry
	return p != nil && p.statuses.has(r.response.StatusCode)
}

// hedge sends the request once more, to another endpoint, if nothing speaks against it.
func (r *race) hedge(first *endpoint) {
	x, c := r.call, r.cluster
	e, ticket, err := x.choose()
	if err != nil {
		c.metrics.hedged[hedgeNoEndpoint].Inc()
		return
	}
	now := c.memory.at(x.chosen)
	if why := r.mayHedge(first, e, ticket, now); why != "" {
		c.report(ticket, breaker.Ignored)
		c.metrics.hedged[why].Inc()
		return
	}
	x.hedges++
	c.hedge.sent.Add(1)
	r.start(e, ticket)
	if x.span.Recording() {
		x.span.Set("cardea.hedge", true)
	}
}

// mayHedge says why the request is not to be sent once more, or "". If it is, its share of the budget and a place at the gate are taken.
func (r *race) mayHedge(first, second *endpoint, ticket breaker.Ticket, now int64) string {
	c := r.cluster
	switch {
	case second == first:
		return hedgeNoEndpoint
	case ticket.Probe():
		return hedgeBreaker
	case !c.hedge.budget.retry(now):
		return hedgeBudget
	case c.gate == nil:
		return ""
	case !c.gate.try(r.ex.Priority, now):
		c.hedge.budget.window.Take(now, 1)
		return hedgeLimit
	}
	r.place = true
	return ""
}

// count counts what came of a hedge, the leg being the last that mattered.
func (r *race) count(l *leg, failed *failure) {
	switch {
	case r.hedges == 0:
	case failed != nil:
		r.cluster.metrics.hedged[hedgeFailed].Inc()
	case l.hedge:
		r.cluster.hedge.won.Add(1)
		r.cluster.metrics.hedged[hedgeWon].Inc()
	default:
		r.cluster.metrics.hedged[hedgeLost].Inc()
	}
}

// end gives up what is still under way. That says nothing about the endpoint, but that it took so long at least.
func (r *race) end() {
	c := r.cluster
	for _, l := range r.running {
		if !l.state.CompareAndSwap(underWay, lost) {
			<-r.arrivals // it came just now
			if l.answer != nil {
				_ = l.answer.Body.Close()
			}
		}
		if l.timer != nil {
			l.timer.Stop()
		}
		l.cancel(errHedgeLost)
		r.ex.Attempts[l.attempt].Err = errHedgeLost
		now := c.clock()
		at, took := c.memory.at(now), now.Sub(l.began)
		l.endpoint.state.load.End()
		c.observe(l.endpoint.state.load, breaker.Ignored, took, at)
		c.hedge.times.Add(at, took)
		c.report(l.ticket, breaker.Ignored)
		if l.span.Recording() {
			l.span.Set("cardea.hedge.lost", true)
		}
		l.span.End()
	}
	if r.place {
		c.gate.leave(0)
	}
}
