//go:build linux

package load

import (
	"errors"
	"time"
)

// window is the time that is measured: it begins after the warm-up. It is for one goroutine.
type window struct {
	job   *Job
	clock Clock

	from, until time.Time // planned, until it begins
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
		w.began, w.from, w.until = now, now, now.Add(w.job.Time) // not shorter, when the machine let us wait
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
	w.out.CPU, w.out.Elapsed = total-w.total, now.Sub(w.began)
	w.out.System = min(system-w.system, w.out.CPU) // it is counted more coarsely
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

// result is what was measured, which must be something: numbers by nothing would look good.
func (w *window) result() (Result, error) {
	if w.out.Errors == 0 && (w.out.Requests == 0 || len(w.samples) == 0) {
		return Result{}, errors.New("no request was answered in the time that was measured")
	}
	w.out.Latency = latencyOf(w.samples)
	return w.out, nil
}
