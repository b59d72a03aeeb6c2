// Package outlier takes endpoints that keep failing out of the choice for a while, by looking at how their requests end. It
// decides which and how long; that they are not chosen is the work of package upstream, which alone imports it.
//
// Times are nanoseconds by a clock of the caller's choice that does not go back.
package outlier

import (
	"sync"
	"sync/atomic"
	"time"
)

// Options say who is ejected.
type Options struct {
	Consecutive int           // failures in a row; 0: not looked at
	ErrorRate   float64       // share of failures in an interval; 0: not looked at
	MinRequests int           // in an interval, for its error rate to count
	For, MaxFor time.Duration // how long the first time, and at most
	Max         float64       // share of the endpoints that may be ejected at once; one of several always may
}

// Record is what is known of one endpoint. It outlives the Detector, and the sets of endpoints that it is in.
type Record struct {
	streak    atomic.Int64 // failures in a row
	good, bad atomic.Int64 // in this interval
	until     atomic.Int64 // when the ejection ends; 0: it is not ejected

	mu    sync.Mutex
	times int   // ejections that followed each other soon
	ended int64 // when the last one ends or ended
	last  int64 // how long it is or was
}

// Until is when the ejection of an endpoint ends, and 0 when it is not ejected.
func (r *Record) Until(now int64) int64 {
	if until := r.until.Load(); until > now {
		return until
	}
	return 0
}

// Streak is how many failures in a row there were.
func (r *Record) Streak() int64 { return r.streak.Load() }

// Detector watches the endpoints of an upstream.
type Detector struct {
	options Options

	mu      sync.Mutex
	records []*Record
}

// New returns a Detector without endpoints.
func New(o Options) *Detector { return &Detector{options: o} }

// Watch says which endpoints there are.
func (d *Detector) Watch(records []*Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = records
}

// Report counts how a request ended. It returns true when the endpoint is ejected for it.
func (d *Detector) Report(r *Record, failed bool, now int64) bool {
	if !failed {
		if r.streak.Load() != 0 {
			r.streak.Store(0)
		}
		if d.options.ErrorRate > 0 {
			r.good.Add(1)
		}
		return false
	}
	if d.options.ErrorRate > 0 {
		r.bad.Add(1)
	}
	streak := r.streak.Add(1)
	if d.options.Consecutive == 0 || streak < int64(d.options.Consecutive) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.eject(r, now)
}

// Sweep ends an interval: it ejects endpoints whose error rate was too high, and begins the next interval. It returns those that
// it ejected.
func (d *Detector) Sweep(now int64) (ejected []*Record) {
	if d.options.ErrorRate == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	goods, bads := make([]int64, len(d.records)), make([]int64, len(d.records))
	var good, bad int64
	for i, r := range d.records {
		goods[i], bads[i] = r.good.Swap(0), r.bad.Swap(0)
		good, bad = good+goods[i], bad+bads[i]
	}
	for i, r := range d.records {
		if d.stands(goods[i], bads[i], good-goods[i], bad-bads[i]) && d.eject(r, now) {
			ejected = append(ejected, r)
		}
	}
	return ejected
}

// stands reports whether an endpoint fails too often, and more than twice as often as the others. When all fail the cause lies
// elsewhere, and ejecting some would only burden the rest.
func (d *Detector) stands(good, bad, othersGood, othersBad int64) bool {
	total, others := good+bad, othersGood+othersBad
	if total < int64(max(1, d.options.MinRequests)) || others == 0 {
		return false
	}
	rate := float64(bad) / float64(total)
	return rate >= d.options.ErrorRate && rate > 2*float64(othersBad)/float64(others)
}

// eject ejects an endpoint if it may be. The lock is held.
func (d *Detector) eject(r *Record, now int64) bool {
	if r.Until(now) != 0 || d.ejected(now) >= d.room() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now-r.ended > 2*r.last {
		r.times = 0
	}
	r.times++
	r.last = min(int64(d.options.For)*int64(r.times), int64(max(d.options.MaxFor, d.options.For)))
	r.ended = now + r.last
	r.until.Store(r.ended)
	r.streak.Store(max(0, int64(d.options.Consecutive)-1)) // when it comes back, its first failure ejects it again
	return true
}

// ejected counts the endpoints that are.
func (d *Detector) ejected(now int64) (n int) {
	for _, r := range d.records {
		if r.Until(now) != 0 {
			n++
		}
	}
	return n
}

// room is how many endpoints may be ejected at once.
func (d *Detector) room() int {
	n := len(d.records)
	if n < 2 {
		return 0
	}
	return min(n-1, max(1, int(d.options.Max*float64(n))))
}
