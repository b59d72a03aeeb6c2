package breaker

import (
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

// newTest returns a breaker and the states that it goes through.
func newTest() (*Breaker, *[]State) {
	var seen []State
	b := New(Options{
		ErrorRate: 0.5, MinRequests: 4, Window: 10 * time.Second, OpenFor: 5 * time.Second, Probes: 2,
		OnChange: func(s State) { seen = append(seen, s) },
	})
	return b, &seen
}

// do sends a request through and reports whether it might pass.
func do(b *Breaker, o Outcome, now int64) bool {
	t, ok := b.Allow(now)
	if ok {
		b.Report(t, o, now)
	}
	return ok
}

func TestOpensHalfOpensCloses(t *testing.T) {
	b, seen := newTest()
	for range 3 {
		do(b, Failure, 0)
	}
	if got := b.Status(0); got != (Status{State: Closed, ErrorRate: 1, Requests: 3}) {
		t.Errorf("with too few requests: %+v", got)
	}
	do(b, Failure, 0)
	if got := b.Status(second); got != (Status{Open, 1, 4, 4 * time.Second}) {
		t.Errorf("after enough: %+v", got)
	}
	if do(b, Success, 5*second-1) {
		t.Error("something passes while it is open")
	}
	one, ok1 := b.Allow(5 * second)
	two, ok2 := b.Allow(5 * second)
	_, ok3 := b.Allow(5 * second)
	if !ok1 || !ok2 || ok3 || !one.Probe() {
		t.Errorf("half open: %v %v %v", ok1, ok2, ok3)
	}
	b.Report(one, Success, 6*second)
	if _, ok := b.Allow(6 * second); ok {
		t.Error("more pass than are needed")
	}
	b.Report(two, Success, 6*second)
	if got := b.Status(6 * second); got != (Status{State: Closed}) {
		t.Errorf("after the probes: %+v", got)
	}
	if want := []State{Open, HalfOpen, Closed}; !slices.Equal(*seen, want) {
		t.Errorf("the states were %v, want %v", *seen, want)
	}
}

func TestProbeThatFailsOpensAgain(t *testing.T) {
	b, seen := newTest()
	for range 4 {
		do(b, Failure, 0)
	}
	do(b, Success, 5*second)
	do(b, Failure, 5*second)
	if do(b, Success, 10*second-1) {
		t.Error("something passes after a probe has failed")
	}
	if !do(b, Success, 10*second) {
		t.Error("nothing passes when the second rest is over")
	}
	if want := []State{Open, HalfOpen, Open, HalfOpen}; !slices.Equal(*seen, want) {
		t.Errorf("the states were %v, want %v", *seen, want)
	}
}

func TestProbeThatSaysNothingMakesRoom(t *testing.T) {
	b, _ := newTest()
	for range 4 {
		do(b, Failure, 0)
	}
	for range 10 {
		if !do(b, Ignored, 5*second) {
			t.Fatal("probes whose clients left are used up")
		}
	}
}

func TestProbesThatNeverEnd(t *testing.T) {
	b, _ := newTest()
	for range 4 {
		do(b, Failure, 0)
	}
	b.Allow(5 * second)
	b.Allow(5 * second)
	if _, ok := b.Allow(10*second - 1); ok {
		t.Error("a third probe passes at once")
	}
	if _, ok := b.Allow(10 * second); !ok {
		t.Error("probes that hang hold it half open for ever")
	}
}

func TestWhatBeganBeforeDoesNotCount(t *testing.T) {
	b, _ := newTest()
	late, _ := b.Allow(0)
	for range 4 {
		do(b, Failure, 0)
	}
	do(b, Success, 5*second)
	b.Report(late, Failure, 5*second)
	do(b, Success, 5*second)
	if s := b.Status(5 * second).State; s != Closed {
		t.Errorf("a late failure of before keeps it %v", s)
	}
}

func TestFewFailuresAmongMany(t *testing.T) {
	b, _ := newTest()
	for k := range int64(1000) {
		o := Success
		if k%3 == 2 {
			o = Failure
		}
		if !do(b, o, k*second/100) {
			t.Fatalf("it opened at a third of failures, after %d", k)
		}
	}
}

// The window counts what was within its length, give or take a bucket.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := NewWindow(10 * time.Second)
		type event struct {
			at   int64
			good bool
		}
		var events []event
		now := rapid.Int64Range(0, 1<<50).Draw(t, "start")
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			now += rapid.Int64Range(0, 3*second).Draw(t, "step")
			e := event{now, rapid.Bool().Draw(t, "good")}
			events = append(events, e)
			if e.good {
				w.Add(now, 1, 0)
			} else {
				w.Add(now, 0, 1)
			}
			var good, bad int64
			for _, e := range events {
				if e.at/second <= now/second-buckets {
					continue
				}
				if e.good {
					good++
				} else {
					bad++
				}
			}
			if g, b := w.Sum(now); g != good || b != bad {
				t.Fatalf("at %d it counts %d and %d, want %d and %d", now, g, b, good, bad)
			}
		}
		if g, b := w.Sum(now + 10*second); g != 0 || b != 0 {
			t.Fatalf("ten seconds later it still counts %d and %d", g, b)
		}
	})
}

func TestWindowLosesNothing(t *testing.T) {
	w := NewWindow(time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				w.Add(5, 1, 1)
			}
		})
	}
	wg.Wait()
	w.Take(5, 3)
	if g, b := w.Sum(5); g != 8000 || b != 7997 {
		t.Errorf("it counts %d and %d", g, b)
	}
}

func TestAllowDoesNotAllocate(t *testing.T) {
	b, _ := newTest()
	if n := testing.AllocsPerRun(1000, func() { do(b, Success, 7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllowReport(b *testing.B) {
	br, _ := newTest()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			do(br, Success, 7)
		}
	})
}
