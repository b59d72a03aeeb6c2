// Package adaptive finds out how many requests a service can work on at once, by looking at how fast it answers. A Limiter is told how
// requests went and says the limit; it admits and refuses nothing itself.
//
// It compares how long answers take now with how long they take when nothing queues in front of the service. The second is
// measured every few seconds, by letting fewer requests in for a moment. When answers take longer than that, the
// service has more than it can work on, and the limit falls; when they do not, and the limit is made use of, it rises. Failures that say that there
// is too much to do make it fall, too.
//
// It has no clock: times are passed in. Only package upstream imports it.
package adaptive

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a Limiter.
type Options struct {
	Min, Max int // bounds of the limit
	Start    int // the limit before anything was measured
}

// tolerance is how much longer than without a queue answers may take before the limit falls. Less would take chance for a queue.
const tolerance = 1.3

// failures is the share of failures from which on the limit does not grow.
const failures = 0.05

// Windows: how fast answers are is looked at when a window has had many of them, or has lasted long and had some. With fewer, chance moves the
// limit.
const (
	windowTime  = 100 * time.Millisecond
	windowMany  = 100
	windowLong  = time.Second
	windowSome  = 20
	windowTimes = 5                // so many times what an answer takes it lasts at least
	windowStale = 10 * time.Second // so old a window with fewer says nothing
)

// Probes: how often it is measured how fast answers are without a queue, how soon after the last one when the limit keeps falling, and
// after how long one is given up because too few requests ended.
const (
	probeEvery  = 10 * time.Second
	probeSoon   = time.Second
	probeLong   = 500 * time.Millisecond // after which some requests will do
	probeDrain  = time.Second            // after which it is given up when more than it lets in are still under way
	probeGiveUp = 3 * time.Second        // after which it is given up when too few requests have ended
	probeMost   = 8                      // so many times rarer it may become where it keeps being given up
	fallsToSoon = 3                      // windows in which the limit fell
)

// Sample is how one request went.
type Sample struct {
	Ended    int64         // when its answer began or its failure was seen, in ns
	InFlight int           // requests under way, itself included
	Failed   bool          // in a way that says that the service has too much to do: time ran out, 503
	Took     time.Duration // until its answer began; not looked at when it failed
}

// Limiter adapts a limit. Its methods may be called by many goroutines.
type Limiter struct {
	o     Options
	limit atomic.Int64 // as it holds now: lower during a probe

	mu       sync.Mutex
	estimate float64 // the limit but for probes
	baseline float64 // log of how long an answer takes without a queue, in ns; 0: not known
	window   window
	falls    int  // windows in a row in which the limit fell
	unsure   bool // the last probe has shown answers to be faster than was known, and the next may, too

	probing   phase
	probeFrom int64 // when the probe began, or when it had emptied the queue
	lastProbe int64 // when the last one ended
	rarer     int64 // how many times rarer they are than usual
}

// phase is how far a probe has come.
type phase int8

const (
	none      phase = iota
	draining        // the limit is low, and those beyond it are still under way
	measuring       // no more are under way than the low limit
)

// window is what was seen since the last change.
type window struct {
	began  int64
	sum    float64 // of logs: few very slow answers must not move the limit, and so the geometric mean is taken
	n      int
	failed int
	peak   int // of requests under way
}

// New returns a Limiter.
func New(o Options) *Limiter {
	o.Min = max(1, o.Min)
	o.Max = max(o.Min, o.Max)
	l := &Limiter{o: o, rarer: 1, estimate: float64(min(max(o.Start, o.Min), o.Max))}
	l.limit.Store(int64(l.estimate))
	return l
}

// Limit is how many requests may be under way.
func (l *Limiter) Limit() int { return int(l.limit.Load()) }

// Observe tells how a request went. It reports whether the limit has changed.
func (l *Limiter) Observe(s Sample) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.limit.Load()
	if l.probing != none {
		l.probe(s)
	} else {
		l.count(s)
		if l.window.over(s.Ended) {
			l.endWindow(s.Ended)
		}
	}
	return l.limit.Load() != before
}

// count adds a sample to the window.
func (l *Limiter) count(s Sample) {
	w := &l.window
	if w.began == 0 || s.Ended-w.began > int64(windowStale) && w.n+w.failed < windowSome {
		*w = window{began: s.Ended}
	}
	w.peak = max(w.peak, s.InFlight)
	if s.Failed {
		w.failed++
		return
	}
	w.n++
	w.sum += math.Log(float64(max(1, s.Took)))
}

// over says whether the window has seen enough.
func (w *window) over(now int64) bool {
	age, n := now-w.began, w.n+w.failed
	return age >= int64(windowTime) && n >= windowMany || age >= int64(windowLong) && n >= windowSome
}

// endWindow changes the limit by what the window has seen, and begins the next.
func (l *Limiter) endWindow(now int64) {
	w := l.window
	if w.n > 0 && !settled(now-w.began, w.sum/float64(w.n)) {
		return
	}
	l.window = window{began: now}
	used := float64(w.peak) > l.estimate/2
	failed := float64(w.failed) / float64(w.n+w.failed)
	factor := 1 - failed/2
	if w.n > 0 {
		took := w.sum / float64(w.n)
		switch {
		case l.baseline == 0:
			l.baseline, l.lastProbe, l.unsure = took, now, true
		case !used: // nothing queues because of the limit
			l.baseline += (took - l.baseline) / 4
		default:
			factor = min(factor, max(0.5, tolerance*math.Exp(l.baseline-took)))
		}
	}
	l.move(factor, used && failed < failures)
	soon := (l.unsure || l.falls >= fallsToSoon) && now-l.lastProbe >= l.rarer*int64(probeSoon)
	if used && (soon || now-l.lastProbe >= l.rarer*int64(probeEvery)) {
		l.beginProbe(now)
	}
}

// move changes the limit by a factor, and lets it grow by its square root: room for chance, which small limits need more of.
func (l *Limiter) move(factor float64, grow bool) {
	factor = min(1, factor)
	if factor == 1 && !grow {
		return
	}
	room := 0.0
	if grow {
		room = math.Sqrt(l.estimate)
	}
	next := (l.estimate + l.estimate*factor + room) / 2
	if l.falls++; next >= l.estimate {
		l.falls = 0
	}
	l.set(next)
}

func (l *Limiter) set(limit float64) {
	l.estimate = min(max(limit, float64(l.o.Min)), float64(l.o.Max))
	l.limit.Store(int64(math.Round(l.estimate)))
}

// beginProbe lowers the limit, so that the queue empties.
func (l *Limiter) beginProbe(now int64) {
	l.probing, l.probeFrom = draining, now
	l.limit.Store(int64(max(1, math.Round(l.estimate/2))))
}

// probe goes on with a probe. Once the queue is gone it waits for a while before it counts: of what begins then, those that are fast end first.
func (l *Limiter) probe(s Sample) {
	switch {
	case s.Ended-l.probeFrom > int64(probeGiveUp) || l.probing == draining && s.Ended-l.probeFrom > int64(probeDrain):
		l.rarer = min(2*l.rarer, probeMost)
		l.endProbe(s.Ended)
	case l.probing == draining:
		if s.InFlight <= l.Limit() {
			l.probing, l.probeFrom, l.window = measuring, s.Ended, window{}
		}
	case !settled(s.Ended-l.probeFrom, l.baseline):
	default:
		if l.window.began == 0 {
			l.window.began = s.Ended
		}
		l.count(s)
		if !l.probed(s.Ended) {
			return
		}
		if w := l.window; w.n > 0 {
			took := w.sum / float64(w.n)
			if l.unsure = took < l.baseline-0.1; l.unsure {
				l.baseline = took
			} else {
				l.baseline += (took - l.baseline) / 2
			}
		}
		l.rarer = 1
		l.endProbe(s.Ended)
	}
}

// probed says whether a probe has seen enough.
func (l *Limiter) probed(now int64) bool {
	age, n := now-l.window.began, l.window.n+l.window.failed
	return settled(age, l.baseline) && (n >= windowMany || n >= windowSome && age >= int64(probeLong))
}

// settled says whether a stretch of time was so long that not only the fast answers in it are over.
func settled(age int64, took float64) bool {
	return age >= int64(windowLong) || age >= int64(windowTime) && float64(age) >= windowTimes*math.Exp(took)
}

// endProbe lets the limit be what it was.
func (l *Limiter) endProbe(now int64) {
	l.probing, l.lastProbe, l.window, l.falls = none, now, window{began: now}, 0
	l.set(l.estimate)
}

// Baseline is how long an answer takes without a queue, or 0 where that is not known.
func (l *Limiter) Baseline() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.baseline == 0 {
		return 0
	}
	return time.Duration(math.Exp(l.baseline))
}
