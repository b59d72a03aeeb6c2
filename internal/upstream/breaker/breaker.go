// Package breaker gives a service that fails too often a rest. It counts outcomes over a sliding window, refuses requests once
// too many of them are failures, and after a while lets a few through to see whether the service is well again.
//
// It knows nothing of what a request or a failure is. Only package upstream imports it. Times are nanoseconds by a clock of the
// caller's choice that does not go back.
package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// State is what a Breaker does.
type State int32

// The states. Their numbers are those of the metric.
const (
	Closed   State = iota // all requests pass
	Open                  // none do
	HalfOpen              // a few do
)

// String returns the state's name.
func (s State) String() string { return [...]string{"closed", "open", "half_open"}[s] }

// Outcome is how a request ended.
type Outcome int

// The outcomes.
const (
	Success Outcome = iota
	Failure
	Ignored // it says nothing about the service
)

// Options say when a Breaker opens and closes.
type Options struct {
	ErrorRate   float64       // the share of failures that opens it
	MinRequests int           // how many there must be for that within the window
	Window      time.Duration // over which they are counted
	OpenFor     time.Duration // how long it is open before it is half open
	Probes      int           // how many requests pass while it is half open, and must succeed for it to close

	// OnChange is told of each change of state. It runs with the breaker locked and must not use it. It may be nil.
	OnChange func(State)
}

// Breaker is one circuit breaker.
type Breaker struct {
	options Options
	window  *Window
	now     atomic.Int32  // the State
	turn    atomic.Uint32 // counts changes of state, so that what began before one does not count after it

	mu        sync.Mutex
	until     int64 // when what is open becomes half open, and when what is half open lets further probes through
	admitted  int   // probes that began and may still succeed, or have
	succeeded int   // probes that did
}

// New returns a closed Breaker.
func New(o Options) *Breaker { return &Breaker{options: o, window: NewWindow(o.Window)} }

// Ticket is the permission for one request. It is given back to Report, once.
type Ticket struct {
	turn  uint32
	probe bool
}

// Probe reports whether the request is one of the few that show whether the service is well again.
func (t Ticket) Probe() bool { return t.probe }

// Allow reports whether a request may be sent.
func (b *Breaker) Allow(now int64) (Ticket, bool) {
	if turn := b.turn.Load(); State(b.now.Load()) == Closed {
		return Ticket{turn: turn}, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch State(b.now.Load()) {
	case Closed:
		return Ticket{turn: b.turn.Load()}, true
	case Open:
		if now < b.until {
			return Ticket{}, false
		}
		b.change(HalfOpen, now)
	case HalfOpen:
		if now >= b.until { // probes that take for ever must not keep it half open for ever
			b.admitted, b.until = b.succeeded, now+int64(b.options.OpenFor)
		}
	}
	if b.admitted >= b.options.Probes {
		return Ticket{}, false
	}
	b.admitted++
	return Ticket{b.turn.Load(), true}, true
}

// Report tells how a request ended.
func (b *Breaker) Report(t Ticket, o Outcome, now int64) {
	if t.turn != b.turn.Load() {
		return
	}
	if t.probe {
		b.reportProbe(t, o, now)
		return
	}
	switch o {
	case Success:
		b.window.Add(now, 1, 0)
	case Failure:
		b.window.Add(now, 0, 1)
		b.trip(t, now)
	}
}

// trip opens the breaker when there were too many failures.
func (b *Breaker) trip(t Ticket, now int64) {
	good, bad := b.window.Sum(now)
	if total := good + bad; total < int64(b.options.MinRequests) || float64(bad) < b.options.ErrorRate*float64(total) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.turn == b.turn.Load() && State(b.now.Load()) == Closed {
		b.change(Open, now)
	}
}

// reportProbe tells how a probe ended.
func (b *Breaker) reportProbe(t Ticket, o Outcome, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.turn != b.turn.Load() {
		return
	}
	switch o {
	case Success:
		if b.succeeded++; b.succeeded >= b.options.Probes {
			b.change(Closed, now)
		}
	case Failure:
		b.change(Open, now)
	case Ignored:
		b.admitted = max(b.succeeded, b.admitted-1)
	}
}

// change goes to another state. The lock is held.
func (b *Breaker) change(to State, now int64) {
	b.turn.Add(1)
	b.now.Store(int32(to))
	b.admitted, b.succeeded = 0, 0
	b.until = now + int64(b.options.OpenFor)
	if to == Closed {
		b.window.Reset()
	}
	if b.options.OnChange != nil {
		b.options.OnChange(to)
	}
}

// Status is what operators see of a Breaker.
type Status struct {
	State     State
	ErrorRate float64       // of the window
	Requests  int64         // in the window
	OpenFor   time.Duration // how much longer it refuses all; 0 unless it is open
}

// Status returns what the breaker does at a time.
func (b *Breaker) Status(now int64) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	good, bad := b.window.Sum(now)
	s := Status{State: State(b.now.Load()), Requests: good + bad}
	if s.Requests > 0 {
		s.ErrorRate = float64(bad) / float64(s.Requests)
	}
	if s.State == Open {
		s.OpenFor = max(0, time.Duration(b.until-now))
	}
	return s
}
