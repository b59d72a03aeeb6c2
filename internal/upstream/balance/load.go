package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Group counts what a group of Loads have to do together.
type Group struct{ active atomic.Int64 }

// Active is how many requests are under way in the group.
func (g *Group) Active() int64 { return g.active.Load() }

// Load is how much an endpoint has to do, how fast it was, and since when it is up. It outlives the sets of endpoints that it is
// in, and may be used by many goroutines. Times are nanoseconds by a clock of the caller's choice that does not go back.
type Load struct {
	group  *Group
	active atomic.Int64
	speed  atomic.Uint64 // latency in ns as float32, and when it was taken in ms; 0: never
	since  atomic.Int64  // when it came up, plus 1; 0: long ago
}

// NewLoad returns the Load of an endpoint that has been up for long.
func NewLoad(group *Group) *Load { return &Load{group: group} }

// Begin counts a request that begins.
func (l *Load) Begin() {
	l.active.Add(1)
	l.group.active.Add(1)
}

// End counts a request that ends.
func (l *Load) End() {
	l.active.Add(-1)
	l.group.active.Add(-1)
}

// Active is how many requests are under way.
func (l *Load) Active() int64 { return l.active.Load() }

// WarmUp begins the slow start.
func (l *Load) WarmUp(now int64) { l.since.Store(now + 1) }

// coldest is the share that an endpoint has at the beginning of its slow start. With less it would never warm up.
const coldest = 0.1

// warmth is how much of its share an endpoint is up to.
func (l *Load) warmth(now, slowStart int64) float64 {
	since := l.since.Load()
	if since == 0 {
		return 1
	}
	age := now - (since - 1)
	if age >= slowStart {
		l.since.CompareAndSwap(since, 0)
		return 1
	}
	return max(coldest, float64(age)/float64(slowStart))
}

// Observe notes how long a request took. A slow one counts at once, fast ones little by little: what went wrong should be
// noticed sooner than that it is right again.
func (l *Load) Observe(took time.Duration, now int64, decay time.Duration) {
	for {
		old := l.speed.Load()
		latency, age := unpackSpeed(old, now)
		sample := float64(max(took, 1))
		if old != 0 && sample < latency {
			keep := math.Exp(-age / float64(decay))
			sample = latency*keep + sample*(1-keep)
		}
		if l.speed.CompareAndSwap(old, packSpeed(sample, now)) {
			return
		}
	}
}

// AtLeast notes that a request took so long that was given up: it says something only where that is longer than usual.
func (l *Load) AtLeast(took time.Duration, now int64, decay time.Duration) {
	if took > l.Latency(now, decay) {
		l.Observe(took, now, decay)
	}
}

// Latency is the time that the endpoint took lately. What was noted fades, so that an endpoint that was slow is asked again.
// It is 0 when nothing was noted.
func (l *Load) Latency(now int64, decay time.Duration) time.Duration {
	word := l.speed.Load()
	if word == 0 {
		return 0
	}
	latency, age := unpackSpeed(word, now)
	return time.Duration(latency * math.Exp(-age/float64(decay)))
}

// unmeasured is what a request costs at an endpoint that has one already and has not answered any.
const unmeasured = float64(time.Second)

// cost is the time that a further request would probably take.
func (l *Load) cost(now int64, decay time.Duration) float64 {
	active := float64(l.active.Load())
	word := l.speed.Load()
	if word == 0 {
		return active * unmeasured
	}
	latency, age := unpackSpeed(word, now)
	return latency * math.Exp(-age/float64(decay)) * (active + 1)
}

// packSpeed puts a latency and the time when it was taken into one word.
func packSpeed(latency float64, now int64) uint64 {
	return uint64(math.Float32bits(float32(latency)))<<32 | uint64(uint32(now/int64(time.Millisecond)))
}

// unpackSpeed returns the latency and its age, both in nanoseconds. The clock in the word wraps after 49 days.
func unpackSpeed(word uint64, now int64) (latency, age float64) {
	latency = float64(math.Float32frombits(uint32(word >> 32)))
	ms := int32(uint32(now/int64(time.Millisecond)) - uint32(word))
	return latency, float64(max(ms, 0)) * float64(time.Millisecond)
}
