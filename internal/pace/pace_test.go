package pace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func body(n int) io.ReadCloser { return io.NopCloser(bytes.NewReader(make([]byte, n))) }

func TestBytesPassAtTheRate(t *testing.T) {
	for name, test := range map[string]struct {
		rate  Rate
		bytes int
		want  time.Duration
	}{
		"the burst passes at once":      {Rate{1000, 500}, 500, 0},
		"the rest at the rate":          {Rate{1000, 500}, 10_500, 10 * time.Second},
		"by default 50ms pass at once":  {Rate{1000, 0}, 1050, time.Second},
		"one byte in a second":          {Rate{1, 0}, 11, 10 * time.Second},
		"more than a reader takes":      {Rate{1 << 20, 1 << 20}, 11 << 20, 10 * time.Second},
		"a burst smaller than a piece":  {Rate{1000, 10}, 1010, time.Second},
		"a burst of one byte":           {Rate{100_000, 1}, 100_001, time.Second},
		"a rate beyond what is counted": {Rate{1e12, 0}, 1 << 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				r := Reader(t.Context(), body(test.bytes), NewTransfer(NewBucket(test.rate), nil))
				n, err := io.Copy(io.Discard, r)
				took := time.Since(begin)
				if n != int64(test.bytes) || err != nil || took < test.want-slack || took > test.want+time.Millisecond {
					t.Errorf("%d bytes, %v in %s, want %s", n, err, took, test.want)
				}
			})
		})
	}
}

func TestASlowSourceIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := 0
		transfer := NewTransfer(NewBucket(Rate{PerSecond: 1000}), func(time.Duration) { waits++ })
		for range 100 {
			if err := transfer.Wait(t.Context(), 40); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * time.Millisecond) // 1000 bytes in a second
		}
		if waits > 0 {
			t.Errorf("it waited %d times", waits)
		}
	})
}

func TestSleepsAreSensible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, perSecond := range []float64{100, 10 << 10, 1 << 20, 1 << 30} {
			sleeps := 0
			bucket := NewBucket(Rate{PerSecond: perSecond})
			begin := time.Now()
			r := Reader(t.Context(), body(int(2*perSecond)), NewTransfer(bucket, func(time.Duration) { sleeps++ }))
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Fatal(err)
			}
			if most := int(time.Since(begin)/slack) + 1; sleeps > most {
				t.Errorf("at %v in a second there are %d sleeps in %s", perSecond, sleeps, time.Since(begin))
			}
		}
	})
}

func TestTheContextEndsAWaitAndGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(Rate{PerSecond: 10, Burst: 10})
		bucket.Take(10, time.Now())
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		begin := time.Now()
		if err := NewTransfer(bucket, nil).Wait(ctx, 1000); !errors.Is(err, gone) || time.Since(begin) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if wait := bucket.Take(10, time.Now()); wait > 0 {
			t.Errorf("what never passed is waited for: %s", wait)
		}
	})
}

// TestFairness: transfers of one key that always have something to send get the same, and those that want less than that get all they want.
func TestFairness(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.Float64Range(1000, 1e7).Draw(rt, "rate")
		greedy := rapid.IntRange(2, 20).Draw(rt, "greedy")
		modest := rapid.IntRange(0, 5).Draw(rt, "modest")
		want := perSecond / float64(greedy+modest) / 2 // of a modest one in a second
		var found string
		synctest.Test(t, func(*testing.T) { found = share(perSecond, greedy, modest, want) })
		if found != "" {
			rt.Fatal(found)
		}
	})
}

// share lets transfers share a bucket for a while, and says what is wrong with what they got.
func share(perSecond float64, greedy, modest int, want float64) string {
	const seconds = 20
	bucket := NewBucket(Rate{PerSecond: perSecond})
	ctx, cancel := context.WithTimeout(context.Background(), seconds*time.Second)
	defer cancel()
	sent := make([]int, greedy+modest)
	var all sync.WaitGroup
	for i := range sent {
		all.Go(func() {
			transfer, n := NewTransfer(bucket, nil), bucket.Piece()
			for transfer.Wait(ctx, n) == nil && ctx.Err() == nil {
				sent[i] += n
				if due := time.Duration(float64(sent[i])/want*1e9) - (seconds*time.Second - time.Until(deadline(ctx))); i >= greedy && due > 0 {
					time.Sleep(due)
				}
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range sent {
		total += n
	}
	piece := bucket.Piece()
	least, most, modestLeast := slices.Min(sent[:greedy]), slices.Max(sent[:greedy]), int(want*seconds)
	if modest > 0 {
		modestLeast = slices.Min(sent[greedy:])
	}
	switch {
	case float64(total) > perSecond*(seconds+(turn+slack).Seconds())+float64(len(sent)*piece):
		return fmt.Sprintf("%d bytes passed, more than may", total)
	case float64(total) < perSecond*seconds*0.98-float64(len(sent)*piece):
		return fmt.Sprintf("only %d bytes passed", total)
	case float64(most) > 1.05*float64(least)+float64(4*piece):
		return fmt.Sprintf("the shares are from %d to %d", least, most)
	case float64(modestLeast) < 0.9*want*seconds-float64(4*piece):
		return fmt.Sprintf("one who wants %v in a second got only %d", want, modestLeast)
	}
	return ""
}

func deadline(ctx context.Context) time.Time { d, _ := ctx.Deadline(); return d }

func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable[string](Rate{PerSecond: 1000, Burst: 1000})
		a := table.Acquire("a")
		if table.Acquire("a") != a || table.Acquire("b") == a {
			t.Error("keys do not have a bucket each")
		}
		a.Take(3000, time.Now())
		table.Release("a")
		table.Release("a")
		table.Release("a") // once too often
		table.Release("b")
		if again := table.Acquire("a"); again != a {
			t.Error("a key is forgotten that has used more than it may")
		}
		table.Release("a")
		time.Sleep(3 * time.Second)
		table.Acquire("c")
		table.Acquire("c")
		if keys, users := table.Keys("c"); keys != 1 || users != 2 {
			t.Errorf("%d keys, %d users", keys, users)
		}
	})
}

func TestTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable[int](Rate{PerSecond: 1})
		for i := range maxIdle + 100 {
			table.Acquire(i).Take(1000, time.Now())
			table.Release(i)
		}
		if keys, _ := table.Keys(0); keys != maxIdle {
			t.Errorf("%d keys", keys)
		}
	})
}

// pipe is a connection that keeps what is written.
type pipe struct {
	io.Reader
	written bytes.Buffer
	closed  bool
}

func (p *pipe) Write(b []byte) (int, error) { return p.written.Write(b) }
func (p *pipe) Close() error                { p.closed = true; return nil }
func (p *pipe) CloseWrite() error           { return nil }

func TestTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := func() *Transfer { return NewTransfer(NewBucket(Rate{PerSecond: 1000}), nil) }
		conn := &pipe{Reader: bytes.NewReader(make([]byte, 2050))}
		tunnel := Tunnel(conn, bucket(), bucket())
		if _, ok := tunnel.(interface{ CloseWrite() error }); !ok {
			t.Error("one way cannot be ended")
		}
		begin := time.Now()
		if n, err := io.Copy(io.Discard, tunnel); n != 2050 || err != nil || time.Since(begin) != 2*time.Second {
			t.Errorf("%d, %v after %s", n, err, time.Since(begin))
		}
		begin = time.Now()
		if n, err := tunnel.Write(make([]byte, 1050)); n != 1050 || err != nil || time.Since(begin) != time.Second || conn.written.Len() != 1050 {
			t.Errorf("%d, %v after %s", n, err, time.Since(begin))
		}
		time.AfterFunc(time.Second, func() { _ = tunnel.Close() })
		begin = time.Now()
		n, err := tunnel.Write(make([]byte, 100_000))
		synctest.Wait()
		if n > 1100 || err == nil || time.Since(begin) != time.Second || !conn.closed {
			t.Errorf("after Close: %d, %v after %s", n, err, time.Since(begin))
		}
	})
}

func TestErrorsPass(t *testing.T) {
	broken := errors.New("broken")
	source := io.NopCloser(io.MultiReader(bytes.NewReader([]byte("ab")), iotest.ErrReader(broken)))
	text, err := io.ReadAll(Reader(t.Context(), source, NewTransfer(NewBucket(Rate{PerSecond: 1e6}), nil)))
	if string(text) != "ab" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", text, err)
	}
}

func BenchmarkWait(b *testing.B) {
	transfer := NewTransfer(NewBucket(Rate{PerSecond: 1e15}), nil)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := transfer.Wait(ctx, 4096); err != nil {
			b.Fatal(err)
		}
	}
}
