package sharedlimit

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis/redistest"
)

// hands are a clock that a test moves, of the store and of gateways.
type hands struct {
	t      *testing.T
	r      *redistest.Server
	micros atomic.Int64
}

func newHands(t *testing.T, r *redistest.Server) *hands {
	h := &hands{t: t, r: r}
	h.forward(1_700_000_000 * time.Second)
	return h
}

func (h *hands) forward(d time.Duration) {
	h.t.Helper()
	h.micros.Add(d.Microseconds())
	h.r.Must("SET", "clock", strconv.FormatInt(h.micros.Load(), 10))
}

func (h *hands) now() time.Time { return time.UnixMicro(h.micros.Load()) }

// TestNeverMore: whatever three gateways are asked when, in no time does more pass than the rule says, although they decide by themselves.
func TestNeverMore(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	r := redistest.Start(t)
	h := newHands(t, r)
	for round, rule := range []limit.Rule{
		{Algorithm: limit.GCRA, Count: 100, Per: time.Second},
		{Algorithm: limit.GCRA, Count: 100, Per: time.Second, Burst: 20},
		{Algorithm: limit.GCRA, Count: 100, Per: 10 * time.Second, Burst: 300},
		{Algorithm: limit.SlidingWindow, Count: 100, Per: time.Second},
		{Algorithm: limit.SlidingWindow, Count: 300, Per: 10 * time.Second},
	} {
		var all []*Counter
		for i := range 3 {
			ahead := time.Duration(i) * time.Hour // whose clocks do not agree
			all = append(all, counter(t, r.URL(), Options{Mode: Approximate, script: byKey(), Now: func() time.Time { return h.now().Add(ahead) }}, rule))
		}
		if all[0].leases == nil {
			t.Fatalf("%+v has no leases", rule)
		}
		id := limit.NewID(fmt.Sprint(seed, round))
		var passed []int64
		leased := false
		for range 150 {
			h.forward(time.Duration(random.Int64N(int64(rule.Per) / 20)))
			if random.IntN(30) == 0 {
				h.forward(time.Duration(random.Int64N(3 * int64(rule.Per))))
			}
			c := all[random.IntN(3)]
			for range random.IntN(30) {
				_, known := c.Look(id, 1)
				d, err := c.Take(t.Context(), id, 1)
				if err != nil {
					t.Fatal(err)
				}
				if d.Allowed {
					passed = append(passed, h.micros.Load())
					leased = leased || known
				}
			}
		}
		if !leased || len(passed) < 100 {
			t.Errorf("%+v: %d passed, by lease: %t", rule, len(passed), leased)
		}
		if text := tooMany(rule, passed); text != "" {
			t.Errorf("seed %d, %+v: %s", seed, rule, text)
		}
	}
}

// tooMany says in which time more passed than a rule lets pass, or "".
func tooMany(rule limit.Rule, passed []int64) string {
	burst := rule.Burst
	if burst == 0 {
		burst = rule.Count
	}
	m := model{rule: rule}
	for i, at := range passed {
		if rule.Algorithm == limit.GCRA {
			m.pass(at)
			if !m.fits(1) {
				return fmt.Sprintf("number %d is more than the burst of %d", i, burst)
			}
			m.count(at, 1)
			continue
		}
		first := i - int(rule.Count)
		if first >= 0 && at-passed[first] < rule.Per.Microseconds() {
			return fmt.Sprintf("%d within %d µs", rule.Count+1, at-passed[first])
		}
	}
	return ""
}

// TestApproximate: many ask three gateways at the same time, until there is nothing left.
func TestApproximate(t *testing.T) {
	r := redistest.Start(t)
	var all []*Counter
	for range 3 {
		all = append(all, counter(t, r.URL(), Options{Mode: Approximate}, hour(2000), hour(3000)))
	}
	id := limit.NewID("k")
	if n := hammer(t, 1600, id, all...); n > 2000 || n < 2000*4/10 {
		t.Errorf("%d passed", n)
	}
	for _, c := range all {
		d, err := c.Take(t.Context(), id, 2000)
		if err != nil || d.Allowed || d.Rule != 0 {
			t.Errorf("%+v %v", d, err)
		}
		if d, err := c.Take(t.Context(), id, 2001); err != nil || d.Allowed || d.Retry >= 0 {
			t.Errorf("more than ever passes: %+v %v", d, err)
		}
	}
}

// TestUnused: what a gateway has leased and does not use is there again for others.
func TestUnused(t *testing.T) {
	r := redistest.Start(t)
	h := newHands(t, r)
	exact := counter(t, r.URL(), Options{script: byKey()}, hour(1000))
	o := Options{Mode: Approximate, script: byKey(), Now: h.now}
	a, b := counter(t, r.URL(), o, hour(1000)), counter(t, r.URL(), o, hour(1000))
	exact.prefix, exact.rules = a.prefix, a.rules
	left := func() int64 {
		d, err := exact.Take(t.Context(), limit.NewID("k"), 0)
		if err != nil {
			t.Fatal(err)
		}
		return d.Remaining
	}
	take := func(c *Counter) {
		if d, err := c.Take(t.Context(), limit.NewID("k"), 1); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	take(a)
	if n := left(); n != 1000-1-firstWant {
		t.Errorf("leased: %d are left", n)
	}
	h.forward(time.Second)
	r.Wait("get back what was not used", func() bool { return left() == 999 })
	r.Wait("forget the key", func() bool { return a.leases.keys.Load() == 0 })
	take(a)
	take(b)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := left(); n != 1000-3-firstWant {
		t.Errorf("one has closed: %d are left", n)
	}
	if found, err := a.Reset(t.Context(), "k"); err != nil || !found {
		t.Errorf("reset: %t %v", found, err)
	}
	if n := left(); n != 1000 {
		t.Errorf("reset: %d are left", n)
	}
	if _, ok := a.Look(limit.NewID("k"), 1); ok {
		t.Error("there is a lease after the reset")
	}
	for range 3 {
		take(a)
	}
	if top := a.Top(3); len(top) != 1 || top[0].Key != "k" || top[0].Limit != 1000 {
		t.Errorf("%+v", top)
	}
}

// TestRefusedLocally: what was refused is refused without asking again, until it could pass.
func TestRefusedLocally(t *testing.T) {
	r := redistest.Start(t)
	h := newHands(t, r)
	c := counter(t, r.URL(), Options{Mode: Approximate, script: byKey(), Now: h.now}, hour(10))
	id := limit.NewID("k")
	for range 10 {
		if d, err := c.Take(t.Context(), id, 1); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	first, err := c.Take(t.Context(), id, 1)
	if err != nil || first.Allowed {
		t.Fatal(first, err)
	}
	r.Must("DEL", c.prefix+"k") // it would pass now
	if d, err := c.Take(t.Context(), id, 1); err != nil || d.Allowed || d.Retry > first.Retry {
		t.Error(d, err)
	}
	if d, ok := c.Look(id, 1); !ok || d.Allowed {
		t.Error(d, ok)
	}
	h.forward(time.Second)
	if d, err := c.Take(t.Context(), id, 1); err != nil || !d.Allowed {
		t.Error(d, err)
	}
	if top := c.Top(1); len(top) != 1 || top[0].Refused != 2 {
		t.Errorf("%+v", top)
	}
}

// TestKeysAreBounded: there are leases for so many keys, and others are counted all the same.
func TestKeysAreBounded(t *testing.T) {
	r := redistest.Start(t)
	c := counter(t, r.URL(), Options{Mode: Approximate, MaxKeys: 128}, hour(2))
	for i := range 1000 {
		id := limit.NewID(fmt.Sprint(i))
		for _, want := range []bool{true, true, false} {
			if d, err := c.Take(t.Context(), id, 1); err != nil || d.Allowed != want {
				t.Fatalf("%d: %+v %v", i, d, err)
			}
		}
	}
	if n := c.leases.keys.Load(); n > 128+shards {
		t.Errorf("%d keys", n)
	}
}

func TestLeaseTimes(t *testing.T) {
	for _, test := range []struct {
		rule limit.Rule
		want time.Duration
	}{
		{limit.Rule{Algorithm: limit.GCRA, Count: 100, Per: time.Minute}, time.Second},
		{limit.Rule{Algorithm: limit.GCRA, Count: 10, Per: time.Second}, 100 * time.Millisecond},
		{limit.Rule{Algorithm: limit.GCRA, Count: 10, Per: time.Second, Burst: 2}, 20 * time.Millisecond},
		{limit.Rule{Algorithm: limit.GCRA, Count: 1, Per: time.Hour}, 0},
		{limit.Rule{Algorithm: limit.GCRA, Count: 1000, Per: time.Second, Burst: 20}, 0},
		{limit.Rule{Algorithm: limit.GCRA, Count: 1, Per: maxPer, Burst: 5000}, time.Second},
		{limit.Rule{Algorithm: limit.SlidingWindow, Count: 1, Per: time.Second}, 100 * time.Millisecond},
		{hour(5), time.Second},
	} {
		if got := leaseTime([]limit.Rule{hour(1), test.rule}, time.Second); got != test.want {
			t.Errorf("%+v: %s, expected %s", test.rule, got, test.want)
		}
	}
}
