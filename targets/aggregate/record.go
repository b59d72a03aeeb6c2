package aggregate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// planned are the calls as they are planned.
func (a *aggregate) planned() []filter.Call {
	plan := make([]filter.Call, len(a.steps))
	for i, s := range a.steps {
		c := s.Plan(s.name)
		c.After, c.Optional = a.namesOf(s.after), s.optional
		if s.each != nil {
			c.Each = s.each.source
		}
		plan[i] = c
	}
	return plan
}

// Plan is what Explain says, with the calls by themselves.
func (a *aggregate) Plan(*filter.Exchange) (rest string, calls []filter.Call) {
	return strings.TrimPrefix(a.composed.describe(), "; "), a.plan
}

// tally sums up the requests of a call, as they end. What it shows is the first that failed, or else the slowest.
type tally struct {
	filter.Loop
	shown filter.Call
	err   error // of what it shows
}

// add takes note of a request that has ended, or that could not be made. It keeps nothing of it but what it shows.
func (t *tally) add(q *request) {
	failed := t.Failed > 0
	t.Made++
	if q.same != "" {
		t.Shared++
	}
	if q.err != nil {
		t.Failed++
	}
	slowest := t.Made == 1 || q.took > t.SlowestTook
	if slowest {
		t.Slowest, t.SlowestTook = q.element, q.took
	}
	if failed || q.err == nil && !slowest {
		return
	}
	t.Element, t.err = q.element, q.err
	t.shown = filter.Call{Attempts: t.shown.Attempts[:0], Same: q.same}
	if q.Request != nil {
		t.shown.At(q.Request.URL.EscapedPath())
		t.shown.Tried(q.Attempts)
	}
}

// record tells the exchange of the calls, once all have ended.
func (r *run) record(ex *filter.Exchange) {
	ex.Calls = slices.Grow(ex.Calls, min(len(r.results), filter.MaxCalls))
	for i := range r.results {
		if i == filter.MaxCalls {
			return
		}
		ex.Calls = append(ex.Calls, r.of.plan[i])
		r.recordOf(i, &ex.Calls[len(ex.Calls)-1], ex.Start)
	}
}

// recordOf fills in what came of a call.
func (r *run) recordOf(i int, c *filter.Call, start time.Time) {
	s, res := r.of.steps[i], &r.results[i]
	at := r.calls[i].at
	if at == waiting {
		c.Outcome = filter.CallWaiting
		return
	}
	c.Begin = res.began.Sub(start)
	c.End = c.Begin + res.took
	if l, ok := res.rest.(*long); ok && !l.ended.IsZero() {
		c.Passed = l.ended.Sub(start)
	}
	if res.state == skipped {
		c.Outcome = filter.CallSkipped
		return
	}
	if shown := &res.requests.shown; shown.Path != "" {
		c.Path, c.Status, c.Tries, c.Attempts, c.Same = shown.Path, shown.Status, shown.Tries, shown.Attempts, shown.Same
	}
	if s.each != nil {
		c.Loop = &res.requests.Loop
	}
	cause := context.Cause(r.ctx)
	err := res.err
	switch {
	case at == running: // nobody has waited for its end
		c.End, c.Outcome = time.Since(start), filter.CallCancelled
		r.recordCause(c, cause)
		return
	case res.state == answered:
		c.Outcome, err = filter.CallOK, res.requests.err // of an element that is missing
	case cause != nil && errors.Is(err, cause):
		c.Outcome = filter.CallCancelled
		r.recordCause(c, cause)
		return
	case s.standIn != nil:
		c.Outcome = filter.CallDefault
	default:
		c.Outcome = filter.CallFails
	}
	if err == nil {
		return
	}
	code, status := reason(err)
	c.Because(code, err)
	if status > 0 {
		c.Status = status
	}
}

// recordCause notes why a call was cut.
func (r *run) recordCause(c *filter.Call, cause error) {
	for i := range r.results {
		if res := &r.results[i]; res.state == broken && !r.of.steps[i].optional && !errors.Is(res.err, cause) {
			c.Why = fmt.Sprintf("because %s failed", r.of.steps[i].name)
			return
		}
	}
	if errors.Is(cause, errUnneeded) {
		c.Why = errUnneeded.Error()
		return
	}
	var known *filter.Error
	if errors.As(cause, &known) {
		c.Because(known.Code, known)
		return
	}
	c.Code, c.Why = filter.ClientClosed, "the client left"
}

// trace tells the span of a request what it was for, and what came of it.
func (r *run) trace(q *request) {
	s, span := q.step, q.Span
	if !span.Recording() {
		return
	}
	span.SetString(observe.AttrCall, s.name)
	span.SetString(observe.AttrUpstream, s.Upstream.Name())
	if len(s.after) > 0 {
		span.Set(observe.AttrCallAfter, r.of.namesOf(s.after))
	}
	if q.same != "" {
		span.SetString(observe.AttrCallSame, q.same)
	}
	if s.each != nil {
		span.SetInt(observe.AttrCallElement, int64(q.element))
	}
	if last := q.Last(); last != nil && last.Status > 0 {
		span.SetInt(observe.AttrResponseStatus, int64(last.Status))
	}
	if q.err != nil {
		code, _ := reason(q.err)
		span.SetString(observe.AttrErrorType, string(code))
		span.Fail(q.err)
	}
	span.End()
}
