package pool

import (
	"testing"
	"time"
)

// A connection that has been unused for a while must not keep the timer going without a pause.
func TestTidyingPauses(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name               string
		unused, keep, want time.Duration
	}{
		{"nothing is unused", -1, time.Minute, time.Minute},
		{"just put back", 0, time.Minute, sweepEvery},
		{"unused for longer than a sweep", 10 * time.Second, time.Minute, sweepEvery},
		{"about to be closed", 59 * time.Second, time.Minute, time.Second},
		{"kept for less than a sweep", 0, 20 * time.Millisecond, 20 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &host{pool: &Pool{o: Options{KeepAlive: c.keep}}}
			if c.unused >= 0 {
				h.idle = []*conn{{idleSince: now.Add(-c.unused)}}
			}
			if got := h.due(now).Sub(now); got != c.want {
				t.Errorf("due in %v, want %v", got, c.want)
			}
		})
	}
}
