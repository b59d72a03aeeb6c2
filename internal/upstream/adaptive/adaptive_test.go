package adaptive

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var kinds = []struct {
	name  string
	takes func(time.Duration) func(*rand.Rand) time.Duration
	mean  float64 // of what a request takes, in parts of the nominal time
}{{"constant", constant, 1}, {"exponential", exponential, 1}, {"mixed", mixed, 1.4}, {"heavy", heavy, 0.94}}

// The limit comes near to what the service can work on, whatever its size, its speed and the spread of its answers: nearly nothing of its capacity
// is lost, and hardly anything queues. So it is again a few seconds after half of the capacity has gone, and after it has come back.
func TestConverges(t *testing.T) {
	for _, kind := range kinds {
		for _, workers := range []int{4, 40, 200} {
			for _, takes := range []time.Duration{2 * time.Millisecond, 50 * time.Millisecond} {
				if workers > 4 && takes < 50*time.Millisecond {
					continue // it takes long to simulate, and shows nothing more
				}
				t.Run(fmt.Sprintf("%s %d %s", kind.name, workers, takes), func(t *testing.T) {
					capacity := float64(workers) / (takes.Seconds() * kind.mean)
					s := newSimulation(New(Options{Min: 2, Max: 2000, Start: 20}), service{workers, kind.takes(takes)}, 2*capacity)
					check := func(when string, capacity float64, workers int) {
						t.Helper()
						s.run(20 * time.Second)
						got := s.run(10 * time.Second)
						share := float64(got.good) / 10 / capacity
						t.Logf("%s: limit %.1f of %d, %.0f %% of the capacity, latency %v", when, got.limit, workers, 100*share, got.latency)
						if most := time.Duration(2.2 * kind.mean * float64(takes)); share < 0.8 || workers >= 20 && got.latency > most || got.latency > 3*most {
							t.Errorf("%s: limit %.1f, %.0f %% of the capacity, latency %v", when, got.limit, 100*share, got.latency)
						}
					}
					check("at first", capacity, workers)
					s.service.workers /= 2
					check("with half of it", capacity/2, workers/2)
					s.service.workers *= 2
					check("with all again", capacity, workers)
				})
			}
		}
	}
}

// A service that becomes slower, and not smaller, keeps nearly all of its limit: what an answer takes is measured anew.
func TestLearnsANewSpeed(t *testing.T) {
	for _, kind := range kinds {
		s := newSimulation(New(Options{Min: 5, Max: 1000, Start: 20}), service{40, kind.takes(20 * time.Millisecond)}, 4000)
		s.run(20 * time.Second)
		s.service.takes = kind.takes(60 * time.Millisecond)
		s.run(30 * time.Second)
		got := s.run(10 * time.Second)
		if share := float64(got.good) / 10 / (40 / 0.06 / kind.mean); share < 0.8 {
			t.Errorf("%s: limit %.1f, %.0f %% of the capacity", kind.name, got.limit, 100*share)
		}
	}
}

// Few requests, or none, whose answers take now longer and now shorter, say nothing about what the service could do.
func TestDoesNotCollapseWhenIdle(t *testing.T) {
	for _, kind := range kinds {
		l := New(Options{Min: 5, Max: 1000, Start: 50})
		s := newSimulation(l, service{40, kind.takes(10 * time.Millisecond)}, 100)
		for range 20 {
			s.run(5 * time.Second)
			s.service.takes = kind.takes(time.Duration(1+s.random.IntN(50)) * time.Millisecond)
			if l.Limit() != 50 {
				t.Fatalf("%s: the limit is %d", kind.name, l.Limit())
			}
		}
		s.rate = 0
		s.run(time.Hour)
		if l.Limit() != 50 {
			t.Errorf("%s: after an hour without requests the limit is %d", kind.name, l.Limit())
		}
	}
}

// A service that has all it wants, just under its capacity, is not made to refuse much.
func TestLeavesALoadAloneThatFits(t *testing.T) {
	for _, kind := range kinds {
		capacity := 4000 / kind.mean
		s := newSimulation(New(Options{Min: 5, Max: 1000, Start: 20}), service{40, kind.takes(10 * time.Millisecond)}, 0.7*capacity)
		s.run(20 * time.Second)
		got := s.run(30 * time.Second)
		if share := float64(got.refused) / float64(got.good+got.refused); share > 0.05 {
			t.Errorf("%s: %.1f %% were refused; limit %.1f", kind.name, 100*share, got.limit)
		}
	}
}

func TestFailuresAreCongestion(t *testing.T) {
	l := New(Options{Min: 5, Max: 1000, Start: 400})
	fail := func(n int, from int64) {
		for i := range n {
			l.Observe(Sample{Ended: from + int64(i)*int64(time.Millisecond), InFlight: 10, Failed: true})
		}
	}
	fail(2000, 1)
	if l.Limit() > 10 {
		t.Errorf("when everything fails the limit is %d", l.Limit())
	}
	s := newSimulation(l, service{40, constant(10 * time.Millisecond)}, 6000)
	s.now, s.next = int64(10*time.Second), int64(10*time.Second)
	s.run(10 * time.Second)
	if got := s.run(5 * time.Second); float64(got.good)/5 < 3500 {
		t.Errorf("afterwards the limit comes back to %.1f only", got.limit)
	}
	s.timeout = 12 * time.Millisecond // less than what two in a row take
	s.run(5 * time.Second)
	if got := s.run(10 * time.Second); got.late > got.good/4 {
		t.Errorf("of those with a timeout %d were late and %d were not; limit %.1f", got.late, got.good, got.limit)
	}
}

// Whatever is reported, the limit stays within its bounds, or for the time of a probe at half of the lower one.
func TestBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		o := Options{Min: random.IntN(50), Max: random.IntN(500), Start: random.IntN(1000)}
		l := New(o)
		now := int64(1)
		for range 3000 {
			now += random.Int64N(int64(20 * time.Millisecond))
			took := time.Duration(random.Int64N(int64(time.Second)))
			l.Observe(Sample{Ended: now, InFlight: random.IntN(600), Failed: random.IntN(10) == 0, Took: took - 1})
			if n := l.Limit(); n < max(1, o.Min/2) || n > max(1, o.Min, o.Max) {
				t.Fatalf("the limit of %+v is %d", o, n)
			}
		}
	}
}

// Streams that never end keep more under way than a probe lets in. It is given up then.
func TestAProbeEnds(t *testing.T) {
	l := New(Options{Min: 5, Max: 100, Start: 100})
	now := int64(1)
	for range 40000 {
		now += int64(time.Millisecond)
		l.Observe(Sample{Ended: now, InFlight: 90, Took: time.Millisecond})
	}
	if l.Limit() != 100 {
		t.Errorf("the limit is %d", l.Limit())
	}
}

func TestManyAtOnce(t *testing.T) {
	l := New(Options{Min: 5, Max: 100, Start: 20})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := range int64(2000) {
				l.Observe(Sample{Ended: i*1e6 + 1e5, InFlight: l.Limit(), Took: 1e5})
				l.Baseline()
			}
		})
	}
	wait.Wait()
}

func BenchmarkObserve(b *testing.B) {
	l := New(Options{Min: 5, Max: 100, Start: 20})
	b.ReportAllocs()
	var now int64
	for b.Loop() {
		now += 1e6
		l.Observe(Sample{Ended: now, InFlight: 10, Took: time.Millisecond})
	}
}
