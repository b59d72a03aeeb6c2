//go:build linux

package load

import (
	"time"
)

// window is the time that is measured: it begins after the warm-up. It is for one goroutine.
type window struct {
	job   *Job
	clock Clock

	from, until time.Time // planned
	began       time.Time // when it really began; zero before
	over        bool

	out           Result
	total, system time.Duration // when it began
	samples       []time.Duration
}

func (w *window) plan(start time.Time) {
	w.from = start.Add(w.job.Warmup)
	w.until = w.from.Add(w.job.Time)
}

// turn is told the time again and again, and begins and ends the window.
func (w *window) turn(now time.Time) (err error) {
	if w.began.IsZero() && !now.Before(w.from) {
		w.began = now
		w.total, w.system, err = w.clock(w.job.Processes)
	}
	if !w.over && !now.Before(w.until) {
		return w.close(now)
	}
	return err
}

// close ends the window.
func (w *window) close(now time.Time) error {
	if w.over {
		return nil
	}
	w.over = true
	if w.began.IsZero() {
		return nil
	}
	total, system, err := w.clock(w.job.Processes)
	w.out.CPU, w.out.System, w.out.Elapsed = total-w.total, system-w.system, now.Sub(w.began)
	return err
}

// count counts an answer. In a closed loop it belongs to the window in which it came, for that is when its cost was paid; in an
// open loop its latency belongs to the window in which it was due.
func (w *window) count(due, now time.Time) {
	if !w.began.IsZero() && !w.over {
		w.out.Requests++
	}
	if !due.Before(w.from) && due.Before(w.until) {
		w.samples = append(w.samples, now.Sub(due))
	}
}

func (w *window) fail(err error) {
	if w.out.Errors == 0 {
		w.out.Error = err.Error()
	}
	w.out.Errors++
}

func (w *window) result() Result {
	w.out.Latency = latencyOf(w.samples)
	return w.out
}
