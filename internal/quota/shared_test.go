package quota

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
)

// kept has a server keep what it is told.
var kept = []string{"--appendonly", "yes", "--appendfsync", "always"} // never changed

// gateway is one of those that share quotas.
type gateway struct {
	testing.TB
	SharedCounter
	now      time.Time
	failures atomic.Int64
	log      redistest.Log
}

func newGateway(t testing.TB, url, onFailure, now string) *gateway {
	t.Helper()
	server, err := redis.New(url)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{TB: t}
	g.at(now)
	s := NewShared(SharedOptions{Server: server, Log: slog.New(slog.NewTextHandler(&g.log, nil)), Failed: func() { g.failures.Add(1) }})
	g.SharedCounter = s.For(time.Second, onFailure)
	t.Cleanup(func() {
		_ = s.Close()
		_ = server.Close()
	})
	return g
}

func (g *gateway) at(text string) *gateway {
	g.now, _ = time.Parse("2006-01-02 15:04:05", text)
	return g
}

func (g *gateway) asks(amount int64, key string, periods ...string) (asks []Ask) {
	for _, text := range periods {
		p, err := ParsePeriod(text)
		if err != nil {
			g.Fatal(err)
		}
		asks = append(asks, Ask{Series: g.Series("test", p, 1000), ID: limit.NewID(key), Amount: amount, Span: p.Span(utc, g.now)})
	}
	return asks
}

// take returns what is used then; below 0: it was refused.
func (g *gateway) take(amount int64, key string, cost int64, periods ...string) int64 {
	g.Helper()
	asks := g.asks(amount, key, periods...)
	refused, err := g.Take(g.Context(), g.now, asks, cost, cost)
	switch {
	case err != nil:
		g.Error(err)
		return 0
	case refused >= 0:
		return -asks[refused].Used
	}
	return asks[0].Used
}

func TestGatewaysShare(t *testing.T) {
	r := redistest.Start(t, kept...)
	a, b := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:30"), newGateway(t, r.URL(), "deny", "2026-11-30 12:00:30")
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		g := []*gateway{a, b}[i%2]
		wg.Go(func() {
			for range 30 {
				if g.take(100, "k", 1, "month", "1h") > 0 {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d passed", passed.Load())
	}
	for i, want := range []int64{2, -2, 3, -3} {
		if got := []*gateway{a, b}[i%2].take(3, "j", []int64{2, 2, 1, 1}[i], "day"); got != want {
			t.Errorf("%d: got %d, want %d", i, got, want)
		}
	}
	if got := a.at("2026-12-01 00:00:00").take(100, "k", 1, "month"); got != 1 {
		t.Errorf("in the next month: %d", got)
	}
	if got := a.at("2026-11-30 23:59:59").take(100, "k", 1, "month"); got != -100 {
		t.Errorf("the clock is put back: %d", got)
	}
	if ttl := r.Must("PTTL", "cardea:quota:{test}::day:tj:20787"); len(ttl) < 9 || ttl[0] != ':' {
		t.Errorf("the key does not expire: %q", ttl)
	}
	for want, key := range map[bool]string{true: "j", false: "nobody"} {
		if found, err := b.Reset(t.Context(), b.asks(3, "j", "day")[0].Series, b.asks(3, "j", "day")[0].Span, key); found != want || err != nil {
			t.Errorf("%s: %v %v", key, found, err)
		}
	}
	if got := a.take(3, "j", 1, "day"); got != 1 {
		t.Errorf("after it was reset: %d", got)
	}
}

// TestSharedRollingQuotas: they count as those in memory do.
func TestSharedRollingQuotas(t *testing.T) {
	r := redistest.Start(t, kept...)
	g := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:30")
	b := newBench(t, "", "2026-11-30 12:00:30")
	for i, c := range []struct {
		at   string
		cost int64
	}{
		{"12:00:30", 1},
		{"12:10:00", 2},
		{"13:00:29", 1},
		{"13:00:59", 1},
		{"13:01:00", 1},
		{"12:59:00", 1},
		{"13:10:59", 2},
		{"13:11:00", 2},
		{"13:11:00", 5},
		{"16:00:00", 3},
		{"10:00:00", 3},
		{"10:30:00", 1},
		{"16:00:00", 1},
	} {
		b.at("2026-11-30 " + c.at)
		g.at("2026-11-30 " + c.at)
		mine, theirs := []Ask{b.ask("1h", "a", 3)}, g.asks(3, "a", "1h")
		want, _ := b.Take(t.Context(), b.now, mine, c.cost, c.cost)
		got, err := g.Take(t.Context(), g.now, theirs, c.cost, c.cost)
		mine[0].Series, theirs[0].Series = nil, nil
		if want < 0 {
			mine[0].Retry, theirs[0].Retry = time.Time{}, time.Time{} // they are of what is refused alone
		}
		if err != nil || got != want || mine[0] != theirs[0] {
			t.Errorf("%d: got %d %+v (%v), want %d %+v", i, got, theirs[0], err, want, mine[0])
		}
	}
}

// TestTheStoreIsAway: what becomes of requests then is as it was said, and what was counted meanwhile the store is told of.
func TestTheStoreIsAway(t *testing.T) {
	r := redistest.Start(t, kept...)
	all := map[string]*gateway{}
	for _, mode := range []string{"allow", "deny", "local"} {
		all[mode] = newGateway(t, r.URL(), mode, "2026-11-30 12:00:00")
		for range 3 {
			all[mode].take(5, mode, 1, "month")
		}
	}
	r.Kill()
	for mode, want := range map[string][]int{"allow": {-1, -1, -1}, "deny": {-2, -2, -2}, "local": {-1, -1, 0}} {
		for i, want := range want {
			g := all[mode]
			got, err := g.Take(t.Context(), g.now, g.asks(5, mode, "month"), 1, 1)
			if err != nil {
				got = -2
			}
			if got != want || g.failures.Load() == 0 {
				t.Errorf("%s, %d: got %d (%v), want %d", mode, i, got, err, want)
			}
		}
	}
	r.Run()
	for mode, want := range map[string]string{"allow": "$1\r\n6", "deny": "$1\r\n3", "local": "$1\r\n5"} {
		r.Wait("be told of "+mode, func() bool {
			return strings.HasPrefix(r.Must("GET", "cardea:quota:{test}::month:t"+mode+":20758"), want)
		})
	}
	for mode, g := range all {
		r.Wait("be found again by "+mode, func() bool { return !g.outage.Down() })
	}
	if got := all["deny"].take(5, "local", 1, "month"); got != -5 {
		t.Errorf("another gateway sees %d", got)
	}
}

// TestAStoreThatHangs: requests do not wait for it for long, and count here.
func TestAStoreThatHangs(t *testing.T) {
	r := redistest.Start(t, kept...)
	g := newGateway(t, r.URL(), "local", "2026-11-30 12:00:00")
	if got := g.take(3, "k", 1, "month"); got != 1 {
		t.Fatalf("got %d", got)
	}
	r.Signal(syscall.SIGSTOP)
	for _, want := range []int64{2, 3, -3, -3} {
		if got := g.take(3, "k", 1, "month"); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if g.failures.Load() == 0 {
		t.Error("it was asked, and did not fail")
	}
	r.Signal(syscall.SIGCONT)
	r.Wait("count", func() bool { // what the store got while it hung counts twice: never less than was used
		var n int
		_, err := fmt.Sscanf(r.Must("GET", "cardea:quota:{test}::month:tk:20758"), "$1\r\n%d", &n)
		return err == nil && n >= 3 && n <= 5 && !g.outage.Down()
	})
}

func TestChargesReachTheStore(t *testing.T) {
	r := redistest.Start(t, kept...)
	g := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:00")
	if err := g.Charge(g.now, g.asks(5, "k", "month", "1h"), 4); err != nil {
		t.Fatal(err)
	}
	if err := g.Charge(g.now, g.asks(5, "k", "month", "1h"), 3); err != nil {
		t.Fatal(err)
	}
	other := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:00")
	r.Wait("know of it", func() bool {
		asks := other.asks(5, "k", "month", "1h")
		refused, err := other.Take(t.Context(), other.now, asks, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		return refused >= 0 && asks[0].Used == 7 && asks[1].Used == 7
	})
}

// TestWhatCannotBeCounted: neither costs without end nor keys of somebody else keep the others from the store.
func TestWhatCannotBeCounted(t *testing.T) {
	r := redistest.Start(t, kept...)
	g := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:00")
	for range 3 {
		for _, period := range []string{"month", "1h"} {
			if got := g.take(Unlimited, "huge", Most-1, period); got < Most-1 || got > Most {
				t.Errorf("%s: got %d", period, got)
			}
		}
	}
	r.Must("LPUSH", "cardea:quota:{test}::month:tother:20758", "x")
	if _, err := g.Take(t.Context(), g.now, g.asks(5, "other", "month"), 1, 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := g.Charge(g.now, g.asks(5, "other", "month"), 4); err != nil {
		t.Fatal(err)
	}
	r.Wait("be used again", func() bool {
		_, err := g.Take(t.Context(), g.now, g.asks(5, "k", "month"), 0, 1)
		return err == nil
	})
}

func TestNobodyIsThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it takes connections, and says nothing
	g := newGateway(t, "redis://"+l.Addr().String(), "local", "2026-11-30 12:00:00")
	for _, want := range []int64{1, 2, -2} {
		if got := g.take(2, "k", 1, "month"); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func BenchmarkShared(b *testing.B) {
	r := redistest.Start(b, kept...)
	g := newGateway(b, r.URL(), "deny", "2026-11-30 12:00:00")
	asks := g.asks(Unlimited, "k", "month", "30d")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Take(b.Context(), g.now, asks, 1, 1); err != nil {
			b.Fatal(err)
		}
	}
}
