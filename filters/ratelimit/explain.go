package ratelimit

import (
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

func (p *policy) explainEarly(ex *filter.Exchange) filter.Verdict { return p.explain(ex, &p.early, "") }

func (p *policy) explainMain(ex *filter.Exchange) filter.Verdict {
	pl, who := p.planFor(ex), ""
	for i := range p.overrides {
		if &p.overrides[i].plan == pl {
			who = p.overrides[i].who.String() + ": "
		}
	}
	return p.explain(ex, pl, who)
}

// explain says what the counters would say, without counting.
func (p *policy) explain(ex *filter.Exchange, pl *plan, who string) filter.Verdict {
	if len(pl.groups) == 0 {
		return filter.Verdict{Action: filter.Passes, Note: who + "no limit"}
	}
	verdict := filter.Verdict{Action: filter.Passes}
	var notes []string
	for _, g := range pl.groups {
		action, note := g.explain(ex)
		notes = append(notes, note)
		if action == filter.Rejects && p.dryRun {
			notes[len(notes)-1] += ", but this is a dry run"
			continue
		}
		if action != filter.Passes {
			verdict.Action = action
			break
		}
	}
	verdict.Note = who + strings.Join(notes, "; ")
	return verdict
}

func (g *group) explain(ex *filter.Exchange) (filter.Action, string) {
	id, ok := g.key.Of(ex)
	switch {
	case !ok && g.key.Refuses():
		return filter.Rejects, "the request has no " + g.key.String()
	case !ok:
		return filter.Passes, "the request has no " + g.key.String() + ", and is not counted"
	}
	cost := g.cost.Of(ex)
	if cost == 0 && !g.cost.HasAnswer() {
		return filter.Passes, "the request is free"
	}
	d, ok := g.counter.Look(id, cost)
	if u, shared := g.counter.Counter.(interface{ Unavailable() bool }); shared && !ok && u.Unavailable() {
		return filter.Rejects, "the store of the limits is lost"
	}
	if !ok {
		return filter.Unknown, fmt.Sprintf("what %s has left of %s is in the store", id, g.limits[0].text)
	}
	text := g.limits[d.Rule].text
	switch {
	case d.Allowed && g.cost.HasAnswer():
		return filter.Passes, fmt.Sprintf("%s has %d of %s left, before the answer is counted", id, d.Remaining, text)
	case d.Allowed:
		return filter.Passes, fmt.Sprintf("%s has %d of %s left after this", id, d.Remaining, text)
	case d.Retry < 0:
		return filter.Rejects, fmt.Sprintf("the request counts for %d, which %s never lets pass at once", cost, text)
	}
	return filter.Rejects, fmt.Sprintf("%s has %d of %s left, and the request counts for %d; it may pass in %s", id, d.Remaining, text, max(cost, 1), d.Retry.Round(time.Millisecond))
}
