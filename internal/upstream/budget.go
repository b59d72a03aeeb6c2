package upstream

import (
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/upstream/breaker"
)

// budget bounds the retries of an upstream, so that a service that fails does not get several times its load for it: within the last
// ten seconds there may be a share of the requests, and a few in any case.
type budget struct {
	window *breaker.Window // requests are good, retries bad
	share  float64
	min    float64 // in the window
}

// budgetWindow is the time over which a budget is kept.
const budgetWindow = 10 * time.Second

// newBudget returns a budget, or nil for one without bounds.
func newBudget(c config.RetryBudget) *budget {
	if c.Off {
		return nil
	}
	b := &budget{window: breaker.NewWindow(budgetWindow), share: float64(c.Share)}
	if c.Min.Per > 0 {
		b.min = float64(c.Min.Count) * float64(budgetWindow) / float64(c.Min.Per)
	}
	return b
}

// request counts a request.
func (b *budget) request(now int64) {
	if b != nil {
		b.window.Add(now, 1, 0)
	}
}

// retry takes one retry out of the budget, and reports false when there is none left.
func (b *budget) retry(now int64) bool {
	if b == nil {
		return true
	}
	b.window.Add(now, 0, 1) // before it is looked at, so that many at once do not overdraw
	requests, retries := b.window.Sum(now)
	if float64(retries) <= b.min+b.share*float64(requests) {
		return true
	}
	b.window.Take(now, 1)
	return false
}

// left is how many retries there may be right now.
func (b *budget) left(now int64) int64 {
	requests, retries := b.window.Sum(now)
	return max(0, int64(b.min+b.share*float64(requests))-retries)
}
