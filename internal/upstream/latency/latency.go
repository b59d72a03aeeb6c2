// Package latency estimates percentiles of how long answers took lately. It counts them in buckets that are an eighth of a power of two wide, so that
// an estimate is at most an eighth too high, in under five kibibytes, without a lock and whatever the load. It has no clock: times are passed in. Only package
// upstream imports it.
package latency

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets: for each power of two of microseconds, from 1µs to over an hour, eight.
const (
	steps   = 8
	buckets = 33 * steps
)

// period is how long times are counted together. An estimate is over the present period and the one before.
const period = 10 * time.Second

// fresh is how long an estimate is used before it is made anew.
const fresh = 250 * time.Millisecond

// Estimate is the distribution of times. Its zero value is empty and ready. Its methods may be called by many goroutines.
type Estimate struct {
	periods [2]counts
	last    atomic.Pointer[answer]
}

// counts is what was seen in a period. The first to count in a new one empties it; what others count at that moment may be lost.
type counts struct {
	which   atomic.Int64 // number of the period, and 1
	total   atomic.Int64
	buckets [buckets]atomic.Int64
}

// answer is an estimate that was made.
type answer struct {
	at         int64
	percentile float64
	value      time.Duration
	n          int64
}

// Add counts a time.
func (e *Estimate) Add(now int64, took time.Duration) {
	which := now/int64(period) + 1
	c := &e.periods[which%2]
	if old := c.which.Load(); old != which && c.which.CompareAndSwap(old, which) {
		c.total.Store(0)
		for i := range c.buckets {
			c.buckets[i].Store(0)
		}
	}
	c.buckets[bucketOf(took)].Add(1)
	c.total.Add(1)
}

// Percentile returns the time below which so many of a hundred lie, and of how many times it is an estimate. It may be a quarter of a second old.
func (e *Estimate) Percentile(now int64, percentile float64) (time.Duration, int64) {
	if a := e.last.Load(); a != nil && a.percentile == percentile && now >= a.at && now-a.at < int64(fresh) {
		return a.value, a.n
	}
	a := e.make(now, percentile)
	e.last.Store(a)
	return a.value, a.n
}

func (e *Estimate) make(now int64, percentile float64) *answer {
	a := &answer{at: now, percentile: percentile}
	which := now/int64(period) + 1
	var valid []*counts
	for i := range e.periods {
		c := &e.periods[i]
		if w := c.which.Load(); w == which || w == which-1 {
			valid = append(valid, c)
			a.n += c.total.Load()
		}
	}
	rest := float64(a.n) * (100 - percentile) / 100 // as many are longer
	for i := buckets - 1; i >= 0; i-- {
		for _, c := range valid {
			rest -= float64(c.buckets[i].Load())
		}
		if rest < 0 {
			a.value = upper(i)
			break
		}
	}
	return a
}

// bucketOf is the bucket of a time: its highest bit, and the three below.
func bucketOf(took time.Duration) int {
	us := uint64(max(0, took/time.Microsecond))
	if us < steps {
		return int(us)
	}
	exponent := bits.Len64(us) - 4 // of the bucket's width
	return min((exponent+1)*steps+int(us>>exponent)-steps, buckets-1)
}

// upper is the end of a bucket.
func upper(i int) time.Duration {
	if i < steps {
		return time.Duration(i+1) * time.Microsecond
	}
	exponent := i/steps - 1
	return time.Duration(uint64(i%steps+steps+1)<<exponent) * time.Microsecond
}
