package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/balance"
	"cardea.dev/cardea/internal/upstream/breaker"
	"cardea.dev/cardea/internal/upstream/pool"
	"cardea.dev/cardea/observe"
)

// call is one request to the upstream, with its tries. When there is an answer, it is that answer's body too, so that what is
// counted ends with the last byte.
type call struct {
	cluster *Cluster
	ex      *filter.Exchange // nil once Do has returned
	req     *http.Request    // as Do was given it
	ctx     context.Context  // of the exchange
	out     http.Request     // as it is sent
	body    *replay          // nil: there is none, or it is in memory
	limit   time.Time        // when the whole request must be done; zero: no limit
	late    error            // what it is when that passes: errRequestTimeout or errClientDeadline
	until   time.Time        // by when the endpoint was told to be done; zero: it was not
	grpc    bool             // deadlines are passed on as gRPC does
	tries   int
	hedges  int       // of those, tries that were made beside another
	chosen  time.Time // when the endpoint of the present try was
	tried   []*balance.Member
	first   [4]*balance.Member // where tried begins
	fresh   bool               // the last try had a connection that the endpoint no longer wanted
	left    atomic.Bool        // those under way are counted without it
	interim func(status int, header http.Header) error

	try               // the present one
	ended atomic.Bool // the present try was counted
}

// calls are calls that are over, and of which nobody holds anything.
var calls = sync.Pool{New: func() any {
	x := &call{}
	x.interim = x.passInterim
	return x
}}

// passInterim passes an interim answer on.
func (x *call) passInterim(status int, header http.Header) error {
	x.ex.Interim(status, header)
	return nil
}

// try is one round trip.
type try struct {
	endpoint *endpoint
	ticket   breaker.Ticket
	told     bool // the breaker knows how it went
	attempt  int  // index in ex.Attempts
	began    time.Time
	info     pool.Info
	span     observe.Span
	limited  context.Context         // ctx, or one that may end sooner
	cancel   context.CancelCauseFunc // of limited; nil: it is ctx
	timer    *time.Timer             // that cancels; may be nil
	response *http.Response
	rc       io.ReadCloser // its body, as the pool gave it
}

// Do sends a request to an endpoint and returns the head of the answer; the body streams, and must be closed. It tries again
// where the settings say so and nothing speaks against it. It sets ex.Upstream and adds each try to ex.Attempts. Its errors are *filter.Error, and so are those of
// reading the body. It does not close the request's body.
func (c *Cluster) Do(ex *filter.Exchange, req *http.Request) (*http.Response, error) {
	if ex.Dry {
		return nil, filter.Reject(filter.InternalError, "").Because(errDry)
	}
	ex.Upstream = c.name
	x, err := c.begin(ex, req)
	if err != nil {
		return nil, err
	}
	chosen, ticket, err := x.choose()
	if err != nil {
		x.leave()
		c.metrics.refuse(err)
		return nil, err
	}
	c.budget.request(c.memory.at(x.chosen))
	if c.hedge != nil {
		c.hedge.budget.request(c.memory.at(x.chosen))
	}
	for {
		var failed *failure
		if after := x.hedgeAfter(); after > 0 {
			failed = x.race(chosen, ticket, after)
		} else {
			failed = x.send(chosen, ticket)
		}
		reason := x.retryReason(failed)
		if reason == "" || !x.wait(failed) {
			return x.result(failed)
		}
		if chosen, ticket, err = x.choose(); err != nil {
			return x.result(failed) // what came of the last try says more than that there was no further one
		}
		if x.body != nil && !x.body.again() {
			c.report(ticket, breaker.Ignored)
			return x.result(failed)
		}
		c.metrics.retries[reason].Inc()
		x.discard(failed)
	}
}

var errDry = errors.New("a dry exchange must send nothing")

// begin lets a request in.
func (c *Cluster) begin(ex *filter.Exchange, req *http.Request) (*call, error) {
	x := calls.Get().(*call)
	x.cluster, x.ex, x.req, x.ctx, x.out, x.tried = c, ex, req, req.Context(), *req, x.first[:0]
	if x.out.Header == nil {
		x.out.Header = http.Header{}
	}
	x.setDeadline()
	if c.gate != nil {
		now := c.now()
		if err := c.gate.enter(x.ctx, ex.Priority, x.limit, now); err != nil {
			return nil, x.shed(err, now)
		}
	}
	c.metrics.inFlight.Inc()
	if !x.limit.IsZero() && time.Until(x.limit) <= 0 {
		x.leave()
		refused := reject(filter.UpstreamTimeout, x.late)
		c.metrics.refuse(refused)
		return nil, refused
	}
	x.prepareBody()
	return x, nil
}

// shed is the error for a request that was not let in.
func (x *call) shed(err error, now int64) error {
	c := x.cluster
	switch {
	case x.ctx.Err() != nil:
		return ended(x.ctx, err).err
	case err == errOutOfTime:
		refused := reject(filter.UpstreamTimeout, errors.Join(err, x.late))
		c.metrics.refuse(refused)
		return refused
	}
	c.metrics.shed[classOf(x.ex.Priority)].Inc()
	refused := reject(filter.UpstreamOverloaded, err).With("Retry-After", c.gate.retryAfter(now))
	c.metrics.refuse(refused)
	return refused
}

// prepareBody sees to it that the body can be sent again, if the request may have to be.
func (x *call) prepareBody() {
	if x.req.Body == nil || x.req.Body == http.NoBody || x.req.GetBody != nil {
		return
	}
	p, keep := x.cluster.retry, 0
	if p == nil {
		return
	}
	if p.repeatable(x.req.Method) {
		keep = p.maxBody
	}
	x.body = newReplay(x.req.Body, x.req.ContentLength, keep)
	x.out.Body = x.body.reader
}

// leave ends the whole request for what counts those under way.
func (x *call) leave() {
	if !x.left.CompareAndSwap(false, true) {
		return
	}
	x.cluster.metrics.inFlight.Dec()
	if x.cluster.gate != nil {
		x.cluster.gate.leave(x.cluster.now())
	}
}

// choose returns the endpoint for the next try, and the breaker's permission.
func (x *call) choose() (*endpoint, breaker.Ticket, error) {
	c := x.cluster
	t, err := c.endpointsFor(x.ctx)
	if err != nil {
		return nil, breaker.Ticket{}, err
	}
	x.chosen = c.clock()
	now := c.memory.at(x.chosen)
	var ticket breaker.Ticket
	if c.breaker != nil {
		var ok bool
		if ticket, ok = c.breaker.Allow(now); !ok {
			seconds := math.Ceil(c.breaker.Status(now).OpenFor.Seconds())
			return nil, ticket, filter.Reject(filter.UpstreamBreakerOpen, "").With("Retry-After", strconv.Itoa(max(1, int(seconds))))
		}
	}
	i := t.picker.Pick(balance.Query{Hash: c.hash(x.ex), Now: now, Tried: x.tried})
	if i < 0 {
		c.report(ticket, breaker.Ignored)
		return nil, ticket, reject(filter.UpstreamUnavailable, t.why())
	}
	return t.endpoints[i], ticket, nil
}

// endpointsFor returns the endpoints. Before the first look-up has ended it waits, as long as it would for a connection.
func (c *Cluster) endpointsFor(ctx context.Context) (*table, error) {
	if t := c.table.Load(); t != nil && len(t.endpoints) > 0 {
		return t, nil
	}
	timer := time.NewTimer(or(c.config.Timeout.Connect, 5*time.Second))
	defer timer.Stop()
	select {
	case <-c.resolved:
	case <-ctx.Done():
		return nil, ended(ctx, ctx.Err()).err
	case <-c.ctx.Done():
		return nil, reject(filter.UpstreamUnavailable, errClosed)
	case <-timer.C:
	}
	if t := c.table.Load(); t != nil && len(t.endpoints) > 0 {
		return t, nil
	}
	return nil, reject(filter.UpstreamNotResolved, c.resolveError())
}

var errClosed = errors.New("the upstream is no longer part of the configuration")

// why says why none of the endpoints may be used.
func (t *table) why() error {
	var sick, off int
	for _, e := range t.endpoints {
		switch {
		case e.weight == 0:
			off++
		case e.sick.Load():
			sick++
		}
	}
	return fmt.Errorf("of %d endpoints %d are unhealthy and %d have the weight 0", len(t.endpoints), sick, off)
}

// hash is the hash of what endpoints are chosen by. Without it, chance decides.
func (c *Cluster) hash(ex *filter.Exchange) uint64 {
	if c.key == nil {
		return rand.Uint64()
	}
	if key, ok := c.key(ex); ok && key != "" {
		return balance.HashKey(key)
	}
	return rand.Uint64()
}

// retryReason says why the try is to be repeated, or "" when it is not.
func (x *call) retryReason(failed *failure) string {
	p := x.cluster.retry
	if p == nil || x.tries-x.hedges > p.times || x.ctx.Err() != nil {
		return ""
	}
	reason, sent := reasonStatus, true
	if failed != nil {
		reason, sent = failed.reason, failed.sent
		if !p.failures[reason] {
			return ""
		}
	} else if !p.statuses.has(x.response.StatusCode) {
		return ""
	}
	if sent && !p.repeatable(x.req.Method) || x.body != nil && !x.body.repeatable() {
		return ""
	}
	if !x.cluster.budget.retry(x.cluster.now()) {
		x.cluster.metrics.exhausted.Inc()
		return ""
	}
	return reason
}

// wait waits before a retry. It reports false when there is no time for one, or the client has left.
func (x *call) wait(failed *failure) bool {
	pause := x.cluster.retry.pause(x.tries)
	if x.tries == 1 && failed != nil && (failed.fresh || !failed.sent && x.cluster.table.Load().inUse > 1) {
		pause = 0 // the endpoint is well, or another one is not burdened by what this one could not take
	}
	if !x.limit.IsZero() && time.Until(x.limit) <= pause {
		return false
	}
	return sleep(x.ctx, pause)
}
