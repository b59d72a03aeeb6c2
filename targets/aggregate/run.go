package aggregate

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

// run is one request that is being answered. A goroutine of its own, the conductor, starts each call once it can be made; each call has a goroutine while it
// is under way. They use an exchange of their own. Whoever writes the answer waits for one result after the other.
type run struct {
	of       *aggregate
	own      *filter.Exchange
	ctx      context.Context
	cancel   context.CancelCauseFunc
	due      time.Time // when the calls must have been answered; zero: there is no such time
	began    time.Time
	body     any    // of the client
	boundary string // of a multipart answer

	results []result
	ended   chan int      // calls whose goroutine has ended, for the conductor
	came    chan int      // calls that have a place in the answer and whose result is there; closed at the end
	held    []int         // was taken out of came already
	over    chan struct{} // the conductor has ended, and all calls with it
	failure error         // why there is no answer; set before over is closed

	mu     sync.Mutex
	shared map[string]*fetched // by request, of those that may be made once for all
}

// scope is what expressions see: the run, and the element of a loop.
type scope struct {
	*run
	as   string // name of the element; "": there is none
	item any
}

// result is what came of a call. Nobody changes it once ready is closed.
type result struct {
	part
	state state
	err   error // why it failed
	sent  []*filter.Exchange
	began time.Time
	took  time.Duration
	ready chan struct{}
}

// state is what became of a call.
type state int

const (
	answered state = iota
	skipped        // its condition did not hold
	broken         // it failed
)

// Progress of a call, which the conductor alone knows.
const (
	waiting = iota
	running
	done
)

func newRun(a *aggregate, ex *filter.Exchange, body any) *run {
	n := len(a.steps)
	r := &run{of: a, body: body, results: make([]result, n), ended: make(chan int, n), came: make(chan int, n), over: make(chan struct{}), began: time.Now()}
	if a.timeout > 0 {
		r.due = r.began.Add(a.timeout)
	}
	r.ctx, r.cancel = context.WithCancelCause(ex.Context())
	r.own = ex.Detach(r.ctx)
	a.at.Set(r.own, &scope{run: r})
	for i := range r.results {
		r.results[i].ready = make(chan struct{})
	}
	return r
}

// conduct makes the calls, until all have ended or a required one has failed.
func (r *run) conduct() {
	defer close(r.came)
	defer close(r.over)
	progress := make([]int8, len(r.results))
	under := r.start(progress, 0)
	for under > 0 {
		i := <-r.ended
		under--
		progress[i] = done
		if r.failure != nil {
			continue
		}
		if r.failure = r.settle(i); r.failure != nil {
			r.cancel(r.failure) // and wait for the others
			continue
		}
		under = r.start(progress, under)
	}
}

// start starts the calls that wait for nothing any more, as many as may be under way, and returns how many are.
func (r *run) start(progress []int8, under int) int {
	for i, s := range r.of.steps {
		if under >= r.of.parallel {
			break
		}
		if progress[i] == waiting && canStart(s, progress) {
			progress[i] = running
			under++
			go r.carryOut(i)
		}
	}
	return under
}

// canStart says whether all that a call needs is there.
func canStart(s *step, progress []int8) bool {
	for _, j := range s.after {
		if progress[j] != done {
			return false
		}
	}
	return true
}

// carryOut makes a call, if it is to be made.
func (r *run) carryOut(i int) {
	s, res := r.of.steps[i], &r.results[i]
	res.began = time.Now()
	defer func() {
		if v := recover(); v != nil {
			res.err = r.panicked(v)
		}
		if res.err != nil {
			res.state = broken
		}
		res.took = time.Since(res.began)
		r.ended <- i
	}()
	switch {
	case !s.Wanted(r.own):
		res.state = skipped
	case s.each != nil:
		r.loop(s, res)
	default:
		res.sent = make([]*filter.Exchange, 1)
		res.part, res.err = r.one(r.ctx, s, r.own, nil, &res.sent[0])
	}
}

// one makes one request, and takes its answer. At is the exchange whose values the request has; sent learns of the request's own.
func (r *run) one(ctx context.Context, s *step, at *filter.Exchange, left *room, sent **filter.Exchange) (p part, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
	}()
	values := make([]any, len(s.sets))
	for k, lookup := range s.sets {
		values[k], _ = lookup(at)
	}
	limited := s.Limit(ctx, r.due, r.of.late)
	req, err := s.Request(limited, at)
	if err != nil {
		limited.End()
		return part{}, s.unable(err)
	}
	child := r.own.Child(req)
	child.Span = r.own.Span.Child("call " + s.name)
	*sent = child
	defer func() { r.trace(s, child, err) }()
	return r.fetch(s, &request{Exchange: child, limited: limited, values: values, left: left})
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

// end ends all calls, and waits for that.
func (r *run) end() {
	r.cancel(context.Canceled)
	<-r.over
	for i := range r.results {
		if rest := r.results[i].rest; rest != nil {
			_ = rest.Close()
		}
	}
	r.own.Release()
}

func (r *run) panicked(v any) error {
	r.of.log.Error("panic while composing an answer", "request_id", r.own.ID, "route", r.own.Route.Name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	return filter.Reject(filter.InternalError, "").Because(fmt.Errorf("panic: %v", v))
}
