package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Whatever the times are, an estimate is not below the percentile, and at most an eighth and a microsecond above it.
func TestPercentiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + random.IntN(2000)
		e := new(Estimate)
		var all []time.Duration
		for range n {
			took := time.Duration(math.Exp(random.Float64()*22)) * time.Nanosecond
			all = append(all, took)
			e.Add(1, took)
		}
		slices.Sort(all)
		percentile := 50 + 49.9*random.Float64()
		want := all[n-1-int(float64(n)*(100-percentile)/100)]
		got, of := e.Percentile(1, percentile)
		if of != int64(n) || got < want || float64(got) > 1.126*float64(want)+1000 {
			t.Fatalf("p%.2f of %d times is %v of %d, want %v", percentile, n, got, of, want)
		}
	}
}

func TestBucketsFollowEachOther(t *testing.T) {
	for i := range buckets - 1 {
		if b := bucketOf(upper(i) - 1); b != i {
			t.Fatalf("the end of bucket %d is in bucket %d", i, b)
		}
		if b := bucketOf(upper(i)); b != i+1 {
			t.Fatalf("what follows bucket %d is in bucket %d", i, b)
		}
	}
	if b := bucketOf(1 << 62); b != buckets-1 {
		t.Errorf("the longest time is in bucket %d", b)
	}
	if b := bucketOf(-1); b != 0 {
		t.Errorf("a negative time is in bucket %d", b)
	}
}

func TestForgets(t *testing.T) {
	e := new(Estimate)
	now := int64(0)
	for range 100 {
		e.Add(now, time.Second)
	}
	now += int64(period)
	for range 100 {
		e.Add(now, time.Millisecond)
	}
	if got, n := e.Percentile(now, 95); n != 200 || got < time.Second {
		t.Errorf("in the next period: %v of %d", got, n)
	}
	now += int64(period)
	e.Add(now, time.Millisecond)
	if got, n := e.Percentile(now, 95); n != 101 || got > 2*time.Millisecond {
		t.Errorf("in the one after: %v of %d", got, n)
	}
	if _, n := e.Percentile(now+5*int64(period), 95); n != 0 {
		t.Errorf("long after: %d", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	e := new(Estimate)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := range int64(5000) {
				e.Add(i*int64(time.Millisecond)*10, time.Millisecond)
				e.Percentile(i*int64(time.Millisecond)*10, 95)
			}
		})
	}
	wait.Wait()
}

func BenchmarkAdd(b *testing.B) {
	e := new(Estimate)
	b.ReportAllocs()
	var now int64
	for b.Loop() {
		now += 100_000
		e.Add(now, time.Millisecond)
		e.Percentile(now, 95)
	}
}
