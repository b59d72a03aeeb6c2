package balance

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// members makes members with weights.
func members(group *Group, weights ...int) []*Member {
	out := make([]*Member, len(weights))
	for i, w := range weights {
		out[i] = &Member{Name: fmt.Sprintf("10.0.%d.%d:8080", i/250, i%250), Weight: w, Load: NewLoad(group)}
	}
	return out
}

// all says that all are usable.
func all(n int) []bool { return slices.Repeat([]bool{true}, n) }

// shares picks often and returns each member's share.
func shares(p Picker, n, picks int, query func(k int) Query) []float64 {
	out := make([]float64, n)
	for k := range picks {
		out[p.Pick(query(k))] += 1 / float64(picks)
	}
	return out
}

// near reports whether shares are close to what they should be.
func near(t *testing.T, what string, got, want []float64, by float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > by {
			t.Fatalf("%s: shares are %.3f, want %.3f", what, got, want)
		}
	}
}

var algorithms = []Algorithm{RoundRobin, LeastRequest, EWMA, Random, Hash}

func TestSharesFollowWeights(t *testing.T) {
	for _, c := range []struct {
		by      Algorithm
		weights []int
		want    []float64
		by2     float64
	}{
		{RoundRobin, []int{1, 1, 1}, []float64{1. / 3, 1. / 3, 1. / 3}, 0.001},
		{RoundRobin, []int{5, 1, 1}, []float64{5. / 7, 1. / 7, 1. / 7}, 0.001},
		{RoundRobin, []int{200, 100, 0}, []float64{2. / 3, 1. / 3, 0}, 0.001},
		{RoundRobin, []int{1000, 1}, []float64{1000. / 1001, 1. / 1001}, 0.001},
		{Random, []int{3, 1}, []float64{0.75, 0.25}, 0.02},
		{LeastRequest, []int{3, 1}, []float64{0.75, 0.25}, 0.02},
		{LeastRequest, []int{1, 1, 1, 1}, []float64{.25, .25, .25, .25}, 0.02},
		{EWMA, []int{1, 1}, []float64{0.5, 0.5}, 0.02},
		{Hash, []int{1, 1, 1}, []float64{1. / 3, 1. / 3, 1. / 3}, 0.06},
		{Hash, []int{3, 1}, []float64{0.75, 0.25}, 0.06},
	} {
		g := new(Group)
		p := New(Options{By: c.by, Bound: 1.25}, g).Build(members(g, c.weights...), all(len(c.weights)))
		got := shares(p, len(c.weights), 21021, func(k int) Query { return Query{Hash: mix(uint64(k))} })
		near(t, fmt.Sprint(c.by, c.weights), got, c.want, c.by2)
	}
}

// In any stretch, a schedule gives each member its share, give or take little: it is spread, not in lumps.
func TestScheduleIsSmooth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 12).Draw(t, "weights")
		ms := members(new(Group), weights...)
		order := make([]uint32, len(ms))
		for i := range order {
			order[i] = uint32(i)
		}
		slots := schedule(ms, order)
		total := 0
		for _, w := range weights {
			total += w
		}
		counts := make([]int, len(ms))
		for k, i := range slots {
			counts[i]++
			for j, w := range weights {
				// Members that are due at the same time can shift one by as many places as there are members.
				far := 1 + float64(len(ms)*w)/float64(total)
				if due := float64(k+1) * float64(w) / float64(total); math.Abs(float64(counts[j])-due) > far {
					t.Fatalf("after %d picks member %d of weight %d had %d, due were %.2f", k+1, j, w, counts[j], due)
				}
			}
		}
		if total%len(slots) != 0 {
			t.Fatalf("a schedule of %d for a sum of weights of %d", len(slots), total)
		}
		for j, w := range weights {
			if counts[j]*total != w*len(slots) {
				t.Fatalf("member %d of weight %d of %d came up %d times of %d", j, w, total, counts[j], len(slots))
			}
		}
	})
}

func TestScheduleIsBounded(t *testing.T) {
	weights := make([]int, 5000)
	for i := range weights {
		weights[i] = 1 + i%997
	}
	ms := members(new(Group), weights...)
	order := make([]uint32, len(ms))
	for i := range order {
		order[i] = uint32(i)
	}
	if n := len(schedule(ms, order)); n > maxSlots+len(ms) {
		t.Fatalf("the schedule has %d slots", n)
	}
}

// Whatever is drawn: what may not be used is not picked, what was tried is not picked while there is another.
func TestPickedIsUsableAndUntried(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by := rapid.SampledFrom(algorithms).Draw(t, "by")
		n := rapid.IntRange(1, 9).Draw(t, "n")
		g := new(Group)
		ms := members(g, rapid.SliceOfN(rapid.IntRange(0, 3), n, n).Draw(t, "weights")...)
		usable := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "usable")
		o := Options{By: by, Bound: rapid.SampledFrom([]float64{0, 1, 1.25, 4}).Draw(t, "bound")}
		if rapid.Bool().Draw(t, "slow start") {
			o.SlowStart = time.Second
		}
		q := Query{Now: int64(500 * time.Millisecond)}
		left := 0
		for i, m := range ms {
			for range rapid.IntRange(0, 5).Draw(t, "active") {
				m.Load.Begin()
			}
			if rapid.Bool().Draw(t, "cold") {
				m.Load.WarmUp(rapid.Int64Range(0, q.Now).Draw(t, "since"))
			}
			if rapid.Bool().Draw(t, "tried") {
				q.Tried = append(q.Tried, m)
			} else if usable[i] && m.Weight > 0 {
				left++
			}
		}
		p := New(o, g).Build(ms, usable)
		for k := range 40 {
			q.Hash = mix(uint64(k))
			i := p.Pick(q)
			switch {
			case i < 0:
				for j, m := range ms {
					if usable[j] && m.Weight > 0 {
						t.Fatalf("none was picked, though %d may be", j)
					}
				}
			case !usable[i] || ms[i].Weight == 0:
				t.Fatalf("%d was picked, which may not be", i)
			case left > 0 && slices.Contains(q.Tried, ms[i]):
				t.Fatalf("%d was picked again, though %d others were not tried", i, left)
			}
		}
	})
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	g := new(Group)
	ms := members(g, 1, 1, 1, 1)
	for range 50 {
		ms[0].Load.Begin()
	}
	p := New(Options{By: LeastRequest}, g).Build(ms, all(4))
	got := shares(p, 4, 10000, func(int) Query { return Query{} })
	near(t, "with a busy one", got, []float64{0, 1. / 3, 1. / 3, 1. / 3}, 0.02)
}

// The spread of load under many requests at once stays small: that is what two choices are for.
func TestLeastRequestLevels(t *testing.T) {
	g := new(Group)
	ms := members(g, slices.Repeat([]int{1}, 50)...)
	p := New(Options{By: LeastRequest}, g).Build(ms, all(50))
	for range 50 * 20 {
		ms[p.Pick(Query{})].Load.Begin()
	}
	for i, m := range ms {
		if a := m.Load.Active(); a < 8 || a > 25 { // at random, without a look at the load, some have over 30
			t.Errorf("member %d has %d of 20 on average", i, a)
		}
	}
}

func TestEWMAPrefersTheFast(t *testing.T) {
	g := new(Group)
	ms := members(g, 1, 1, 1)
	decay := 10 * time.Second
	p := New(Options{By: EWMA, Decay: decay}, g).Build(ms, all(3))
	for i, took := range []time.Duration{200 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond} {
		ms[i].Load.Observe(took, 0, decay)
	}
	got := shares(p, 3, 10000, func(int) Query { return Query{Now: 0} })
	near(t, "right after", got, []float64{0, 0.5, 0.5}, 0.15)

	later := int64(5 * time.Minute) // what was noted has faded: the slow one gets another chance
	got = shares(p, 3, 10000, func(int) Query { return Query{Now: later} })
	if got[0] > 0.3 {
		t.Errorf("the slow one gets %.2f", got[0])
	}
	ms[1].Load.Begin()
	ms[2].Load.Begin()
	if l := ms[0].Load.Latency(later, decay); l > time.Millisecond {
		t.Errorf("after five minutes the latency is still %v", l)
	}
}

func TestLatency(t *testing.T) {
	g := new(Group)
	l := NewLoad(g)
	second := int64(time.Second)
	if got := l.Latency(0, time.Second); got != 0 {
		t.Errorf("before any request it is %v", got)
	}
	l.Observe(100*time.Millisecond, 0, time.Second)
	l.Observe(500*time.Millisecond, 0, time.Second) // a peak counts at once
	if got := l.Latency(0, time.Second); got < 499*time.Millisecond {
		t.Errorf("after a peak it is %v", got)
	}
	l.Observe(10*time.Millisecond, second, time.Second) // a fast one little by little
	if got := l.Latency(second, time.Second); got < 150*time.Millisecond || got > 250*time.Millisecond {
		t.Errorf("a second after a peak it is %v", got)
	}
	l.AtLeast(time.Millisecond, second, time.Second) // says nothing
	if got := l.Latency(second, time.Second); got < 150*time.Millisecond {
		t.Errorf("after a short one that was given up it is %v", got)
	}
	l.AtLeast(2*time.Second, second, time.Second)
	if got := l.Latency(second, time.Second); got < 1999*time.Millisecond {
		t.Errorf("after a long one that was given up it is %v", got)
	}
}

func TestSlowStart(t *testing.T) {
	for _, by := range []Algorithm{RoundRobin, Random, LeastRequest} {
		g := new(Group)
		ms := members(g, 1, 1, 1, 1)
		o := Options{By: by, SlowStart: 10 * time.Second}
		p := New(o, g).Build(ms, all(4))
		start := int64(time.Hour)
		ms[0].Load.WarmUp(start)
		for _, c := range []struct {
			after time.Duration
			from  float64
			to    float64
		}{{0, 0.01, 0.06}, {5 * time.Second, 0.07, 0.19}, {10 * time.Second, 0.22, 0.28}, {time.Minute, 0.22, 0.28}} {
			got := shares(p, 4, 20000, func(int) Query { return Query{Now: start + int64(c.after)} })[0]
			if got < c.from || got > c.to {
				t.Errorf("%s: %v after it came up, the share is %.3f, not from %.2f to %.2f", by, c.after, got, c.from, c.to)
			}
		}
	}
}

func TestSlowStartOfAllAtOnce(t *testing.T) {
	g := new(Group)
	ms := members(g, 1, 1)
	p := New(Options{By: RoundRobin, SlowStart: time.Minute}, g).Build(ms, all(2))
	ms[0].Load.WarmUp(0)
	ms[1].Load.WarmUp(0)
	got := shares(p, 2, 10000, func(int) Query { return Query{Now: 1} })
	near(t, "both are new", got, []float64{0.5, 0.5}, 0.05)
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, by := range algorithms {
		g := new(Group)
		ms := members(g, slices.Repeat([]int{1, 2}, 50)...)
		p := New(Options{By: by, Bound: 1.25, SlowStart: time.Second}, g).Build(ms, all(100))
		ms[3].Load.WarmUp(0)
		q := Query{Tried: ms[:2], Now: 5}
		if n := testing.AllocsPerRun(1000, func() {
			q.Hash = mix(q.Hash)
			m := ms[p.Pick(q)]
			m.Load.Begin()
			m.Load.Observe(time.Millisecond, q.Now, time.Second)
			m.Load.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations for a pick", by, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, by := range algorithms {
		for _, n := range []int{3, 100, 10000} {
			b.Run(fmt.Sprintf("%s/%d", by, n), func(b *testing.B) {
				g := new(Group)
				ms := members(g, slices.Repeat([]int{1}, n)...)
				p := New(Options{By: by, Bound: 1.25}, g).Build(ms, all(n))
				for _, m := range ms {
					m.Load.Observe(time.Millisecond, 0, time.Second)
				}
				q := Query{Hash: 1}
				b.ReportAllocs()
				for b.Loop() {
					q.Hash = mix(q.Hash + 1)
					p.Pick(q)
				}
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, by := range []Algorithm{RoundRobin, Hash} {
		for _, weights := range [][]int{{1}, {1, 2, 3}} {
			b.Run(fmt.Sprintf("%s/10000/%d weights", by, len(weights)), func(b *testing.B) {
				g := new(Group)
				ms := members(g, slices.Repeat(weights, 10000/len(weights))...)
				usable := all(len(ms))
				for b.Loop() {
					New(Options{By: by}, g).Build(ms, usable)
				}
			})
		}
	}
}
