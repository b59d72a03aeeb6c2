package sequence

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/observe"
)

// planned are the steps as they are planned, and what undoes them.
func (s *sequence) planned() (plan []filter.Call) {
	for i, st := range s.steps {
		c := st.Plan(st.name)
		if i > 0 {
			c.After = []string{s.steps[i-1].name}
		}
		if len(st.undone) == 0 && !safe(st.Method) {
			c.Note = "which nothing undoes"
		}
		plan = append(plan, c)
	}
	for _, st := range s.steps {
		for k := range st.undone {
			u := st.undone[k].Plan(undoName(st, k))
			u.Role, u.Of = filter.Undoes, st.name
			plan = append(plan, u)
		}
	}
	return plan
}

// Plan is what Explain says, with the calls by themselves: those that would be made, and those that would undo them.
func (s *sequence) Plan(ex *filter.Exchange) (rest string, calls []filter.Call) {
	return s.rest(ex), s.plan
}

// undoName is the name of a call that undoes a step.
func undoName(s *step, k int) string {
	if len(s.undone) == 1 {
		return "undo " + s.name
	}
	return fmt.Sprintf("undo %s %d", s.name, k+1)
}

// recording begins the record of a call, or of another try of the last one.
func (r *run) recording(c *call.Call, name string, role filter.Role, of string) *filter.Call {
	last := len(r.calls) - 1
	if last >= 0 && r.calls[last].Name == name {
		return &r.calls[last]
	}
	made := filter.Call{Name: name, Role: role, Of: of, Upstream: c.Upstream.Name(), Method: c.Method, Outcome: filter.CallFails, Begin: time.Since(r.own.Start)}
	if last >= 0 {
		made.After = []string{r.calls[last].Name}
	}
	r.calls = append(r.calls, made)
	return &r.calls[last+1]
}

// recordingStep begins the record of a step's call, or of one that repeats it.
func (r *run) recordingStep(i int) *filter.Call {
	s := r.of.steps[i]
	if r.results[i].state == waiting {
		return r.recording(s.Call, s.name, "", "")
	}
	return r.recording(s.Call, s.name+" again", filter.Repeats, s.name)
}

// ended notes how a try ended.
func (r *run) ended(c *filter.Call, err error) {
	c.End = time.Since(r.own.Start)
	c.Outcome, c.Code, c.Why = filter.CallOK, "", ""
	switch {
	case err != nil:
		c.Outcome = filter.CallFails
		c.Because(codeOf(err), err)
	case c.Path == "":
		c.Outcome = filter.CallSkipped
	}
}

// codeOf is the code of a failure.
func codeOf(err error) filter.Code {
	var known *filter.Error
	switch {
	case errors.As(err, &known):
		return known.Code
	case errors.Is(err, errLate):
		return filter.UpstreamTimeout
	}
	return filter.CallFailed
}

// outcomes are what came of steps, by their states.
var outcomes = [...]filter.Outcome{
	waiting: filter.CallWaiting, skipped: filter.CallSkipped, failed: filter.CallFails, unknown: filter.CallUnknown, done: filter.CallOK,
	undone: filter.CallUndone, heldOn: filter.CallKept, stuck: filter.CallStuck,
}

// record tells the exchange of the calls: of all steps, and of what was done about them.
func (r *run) record(ex *filter.Exchange) {
	made := r.calls
	ex.Calls = slices.Grow(ex.Calls, len(r.results)+len(made))
	for i := range r.results {
		res, plan := &r.results[i], &r.of.plan[i]
		c := *plan
		if len(made) > 0 && made[0].Name == plan.Name && made[0].Role == "" {
			c, made = made[0], made[1:]
		} else {
			c.After = nil
			if res.state == failed { // nobody could say whether it is to be made
				c.Because(codeOf(res.err), res.err)
			}
		}
		c.When, c.Note, c.Outcome = plan.When, "", outcomes[res.state]
		if res.state == heldOn && res.was == done && safe(plan.Method) {
			c.Outcome = filter.CallOK // there is nothing to undo
			if c.Code != "" {
				c.Outcome = filter.CallFails // what it was answered cannot be read
			}
		}
		if res.left != nil {
			c.Why = filter.Brief(fmt.Sprintf("%s; could not be undone: %v", orDone(c.Why), res.left))
		}
		ex.Calls = append(ex.Calls, c)
	}
	ex.Calls = append(ex.Calls, made[:min(len(made), max(0, filter.MaxCalls-len(r.results)))]...)
}

// orDone is why a step failed, or that it did not.
func orDone(why string) string {
	if why == "" {
		return "it was done"
	}
	return why
}

// describe tells the span of a call what it is, and what came of it.
func describe(child *filter.Exchange, c *filter.Call, err error) {
	span := child.Span
	if !span.Recording() {
		return
	}
	span.SetString(observe.AttrCall, c.Name)
	span.SetString(observe.AttrUpstream, c.Upstream)
	if c.After != nil {
		span.Set(observe.AttrCallAfter, c.After)
	}
	if c.Role == filter.Undoes {
		span.SetString(observe.AttrCallUndo, c.Of)
	}
	if last := child.Last(); last != nil && last.Status > 0 {
		span.SetInt(observe.AttrResponseStatus, int64(last.Status))
	}
	if err != nil {
		span.SetString(observe.AttrErrorType, string(codeOf(err)))
	}
}
