package quota

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/quota"
)

// explain says what is left of each quota.
func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	v, now := new(visit), p.now()
	if r := p.fill(ex, v, now); r != nil {
		return p.verdict(fmt.Sprintf("the request has no %s, by which %s counts", r.key, r.name), true)
	}
	if len(v.asks) == 0 {
		return filter.Verdict{Action: filter.Passes, Note: "the request has no key to be counted by"}
	}
	need := min(p.cost.Of(ex), maxCost)
	if p.cost.HasAnswer() {
		need = max(need, 1)
	}
	if u, shared := p.counter.(interface{ Unavailable() bool }); shared && u.Unavailable() {
		return p.verdict("the store cannot be reached, and what cannot be counted is refused", true)
	}
	refused, known := p.counter.Look(now, v.asks, need)
	if need == 0 {
		refused = -1
	}
	var notes []string
	for i := range v.asks {
		notes = append(notes, reason(v.rules[i], &v.asks[i], now))
	}
	if refused >= 0 {
		notes = []string{reason(v.rules[refused], &v.asks[refused], now)}
	}
	if !known {
		notes = append(notes, "as far as this gateway knows of the store")
	}
	if need != 1 {
		notes = append(notes, fmt.Sprintf("the request costs %d", need))
	}
	return p.verdict(strings.Join(notes, "; "), refused >= 0)
}

func (p *policy) verdict(note string, refused bool) filter.Verdict {
	switch {
	case refused && p.dryRun:
		return filter.Verdict{Action: filter.Passes, Note: note + " (dry run: it passes)"}
	case refused:
		return filter.Verdict{Action: filter.Rejects, Note: note}
	}
	return filter.Verdict{Action: filter.Passes, Note: note}
}

// reason tells operators how a quota stands: "acme has 0 of 10000/month left, until 2026-12-01T00:00:00+01:00".
func reason(r *rule, q *quota.Ask, now time.Time) string {
	if q.Amount == quota.Unlimited {
		return fmt.Sprintf("%s has used %d of unlimited/%s", q.ID, q.Used, r.period)
	}
	text := fmt.Sprintf("%s has %d of %d/%s left", q.ID, max(0, q.Amount-q.Used), q.Amount, r.period)
	if !q.Retry.IsZero() {
		text += fmt.Sprintf(", and may come again at %s, in %s", q.Retry.In(q.Span.Start.Location()).Format(time.RFC3339), q.Retry.Sub(now).Round(time.Second))
	}
	return text
}

// limiter shows a quota to operators.
type limiter struct {
	counter  quota.Counter
	series   *quota.Series
	period   quota.Period
	calendar quota.Calendar
	now      func() time.Time
	info     filter.LimiterInfo
}

var _ filter.Limiter = (*limiter)(nil)

// Limiter describes it.
func (l *limiter) Limiter() filter.LimiterInfo {
	info := l.info
	info.Keys = l.counter.Keys(l.series)
	return info
}

// Top lists the keys that used most.
func (l *limiter) Top(n int) []filter.KeyUsage {
	var all []filter.KeyUsage
	for _, u := range l.counter.Top(l.series, n) {
		if u.Limit == quota.Unlimited {
			u.Limit = 0
		}
		all = append(all, filter.KeyUsage(u))
	}
	return all
}

// Reset forgets what a key used.
func (l *limiter) Reset(ctx context.Context, key string) (bool, error) {
	return l.counter.Reset(ctx, l.series, l.period.Span(l.calendar, l.now()), key)
}
