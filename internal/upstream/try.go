package upstream

import (
	"context"
	"io"
	"net/http"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/balance"
	"cardea.dev/cardea/internal/upstream/breaker"
)

// send makes one try at an endpoint. It leaves the answer's head in x.response, or returns why there is none.
func (x *call) send(e *endpoint, ticket breaker.Ticket) *failure {
	x.begin(e, ticket)
	x.info.Start = x.began
	return x.arrive(x.cluster.pool.RoundTrip(x.limited, &x.out, e.target, &x.info))
}

// arrive notes what came of the present try.
func (x *call) arrive(resp *http.Response, err error) *failure {
	a := &x.ex.Attempts[x.attempt]
	a.Connect, a.FirstByte, a.Reused = x.info.Connect, x.info.FirstByte, x.info.Reused
	if x.info.Connect > 0 && !x.info.Reused { // else it was another's, and was waited for
		x.cluster.metrics.dialled.Inc()
	}
	if err != nil {
		f := classify(err, x.ctx, x.limited)
		x.overdue(&f)
		if x.fresh = f.fresh; f.fresh && x.hedges == 0 {
			x.tried = x.tried[:len(x.tried)-1]
		}
		a.Err = f.err
		x.learn(&f)
		x.endTry(outcomeOfFailure(f), f.err)
		return &f
	}
	a.Status = resp.StatusCode
	x.response, x.rc = resp, resp.Body
	x.learn(nil)
	return nil
}

// begin prepares a try.
func (x *call) begin(e *endpoint, ticket breaker.Ticket) {
	c := x.cluster
	x.tries++
	x.tried = append(x.tried, e.member)
	x.try = try{endpoint: e, ticket: ticket, attempt: len(x.ex.Attempts), began: x.chosen}
	x.info.Fresh = x.fresh
	x.ended.Store(false)
	x.ex.Attempts = append(x.ex.Attempts, filter.Attempt{Upstream: c.name, Endpoint: e.name, Start: x.began})
	if x.ex.Interim != nil {
		x.info.Interim = x.interim
	}
	x.out.Host = c.hostFor(x.req, e)
	if x.tries > 1 {
		x.renewBody()
	}
	x.span = x.ex.Span.Client(c.spanName)
	if x.span.Recording() {
		x.span.Set("server.address", e.name)
		x.span.Set("http.request.method", x.req.Method)
		x.span.Set("http.request.resend_count", x.tries-1)
	}
	x.span.Inject(x.out.Header)
	x.passDeadline()
	e.state.load.Begin()
	x.limitTry()
}

// hostFor is the Host field that an endpoint sees.
func (c *Cluster) hostFor(req *http.Request, e *endpoint) string {
	switch c.config.Host {
	case "keep", "":
		return req.Host
	case "rewrite":
		return e.host
	}
	return c.config.Host
}

// renewBody sets the body for a further try.
func (x *call) renewBody() {
	switch {
	case x.body != nil:
		x.out.Body = x.body.reader
	case x.req.GetBody != nil && x.req.Body != nil && x.req.Body != http.NoBody:
		if again, err := x.req.GetBody(); err == nil {
			x.out.Body = again
		} else {
			x.out.Body = io.NopCloser(unreadable{err})
		}
	}
}

// unreadable is a body that cannot be had.
type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }

// limitTry sets the time for the try, until its answer begins.
func (x *call) limitTry() {
	x.limited = x.ctx
	limit, cause := time.Duration(x.cluster.config.Timeout.Try), errTryTimeout
	if !x.limit.IsZero() {
		if rest := max(1, time.Until(x.limit)); limit == 0 || rest <= limit {
			limit, cause = rest, x.late
		}
	}
	if limit > 0 {
		x.limited, x.cancel = context.WithCancelCause(x.ctx)
		cancel := x.cancel
		x.timer = time.AfterFunc(limit, func() { cancel(cause) })
	}
}

// limitBody sets the time for the answer's body: what is left for the whole request.
func (x *call) limitBody() {
	if x.timer == nil || !x.timer.Stop() {
		return // there is no limit, or it was reached
	}
	if x.response.StatusCode != http.StatusSwitchingProtocols && !x.limit.IsZero() {
		cancel, late := x.cancel, x.late
		x.timer = time.AfterFunc(time.Until(x.limit), func() { cancel(late) })
	}
}

// result is what the client gets of the last try.
func (x *call) result(failed *failure) (*http.Response, error) {
	x.ex = nil
	if failed != nil {
		x.leave()
		return nil, failed.err
	}
	resp := x.response
	x.limitBody()
	switch {
	case resp.Body == nil || resp.Body == http.NoBody:
		x.end(x.outcome(), nil)
		return resp, nil
	case resp.StatusCode == http.StatusSwitchingProtocols:
		if rw, ok := resp.Body.(io.ReadWriteCloser); ok {
			resp.Body = &tunnel{body{x}, rw}
		}
	default:
		resp.Body = body{x}
	}
	// A probe has shown what it is sent for when there is a good answer. It must not hold the breaker up for as long as that streams.
	if o := x.outcome(); x.ticket.Probe() && o.tripping == breaker.Success {
		x.told = true
		x.cluster.report(x.ticket, o.tripping)
	}
	return resp, nil
}

// discard ends a try that is to be repeated.
func (x *call) discard(failed *failure) {
	if failed == nil {
		x.drain()
		x.endTry(x.outcome(), nil)
	}
	x.out.Header = x.req.Header.Clone() // the last try may still be writing the old one
	if x.out.Header == nil {
		x.out.Header = http.Header{}
	}
}

// drained is how much of an answer that nobody wants is read for the sake of its connection, and drainTime how long that may take.
const (
	drained   = 4 << 10
	drainTime = 20 * time.Millisecond
)

// drain reads the rest of an answer if it is short, so that the connection can be used again.
func (x *call) drain() {
	if n := x.response.ContentLength; n >= 0 && n <= drained {
		rc := x.rc // not that of another try, when the guard is late
		guard := time.AfterFunc(drainTime, func() { _ = rc.Close() })
		_, _ = io.CopyN(io.Discard, rc, n+1)
		guard.Stop()
	}
	_ = x.rc.Close()
}

// outcome is how a try went, for those who count.
type outcome struct {
	tripping breaker.Outcome // for the breaker
	ejecting breaker.Outcome // for ejection
}

// outcome is how the try went, by the status of its answer.
func (x *call) outcome() (o outcome) {
	c, status := x.cluster, x.response.StatusCode
	if c.tripping.has(status) {
		o.tripping = breaker.Failure
	}
	if c.ejecting.has(status) {
		o.ejecting = breaker.Failure
	}
	return o
}

// outcomeOfFailure is how a try went that failed.
func outcomeOfFailure(f failure) outcome {
	if f.blame {
		return outcome{breaker.Failure, breaker.Failure}
	}
	return outcome{breaker.Ignored, breaker.Ignored}
}

// report tells the breaker, if there is one.
func (c *Cluster) report(t breaker.Ticket, o breaker.Outcome) {
	if c.breaker != nil {
		c.breaker.Report(t, o, c.now())
	}
}

// failurePenalty is the least that a failure counts as when the speed of endpoints is compared: one that fails at once is not fast.
const failurePenalty = time.Second

// endTry counts a try, once.
func (x *call) endTry(o outcome, err error) {
	if !x.ended.CompareAndSwap(false, true) {
		return
	}
	c := x.cluster
	now := c.clock()
	if x.timer != nil {
		x.timer.Stop()
	}
	if x.cancel != nil {
		x.cancel(nil)
	}
	status, took := 0, now.Sub(x.began)
	if x.response != nil {
		if status = x.response.StatusCode; status == http.StatusSwitchingProtocols {
			took = x.info.FirstByte
		}
	}
	c.metrics.tried(status, took)
	x.endpoint.state.load.End()
	at := c.memory.at(now)
	speed := took
	if x.response != nil { // how long the body takes is also the client's doing
		speed = x.info.FirstByte
	}
	c.observe(x.endpoint.state.load, o.ejecting, speed, at)
	if !x.told && c.breaker != nil {
		c.breaker.Report(x.ticket, o.tripping, at)
	}
	if c.outliers != nil && o.ejecting != breaker.Ignored && c.outliers.Report(&x.endpoint.state.record, o.ejecting == breaker.Failure, at) {
		c.log.Warn("endpoint ejected", "endpoint", x.endpoint.name, "error", err, "status", status)
		c.ejected(1)
	}
	if x.span.Recording() {
		x.span.Set("http.response.status_code", status)
		if err != nil {
			x.span.Fail(err)
		}
	}
	x.span.End()
}

// observe notes how fast an endpoint was.
func (c *Cluster) observe(l *balance.Load, o breaker.Outcome, took time.Duration, at int64) {
	switch o {
	case breaker.Success:
		l.Observe(took, at, c.decay())
	case breaker.Failure:
		l.AtLeast(max(took, failurePenalty), at, c.decay())
	case breaker.Ignored:
		l.AtLeast(took, at, c.decay())
	}
}

// end ends the last try, and the request.
func (x *call) end(o outcome, err error) {
	x.endTry(o, err)
	x.leave()
}

// body is the body of an answer.
type body struct{ *call }

// Read reads the answer. What breaks it off is a *filter.Error.
func (b body) Read(p []byte) (int, error) {
	n, err := b.rc.Read(p)
	switch err {
	case nil:
	case io.EOF:
		b.end(b.outcome(), nil)
	case http.ErrBodyReadAfterClose:
	default:
		f := classify(err, b.ctx, b.limited)
		b.end(outcomeOfFailure(f), f.err)
		err = f.err
	}
	return n, err
}

// Buffered says how many bytes can be read without waiting, at least.
func (b body) Buffered() int {
	if there, ok := b.rc.(interface{ Buffered() int }); ok {
		return there.Buffered()
	}
	return 0
}

// Close gives up what was not read.
func (b body) Close() error {
	err := b.rc.Close()
	if b.ended.Load() {
		return err
	}
	if b.ctx.Err() != nil {
		f := ended(b.ctx, nil)
		b.end(outcomeOfFailure(f), f.err)
		return err
	}
	b.end(b.outcome(), nil)
	return err
}

// Recycle gives the answer back, header and all, for use by another request. It may be called once, by who knows that nobody holds any
// of it. It does nothing where that is not sure to be so.
func (b body) Recycle() {
	x := b.call
	rc, ok := x.rc.(interface{ Recycle() bool })
	if ok && x.tries == 1 && x.cancel == nil && x.ended.Load() && rc.Recycle() {
		*x = call{interim: x.interim}
		calls.Put(x)
	}
}

// tunnel is what an upgraded connection is after its 101: bytes both ways. The end of one way is not the end of it.
type tunnel struct {
	body
	rw io.ReadWriteCloser
}

// Read reads what the endpoint sends.
func (t *tunnel) Read(p []byte) (int, error) { return t.rw.Read(p) }

// Write sends to the endpoint.
func (t *tunnel) Write(p []byte) (int, error) { return t.rw.Write(p) }

// CloseWrite tells the endpoint that no more will be sent.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.rw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.rw.Close()
}
