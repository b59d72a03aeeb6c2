package upstream

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"cardea.dev/cardea/config"
)

// retryPolicy says which tries are repeated. It is immutable.
type retryPolicy struct {
	times    int
	failures map[string]bool // reasons
	statuses statuses
	methods  []string // that may be repeated though they were sent
	backoff  time.Duration
	most     time.Duration
	maxBody  int
}

// newRetryPolicy returns the policy, or nil where nothing is repeated.
func newRetryPolicy(c config.Retry) *retryPolicy {
	if c.Off || c.Times == 0 {
		return nil
	}
	p := &retryPolicy{
		times: c.Times, failures: map[string]bool{}, methods: c.Methods,
		backoff: time.Duration(c.Backoff), most: or(c.MaxBackoff, 250*time.Millisecond), maxBody: int(c.MaxBody),
	}
	var ranges []config.StatusRange
	for _, on := range c.On {
		if on.Failure != "" {
			p.failures[on.Failure] = true
		} else {
			ranges = append(ranges, on.Status)
		}
	}
	p.statuses = newStatuses(ranges)
	return p
}

// repeatable reports whether requests with a method may be repeated though they were sent.
func (p *retryPolicy) repeatable(method string) bool { return slices.Contains(p.methods, method) }

// pause is how long to wait before a retry, the first being 1.
func (p *retryPolicy) pause(retry int) time.Duration {
	d := p.most
	if shift := retry - 1; shift < 20 {
		d = min(p.most, p.backoff<<shift)
	}
	return d/2 + rand.N(d/2+1)
}

// sleep waits, and reports false when the context ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
