package upstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/config"
)

func TestGateLetsInInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{limit: 1, pending: 3}
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		for i := range 3 {
			go func() {
				if err := g.enter(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				g.leave()
			}()
			synctest.Wait()
		}
		if err := g.enter(t.Context()); err != errFull {
			t.Errorf("with the line full: %v", err)
		}
		g.leave()
		synctest.Wait()
		if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 || g.active != 0 {
			t.Errorf("they were let in in the order %v, and %d are active", order, g.active)
		}
	})
}

func TestGateTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{limit: 1, pending: 5, wait: time.Second}
		_ = g.enter(t.Context())
		start := time.Now()
		if err := g.enter(t.Context()); err != errTooLong || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		go func() { time.Sleep(time.Millisecond); cancel(left) }()
		if err := g.enter(ctx); err != left {
			t.Errorf("a client that leaves: %v", err)
		}
		if g.waiting() != 0 || g.active != 1 {
			t.Errorf("%d wait and %d are active", g.waiting(), g.active)
		}
		if err := (&gate{}).enter(ctx); err != errNoLine {
			t.Errorf("without a line: %v", err)
		}
	})
}

// Whoever comes, waits and goes, the limit holds, and at the end nobody is counted.
func TestGateUnderLoad(t *testing.T) {
	g := &gate{limit: 3, pending: 10, wait: time.Millisecond}
	var inside, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*50*time.Microsecond)
				if g.enter(ctx) == nil {
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(50 * time.Microsecond)
					inside.Add(-1)
					g.leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || g.active != 0 || len(g.line) != 0 {
		t.Errorf("at most %d were inside; at the end %d are, and %d wait", most.Load(), g.active, len(g.line))
	}
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
