package main

import (
	"math"
	"math/rand/v2"
	"sort"
)

// trace is a list of requests, by the numbers of objects.
type trace struct {
	requests []uint32
	sizes    []int64 // of objects
	total    int64   // bytes of all objects that may be asked for more than once
	equal    bool    // all are of one size
}

var traces = []struct {
	name string
	make func(seed uint64, objects, requests int) *trace
}{
	{"zipf-0.7", zipf(0.7, 0)},
	{"zipf-0.9", zipf(0.9, 0)},
	{"zipf-1.1", zipf(1.1, 0)},
	{"scan-20", zipf(0.9, 0.2)},
	{"scan-50", zipf(0.9, 0.5)},
	{"shift", shift},
	{"news", news},
	{"loop", loop},
	{"web-0.7", web(zipf(0.7, 0))},
	{"web-0.9", web(zipf(0.9, 0))},
	{"web-scan", web(zipf(0.9, 0.3))},
	{"web-shift", web(shift)},
	{"web-news", web(news)},
}

const usual = 8 << 10

// law draws numbers below n: the k-th is asked for as 1/k^s (Zipf).
type law []float64

func newLaw(n int, s float64) law {
	sums := make(law, n)
	sum := 0.0
	for i := range sums {
		sum += 1 / math.Pow(float64(i+1), s)
		sums[i] = sum
	}
	return sums
}

func (l law) draw(r *rand.Rand) int { return sort.SearchFloat64s(l, r.Float64()*l[len(l)-1]) }

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

// finish gives all objects one size.
func finish(objects int, requests []uint32) *trace {
	t := &trace{requests: requests, total: int64(objects) * usual, equal: true}
	for _, key := range requests {
		for int(key) >= len(t.sizes) {
			t.sizes = append(t.sizes, usual)
		}
	}
	return t
}

// zipf has popularity that stays as it is. A share of the requests is for objects that nobody asks for again.
func zipf(s, once float64) func(uint64, int, int) *trace {
	return func(seed uint64, objects, n int) *trace {
		r, l := source(seed), newLaw(objects, s)
		requests := make([]uint32, n)
		next := uint32(objects)
		for i := range requests {
			if r.Float64() < once {
				requests[i] = next
				next++
				continue
			}
			requests[i] = uint32(l.draw(r))
		}
		return finish(objects, requests)
	}
}

// shift has popularity that moves on to other objects: all ranks by a fiftieth of the objects, twenty times.
func shift(seed uint64, objects, n int) *trace {
	r, l := source(seed), newLaw(objects, 0.9)
	order := r.Perm(objects)
	requests := make([]uint32, n)
	for i := range requests {
		moved := i / (n/20 + 1) * (objects / 50)
		requests[i] = uint32(order[(l.draw(r)+moved)%objects])
	}
	return finish(objects, requests)
}

// news has objects that are asked for when they are new, and less and less later.
func news(seed uint64, objects, n int) *trace {
	r, l := source(seed), newLaw(objects, 1)
	requests := make([]uint32, n)
	for i := range requests {
		newest := int(float64(i) / float64(n) * float64(objects))
		requests[i] = uint32((newest - l.draw(r) + objects) % objects)
	}
	return finish(objects, requests)
}

// loop asks for a fifth of the objects in turn, again and again.
func loop(_ uint64, objects, n int) *trace {
	requests := make([]uint32, n)
	for i := range requests {
		requests[i] = uint32(i % (objects / 5))
	}
	return finish(objects/5, requests)
}

// web gives objects the sizes that they have on the web: most are small, most bytes are in large ones (lognormal, median 6 KiB, mean 25 KiB).
func web(from func(uint64, int, int) *trace) func(uint64, int, int) *trace {
	return func(seed uint64, objects, n int) *trace {
		t, r := from(seed, objects, n), source(seed)
		t.total, t.equal = 0, false
		for i := range t.sizes {
			t.sizes[i] = int64(min(max(6<<10*math.Exp(1.7*r.NormFloat64()), 1<<10), 16<<20))
			if i < objects {
				t.total += t.sizes[i]
			}
		}
		return t
	}
}
