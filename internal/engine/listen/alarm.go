package listen

import (
	"sync"
	"time"
)

// alarm does something when a wait has been too long. What it does uses the writer of a request, which must not be used once that has been
// served: so it has an end.
type alarm struct {
	ring func()

	mu    sync.Mutex // held while it rings
	timer *time.Timer
	set   bool
	ended bool
}

// arm begins a wait; of 0 or less it is without end.
func (a *alarm) arm(wait time.Duration) {
	if wait <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.set = !a.ended; {
	case a.ended:
	case a.timer == nil:
		a.timer = time.AfterFunc(wait, a.late)
	default:
		a.timer.Reset(wait)
	}
}

// disarm ends the wait. Afterwards the alarm does not ring, until it is armed again.
func (a *alarm) disarm() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = false
	if a.timer != nil {
		a.timer.Stop()
	}
}

// end is disarm for ever.
func (a *alarm) end() {
	a.disarm()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.set = true, false
}

func (a *alarm) late() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set {
		a.ring()
	}
}

// now rings it at once, unless it has ended.
func (a *alarm) now() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.ring()
	}
}
