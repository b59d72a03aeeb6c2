package concurrency

import (
	"fmt"

	"cardea.dev/cardea/filter"
)

// explain says what would become of the request.
func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	id, counted := p.key.Of(ex)
	switch {
	case !counted && !p.key.Refuses():
		return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("it has no %s, and is not counted", p.key)}
	case !counted && p.dryRun:
		return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("it has no %s, and would be refused but for the dry run", p.key)}
	case !counted:
		return filter.Verdict{Action: filter.Rejects, Note: fmt.Sprintf("it has no %s", p.key)}
	}
	want, now := p.want(ex), p.limiter.lines.Look(id)
	note := fmt.Sprintf("%s has %d of %d under way", id, now.Active, want.Limit)
	if want.Queue > 0 {
		note += fmt.Sprintf(", %d of %d wait", now.Waiting, want.Queue)
	}
	switch {
	case now.Active < want.Limit:
		return filter.Verdict{Action: filter.Passes, Note: note}
	case p.dryRun:
		return filter.Verdict{Action: filter.Passes, Note: note + ": it would be refused but for the dry run"}
	case now.Waiting < want.Queue:
		return filter.Verdict{Action: filter.Unknown, Note: note + fmt.Sprintf(": it would wait, for %s at most", want.Wait)}
	}
	return filter.Verdict{Action: filter.Rejects, Note: note}
}
