package aggregate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// run is one request that is being answered. The calls are conducted by a goroutine of its own, on an exchange of its own; each call has a goroutine while
// it is under way. Whoever writes the answer waits for one result after the other.
type run struct {
	of     *aggregate
	own    *filter.Exchange
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // the timer

	boundary string // of a multipart answer

	body    any // of the client
	element any // of the loop whose call is being made
	results []result
	ended   chan int      // calls that have ended, for the conductor
	came    chan int      // calls whose result is there, for who writes the answer
	over    chan struct{} // the conductor has ended
	failure error         // why there is no answer; set before failed is closed
	failed  chan struct{}

	mu     sync.Mutex
	shared map[string]*fetched // by request, of those that may be made once for all
}

// result is what came of a call. Nobody changes it once ready is closed.
type result struct {
	part
	state    state
	err      error // why it failed
	began    time.Time
	took     time.Duration
	children []*filter.Exchange // of its requests
	ready    chan struct{}
	looked   bool // there is a value to be looked into
}

// state is what became of a call.
type state int

const (
	waiting state = iota
	running
	answered
	skipped // its condition did not hold
	broken  // it failed
)

func newRun(a *aggregate, ex *filter.Exchange, given any) *run {
	n := len(a.steps)
	r := &run{
		of: a, body: given, results: make([]result, n), ended: make(chan int, n), came: make(chan int, n), over: make(chan struct{}), failed: make(chan struct{}),
		stop: func() {},
	}
	ctx := ex.Context()
	if a.timeout > 0 {
		ctx, r.stop = context.WithTimeoutCause(ctx, a.timeout, errLate)
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.own = ex.Detach(r.ctx)
	a.at.Set(r.own, r)
	for i := range r.results {
		r.results[i].ready = make(chan struct{})
	}
	return r
}

// conduct makes the calls, each as soon as it can be made, until all have ended or a required one has failed.
func (r *run) conduct() {
	defer close(r.over)
	defer r.recovered()
	under := 0
	for {
		started := r.start(&under)
		if under == 0 && !started {
			return // all have ended
		}
		if under == 0 {
			continue // what was skipped may let others go on
		}
		i := <-r.ended
		under--
		if err := r.settle(i); err != nil {
			r.fail(err)
			for ; under > 0; under-- {
				r.drop(<-r.ended)
			}
			return
		}
	}
}

// start starts the calls that wait for nothing any more, as many as may be under way. It says whether any has changed its state.
func (r *run) start(under *int) (any bool) {
	for i, s := range r.of.steps {
		if r.results[i].state != waiting || !r.canStart(s) {
			continue
		}
		if *under >= r.of.parallel {
			return any
		}
		any = true
		if !s.Wanted(r.own) {
			r.results[i].state = skipped
			r.publish(i)
			continue
		}
		r.results[i].state, r.results[i].began = running, time.Now()
		*under++
		if err := r.begin(i, s); err != nil {
			r.results[i].err = err
			r.ended <- i
		}
	}
	return any
}

// canStart says whether all that a call needs is there.
func (r *run) canStart(s *step) bool {
	for _, j := range s.after {
		if r.results[j].state <= running {
			return false
		}
	}
	return true
}

// begin makes the requests of a call, and has them sent.
func (r *run) begin(i int, s *step) error {
	values := make([]any, len(s.sets))
	for k, lookup := range s.sets {
		values[k], _ = lookup(r.own)
	}
	if s.each != nil {
		return r.beginEach(i, s, values)
	}
	req, err := s.Request(r.ctx, r.own)
	if err != nil {
		return &call.FormatError{Reason: err.Error()}
	}
	child := r.childFor(req, s)
	go r.carryOut(i, func(res *result) {
		res.children = []*filter.Exchange{child}
		res.part, res.err = r.fetch(s, child, values)
	})
	return nil
}

// childFor returns an exchange for a request of a call.
func (r *run) childFor(req *http.Request, s *step) *filter.Exchange {
	child := r.own.Child(req)
	child.Span = r.own.Span.Child("call " + s.name)
	return child
}

// carryOut does the work of a call.
func (r *run) carryOut(i int, work func(*result)) {
	res := &r.results[i]
	defer func() {
		if v := recover(); v != nil {
			res.err = r.panicked(v)
		}
		res.took = time.Since(res.began)
		r.ended <- i
	}()
	work(res)
}

// settle takes what a call has brought. Its error is why there is no answer.
func (r *run) settle(i int) error {
	s, res := r.of.steps[i], &r.results[i]
	r.trace(s, res)
	if res.err == nil {
		res.state, res.looked = answered, true
		r.of.metrics.of(i, "ok", res.took)
		r.publish(i)
		return nil
	}
	res.state = broken
	r.of.metrics.of(i, "failed", res.took)
	if cause := context.Cause(r.ctx); cause != nil {
		return r.interrupted(cause)
	}
	if !s.optional {
		return r.of.failure(s, res.err)
	}
	r.publish(i)
	return nil
}

// publish lets others see the result of a call.
func (r *run) publish(i int) {
	s, res := r.of.steps[i], &r.results[i]
	if res.state != answered && s.standIn != nil {
		res.raw = s.standIn
		if s.needed || r.of.composed.values {
			res.value, res.looked = parsed(s.standIn), true
		}
	}
	close(res.ready)
	r.came <- i
}

// parsed is a value that is JSON for certain.
func parsed(b []byte) any {
	v, err := document.Read(newReader(b), document.Limits{})
	if err != nil {
		return nil
	}
	return v
}

// drop gives up what a call has brought.
func (r *run) drop(i int) {
	if rest := r.results[i].rest; rest != nil {
		_ = rest.Close()
	}
}

// fail ends everything.
func (r *run) fail(err error) {
	r.failure = err
	close(r.failed)
	r.cancel(err)
}

// interrupted is why there is no answer when the time is over, or the client has left.
func (r *run) interrupted(cause error) error {
	if !errors.Is(cause, errLate) {
		return cause
	}
	var names []string
	for i := range r.results {
		if r.results[i].state <= running || errors.Is(r.results[i].err, errLate) {
			names = append(names, r.of.steps[i].name)
		}
	}
	return filter.Reject(filter.UpstreamTimeout, "The services that the answer is made of did not answer in time.").Because(
		fmt.Errorf("after %s these calls had not ended: %q", r.of.timeout, names))
}

// recovered keeps a panic of the conductor from ending the process.
func (r *run) recovered() {
	if v := recover(); v != nil {
		r.fail(r.panicked(v))
	}
}

func (r *run) panicked(v any) error {
	r.of.log.Error("panic while composing an answer", "request_id", r.own.ID, "route", r.own.Route.Name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	return filter.Reject(filter.InternalError, "").Because(fmt.Errorf("panic: %v", v))
}

// wait waits until the answer can begin.
func (r *run) wait(begin string) error {
	for i, s := range r.of.steps {
		if begin == "required" && s.optional {
			continue
		}
		if begin == "first" && (s.hide || r.of.composed.format != "json") {
			continue
		}
		select {
		case <-r.results[i].ready:
		case <-r.failed:
			return r.failure
		}
		if begin == "first" {
			break
		}
	}
	if begin == "first" && r.of.composed.format != "json" {
		return r.waitForOne()
	}
	return nil
}

// waitForOne waits for any result that is shown.
func (r *run) waitForOne() error {
	for range r.of.steps {
		select {
		case i := <-r.came:
			if r.of.steps[i].hide {
				continue
			}
			r.came <- i // it is the first
			return nil
		case <-r.failed:
			return r.failure
		}
	}
	return nil
}

// end ends all calls, and waits for that.
func (r *run) end() {
	r.cancel(context.Canceled)
	r.stop()
	<-r.over
	for i := range r.results {
		r.drop(i)
	}
	r.own.Release()
}
