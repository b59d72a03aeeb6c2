package limit_test

import (
	"context"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"cardea.dev/cardea/internal/limit"
)

func perMinute(count int64) []limit.Rule {
	return []limit.Rule{{Algorithm: limit.GCRA, Count: count, Per: time.Minute}}
}

func address(i int) limit.ID {
	return limit.AddressID(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}))
}

func take(t testing.TB, c limit.Counter, id limit.ID, cost int64) limit.Decision {
	t.Helper()
	d, err := c.Take(context.Background(), id, cost)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// gauge is a metric.
type gauge struct{ v atomic.Int64 }

func (g *gauge) Add(d float64) { g.v.Add(int64(d)) }

// A debt may take longer to be paid than a time.Duration holds. It must not look as if it were paid, or as if no wait helped.
func TestADebtOfAges(t *testing.T) {
	table := limit.NewTable([]limit.Rule{{Algorithm: limit.GCRA, Count: 100, Per: time.Hour}}, limit.Options{Now: newClock().Now})
	id := limit.NewID("me")
	table.Charge(id, limit.MaxCount)
	d := take(t, table, id, 1)
	if ages := 100 * 365 * 24 * time.Hour; d.Allowed || d.Remaining != 0 || d.Reset < ages || d.Retry < ages || d.Reset+time.Hour < d.Reset {
		t.Errorf("a debt of 2^53: %+v", d)
	}
}

func TestAMinute(t *testing.T) {
	for _, algorithm := range []limit.Algorithm{limit.GCRA, limit.SlidingWindow} {
		at := newClock()
		table := limit.NewTable([]limit.Rule{{Algorithm: algorithm, Count: 3, Per: time.Minute}}, limit.Options{Now: at.Now})
		id := limit.NewID("me")
		for left := int64(2); left >= 0; left-- {
			if d := take(t, table, id, 1); !d.Allowed || d.Remaining != left {
				t.Fatalf("%s, %d left: %+v", algorithm, left, d)
			}
		}
		want := map[limit.Algorithm]time.Duration{limit.GCRA: 20 * time.Second, limit.SlidingWindow: 66 * time.Second}[algorithm]
		if d := take(t, table, id, 1); d.Allowed || d.Retry != want || d.Remaining != 0 {
			t.Errorf("%s, the fourth: %+v", algorithm, d)
		}
		if d := take(t, table, id, 4); d.Allowed || d.Retry >= 0 {
			t.Errorf("%s, more than there ever is: %+v", algorithm, d)
		}
		if top := table.Top(5); len(top) != 1 || top[0] != (limit.Usage{Key: "me", Used: 3, Limit: 3, Refused: 2}) {
			t.Errorf("%s: top %+v", algorithm, top)
		}
		at.step(66 * time.Second)
		if d := take(t, table, id, 3); !d.Allowed {
			t.Errorf("%s, afterwards: %+v", algorithm, d)
		}
	}
}

// TestTheWholePeriodCounts: wherever in a part of a sliding window a request falls, and though the parts do not come out even.
func TestTheWholePeriodCounts(t *testing.T) {
	rule := limit.Rule{Algorithm: limit.SlidingWindow, Count: 1, Per: 1009 * time.Microsecond}
	for begin := range 250 {
		at := newClock()
		table := limit.NewTable([]limit.Rule{rule}, limit.Options{Now: at.Now})
		at.step(time.Duration(begin) * time.Microsecond)
		take(t, table, limit.ID{}, 1)
		at.step(rule.Per - time.Microsecond)
		if d := take(t, table, limit.ID{}, 1); d.Allowed {
			t.Fatalf("from %d µs on, two pass within a period", begin)
		}
		at.step(rule.Per/10 + 3*time.Microsecond)
		if d := take(t, table, limit.ID{}, 1); !d.Allowed {
			t.Fatalf("from %d µs on, it counts for more than a part longer: %+v", begin, d)
		}
	}
}

// TestGivingBack: all that is counted can be given back, whenever it was counted.
func TestGivingBack(t *testing.T) {
	for _, algorithm := range []limit.Algorithm{limit.GCRA, limit.SlidingWindow} {
		at := newClock()
		table := limit.NewTable([]limit.Rule{{Algorithm: algorithm, Count: 10, Per: time.Minute}}, limit.Options{Now: at.Now})
		take(t, table, limit.ID{}, 6)
		at.step(15 * time.Second)
		take(t, table, limit.ID{}, 2)
		table.Charge(limit.ID{}, -7)
		if d, _ := table.Look(limit.ID{}, 0); d.Remaining < 9 {
			t.Errorf("%s: %+v", algorithm, d)
		}
		table.Charge(limit.ID{}, -100)
		if d, _ := table.Look(limit.ID{}, 0); d.Remaining != 10 || d.Reset != 0 {
			t.Errorf("%s: %+v", algorithm, d)
		}
		table.Charge(limit.NewID("nobody"), -1)
		if table.Len() != 1 {
			t.Errorf("%s: %d keys", algorithm, table.Len())
		}
	}
}

// TestAllOrNothing: what one rule refuses counts for none.
func TestAllOrNothing(t *testing.T) {
	at := newClock()
	table := limit.NewTable([]limit.Rule{
		{Algorithm: limit.GCRA, Count: 2, Per: time.Second},
		{Algorithm: limit.SlidingWindow, Count: 5, Per: time.Hour},
	}, limit.Options{Now: at.Now})
	passed := 0
	for range 100 {
		if take(t, table, limit.ID{}, 1).Allowed {
			passed++
		}
		at.step(100 * time.Millisecond)
	}
	if passed != 5 {
		t.Errorf("%d passed", passed)
	}
	if d := take(t, table, limit.ID{}, 1); d.Rule != 1 || d.Retry < 50*time.Minute {
		t.Errorf("it is not the hour that refuses: %+v", d)
	}
}

// TestMemoryIsBounded: who makes up keys drives out none that is used heavily.
func TestMemoryIsBounded(t *testing.T) {
	at, keys, evicted := newClock(), new(gauge), new(gauge)
	const most = 4096
	table := limit.NewTable(perMinute(100), limit.Options{Now: at.Now, MaxKeys: most, Keys: keys, Evicted: evicted})
	heavy := limit.NewID("heavy")
	take(t, table, heavy, 100)
	for i := range 20 * most {
		take(t, table, address(i), 1)
	}
	if d := take(t, table, heavy, 1); d.Allowed {
		t.Errorf("the heavy key was driven out: %+v", d)
	}
	if n := table.Len(); n > most || n < most*3/4 || keys.v.Load() != int64(n) || evicted.v.Load() == 0 {
		t.Errorf("%d keys, %d by the metric, %d evicted", n, keys.v.Load(), evicted.v.Load())
	}
	at.step(time.Hour)
	before := evicted.v.Load()
	for i := range most / 2 {
		take(t, table, limit.NewID(strconv.Itoa(i)), 1)
	}
	if evicted.v.Load() != before {
		t.Errorf("%d were driven out, though all were forgotten", evicted.v.Load()-before)
	}
	if err := table.Close(); err != nil || keys.v.Load() != 0 {
		t.Errorf("after the end: %v, %d keys", err, keys.v.Load())
	}
}

// TestKeysComeAndGo compares the table with a map, through growth, forgetting and resets.
func TestKeysComeAndGo(t *testing.T) {
	at := newClock()
	table := limit.NewTable(perMinute(10), limit.Options{Now: at.Now})
	used := map[int]int64{}
	for i := range 30_000 {
		key := i * 7919 % 5000
		if i%3 == 0 {
			found, err := table.Reset(context.Background(), address(key).String())
			if err != nil || found != (used[key] > 0) {
				t.Fatalf("reset of %d: %v, %v; used %d", key, found, err, used[key])
			}
			delete(used, key)
			continue
		}
		d := take(t, table, address(key), 1)
		if want := used[key] < 10; d.Allowed != want {
			t.Fatalf("%d: allowed %v after %d", key, d.Allowed, used[key])
		}
		if d.Allowed {
			used[key]++
		}
	}
	if table.Len() != len(used) {
		t.Errorf("%d keys, want %d", table.Len(), len(used))
	}
	var sum, want int64
	for _, u := range table.Top(math.MaxInt32) {
		sum += u.Used
	}
	for _, n := range used {
		want += n
	}
	if sum != want {
		t.Errorf("%d used in all, want %d", sum, want)
	}
}

func TestResetByWhatIsWritten(t *testing.T) {
	table := limit.NewTable(perMinute(10), limit.Options{})
	for _, id := range []limit.ID{{}, limit.NewID("me"), limit.AddressID(netip.MustParseAddr("2001:db8::1")), limit.AddressID(netip.Addr{}), limit.NewID("192.0.2.1")} {
		take(t, table, id, 1)
		for _, want := range []bool{true, false} {
			if found, err := table.Reset(context.Background(), id.String()); err != nil || found != want {
				t.Errorf("%s: %v, %v", id, found, err)
			}
		}
	}
}

// TestKeysAreCopied: what a key is cut from is not kept.
func TestKeysAreCopied(t *testing.T) {
	message := []byte("GET / HTTP/1.1\r\nX-User: me\r\n")
	text := unsafe.String(unsafe.SliceData(message), len(message))
	table := limit.NewTable(perMinute(10), limit.Options{})
	take(t, table, limit.NewID(text[24:26]), 1)
	clear(message)
	if top := table.Top(1); len(top) != 1 || top[0].Key != "me" {
		t.Errorf("got %+v", top)
	}
}

func TestTop(t *testing.T) {
	table := limit.NewTable(perMinute(1000), limit.Options{Now: newClock().Now})
	for i := range 500 {
		take(t, table, address(i), int64(i+1))
	}
	top := table.Top(3)
	if len(top) != 3 || top[0].Used != 500 || top[2].Used != 498 || top[0].Key != "0.0.1.243" {
		t.Errorf("got %+v", top)
	}
	if got := table.Top(0); len(got) != 0 {
		t.Errorf("none: %+v", got)
	}
}

func TestRulesAreChecked(t *testing.T) {
	for _, r := range []limit.Rule{
		{},
		{Algorithm: "x", Count: 1, Per: time.Second},
		{Algorithm: limit.GCRA, Per: time.Second},
		{Algorithm: limit.GCRA, Count: 1, Per: time.Microsecond},
		{Algorithm: limit.GCRA, Count: math.MaxInt64, Per: time.Second},
		{Algorithm: limit.SlidingWindow, Count: 1, Burst: 2, Per: time.Second},
		{Algorithm: limit.GCRA, Count: 1, Burst: 1e9, Per: time.Hour},
	} {
		if err := r.Check(); err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
}

// TestLargeNumbers: no sum overflows, whatever the rule and the cost.
func TestLargeNumbers(t *testing.T) {
	for _, r := range []limit.Rule{
		{Algorithm: limit.GCRA, Count: 1_000_003, Per: 7 * 24 * time.Hour},
		{Algorithm: limit.GCRA, Count: limit.MaxCount - 111, Per: 365 * 24 * time.Hour},
		{Algorithm: limit.GCRA, Count: limit.MaxCount, Per: time.Millisecond},
		{Algorithm: limit.SlidingWindow, Count: limit.MaxCount, Per: 365 * 24 * time.Hour},
	} {
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		at := newClock()
		table := limit.NewTable([]limit.Rule{r}, limit.Options{Now: at.Now})
		if d := take(t, table, limit.ID{}, r.Count); !d.Allowed || d.Remaining != 0 {
			t.Errorf("%+v: all at once: %+v", r, d)
		}
		for range 20 {
			table.Charge(limit.ID{}, math.MaxInt64)
		}
		if d := take(t, table, limit.ID{}, 1); d.Allowed || d.Retry <= 0 || d.Reset <= 0 {
			t.Errorf("%+v: in debt: %+v", r, d)
		}
		for range 20 {
			table.Charge(limit.ID{}, math.MinInt64)
		}
		if d := take(t, table, limit.ID{}, r.Count); !d.Allowed {
			t.Errorf("%+v: with all given back: %+v", r, d)
		}
		at.step(r.Per / 2)
		if d := take(t, table, limit.ID{}, r.Count/4); r.Algorithm == limit.GCRA && !d.Allowed {
			t.Errorf("%+v: after half the time a quarter: %+v", r, d)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	table := limit.NewTable(perMinute(1000), limit.Options{Now: newClock().Now, MaxKeys: 10_000})
	var passed atomic.Int64
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				if d, _ := table.Take(context.Background(), limit.ID{}, 1); d.Allowed {
					passed.Add(1)
				}
				_, _ = table.Take(context.Background(), address(g*2000+i), 1)
				if i%500 == 0 {
					table.Top(3)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 1000 || table.Len() != 8001 {
		t.Errorf("%d passed, %d keys", passed.Load(), table.Len())
	}
}

func TestTakeDoesNotAllocate(t *testing.T) {
	table := limit.NewTable(perMinute(1000), limit.Options{})
	addr, text := address(1), limit.NewID("me")
	take(t, table, addr, 1)
	take(t, table, text, 1)
	if n := testing.AllocsPerRun(100, func() {
		take(t, table, addr, 1)
		take(t, table, text, 1)
		table.Look(addr, 1)
		table.Charge(addr, 1)
	}); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// million returns a table with a million keys, and these in an order that no cache foresees.
func million(b *testing.B, rules []limit.Rule, make func(i int) limit.ID) (*limit.Table, []limit.ID) {
	const n = 1_000_000
	table := limit.NewTable(rules, limit.Options{MaxKeys: 2 * n})
	ids := []limit.ID{}
	for i := range n {
		id := make(i * 7_368_787 % n)
		ids = append(ids, id)
		take(b, table, id, 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return table, ids
}

// perHour is a rate that none of the keys has forgotten when it is asked for again.
func perHour(algorithm limit.Algorithm) []limit.Rule {
	return []limit.Rule{{Algorithm: algorithm, Count: 1000, Per: time.Hour}}
}

func BenchmarkTakeMillion(b *testing.B) {
	text := func(i int) limit.ID { return limit.NewID("user-" + strconv.Itoa(i)) }
	for _, c := range []struct {
		name  string
		rules []limit.Rule
		key   func(int) limit.ID
	}{
		{"gcra/address", perHour(limit.GCRA), address},
		{"gcra/text", perHour(limit.GCRA), text},
		{"sliding_window/address", perHour(limit.SlidingWindow), address},
		{"two/address", append(perHour(limit.GCRA), perMinute(100)...), address},
	} {
		b.Run(c.name, func(b *testing.B) {
			table, ids := million(b, c.rules, c.key)
			for i := 0; b.Loop(); i++ {
				if i == len(ids) {
					i = 0
				}
				_, _ = table.Take(context.Background(), ids[i], 1)
			}
		})
	}
}

func BenchmarkTakeMillionParallel(b *testing.B) {
	table, ids := million(b, perHour(limit.GCRA), address)
	var next atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		for i := int(next.Add(333_333)); p.Next(); i++ {
			_, _ = table.Take(context.Background(), ids[i%len(ids)], 1)
		}
	})
}

func BenchmarkTakeOne(b *testing.B) {
	table := limit.NewTable(perHour(limit.GCRA), limit.Options{})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = table.Take(context.Background(), limit.ID{}, 1)
	}
}
