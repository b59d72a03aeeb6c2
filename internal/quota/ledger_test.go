package quota

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis/redistest"
)

func TestMain(m *testing.M) {
	if dieIfAsked() {
		return
	}
	goleak.VerifyTestMain(m, redistest.Ending()...)
}

var utc = Calendar{time.UTC, 1, time.Monday}

// bench is a ledger with a clock that tests set. Its goroutine sees the time too, so it is locked.
type bench struct {
	testing.TB
	*Ledger
	mu  sync.Mutex
	now time.Time
	log strings.Builder
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) at(text string) *bench {
	b.Helper()
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		b.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = t
	return b
}

// newBench opens a ledger. Path "" is one in memory.
func newBench(t testing.TB, path, now string) *bench {
	t.Helper()
	b := &bench{TB: t}
	b.at(now)
	b.open(path)
	t.Cleanup(func() { b.shut() })
	return b
}

func (b *bench) open(path string) {
	b.Helper()
	l, err := Open(Options{File: path, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Now: b.clock})
	if err != nil {
		b.Fatal(err)
	}
	b.Ledger = l
}

func (b *bench) shut() {
	if b.Ledger != nil {
		if err := b.Ledger.Close(); err != nil {
			b.Error(err)
		}
		b.Ledger = nil
	}
}

// ask is a quota of a key.
func (b *bench) ask(period, key string, amount int64) Ask {
	b.Helper()
	p, err := ParsePeriod(period)
	if err != nil {
		b.Fatal(err)
	}
	return Ask{Series: b.Series("test", p, 1000), ID: limit.NewID(key), Amount: amount, Span: p.Span(utc, b.clock())}
}

// take takes a cost of one, and returns what is used then; below 0: it was refused.
func (b *bench) take(period, key string, amount, cost int64) int64 {
	b.Helper()
	asks := []Ask{b.ask(period, key, amount)}
	refused, err := b.Take(b.Context(), b.clock(), asks, cost, cost)
	if err != nil {
		b.Fatal(err)
	}
	if refused >= 0 {
		return -asks[0].Used
	}
	return asks[0].Used
}

func (b *bench) want(period, key string, amount, cost, want int64) {
	b.Helper()
	if got := b.take(period, key, amount, cost); got != want {
		b.Errorf("%s per %s, %s: got %d, want %d", b.clock(), period, key, got, want)
	}
}

func TestAQuotaOfTheCalendar(t *testing.T) {
	b := newBench(t, "", "2026-11-30 23:59:59")
	b.want("month", "a", 3, 2, 2)
	b.want("month", "a", 3, 2, -2) // what is refused does not count
	b.want("month", "a", 3, 1, 3)
	b.want("month", "b", 3, 1, 1)
	b.want("month", "a", 10, 1, 4) // another amount is not another count
	b.want("month", "a", 2, 1, -4)
	b.want("day", "a", 3, 1, 1)
	b.at("2026-12-01 00:00:00").want("month", "a", 3, 1, 1)
	asks := []Ask{b.ask("month", "a", 1)}
	if refused, _ := b.Look(b.clock(), asks, 1); refused != 0 || asks[0].Retry.UTC().String() != "2027-01-01 00:00:00 +0000 UTC" {
		t.Errorf("%d, %+v", refused, asks[0])
	}
	if b.Look(b.clock(), asks, 2); !asks[0].Retry.IsZero() {
		t.Errorf("what costs more than the quota passes at %v", asks[0].Retry)
	}
}

func TestQuotasHoldTogether(t *testing.T) {
	b := newBench(t, "", "2026-11-30 12:00:00")
	for i, want := range []int{-1, -1, 1, 1} {
		asks := []Ask{b.ask("month", "a", 9), b.ask("day", "a", 2)}
		refused, err := b.Take(t.Context(), b.clock(), asks, 1, 1)
		if err != nil || refused != want || asks[0].Used != min(int64(i)+1, 2) {
			t.Errorf("%d: %d %v %+v", i, refused, err, asks)
		}
	}
	if err := b.Charge(b.clock(), []Ask{b.ask("day", "a", 2)}, 5); err != nil {
		t.Fatal(err)
	}
	b.want("day", "a", 8, 1, 8)
}

// TestClocksThatGoBack: no period is begun twice, and none lasts for ever.
func TestClocksThatGoBack(t *testing.T) {
	b := newBench(t, "", "2026-11-30 10:30:00")
	b.want("hour", "a", 5, 5, 5)
	b.at("2026-11-30 11:00:01").want("hour", "a", 5, 4, 4)
	b.at("2026-11-30 10:59:59").want("hour", "a", 5, 1, -5)
	b.at("2026-11-30 11:10:00").want("hour", "a", 5, 1, 5)
	b.at("2026-11-30 09:00:00").want("hour", "a", 5, 1, -5) // what is known of that hour is over; the oldest that is known counts
	b.at("2026-11-30 12:00:00").want("hour", "a", 5, 5, 5)

	b.want("month", "a", 5, 5, 5)
	b.at("2036-01-31 12:00:00").want("month", "a", 5, 5, 5) // the clock is wrong
	b.at("2026-11-30 12:00:00").want("month", "a", 5, 1, -5)
	b.at("2026-12-01 00:00:00").want("month", "a", 5, 5, 5)
	b.at("2027-01-01 00:00:00").want("month", "a", 5, 5, 5)

	b.at("2036-01-31 12:00:00").want("month", "b", 5, 5, 5)
	b.at("2036-02-01 12:00:00").want("month", "b", 5, 5, 5)
	b.at("2027-01-01 00:00:00").want("month", "b", 5, 5, 5) // what was counted that far ahead is not believed

	b.at("2036-02-01 12:00:00").want("1h", "c", 5, 5, 5)
	b.at("2027-01-01 00:00:00").want("1h", "c", 5, 5, 5)
	b.at("2026-12-31 23:30:00").want("1h", "c", 5, 1, -5)
}

// TestRollingQuotas: in any period no more than the amount passes, and what was used a period and a sixtieth ago is free again.
func TestRollingQuotas(t *testing.T) {
	b := newBench(t, "", "2026-11-30 12:00:30")
	b.want("1h", "a", 3, 1, 1)
	b.at("2026-11-30 12:10:00").want("1h", "a", 3, 2, 3)
	b.at("2026-11-30 13:00:29").want("1h", "a", 3, 1, -3)
	b.at("2026-11-30 13:00:59").want("1h", "a", 3, 1, -3)
	asks := []Ask{b.ask("1h", "a", 3)}
	if b.Look(b.clock(), asks, 2); asks[0].Retry.UTC().Format(time.TimeOnly) != "13:11:00" || asks[0].Reset.UTC().Format(time.TimeOnly) != "13:01:00" {
		t.Errorf("%+v", asks)
	}
	b.at("2026-11-30 13:01:00").want("1h", "a", 3, 1, 3)
	b.at("2026-11-30 13:11:00").want("1h", "a", 3, 2, 3)
	b.at("2027-11-30 13:11:00").want("1h", "a", 3, 3, 3)
}

// TestRollingQuotasAreExact: whatever comes when, in no time of the period's length more passes than the amount, and nothing is refused that
// would pass if a sixtieth more counted.
func TestRollingQuotasAreExact(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 20 {
		b := newBench(t, "", "2026-11-30 12:00:00")
		type taken struct {
			at   time.Time
			cost int64
		}
		var passed []taken
		within := func(d time.Duration) (sum int64) {
			for _, p := range passed {
				if p.at.After(b.now.Add(-d)) {
					sum += p.cost
				}
			}
			return sum
		}
		for range 2000 {
			b.mu.Lock()
			b.now = b.now.Add(time.Duration(random.Int64N(int64(time.Minute * time.Duration(1+round%4)))))
			b.mu.Unlock()
			cost := 1 + random.Int64N(4)
			if b.take("1h", "a", 50, cost) > 0 {
				if passed = append(passed, taken{b.now, cost}); within(time.Hour) > 50 {
					t.Fatalf("%d pass within the hour before %s", within(time.Hour), b.now)
				}
			} else if sum := within(time.Hour + time.Minute); sum+cost <= 50 {
				t.Fatalf("%d is refused at %s after %d", cost, b.now, sum)
			}
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := newBench(t, "", "2026-11-30 12:00:00")
	for i := range 1000 {
		b.want("hour", fmt.Sprint(i), 5, 1, 1)
	}
	if _, err := b.Take(t.Context(), b.clock(), []Ask{b.ask("day", "x", 5), b.ask("hour", "new", 5)}, 1, 1); err != ErrFull {
		t.Errorf("got %v", err)
	}
	b.want("day", "x", 5, 1, 1)
	b.want("hour", "7", 5, 1, 2)
	b.at("2026-11-30 13:59:00").sweep()
	if n := b.Keys(b.ask("hour", "", 0).Series); n != 1000 {
		t.Errorf("%d keys are left while the clock may be put back", n)
	}
	b.at("2026-11-30 14:01:00").sweep()
	if n := b.Keys(b.ask("hour", "", 0).Series); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	b.want("hour", "new", 5, 1, 1)
	b.want("day", "x", 5, 1, 2)
}

// TestAWrongClockForgetsNothing: what seems to be over is kept until the clock has run smoothly for a while.
func TestAWrongClockForgetsNothing(t *testing.T) {
	s, now := sweeper{last: time.Unix(0, 0)}, time.Unix(0, 0)
	due := func(ticks int, by time.Duration) (n int) {
		for range ticks {
			if now = now.Add(by); s.due(now) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		ticks int
		by    time.Duration
		want  int
	}{{599, time.Second, 0}, {1, time.Second, 1}, {60, time.Second, 1}, {1, time.Hour, 0}, {599, time.Second, 0}, {121, time.Second, 3}, {1, -time.Second, 0}, {599, time.Second, 0}} {
		if got := due(c.ticks, c.by); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}

func TestTopAndReset(t *testing.T) {
	b := newBench(t, "", "2026-11-30 12:00:00")
	for i := range 900 {
		b.take("month", fmt.Sprintf("k%d", i), 1000, int64(i+1))
	}
	b.take("month", "k899", 900, 1)
	s := b.ask("month", "", 0).Series
	want := []limit.Usage{{Key: "k899", Used: 900, Limit: 1000, Refused: 1}, {Key: "k898", Used: 899, Limit: 1000}}
	if got := b.Top(s, 2); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v", got)
	}
	for want, key := range map[bool]string{true: "k899", false: "nobody"} {
		if found, err := b.Reset(t.Context(), s, Span{}, key); found != want || err != nil {
			t.Errorf("%s: %v %v", key, found, err)
		}
	}
	b.want("month", "k899", 900, 1, 1)
}

func TestKeys(t *testing.T) {
	for _, id := range []limit.ID{
		{},
		limit.NewID("all"), limit.NewID("*"), limit.NewID("192.0.2.1"), limit.AddressID(netip.MustParseAddr("192.0.2.1")),
		limit.AddressID(netip.MustParseAddr("2001:db8::1")), limit.NewID("2001:db8::/64"), limit.AddressID(netip.Addr{}), limit.NewID(strings.Repeat("x", 999)), limit.NewID("a\xff\n\""),
	} {
		if got, ok := idOf(idText(id)); !ok || got != id {
			t.Errorf("%q: got %v %v", idText(id), got, ok)
		}
	}
}

func TestConcurrentTakes(t *testing.T) {
	b := newBench(t, "", "2026-11-30 12:00:00")
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				asks := []Ask{b.ask("day", "a", 333), b.ask("1h", "a", 500)}
				if refused, err := b.Take(t.Context(), b.clock(), asks, 1, 1); err == nil && refused < 0 {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 333 {
		t.Errorf("%d passed", passed)
	}
}

func BenchmarkTake(b *testing.B) {
	for _, n := range []int{1, 1_000_000} {
		for _, period := range []string{"month", "30d"} {
			b.Run(fmt.Sprintf("%s/%d", period, n), func(b *testing.B) {
				l := newBench(b, "", "2026-11-30 12:00:00")
				p, _ := ParsePeriod(period)
				s, span := l.Series("test", p, n), p.Span(utc, l.clock())
				ids := make([]limit.ID, n)
				asks := []Ask{{Series: s, Amount: Unlimited, Span: span}}
				for i := range ids {
					ids[i] = limit.NewID(fmt.Sprintf("consumer-%d", i))
					asks[0].ID = ids[i]
					_ = l.Charge(l.now, asks, 1)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					asks[0].ID = ids[i*7919%n]
					if _, err := l.Take(b.Context(), l.now, asks, 1, 1); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
	}
}
