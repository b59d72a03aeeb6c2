package upstream

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/breaker"
)

// newGate returns a gate with a fixed limit.
func newGate(limit, pending int, wait time.Duration) *gate {
	return &gate{limit: limit, pending: pending, wait: wait, ended: breaker.NewWindow(endedWindow)}
}

// enterNow is enter for a request of the class normal, without a deadline.
func (g *gate) enterNow(ctx context.Context) error {
	return g.enter(ctx, filter.Normal, time.Time{}, 1)
}

func TestGateLetsInInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 3, 0)
		if err := g.enterNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		for i := range 3 {
			go func() {
				if err := g.enterNow(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				g.leave(2)
			}()
			synctest.Wait()
		}
		if err := g.enterNow(t.Context()); err != errFull {
			t.Errorf("with the line full: %v", err)
		}
		g.leave(2)
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2}) || g.active != 0 {
			t.Errorf("they were let in in the order %v, and %d are active", order, g.active)
		}
	})
}

func TestGateTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 5, time.Second)
		_ = g.enterNow(t.Context())
		start := time.Now()
		if err := g.enterNow(t.Context()); err != errTooLong || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		start = time.Now()
		if err := g.enter(t.Context(), filter.Normal, start.Add(time.Millisecond), 1); err != errOutOfTime || time.Since(start) != time.Millisecond {
			t.Errorf("with a deadline: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		go func() { time.Sleep(time.Millisecond); cancel(left) }()
		if err := g.enterNow(ctx); err != left {
			t.Errorf("a client that leaves: %v", err)
		}
		if active, waiting := g.counts(); waiting != 0 || active != 1 {
			t.Errorf("%d wait and %d are active", waiting, active)
		}
		if err := newGate(0, 0, 0).enterNow(ctx); err != errNoLine {
			t.Errorf("without a line: %v", err)
		}
	})
}

// Whoever comes, waits and goes, the limit holds, and at the end nobody is counted.
func TestGateUnderLoad(t *testing.T) {
	g := newGate(3, 10, time.Millisecond)
	var inside, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 50 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*50*time.Microsecond)
				if g.enter(ctx, filter.Priority(j%4)+filter.Low, time.Now().Add(time.Millisecond), int64(j+1)) == nil {
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(50 * time.Microsecond)
					inside.Add(-1)
					g.leave(int64(j + 1))
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || g.active != 0 || g.waiting != 0 {
		t.Errorf("at most %d were inside; at the end %d are, and %d wait", most.Load(), g.active, g.waiting)
	}
}

func TestGateSetsAside(t *testing.T) {
	g := newGate(20, 0, 0)
	fill := func(p filter.Priority, now int64) (n int) {
		for g.enter(t.Context(), p, time.Time{}, now) == nil {
			n++
		}
		return n
	}
	empty := func() {
		for g.active > 0 {
			g.leave(0)
		}
	}
	if n := fill(filter.Low, 1); n != 20 {
		t.Errorf("alone, low gets %d of 20", n)
	}
	empty()
	now := int64(time.Minute)
	g.seen = [classes]int64{0, now, now, now}
	for _, c := range []struct {
		p    filter.Priority
		want int
	}{{filter.Low, 14}, {filter.Normal, 2}, {filter.High, 2}, {filter.Critical, 2}} {
		if n := fill(c.p, now); n != c.want {
			t.Errorf("%s gets %d more, want %d", c.p, n, c.want)
		}
	}
	empty()
	if n := fill(filter.Low, now+int64(lately)); n != 20 {
		t.Errorf("when nobody else has come for a while, low gets %d of 20", n)
	}
	small := newGate(5, 0, 0)
	small.seen = g.seen
	g = small
	if n := fill(filter.Low, now); n != 5 {
		t.Errorf("of a small limit low gets %d of 5", n)
	}
}

func TestRetryAfter(t *testing.T) {
	second := int64(time.Second)
	within := func(g *gate, now int64, least, most int) {
		t.Helper()
		for range 100 {
			if n, err := strconv.Atoi(g.retryAfter(now)); err != nil || n < least || n > most {
				t.Fatalf("%d, %v; want %d to %d", n, err, least, most)
			}
		}
	}
	g := newGate(10, 10, 0)
	within(g, second/2, 1, 2)
	within(g, 60*second, 30, 60) // nothing has ended for long
	for range 50 {
		_ = g.enterNow(t.Context())
		g.leave(60 * second)
	}
	within(g, 60*second, 1, 2)
	for range 10 {
		_ = g.enterNow(t.Context())
	}
	within(g, 60*second, 2, 4) // ten at five a second
	g = newGate(10, 10, 0)
	for range 10 {
		_ = g.enter(t.Context(), filter.Normal, time.Time{}, 100*second)
	}
	within(g, 100*second+second/10, 1, 2) // after a pause nothing can have ended yet
	for range 5 {
		g.leave(102 * second)
		_ = g.enter(t.Context(), filter.Normal, time.Time{}, 102*second)
	}
	within(g, 102*second, 4, 8)
}

func TestBudget(t *testing.T) {
	second := int64(time.Second)
	b := newBudget(config.RetryBudget{Share: 0.2, Min: config.Rate{Count: 1, Per: time.Second}})
	grant := func(times int, now int64) (n int) {
		for range times {
			if b.retry(now) {
				n++
			}
		}
		return n
	}
	if n := grant(100, 0); n != 10 {
		t.Errorf("without requests %d retries, want 10", n)
	}
	for range 100 {
		b.request(second)
	}
	if n, left := grant(100, second), b.left(second); n != 20 || left != 0 {
		t.Errorf("with 100 requests %d more, want 20; %d are left", n, left)
	}
	if n := grant(100, 15*second); n != 10 {
		t.Errorf("when all that is over %d retries, want 10", n)
	}
	var none *budget
	if none.request(0); !none.retry(0) {
		t.Error("without a budget a retry was refused")
	}
}
