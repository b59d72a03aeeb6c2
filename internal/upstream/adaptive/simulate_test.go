package adaptive

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// algorithm is what is compared.
type algorithm interface {
	Limit() int
	Observe(Sample) bool
}

// service is a simulated one: so many requests are worked on at once, in the order in which they came.
type service struct {
	workers int
	takes   func(*rand.Rand) time.Duration
}

// done is a request that will be over.
type done struct{ at, began int64 }

type heapOf []done

func (h heapOf) Len() int           { return len(h) }
func (h heapOf) Less(i, j int) bool { return h[i].at < h[j].at }
func (h heapOf) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heapOf) Push(x any)        { *h = append(*h, x.(done)) }
func (h *heapOf) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// simulation is requests that come at random to a gate with a limit, before a service.
type simulation struct {
	limiter algorithm
	service service
	rate    float64       // requests a second
	timeout time.Duration // after which an answer is given up; 0: never

	random  *rand.Rand
	now     int64
	working heapOf
	queue   []int64 // when those that no worker has taken yet began
	next    int64   // when the next one comes
}

// seen is what came of a stretch of time.
type seen struct {
	good, late, refused int
	limit               float64       // mean
	latency             time.Duration // mean, of the good
}

func newSimulation(l algorithm, s service, rate float64) *simulation {
	return &simulation{limiter: l, service: s, rate: rate, random: rand.New(rand.NewPCG(1, 2)), now: 1, next: 1}
}

// run goes on for a while.
func (s *simulation) run(d time.Duration) (out seen) {
	end := s.now + int64(d)
	var limits, latencies float64
	samples := 0
	for {
		arrival := s.rate > 0
		at := s.next
		if len(s.working) > 0 && (!arrival || s.working[0].at <= at) {
			arrival, at = false, s.working[0].at
		}
		if at > end || !arrival && len(s.working) == 0 {
			s.now = end
			s.next = max(s.next, end)
			break
		}
		s.now = at
		if arrival {
			s.next += int64(s.random.ExpFloat64() / s.rate * 1e9)
			if len(s.working)+len(s.queue) >= s.limiter.Limit() {
				out.refused++
				continue
			}
			s.queue = append(s.queue, s.now)
			s.take()
			continue
		}
		over := heap.Pop(&s.working).(done)
		inFlight := len(s.working) + len(s.queue) + 1
		took := time.Duration(s.now - over.began)
		failed := s.timeout > 0 && took > s.timeout
		if failed {
			out.late++
		} else {
			out.good++
			latencies += float64(took)
		}
		s.limiter.Observe(Sample{Ended: s.now, InFlight: inFlight, Failed: failed, Took: took})
		limits += float64(s.limiter.Limit())
		samples++
		s.take()
	}
	out.limit = limits / float64(max(1, samples))
	out.latency = time.Duration(latencies / float64(max(1, out.good)))
	return out
}

// take gives workers something to do.
func (s *simulation) take() {
	for len(s.working) < s.service.workers && len(s.queue) > 0 {
		heap.Push(&s.working, done{s.now + int64(s.service.takes(s.random)), s.queue[0]})
		s.queue = s.queue[1:]
	}
}

// The kinds of services.
func constant(d time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(float64(d) * (0.9 + 0.2*r.Float64())) }
}

func exponential(d time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(float64(d) * r.ExpFloat64()) }
}

// mixed is fast for most, and slow for one in five.
func mixed(d time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		if r.IntN(5) == 0 {
			return 5 * d
		}
		return d / 2
	}
}

// heavy has a long tail (Pareto, infinite variance).
func heavy(d time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		return min(100*d, time.Duration(float64(d)/3/math.Pow(1-r.Float64(), 1/1.5)))
	}
}

// gradient2 is Netflix's algorithm of that name, as its library has it, for comparison.
type gradient2 struct {
	limit, long float64
	n           int
}

func (g *gradient2) Limit() int { return int(g.limit) }

func (g *gradient2) Observe(s Sample) bool {
	short := float64(s.Took)
	if g.n++; g.n <= 10 {
		g.long += (short - g.long) / float64(g.n)
	} else {
		g.long += (short - g.long) * 2 / 601
	}
	if g.long/short > 2 {
		g.long *= 0.95
	}
	if float64(s.InFlight) < g.limit/2 {
		return false
	}
	gradient := max(0.5, min(1, 1.5*g.long/short))
	g.limit = max(5, min(1000, g.limit*0.8+0.2*(g.limit*gradient+4)))
	return true
}

// aimd grows by one for each full window, and falls by a tenth when an answer is late.
type aimd struct {
	limit float64
	late  time.Duration
}

func (a *aimd) Limit() int { return int(a.limit) }

func (a *aimd) Observe(s Sample) bool {
	switch {
	case s.Failed || s.Took > a.late:
		a.limit = max(5, a.limit*0.9)
	case float64(s.InFlight)*2 >= a.limit:
		a.limit = min(1000, a.limit+1/a.limit)
	}
	return true
}
