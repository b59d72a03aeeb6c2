package engine

import (
	"slices"
	"time"

	"cardea.dev/cardea/filter"
)

// CallOut is a call that an answer is made of, as operators see it: planned, or made.
type CallOut struct {
	Call      string         `json:"call"`           // its name
	Role      filter.Role    `json:"role,omitempty"` // "undo", "repeat"; "": the answer is made of it
	Of        string         `json:"of,omitempty"`   // the call that it undoes, or repeats
	Upstream  string         `json:"upstream"`
	Method    string         `json:"method"`
	Path      string         `json:"path,omitempty"`      // without query; of a plan as it is written
	Operation string         `json:"operation,omitempty"` // by the OpenAPI document of the service
	Level     int            `json:"level,omitempty"`     // 1: it waits for none; 2: for one of level 1 …
	After     []string       `json:"after"`               // calls that it waits for
	Optional  bool           `json:"optional,omitempty"`
	When      string         `json:"when,omitempty"`
	Each      string         `json:"each,omitempty"`
	Note      string         `json:"note,omitempty"`
	Outcome   filter.Outcome `json:"outcome,omitempty"` // "": it is planned
	Status    int            `json:"status,omitempty"`
	Code      filter.Code    `json:"code,omitempty"`
	Why       string         `json:"why,omitempty"`
	Time      *CallTime      `json:"time,omitempty"` // nil: it was not begun
	Critical  bool           `json:"critical,omitempty"`
	SameAs    string         `json:"same_as,omitempty"` // the call whose answer it shares
	Loop      *LoopOut       `json:"loop,omitempty"`
	Tries     int            `json:"tries,omitempty"`
	Attempts  []AttemptOut   `json:"attempts,omitempty"` // the first ones, and the last
}

// CallTime is when a call was under way, in milliseconds since the start of the request.
type CallTime struct {
	BeginMS  float64 `json:"begin_ms"`
	EndMS    float64 `json:"end_ms"`
	PassedMS float64 `json:"passed_ms,omitempty"` // when the rest of a long answer had been passed on
	QueuedMS float64 `json:"queued_ms,omitempty"` // for how long it could have been begun before, while as many calls were under way as ever
}

// last is when the whole need not wait for it any more.
func (t *CallTime) last() float64 { return max(t.EndMS, t.PassedMS) }

// LoopOut sums up a call that was made for each element of a list.
type LoopOut struct {
	Times     int     `json:"times"` // elements
	Made      int     `json:"made"`
	Failed    int     `json:"failed"`
	Shared    int     `json:"shared"`  // that had the answer of another
	Element   int     `json:"element"` // the one that path, status and attempts are of
	Slowest   int     `json:"slowest"` // element
	SlowestMS float64 `json:"slowest_ms"`
}

// callsOut are calls as operators see them.
func callsOut(calls []filter.Call, start time.Time) []CallOut {
	if len(calls) == 0 {
		return nil
	}
	out := make([]CallOut, min(len(calls), filter.MaxCalls))
	for i := range out {
		out[i] = callOut(&calls[i], start)
	}
	return out
}

func callOut(c *filter.Call, start time.Time) CallOut {
	out := CallOut{
		Call: c.Name, Role: c.Role, Of: c.Of, Upstream: c.Upstream, Method: c.Method, Path: c.Path, After: c.After, Optional: c.Optional, When: c.When,
		Each: c.Each, Note: c.Note, Operation: c.Operation, Outcome: c.Outcome, Status: c.Status, Code: c.Code, Why: c.Why, SameAs: c.Same, Tries: c.Tries,
	}
	if out.After == nil {
		out.After = []string{}
	}
	if c.End > 0 {
		out.Time = &CallTime{BeginMS: ms(c.Begin), EndMS: ms(c.End), PassedMS: ms(c.Passed)}
	}
	if l := c.Loop; l != nil {
		out.Loop = &LoopOut{l.Times, l.Made, l.Failed, l.Shared, l.Element, l.Slowest, ms(l.SlowestTook)}
	}
	for i := range c.Attempts {
		out.Attempts = append(out.Attempts, attemptOut(&c.Attempts[i], start))
	}
	return out
}

// failing says whether something went wrong with a call that was made.
func (c *CallOut) failing() bool {
	switch c.Outcome {
	case filter.CallOK, filter.CallSkipped:
		return c.Loop != nil && c.Loop.Failed > 0
	}
	return true
}

// lacking says whether something of the request failed, or is missing.
func (p *Past) lacking() bool {
	return p.Code != "" || p.Aborted || p.Fallback != "" || slices.ContainsFunc(p.Calls, func(c CallOut) bool { return c.failing() })
}

// graph are calls, and where they are by their names.
type graph struct {
	calls []CallOut
	index map[string]int
	level []int
}

// readGraph says of each call which level it has, how long it was not begun though it could have been, and whether the whole has waited for it.
func readGraph(calls []CallOut) {
	g := &graph{calls, make(map[string]int, len(calls)), make([]int, len(calls))}
	for i := range calls {
		g.index[calls[i].Call] = i
	}
	begin, peak := g.begin(), g.peak()
	for i := range calls {
		c := &calls[i]
		if c.Role == "" {
			c.Level = g.levelOf(i)
		}
		if c.Time == nil {
			continue
		}
		t := *c.Time // others may look at what is remembered
		free := begin
		if last := g.lastOf(c.After); last >= 0 {
			free = calls[last].Time.EndMS
		}
		if gap := t.BeginMS - free; gap >= 1 && g.under(free+gap/2) >= peak {
			t.QueuedMS = round(gap)
		}
		c.Time = &t
	}
	g.markCritical()
}

func round(ms float64) float64 { return float64(int64(ms*1000+.5)) / 1000 }

// under is how many calls were under way at a time.
func (g *graph) under(at float64) (n int) {
	for i := range g.calls {
		if t := g.calls[i].Time; t != nil && t.BeginMS <= at && at < t.EndMS {
			n++
		}
	}
	return n
}

// peak is how many calls were under way at most. There may have been no room for more.
func (g *graph) peak() (n int) {
	for i := range g.calls {
		if t := g.calls[i].Time; t != nil {
			n = max(n, g.under(t.BeginMS))
		}
	}
	return n
}

// begin is when the first call was begun.
func (g *graph) begin() float64 {
	first := -1.0
	for i := range g.calls {
		if t := g.calls[i].Time; t != nil && (first < 0 || t.BeginMS < first) {
			first = t.BeginMS
		}
	}
	return first
}

// levelOf is 1 for a call that waits for none.
func (g *graph) levelOf(i int) int {
	if g.level[i] == 0 {
		g.level[i] = 1
		for _, name := range g.calls[i].After {
			if k, ok := g.index[name]; ok {
				g.level[i] = max(g.level[i], g.levelOf(k)+1)
			}
		}
	}
	return g.level[i]
}

// lastOf is that of some calls that ended last, or -1.
func (g *graph) lastOf(names []string) int {
	last := -1
	for _, name := range names {
		if k, ok := g.index[name]; ok && g.calls[k].Time != nil && (last < 0 || g.calls[k].Time.EndMS > g.calls[last].Time.EndMS) {
			last = k
		}
	}
	return last
}

// markCritical marks the calls that the whole has waited for: from the one that ended it back to the beginning, each the last that the next had to wait for.
func (g *graph) markCritical() {
	for i := g.decisive(); i >= 0 && !g.calls[i].Critical; {
		c := &g.calls[i]
		c.Critical = true
		next := g.lastOf(c.After)
		if c.Time.QueuedMS > 0 {
			if before := g.lastBefore(c.Time.BeginMS); before >= 0 {
				next = before // it had to wait for its turn, until that one had ended
			}
		}
		i = next
	}
}

// decisive is the call that ended the whole: a required one that failed, or the one that ended last. There may be none.
func (g *graph) decisive() int {
	last, failed, undone := -1, -1, false
	for i := range g.calls {
		c := &g.calls[i]
		undone = undone || c.Role != ""
		if c.Time == nil || c.Outcome == filter.CallSkipped {
			continue
		}
		if last < 0 || c.Time.last() > g.calls[last].Time.last() {
			last = i
		}
		if c.Outcome == filter.CallFails && !c.Optional && (failed < 0 || c.Time.EndMS < g.calls[failed].Time.EndMS) {
			failed = i
		}
	}
	if failed >= 0 && !undone {
		return failed
	}
	return last
}

// lastBefore is the call that ended last before a time, or -1.
func (g *graph) lastBefore(at float64) int {
	last := -1
	for i := range g.calls {
		if t := g.calls[i].Time; t != nil && t.EndMS <= at && g.calls[i].Outcome != filter.CallSkipped && (last < 0 || t.EndMS > g.calls[last].Time.EndMS) {
			last = i
		}
	}
	return last
}
