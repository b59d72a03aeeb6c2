package upstream

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/adaptive"
	"cardea.dev/cardea/internal/upstream/breaker"
)

// gate bounds how many requests are under way at an upstream. Those beyond wait in line, if there is room in it: the more important ones
// before the others, and within a class in the order in which they came. When the line is full, one that is more important takes the place of the
// least important that came last.
//
// For each class above its own that has asked lately, a class leaves a tenth of the limit free. So those that are more important find room at once, and
// where all are of one class nothing is set aside.
type gate struct {
	limit    int               // where it is fixed
	adaptive *adaptive.Limiter // nil: it is fixed
	pending  int
	wait     time.Duration   // 0: without bound
	ended    *breaker.Window // requests, to say when there may be room again

	mu      sync.Mutex
	active  int
	lines   [classes][]*waiter // by class; the first of each is its next
	waiting int                // in all lines
	seen    [classes]int64     // when a request of a class came last; 0: never
	begun   int64              // since when requests have been under way without a pause
	since   int                // how many have ended since
}

// classes is how many classes of importance there are.
const classes = int(filter.Critical-filter.Low) + 1

// classOf is the index of a class: 0 is the least important.
func classOf(p filter.Priority) int {
	return int(min(max(p, filter.Low), filter.Critical) - filter.Low)
}

// The part of the limit that is left free for each class that is more important, and how long a class counts that does not come any more.
const (
	reserved = 10 // one in so many
	lately   = 10 * time.Second
)

// waiter is a request in line. Its channel is closed when it is let in, or put out.
type waiter struct {
	over chan struct{}
	in   bool // let in; guarded by the gate's lock
	out  bool // a more important one has its place; guarded by the gate's lock
}

var (
	errFull      = errors.New("as many requests are under way as are allowed, and as many wait")
	errTooLong   = errors.New("no request ended while this one waited")
	errNoLine    = errors.New("as many requests are under way as are allowed")
	errDisplaced = errors.New("a more important request took this one's place in line")
	errOutOfTime = errors.New("the time for the whole request was over while it waited in line")
)

// limitNow is how many requests may be under way now.
func (g *gate) limitNow() int {
	if g.adaptive != nil {
		return g.adaptive.Limit()
	}
	return g.limit
}

// roomFor says whether a request of a class may be let in. The lock is held.
func (g *gate) roomFor(class int, now int64) bool {
	limit := g.limitNow()
	if g.active >= limit {
		return false
	}
	free := 0
	for c := class + 1; c < classes; c++ {
		if g.seen[c] != 0 && now-g.seen[c] < int64(lately) {
			free += limit / reserved
		}
	}
	return g.active < limit-free
}

// enter lets a request in, waits until it may be let in, or says why it is not. Until is when its time is over; zero: never. Now is by the clock of the
// upstream's parts.
func (g *gate) enter(ctx context.Context, p filter.Priority, until time.Time, now int64) error {
	class := classOf(p)
	g.mu.Lock()
	g.seen[class] = max(1, now)
	g.begin(now)
	if g.waiting == 0 && g.roomFor(class, now) {
		g.active++
		g.mu.Unlock()
		return nil
	}
	g.admit(now) // the limit may have grown, or nothing may be set aside any more
	if g.ahead(class) == 0 && g.roomFor(class, now) {
		g.active++
		g.mu.Unlock()
		return nil
	}
	if g.waiting >= g.pending && !g.displace(class) {
		g.mu.Unlock()
		if g.pending == 0 {
			return errNoLine
		}
		return errFull
	}
	w := &waiter{over: make(chan struct{})}
	g.lines[class] = append(g.lines[class], w)
	g.waiting++
	g.mu.Unlock()
	return g.stand(ctx, w, class, until)
}

// ahead is how many wait that go before a request of a class. The lock is held.
func (g *gate) ahead(class int) (n int) {
	for c := class; c < classes; c++ {
		n += len(g.lines[c])
	}
	return n
}

// displace makes room in the line for a class: of the least important class that waits, if it is below, the last goes. The lock is held.
func (g *gate) displace(class int) bool {
	for c := range class {
		if n := len(g.lines[c]); n > 0 {
			w := g.lines[c][n-1]
			g.lines[c][n-1] = nil
			g.lines[c] = g.lines[c][:n-1]
			g.waiting--
			w.out = true
			close(w.over)
			return true
		}
	}
	return false
}

// admit lets in those who wait and for whom there is room. The lock is held.
func (g *gate) admit(now int64) {
	for c := classes - 1; c >= 0 && g.waiting > 0; c-- {
		for len(g.lines[c]) > 0 && g.roomFor(c, now) {
			w := g.lines[c][0]
			g.lines[c][0] = nil
			g.lines[c] = g.lines[c][1:]
			g.waiting--
			g.active++
			w.in = true
			close(w.over)
		}
		if len(g.lines[c]) > 0 {
			return // nobody goes before those who are more important
		}
	}
}

// stand waits in line.
func (g *gate) stand(ctx context.Context, w *waiter, class int, until time.Time) error {
	wait, late := g.wait, errTooLong
	if !until.IsZero() {
		if left := time.Until(until); wait == 0 || left < wait {
			wait, late = max(1, left), errOutOfTime
		}
	}
	var end <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		end = timer.C
	}
	var err error
	select {
	case <-w.over:
		if w.out {
			return errDisplaced
		}
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-end:
		err = late
	}
	in := g.quit(w, class)
	switch {
	case !in:
		return err
	case ctx.Err() == nil && err == errTooLong:
		return nil // let in at the last moment
	}
	g.leave(0)
	return err
}

// quit takes a waiter out of the line. It reports true when it was let in before.
func (g *gate) quit(w *waiter, class int) (in bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.in || w.out {
		return w.in
	}
	line := g.lines[class]
	for i, other := range line {
		if other == w {
			copy(line[i:], line[i+1:])
			line[len(line)-1] = nil
			g.lines[class] = line[:len(line)-1]
			g.waiting--
			break
		}
	}
	return false
}

// try lets one more request in if there is room for it and nobody waits.
func (g *gate) try(p filter.Priority, now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting > 0 || !g.roomFor(classOf(p), now) {
		return false
	}
	g.begin(now)
	g.active++
	return true
}

// begin notes when the first request comes after a pause. The lock is held.
func (g *gate) begin(now int64) {
	if g.active == 0 {
		g.begun, g.since = now, 0
	}
}

// leave ends a request. Those next in line take its place. A time of 0 is the last that is known.
func (g *gate) leave(now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active--
	if now > 0 {
		g.ended.Add(now, 1, 0)
		g.since++
	}
	if g.waiting > 0 {
		for _, at := range g.seen {
			now = max(now, at)
		}
		g.admit(now)
	}
}

// counts is how many requests are under way, and how many wait.
func (g *gate) counts() (active, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active, g.waiting
}

// endedWindow is the time over which it is counted how many requests end.
const endedWindow = 10 * time.Second

// The bounds of what those who are refused are told, but for chance.
const (
	retryLeast = 1
	retryMost  = 30
)

// retryAfter is how many seconds someone who is refused should wait: the time in which those who are under way and in line will be done, at the rate of
// the last ten seconds, or since there was nothing to do if that is not so long ago, and up to as much again by chance, so that not all come back at once.
func (g *gate) retryAfter(now int64) string {
	done, _ := g.ended.Sum(now)
	g.mu.Lock()
	left, span := g.active+g.waiting, endedWindow
	young := time.Duration(now - g.begun)
	if young < span {
		span, done = max(young, time.Millisecond), int64(g.since)
	}
	g.mu.Unlock()
	seconds := float64(retryMost)
	switch {
	case done > 0:
		seconds = float64(left) * span.Seconds() / float64(done)
	case young < endedWindow:
		seconds = span.Seconds()
	}
	least := min(max(int(math.Ceil(seconds)), retryLeast), retryMost)
	return strconv.Itoa(least + rand.IntN(least+1))
}
