package outlier

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func defaults() Options {
	return Options{Consecutive: 5, ErrorRate: 0.5, MinRequests: 20, For: 30 * time.Second, MaxFor: 5 * time.Minute, Max: 0.5}
}

// watch returns a detector with records.
func watch(o Options, n int) (*Detector, []*Record) {
	d, records := New(o), make([]*Record, n)
	for i := range records {
		records[i] = new(Record)
	}
	d.Watch(records)
	return d, records
}

// fail reports failures and returns whether the last one ejected.
func fail(d *Detector, r *Record, times int, now int64) (ejected bool) {
	for range times {
		ejected = d.Report(r, true, now)
	}
	return ejected
}

func TestConsecutive(t *testing.T) {
	d, r := watch(defaults(), 3)
	fail(d, r[0], 4, 0)
	d.Report(r[0], false, 0)
	if fail(d, r[0], 4, 0) || r[0].Until(0) != 0 {
		t.Error("a success between failures did not count")
	}
	if !fail(d, r[0], 1, 0) || r[0].Until(0) != 30*second {
		t.Errorf("after five in a row it is ejected until %d", r[0].Until(0))
	}
	if r[0].Until(30*second) != 0 {
		t.Error("it is ejected for too long")
	}
}

func TestGrowsAndForgets(t *testing.T) {
	d, r := watch(defaults(), 3)
	now := int64(0)
	for _, want := range []int64{30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300} {
		n := 1 // when it comes back, the first failure ejects it again
		if now == 0 {
			n = 5
		}
		if !fail(d, r[0], n, now) {
			t.Fatalf("at %ds it was not ejected", now/second)
		}
		if got := (r[0].Until(now) - now) / second; got != want {
			t.Fatalf("at %ds it was ejected for %ds, want %ds", now/second, got, want)
		}
		now = r[0].Until(now)
	}
	d.Report(r[0], false, now)
	if fail(d, r[0], 4, now) {
		t.Error("a success after it came back did not count")
	}
	now += 601 * second
	if !fail(d, r[0], 1, now) || r[0].Until(now) != now+30*second {
		t.Errorf("after a long good time it is ejected for %ds", (r[0].Until(now)-now)/second)
	}
}

func TestErrorRate(t *testing.T) {
	d, r := watch(defaults(), 4)
	report := func(i, good, bad int) {
		for k := range good + bad { // never five failures in a row
			d.Report(r[i], k%2 == 0 && k/2 < bad, 0)
		}
	}
	report(0, 12, 12)
	report(1, 20, 0)
	report(2, 18, 2)
	report(3, 2, 3) // too few to tell
	if out := d.Sweep(0); len(out) != 1 || out[0] != r[0] || r[0].Until(0) == 0 {
		t.Errorf("%d were ejected; the bad one until %d", len(out), r[0].Until(0))
	}
	if out := d.Sweep(0); len(out) != 0 {
		t.Errorf("what was counted in one interval ejected %d in the next", len(out))
	}
}

func TestErrorRateOfAll(t *testing.T) {
	d, r := watch(defaults(), 4)
	for i := range r {
		for k := range 40 {
			d.Report(r[i], k%2 == 0, 0)
		}
	}
	if out := d.Sweep(0); len(out) != 0 {
		t.Errorf("all fail alike, and %d were ejected", len(out))
	}
}

// No more are ejected at once than may be, whatever fails, and never the only one.
func TestNeverTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		o := defaults()
		o.Max = rapid.Float64Range(0, 1).Draw(t, "max")
		d, r := watch(o, n)
		room := max(1, int(o.Max*float64(n)))
		room = min(room, n-1)
		now := int64(0)
		for range 200 {
			now += rapid.Int64Range(0, 5*second).Draw(t, "step")
			i := rapid.IntRange(0, n-1).Draw(t, "which")
			d.Report(r[i], rapid.IntRange(0, 9).Draw(t, "outcome") > 0, now)
			if rapid.IntRange(0, 20).Draw(t, "sweep") == 0 {
				d.Sweep(now)
			}
			out := 0
			for _, r := range r {
				if r.Until(now) != 0 {
					out++
				}
			}
			if out > room {
				t.Fatalf("%d of %d are ejected, at most %d may be", out, n, room)
			}
		}
	})
}

func TestReportDoesNotAllocate(t *testing.T) {
	d, r := watch(defaults(), 3)
	if n := testing.AllocsPerRun(1000, func() { d.Report(r[0], false, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
