package adaptive

import (
	"testing"
	"time"
)

// TestCompare prints how algorithms do side by side, for the decision that is documented: go test -run Compare -v. That decision holds only while this one
// is not much worse than any other in what it gets done, and not slow.
func TestCompare(t *testing.T) {
	const ms = time.Millisecond
	for _, kind := range kinds {
		for _, a := range []struct {
			name string
			make func() algorithm
		}{
			{"this", func() algorithm { return New(Options{Min: 5, Max: 1000, Start: 20}) }},
			{"gradient2", func() algorithm { return &gradient2{limit: 20} }},
			{"aimd", func() algorithm { return &aimd{limit: 20, late: 100 * ms} }},
		} {
			s := newSimulation(a.make(), service{40, kind.takes(10 * ms)}, 8000)
			s.run(20 * time.Second)
			x1 := s.run(30 * time.Second)
			s.service.workers = 20
			x2 := s.run(5 * time.Second)
			x3 := s.run(25 * time.Second)
			s.service.workers = 40
			x4 := s.run(5 * time.Second)
			s.service.takes = kind.takes(20 * ms)
			x5 := s.run(5 * time.Second)
			x6 := s.run(25 * time.Second)
			t.Logf("%-11s %-9s", kind.name, a.name)
			if share := float64(x1.good) / 30 / (4000 / kind.mean); a.name == "this" && (share < 0.93 || x1.latency > time.Duration(1.6*kind.mean*float64(10*ms))) {
				t.Errorf("%s: %.0f %% of the capacity, latency %v", kind.name, 100*share, x1.latency)
			}
			for _, x := range []struct {
				n string
				x seen
				d float64
			}{{"steady", x1, 30}, {"half5", x2, 5}, {"half", x3, 25}, {"back5", x4, 5}, {"slow5", x5, 5}, {"slow", x6, 25}} {
				t.Logf("     %-7s limit %6.1f  good/s %6.0f  latency %v", x.n, x.x.limit, float64(x.x.good)/x.d, x.x.latency.Round(100*time.Microsecond))
			}
		}
	}
}
