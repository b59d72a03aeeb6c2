package sharedlimit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strconv"
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

// patient is a time that no test waits for.
const patient = 30 * time.Second

// counter returns a counter that ends with the test, as does its server.
func counter(t testing.TB, url string, o Options, rules ...limit.Rule) *Counter {
	t.Helper()
	server, err := redis.New(url)
	if err != nil {
		t.Fatal(err)
	}
	if o.OnFailure == "" {
		o.OnFailure = Deny
	}
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	c, err := New(server, "test", rules, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_ = server.Close()
	})
	return c
}

// hour is a rule that nothing drains from while a test runs.
func hour(count int64) limit.Rule {
	return limit.Rule{Algorithm: limit.SlidingWindow, Count: count, Per: 24 * time.Hour}
}

// hammer takes at counters in parallel, and returns how much passed.
func hammer(t testing.TB, each int, id limit.ID, counters ...*Counter) int64 {
	t.Helper()
	var passed atomic.Int64
	var wg sync.WaitGroup
	for _, c := range counters {
		for range 8 {
			wg.Go(func() {
				for range each / 8 {
					d, err := c.Take(t.Context(), id, 1)
					if err != nil {
						t.Error(err)
						return
					}
					if d.Allowed {
						passed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	return passed.Load()
}

func TestExact(t *testing.T) {
	r := redistest.Start(t)
	a, b := counter(t, r.URL(), Options{}, hour(1000)), counter(t, r.URL(), Options{}, hour(1000))
	id := limit.AddressID(netip.MustParseAddr("192.0.2.1"))
	if n := hammer(t, 800, id, a, b); n != 1000 {
		t.Errorf("%d passed", n)
	}
	d, err := a.Take(t.Context(), id, 1)
	if err != nil || d.Allowed || d.Remaining != 0 || d.Retry <= 0 || d.Retry > 24*time.Hour*11/10 || d.Reset <= 0 {
		t.Errorf("%+v %v", d, err)
	}
	if d, err := a.Take(t.Context(), id, 1001); err != nil || d.Allowed || d.Retry >= 0 {
		t.Errorf("more than ever passes: %+v %v", d, err)
	}
	if _, err := a.Take(t.Context(), id, -1); err == nil {
		t.Error("a cost below 0 is taken")
	}
	if d, err := a.Take(t.Context(), limit.NewID("other"), 0); err != nil || !d.Allowed || d.Remaining != 1000 {
		t.Errorf("another key: %+v %v", d, err)
	}
	if top := b.Top(5); len(top) != 1 || top[0].Key != "192.0.2.1" || top[0].Used != 1000 || top[0].Limit != 1000 || top[0].Refused == 0 {
		t.Errorf("top: %+v", top)
	}
	if _, ok := a.Look(id, 1); ok {
		t.Error("it is said without asking")
	}
	a.Charge(id, -10)
	r.Wait("give back", func() bool { d, _ := b.Take(t.Context(), id, 0); return d.Remaining == 10 })
	a.Charge(id, 15)
	r.Wait("charge", func() bool { d, _ := b.Take(t.Context(), id, 0); return !d.Allowed })
	for _, want := range []bool{true, false} {
		if found, err := a.Reset(t.Context(), "192.0.2.1"); err != nil || found != want {
			t.Errorf("reset: %t %v", found, err)
		}
	}
	if d, err := b.Take(t.Context(), id, 1); err != nil || d.Remaining != 999 {
		t.Errorf("after the reset: %+v %v", d, err)
	}
}

// TestKeysEnd: nothing stays in the store that is of no use any more.
func TestKeysEnd(t *testing.T) {
	r := redistest.Start(t)
	c := counter(t, r.URL(), Options{},
		limit.Rule{Algorithm: limit.GCRA, Count: 100, Per: time.Second}, limit.Rule{Algorithm: limit.SlidingWindow, Count: 100, Per: time.Second})
	for i := range 50 {
		if _, err := c.Take(t.Context(), limit.NewID(fmt.Sprint(i)), 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.Must("DBSIZE"); n != ":50\r\n" {
		t.Errorf("%q keys", n)
	}
	r.Wait("forget", func() bool { return r.Must("DBSIZE") == ":0\r\n" })
}

// TestOtherRules: what was counted by other rules, or under another name, is not read as if it were by these.
func TestOtherRules(t *testing.T) {
	r := redistest.Start(t)
	a, b := counter(t, r.URL(), Options{}, hour(10)), counter(t, r.URL(), Options{}, hour(11))
	id := limit.NewID("k")
	if n := hammer(t, 16, id, a, b); n != 10+11 {
		t.Errorf("%d passed", n)
	}
	if d, err := a.Take(t.Context(), limit.ID{}, 1); err != nil || !d.Allowed {
		t.Errorf("all together: %+v %v", d, err)
	}
}

func TestScriptIsLoadedAgain(t *testing.T) {
	r := redistest.Start(t)
	c := counter(t, r.URL(), Options{}, hour(1_000_000))
	for range 3 {
		r.Must("SCRIPT", "FLUSH")
		if n := hammer(t, 400, limit.NewID("k"), c); n != 400 {
			t.Errorf("%d passed", n)
		}
	}
}

func TestClusterCounts(t *testing.T) {
	url, servers := redistest.Cluster(t)
	for _, mode := range []Mode{Exact, Approximate} {
		a, b := counter(t, url, Options{Mode: mode}, hour(100), hour(200)), counter(t, url, Options{Mode: mode}, hour(100), hour(200))
		for i := range 20 {
			if n := hammer(t, 160, limit.NewID(fmt.Sprint("{key}", i)), a, b); n > 100 || mode == Exact && n < 100 {
				t.Errorf("%s: %d passed", mode, n)
			}
			if n := hammer(t, 160, limit.NewID(fmt.Sprint("key", i)), a, b); n > 100 || mode == Exact && n < 100 {
				t.Errorf("%s: %d passed", mode, n)
			}
		}
	}
	for _, r := range servers {
		if r.Must("DBSIZE") == ":0\r\n" {
			t.Error("a server has nothing")
		}
	}
}

// TestLeastRights: what the manual lets the gateway's user do is enough.
func TestLeastRights(t *testing.T) {
	manual, err := os.ReadFile("../../docs/manual/shared-limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile("`ACL SETUSER cardea on >PASSWORD ([^`]*)`").FindStringSubmatch(string(manual))
	if rights == nil {
		t.Fatal("the manual does not say what the user needs")
	}
	cluster, servers := redistest.Cluster(t)
	sentinel, master, replica, _ := redistest.Sentinel(t)
	lone := redistest.Start(t)
	for _, s := range append(servers, master, replica, lone) {
		s.Must(append([]string{"ACL", "SETUSER", "cardea", "on", ">sesame"}, strings.Fields(rights[1])...)...)
	}
	for _, url := range []string{cluster, sentinel, lone.URL() + "/2"} {
		for _, mode := range []Mode{Exact, Approximate} {
			c := counter(t, strings.Replace(url, "://", "://cardea:sesame@", 1), Options{Mode: mode}, hour(100), limit.Rule{Algorithm: limit.GCRA, Count: 100, Per: time.Minute})
			if n := hammer(t, 160, limit.NewID(string(mode)), c); n < 90 || n > 101 {
				t.Errorf("%s: %d passed", url, n)
			}
			if found, err := c.Reset(t.Context(), string(mode)); err != nil || !found {
				t.Errorf("%s: reset: %t %v", url, found, err)
			}
			if !c.link.answers(prefix + "other") {
				t.Errorf("%s: it may not be probed", url)
			}
		}
	}
}

func TestWrongOptions(t *testing.T) {
	server, err := redis.New("redis://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	for _, o := range []Options{{Mode: "other"}, {OnFailure: "other"}, {OnFailure: Local}, {MaxShare: 1001}, {Timeout: -1}} {
		if c, err := New(server, "x", []limit.Rule{hour(1)}, o); err == nil {
			t.Errorf("%+v is taken", o)
			_ = c.Close()
		}
	}
	if _, err := New(server, "x", nil, Options{}); err == nil {
		t.Error("no rules are taken")
	}
}

func TestSeenIsBounded(t *testing.T) {
	s, now := newSeen(), time.Now()
	for i := range 10 * maxSeen {
		s.note(limit.NewID(fmt.Sprint(i)), limit.Decision{Remaining: 10, Reset: time.Hour, Allowed: true}, 11, now)
		if i%100 == 0 {
			s.note(limit.NewID("busy"), limit.Decision{Remaining: 1, Reset: time.Hour}, 11, now)
		}
	}
	if s.len() > maxSeen {
		t.Errorf("%d keys", s.len())
	}
	if top := s.top(1, now); len(top) != 1 || top[0].Key != "busy" || top[0].Used != 10 {
		t.Errorf("%+v", top)
	}
	if top := s.top(10, now.Add(2*time.Hour)); len(top) != 0 {
		t.Errorf("what has ended: %+v", top)
	}
}

// cpu reports how much of a processor this process and the store take for each decision.
func cpu(b *testing.B, r *redistest.Server) func() {
	mine := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	stores := func() (sum float64) {
		for line := range strings.Lines(r.Must("INFO", "cpu")) {
			name, text, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name == "used_cpu_user" || name == "used_cpu_sys" {
				seconds, err := strconv.ParseFloat(text, 64)
				if err != nil {
					b.Fatal(err)
				}
				sum += seconds
			}
		}
		return sum
	}
	gateway, store := mine(), stores()
	return func() {
		b.ReportMetric(float64(mine()-gateway)/float64(b.N), "cpu-ns/op")
		b.ReportMetric((stores()-store)*1e9/float64(b.N), "store-cpu-ns/op")
	}
}

func BenchmarkExact(b *testing.B) {
	r := redistest.Start(b)
	minute := limit.Rule{Algorithm: limit.GCRA, Count: 1_000_000, Per: time.Minute}
	for name, rules := range map[string][]limit.Rule{"gcra": {minute}, "window": {hour(1_000_000_000)}, "three": {minute, hour(1_000_000_000), hour(900_000_000)}} {
		c := counter(b, r.URL(), Options{}, rules...)
		b.Run(name+"/single", func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b, r)()
			for range b.N {
				if _, err := c.Take(b.Context(), limit.NewID("k"), 1); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b, r)()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				id := limit.NewID(fmt.Sprint(rand.Uint32()))
				for pb.Next() {
					if _, err := c.Take(b.Context(), id, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkApproximate(b *testing.B) {
	r := redistest.Start(b)
	c := counter(b, r.URL(), Options{Mode: Approximate}, limit.Rule{Algorithm: limit.GCRA, Count: maxCount, Per: time.Minute})
	b.Run("single", func(b *testing.B) {
		b.ReportAllocs()
		defer cpu(b, r)()
		for range b.N {
			if d, err := c.Take(b.Context(), limit.NewID("k"), 1); err != nil || !d.Allowed {
				b.Fatal(d, err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		defer cpu(b, r)()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			id := limit.NewID(fmt.Sprint(rand.Uint32()))
			for pb.Next() {
				if d, err := c.Take(b.Context(), id, 1); err != nil || !d.Allowed {
					b.Fatal(d, err)
				}
			}
		})
	})
}
