package aggregate

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"

	"cardea.dev/cardea/filter"
)

// run is one request that is being answered. A goroutine of its own, the conductor, starts each request of a call once it can be made. It alone evaluates
// conditions and templates for that, on an exchange of its own; so does each request, while it is under way, with a goroutine. Whoever writes the answer waits
// for one result after the other, and has the exchange that the answer is for.
type run struct {
	of       *aggregate
	id       string
	own      *filter.Exchange // the conductor's
	at, seen scope            // of own, and of the exchange that the answer is for
	ctx      context.Context
	cancel   context.CancelCauseFunc
	due      time.Time // when the calls must have been answered; zero: there is no such time
	began    time.Time
	body     any    // of the client
	boundary string // of a multipart answer

	// The conductor's own.
	calls []progress
	under int           // how many requests are under way
	begun []*request    // those that have no goroutine yet
	ended chan *request // those whose goroutine has ended

	results []result
	came    chan int      // calls that have a place in the answer and whose result is there; closed at the end
	held    []int         // was taken out of came already
	over    chan struct{} // the conductor has ended, and all calls with it
	failure error         // why there is no answer; set before over is closed
	tried   []filter.Attempt
	drained []io.Closer // bodies of answers that were read to their end
	last    string      // the upstream of the last request

	memory memory
	shared map[asked]*fetched // those that may be made once for all; the conductor's
}

// scope is what expressions see: the run, and the element of a loop.
type scope struct {
	*run
	as   string // name of the element; "": there is none
	item any
}

// result is what came of a call. Nobody changes it once ready is closed, and before that only the conductor does.
type result struct {
	part
	state state
	err   error // why it failed
	began time.Time
	took  time.Duration
	ready chan struct{}

	requests tally // of the call
}

// state is what became of a call.
type state int

const (
	answered state = iota
	skipped        // its condition did not hold
	broken         // it failed
)

// progress is how far a call has come.
type progress struct {
	at   int // waiting, running, done
	loop *loop
}

const (
	waiting = iota
	running
	done
)

func newRun(a *aggregate, ex *filter.Exchange) *run {
	n := len(a.steps)
	r := &run{
		of: a, id: ex.ID, calls: make([]progress, n), results: make([]result, n), begun: make([]*request, 0, n), ended: make(chan *request, n), came: make(chan int, n), over: make(chan struct{}),
		tried: make([]filter.Attempt, 0, n), drained: make([]io.Closer, 0, n), began: time.Now(),
	}
	r.memory.full = a.full
	r.memory.left.Store(a.maxMemory)
	if a.timeout > 0 {
		r.due = r.began.Add(a.timeout)
	}
	r.ctx, r.cancel = context.WithCancelCause(ex.Context())
	r.own, r.at.run = ex.Detach(r.ctx), r
	a.at.Set(r.own, &r.at)
	r.seen.run = r
	a.at.Set(ex, &r.seen)
	for i := range r.results {
		r.results[i].ready = make(chan struct{})
	}
	return r
}

// conduct makes the calls, until all have ended or a required one has failed.
func (r *run) conduct() {
	defer close(r.came)
	defer close(r.over)
	for {
		for s := r.startable(); s != nil; s = r.startable() {
			r.start(s)
		}
		for _, q := range r.begun { // all that begin at once have found those that are the same
			go r.carryOut(q) // ends with its context
		}
		clear(r.begun)
		r.begun = r.begun[:0]
		if r.under == 0 {
			return
		}
		r.take(<-r.ended)
	}
}

// startable returns a call that waits for nothing any more, or else a loop that can go on, while more requests may be under way; else nil. A loop, however
// long, holds up no call.
func (r *run) startable() *step {
	if r.failure != nil || r.under >= r.of.parallel {
		return nil
	}
	for _, s := range r.of.steps {
		if r.calls[s.index].at == waiting && !slices.ContainsFunc(s.after, func(j int) bool { return r.calls[j].at != done }) {
			return s
		}
	}
	for _, s := range r.of.steps {
		if p := &r.calls[s.index]; p.at == running && p.loop != nil && (p.loop.ended() || p.loop.under < s.each.parallel && p.loop.more()) {
			return s
		}
	}
	return nil
}

// start begins a call, if it is to be made. A loop that has begun makes another turn, or ends.
func (r *run) start(s *step) {
	res, p := &r.results[s.index], &r.calls[s.index]
	if p.at == running {
		r.turn(s, p.loop)
		return
	}
	p.at, res.began = running, time.Now()
	wanted, err := r.look(s, p)
	switch {
	case err != nil:
		res.err = err
	case !wanted:
		res.state = skipped
	case p.loop != nil:
		return // its turns come one by one
	default:
		if res.err = r.request(r.ctx, s, 0); res.err == nil {
			return
		}
	}
	r.finish(s)
}

// look says whether a call is to be made. Where it is a loop, it readies that.
func (r *run) look(s *step, p *progress) (wanted bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
	}()
	if !s.Wanted(r.own) {
		return false, nil
	}
	if s.each != nil {
		p.loop, err = r.newLoop(s)
	}
	return true, err
}

// request makes a request of a call, which conduct then sends. Its error is why there is none.
func (r *run) request(ctx context.Context, s *step, element int) (err error) {
	limited := s.Limit(ctx, r.due, r.of.late)
	q := &request{step: s, element: element, limited: limited, values: make([]any, len(s.sets)), memory: &r.memory, began: time.Now()}
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
		if err != nil {
			limited.End()
			q.err, q.took = err, time.Since(q.began)
			r.results[s.index].requests.add(q)
		}
	}()
	for k, lookup := range s.sets {
		q.values[k], _ = lookup(r.own)
	}
	req, err := s.Request(limited, r.own)
	if err != nil {
		return s.unable(err)
	}
	if err := q.take(req.ContentLength); err != nil {
		return err
	}
	q.Exchange = *r.own.Child(req)
	q.Span = r.own.Span.Child(s.span)
	if l := r.calls[s.index].loop; l != nil {
		q.left = &l.left
	}
	r.share(q)
	r.under++
	r.begun = append(r.begun, q)
	return nil
}

// carryOut sends a request, and takes the answer.
func (r *run) carryOut(q *request) {
	defer func() {
		if v := recover(); v != nil {
			q.err = r.panicked(v)
		}
		if q.err != nil {
			q.give(q.spent)
		}
		if q.err != nil || q.rest == nil {
			q.limited.End()
		}
		q.took = time.Since(q.began)
		r.trace(q)
		r.ended <- q
	}()
	q.part, q.err = r.fetch(q)
}

// take takes what a request has brought.
func (r *run) take(q *request) {
	r.under--
	r.results[q.step.index].requests.add(q)
	r.tried = append(r.tried, q.Attempts...)
	if q.drained != nil {
		r.drained = append(r.drained, q.drained)
	}
	if q.Upstream != "" {
		r.last = q.Upstream
	}
	s := q.step
	switch l := r.calls[s.index].loop; {
	case r.failure != nil: // which the others have been told
		q.close()
	case l != nil:
		l.under--
		l.put(s, q.element, q.part, q.err)
	default:
		r.results[s.index].part, r.results[s.index].err = q.part, q.err
		r.finish(s)
	}
}

// finish ends a call.
func (r *run) finish(s *step) {
	res := &r.results[s.index]
	if res.err != nil {
		res.state = broken
	}
	res.took = time.Since(res.began)
	r.calls[s.index].at = done
	if r.failure = r.settle(s.index); r.failure != nil {
		r.cancel(r.failure) // and wait for the others
	}
}

// settle takes note of what a call has brought. Its error is why there is no answer.
func (r *run) settle(i int) error {
	s, res := r.of.steps[i], &r.results[i]
	r.of.metrics.of(i, res)
	if res.state == broken {
		if cause := context.Cause(r.ctx); cause != nil {
			return cause // the client has left, or the route's time is over
		}
		if !s.optional {
			return r.of.failure(s, res.err)
		}
	}
	if res.state != answered && s.standIn != nil {
		res.raw, res.value, res.there = s.standIn, s.standInValue, true
	}
	close(res.ready)
	if !s.hide && res.shown() {
		r.came <- i
	}
	return nil
}

// isReady says whether the result of a call is there.
func (r *run) isReady(i int) bool {
	select {
	case <-r.results[i].ready:
		return true
	default:
		return false
	}
}

// result waits for the result of a call.
func (r *run) result(i int) (*result, error) {
	select {
	case <-r.results[i].ready:
		return &r.results[i], nil
	case <-r.over:
	}
	if r.isReady(i) {
		return &r.results[i], nil
	}
	return nil, r.failure
}

// failed is why there is no answer, once that is known.
func (r *run) failed() error {
	select {
	case <-r.over:
		return r.failure
	default:
		return nil
	}
}

// next returns the next call with a place in the answer whose result is there. At the end it is false.
func (r *run) next() (i int, ok bool) {
	if len(r.held) > 0 {
		i, r.held = r.held[0], nil
		return i, true
	}
	i, ok = <-r.came
	return i, ok
}

// wait waits until the answer can begin.
func (r *run) wait() error {
	if r.of.begin == "first" {
		i, ok := r.next()
		if !ok {
			return r.failure
		}
		r.held = []int{i}
	}
	for i, s := range r.of.steps {
		if s.told || r.of.begin == "all" || r.of.begin == "required" && !s.optional {
			if _, err := r.result(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// end ends all calls, and waits for that. Then the heads of answers are the upstreams' again, where these have a use for them.
func (r *run) end() {
	r.cancel(context.Canceled)
	<-r.over
	for i := range r.results {
		r.results[i].close()
		r.results[i].heads = nil
	}
	for _, body := range r.drained {
		if body, ok := body.(interface{ Recycle() }); ok {
			body.Recycle()
		}
	}
	r.drained = nil
	r.own.Release()
}

// panicked is the failure of what panics.
func (r *run) panicked(v any) error {
	r.of.log.Error("panic while composing an answer", "request_id", r.id, "route", r.of.route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	return filter.Reject(filter.InternalError, "").Because(fmt.Errorf("panic: %v", v))
}
