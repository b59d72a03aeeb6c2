package sequence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// run is one request that is being answered. Its calls are made on an exchange of its own, whose context is not the client's.
type run struct {
	of     *sequence
	own    *filter.Exchange
	ctx    context.Context // of the steps
	cancel context.CancelCauseFunc
	stops  []func() // what else the context needs
	client context.Context
	life   context.Context // of undoing

	body    any    // of the client
	id      id     // of the client's key
	hold    *hold  // of the key in the store, or of what has none but a journal; nil: the store does not know of it
	base    string // of the keys of the calls
	now     int    // the step whose call, or undoing, is being made; -1: none
	results []result
	at      int // the step that failed; len(results): none of them
	tried   []filter.Attempt
	calls   []filter.Call // as they were made; tries of one, one after the other, are one

	upstream string // of the last call
}

// result is what came of a step.
type result struct {
	state  state
	was    state  // before it was undone
	raw    []byte // of the answer
	value  any
	looked bool   // there is an answer
	line   string // the request as it was made, without its query
	err    error  // why it failed
	left   error  // why it could not be undone
}

// state is what became of a step.
type state int

const (
	waiting state = iota
	skipped       // its condition did not hold
	failed        // it was not done
	unknown       // nobody knows
	done
	undone
	heldOn // done, or perhaps, and left so on purpose
	stuck  // done, or perhaps, and could not be undone
)

// String is the name of a state as the answer and the log have it.
func (s state) String() string {
	return [...]string{"waiting", "skipped", "failed", "unknown", "done", "undone", "kept", "stuck"}[s]
}

func newRun(s *sequence, ex *filter.Exchange, given any) *run {
	r := &run{of: s, body: given, results: make([]result, len(s.steps)), now: -1, at: len(s.steps), client: ex.Context(), life: context.Background()}
	ctx := s.kept.ctx
	if s.timeout > 0 {
		limited, stop := context.WithTimeoutCause(ctx, s.timeout, errLate)
		ctx, r.stops = limited, append(r.stops, stop)
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.own = ex.Detach(r.ctx)
	s.at.Set(r.own, r)
	return r
}

// end gives everything back, and tells the exchange what was tried for it.
func (r *run) end(ex *filter.Exchange) {
	r.cancel(context.Canceled)
	if r.hold != nil {
		r.hold.stop()
	}
	for _, stop := range r.stops {
		stop()
	}
	if r.upstream != "" {
		ex.Upstream = r.upstream
	}
	ex.Attempts = append(ex.Attempts, r.tried...)
	r.record(ex)
	r.own.Release()
}

// forward makes the calls, and the body of the answer. Its error is why that did not come to its end.
func (r *run) forward() (b []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
	}()
	for i, s := range r.of.steps {
		r.at, r.now = i, i
		if err := r.stopped(); err != nil {
			return nil, err
		}
		wanted, err := s.Holds(r.own)
		if err != nil {
			if err := r.stopped(); err != nil { // in the middle of it
				return nil, err
			}
			r.results[i].state, r.results[i].err = failed, unable(fmt.Errorf("cannot say whether its condition holds: %w", err), s.hangs)
			r.of.metrics.steps[i][failed].Inc()
			return nil, r.results[i].err
		}
		if !wanted {
			r.results[i].state = skipped
			r.of.metrics.steps[i][skipped].Inc()
			continue
		}
		if err := r.announce(i); err != nil {
			return nil, err
		}
		if err := r.make(r.ctx, i); err != nil {
			return nil, err
		}
	}
	r.at, r.now = len(r.results), -1
	return r.composed()
}

// stopped is why the next step is not to be begun.
func (r *run) stopped() error {
	if r.client.Err() != nil {
		if late := deadline(r.client); late != nil {
			return late
		}
		if !r.of.finish {
			return errLeft
		}
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return nil
}

// watch cuts the step under way when a deadline of the exchange passes, until the function that it returns is called. A client that leaves cuts none.
func (r *run) watch() (stop func() bool) {
	return context.AfterFunc(r.client, func() {
		if late := deadline(r.client); late != nil {
			r.cancel(late)
		}
	})
}

// deadline is the error of the deadline that has ended a context, or nil.
func deadline(ctx context.Context) error {
	var late *filter.Error
	if errors.As(context.Cause(ctx), &late) && late.Code != filter.ClientClosed {
		return late
	}
	return nil
}

// panicked keeps a panic from leaving behind what was done.
func (r *run) panicked(v any) error {
	r.of.log.Error("panic in a sequence", "request_id", r.own.ID, "route", r.of.route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	err := filter.Reject(filter.InternalError, "").Because(fmt.Errorf("panic: %v", v))
	if last := len(r.calls) - 1; last >= 0 && r.now >= 0 {
		r.calls[last].Outcome = filter.CallFails
		r.calls[last].Because(err.Code, err)
	}
	return err
}

// make makes the call of a step, and notes what came of it.
func (r *run) make(ctx context.Context, i int) (err error) {
	s, res := r.of.steps[i], &r.results[i]
	began, rec := time.Now(), r.recordingStep(i)
	res.state = failed
	limited := s.Limit(ctx, time.Time{}, nil)
	defer limited.End()
	ctx = limited.Context
	defer func() {
		r.of.metrics.steps[i][res.state].Inc()
		r.of.metrics.seconds[i].Observe(time.Since(began).Seconds())
		r.ended(rec, err)
	}()
	req, err := s.Request(ctx, r.own)
	if err != nil {
		res.err = unable(err, s.needs)
		return res.err
	}
	res.line = lineOf(s.Call, req)
	if !s.ownKey {
		req.Header[keyField] = []string{r.key(i, "")}
	}
	res.state = unknown // unless it is known better
	child, end := r.childFor(req, "step "+s.name, rec)
	resp, err := s.Send(child)
	if err == nil {
		res.state = done
		err = r.read(ctx, res, resp)
	} else {
		res.state = outcome(child.Attempts, err)
	}
	end(err)
	res.err = err
	return err
}

// errLacks says that the client has not given what a step needs.
var errLacks = errors.New("the request lacks a value that the step needs, or has one that does not fit")

// unable is why a step cannot be made. Where that needs no answer of another step, what is lacking is the client's to give.
func unable(err error, needs bool) error {
	reason := &call.FormatError{Reason: err.Error()}
	if needs {
		return reason
	}
	return fmt.Errorf("%w: %w", errLacks, reason)
}

// lineOf is a request for operators.
func lineOf(c *call.Call, req *http.Request) string {
	return req.Method + " " + c.Upstream.Name() + req.URL.EscapedPath()
}

// childFor returns an exchange for a call, whose record is rec. End ends its span, and keeps what was tried.
func (r *run) childFor(req *http.Request, name string, rec *filter.Call) (child *filter.Exchange, end func(error)) {
	child = r.own.Child(req)
	child.Span = r.own.Span.Child(name)
	rec.At(req.URL.EscapedPath())
	return child, func(err error) {
		rec.Tried(child.Attempts)
		describe(child, rec, err)
		child.Span.Fail(err)
		child.Span.End()
		r.tried = append(r.tried, child.Attempts...)
		if child.Upstream != "" {
			r.upstream = child.Upstream
		}
		child.Release()
	}
}

// read reads the answer of a step.
func (r *run) read(ctx context.Context, res *result, resp *http.Response) error {
	defer resp.Body.Close()
	src, err := call.JSON(resp)
	if err != nil {
		return err
	}
	if src == nil {
		res.raw, res.looked = []byte("null"), true
		return nil
	}
	limits := document.Limits{Size: r.of.maxPart}
	raw, err := io.ReadAll(document.Check(src, limits))
	if err == nil {
		res.value, err = document.Read(bytes.NewReader(raw), limits)
	}
	if err != nil {
		var long *document.Error
		switch cause := context.Cause(ctx); {
		case cause != nil:
			return cause
		case errors.As(err, &long) && long.Kind == document.TooLarge:
			return &call.FormatError{Reason: "the answer is longer than `max_part`"}
		}
		return err
	}
	res.raw, res.looked = raw, true
	return nil
}

// outcome is what became of a step whose call failed: it was not done where each try was not sent, or was answered with 4xx.
func outcome(tries []filter.Attempt, err error) state {
	var status *call.StatusError
	if errors.As(err, &status) && !refuses(status.Status) {
		return unknown
	}
	for i := range tries {
		if a := &tries[i]; !refuses(a.Status) && !unsent(a.Err) {
			return unknown
		}
	}
	return failed
}

// refuses says whether a status says that nothing was done.
func refuses(status int) bool { return status >= 400 && status < 500 }

// unsent says whether a try failed before the request was sent.
func unsent(err error) bool {
	var known *filter.Error
	if !errors.As(err, &known) {
		return false
	}
	switch known.Code {
	case filter.UpstreamConnectFailed, filter.UpstreamNotResolved, filter.UpstreamUnavailable, filter.UpstreamOverloaded, filter.UpstreamBreakerOpen:
		return true
	}
	return false
}

// touched says whether anything was done, or perhaps was.
func (r *run) touched() bool {
	for i := range r.results {
		if state := r.results[i].state; (state == done || state == unknown) && !safe(r.of.steps[i].Method) {
			return true
		}
	}
	return false
}
