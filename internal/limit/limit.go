// Package limit counts what callers do, by key, against rules such as 100/min: in the memory of this gateway, bounded whatever comes. It says
// what keys there are (Key), what a rule is and what comes of asking (Rule, Decision), and what a request costs (Cost), and writes the fields
// that tell clients how they stand. Where gateways count together it is package sharedlimit that does. Policies import it; it knows none of
// them.
package limit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Algorithm is how a rule counts.
type Algorithm string

// The algorithms.
const (
	// GCRA is the generic cell rate algorithm, a leaky bucket as a meter: requests may come at the rate, and up to the burst of them at
	// once. In any time t at most burst + rate × t pass. It remembers one number and one time for each key.
	GCRA Algorithm = "gcra"

	// SlidingWindow counts within the last period, exactly to a part of it. In any such period at most the count pass. It remembers a
	// number for each part of the period.
	SlidingWindow Algorithm = "sliding_window"
)

// Rule is one limit: so much in a time. It is data; it must have been checked.
type Rule struct {
	Algorithm Algorithm
	Count     int64         // how much may pass in Per; at least 1
	Per       time.Duration // more than 0
	Burst     int64         // how much may come at once; of GCRA alone; 0: Count
}

// MaxCount is the largest count, burst or cost: all integers up to it are floating-point numbers, too.
const MaxCount = 1 << 53

// maxRefill is the longest that a rule may take to let pass again all that it ever does at once.
const maxRefill = 366 * 24 * time.Hour

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	switch {
	case r.Algorithm != GCRA && r.Algorithm != SlidingWindow:
		return fmt.Errorf("there is no algorithm %q", r.Algorithm)
	case r.Count < 1 || r.Count > MaxCount || r.Burst < 0 || r.Burst > MaxCount:
		return fmt.Errorf("a count is from 1 to %d", int64(MaxCount))
	case r.Per < time.Millisecond:
		return errors.New("the time is at least 1ms")
	case r.Algorithm == SlidingWindow && r.Burst != 0:
		return errors.New("a burst has no meaning in a sliding window: all may come at once")
	case float64(r.Most())/float64(r.Count)*float64(r.Per) > float64(maxRefill):
		return errors.New("it would take more than a year until all may come at once again")
	}
	return nil
}

// Most is how much may come at once.
func (r Rule) Most() int64 {
	if r.Burst > 0 {
		return r.Burst
	}
	return r.Count
}

// Decision is what came of asking a Counter.
type Decision struct {
	Allowed   bool
	Rule      int           // the index of the rule that refuses, or else of the one that has the least left
	Remaining int64         // how much that rule would still let pass right now
	Reset     time.Duration // until it would let pass all that it ever does at once
	Retry     time.Duration // until the same request would be let pass; 0: now; below 0: never, for it costs more than may pass at once
}

// Counter counts for keys under rules that hold together: what one of them refuses counts for none. It may be used by many goroutines.
type Counter interface {
	// Take counts a cost, if all rules let it pass. An error says that it cannot be known; nothing was decided then. Cost is at least 0;
	// one of 0 asks whether one of 1 would pass, and counts nothing.
	Take(ctx context.Context, id ID, cost int64) (Decision, error)

	// Charge counts a cost that was had already, whatever the rules say: later requests pay for it. Below 0 it gives back. It does not wait.
	Charge(id ID, cost int64)

	// Look says what Take would, without counting and without waiting. False: it cannot be said without waiting.
	Look(id ID, cost int64) (Decision, bool)

	// Top lists the keys that used most lately, as far as this gateway knows.
	Top(n int) []Usage

	// Reset forgets what was counted for a key, which is written as in Usage. It says whether there was something.
	Reset(ctx context.Context, key string) (bool, error)
}

// Usage is what was counted for a key.
type Usage struct {
	Key     string
	Used    int64 // of the rule that has the least left
	Limit   int64 // of that rule
	Refused int64 // requests, since the key was seen first
}
