package shared

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis/redistest"
)

const patient = 20 * time.Second // that no test waits for

// TestLease: one fetches, and the others look once it has ended.
func TestLease(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Lease: patient}
	a, b, c := join(t, s.URL(), o).subscribe(0), join(t, s.URL(), o).subscribe(0), join(t, s.URL(), o).subscribe(0)
	for _, text := range []string{"first", "second"} {
		first := a.Lease(t.Context(), "k")
		if !first.Leads || !first.Look {
			t.Fatalf("nobody leads: %+v", first)
		}
		var group sync.WaitGroup
		for _, g := range []*gateway{b, c} {
			g.asked()
			group.Go(func() {
				other := g.Lease(t.Context(), "k")
				r := g.Get(t.Context(), "k")
				if other.Leads || !other.Look || r == nil || bodyOf(t, r) != text {
					t.Errorf("%+v %+v", other, r)
				}
				other.End(time.Hour) // which is not its own
			})
		}
		s.Wait("wait", func() bool { return b.asked() && c.asked() })
		a.store(response("k", `"1"`), text)
		first.End(0)
		first.End(time.Hour)
		group.Wait()
		s.Wait("give it back", func() bool { return strings.HasPrefix(s.Must("EXISTS", a.names("k").lease), ":0") })
	}
}

// asked says whether a gateway has had an answer since this was true last.
func (g *gateway) asked() bool {
	var m dto.Metric
	if err := g.m.duration.(prometheus.Metric).Write(&m); err != nil {
		g.t.Fatal(err)
	}
	n := m.GetHistogram().GetSampleCount()
	defer func() { g.answers = n }()
	return n > g.answers
}

// TestLeaseEnds: nobody waits for what does not come.
func TestLeaseEnds(t *testing.T) {
	for name, c := range map[string]struct {
		o       Options
		instead func(s *redistest.Server, lease *Lease, leave func())
		look    bool
	}{
		"given back": {Options{Lease: patient}, func(_ *redistest.Server, l *Lease, _ func()) { l.End(0) }, true},
		"kept apart": {Options{Lease: patient}, func(_ *redistest.Server, l *Lease, _ func()) { l.End(patient) }, false},
		"vanished":   {Options{Lease: 50 * time.Millisecond}, func(*redistest.Server, *Lease, func()) {}, true},
		"killed":     {Options{Lease: patient}, func(s *redistest.Server, _ *Lease, _ func()) { s.Kill() }, false},
		"left":       {Options{Lease: patient}, func(_ *redistest.Server, _ *Lease, leave func()) { leave() }, false},
		"flushed":    {Options{Lease: patient}, func(s *redistest.Server, _ *Lease, _ func()) { s.Must("FLUSHALL") }, true},
	} {
		s := redistest.Start(t)
		a, b := join(t, s.URL(), c.o).subscribe(0), join(t, s.URL(), c.o).subscribe(0)
		first := a.Lease(t.Context(), "k")
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan Lease)
		go func() { got <- b.Lease(ctx, "k") }()
		s.Wait("wait", b.asked)
		c.instead(s, &first, cancel)
		if l := <-got; l.Look != c.look {
			t.Errorf("%s: %+v", name, l)
		}
		cancel()
	}
}

// TestKeptApart: gateways do not wait for each other for what is not for them, until that is over.
func TestKeptApart(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), Options{Lease: patient}).subscribe(0), join(t, s.URL(), Options{Lease: patient}).subscribe(0)
	first := a.Lease(t.Context(), "k")
	first.End(patient)
	s.Wait("say so", func() bool { return strings.Contains(s.Must("GET", a.names("k").lease), apart) })
	for _, g := range []*gateway{a, b, a} {
		if l := g.Lease(t.Context(), "k"); l.Leads || l.Look {
			t.Errorf("%+v", l)
		}
	}
	s.Must("PEXPIRE", a.names("k").lease, "1")
	s.Wait("lead again", func() bool { l := b.Lease(t.Context(), "k"); return l.Leads })
}

// TestGivenBackLate: a lease that ends while the server does not answer is given back when it does.
func TestGivenBackLate(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{Lease: time.Hour, Timeout: 200 * time.Millisecond}).subscribe(0)
	var lease Lease
	s.Wait("lead", func() bool { lease = a.Lease(t.Context(), "k"); return lease.Leads })
	s.Signal(syscall.SIGSTOP)
	s.Wait("be down", func() bool { a.Get(t.Context(), "k"); return a.Stats().Down })
	lease.End(0)
	s.Wait("keep it", func() bool { return len(a.writes.queue) == 0 })
	s.Signal(syscall.SIGCONT)
	s.Wait("be up", func() bool { a.Get(t.Context(), "k"); return !a.Stats().Down })
	s.Wait("give it back", func() bool {
		a.Delete(t.Context(), "another") // something more is sent
		return strings.HasPrefix(s.Must("EXISTS", a.names("k").lease), ":0")
	})
}

// TestLeaseOfAnother: a lease that ended, and is another's now, is not given back.
func TestLeaseOfAnother(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	for _, apart := range []time.Duration{0, time.Hour} {
		lease := a.Lease(t.Context(), "k")
		s.Must("SET", a.names("k").lease, "another's")
		lease.End(apart)
		a.store(response("after", `"1"`), "x")
		a.finds(s, "after", "x")
		if answer := s.Must("GET", a.names("k").lease); !strings.Contains(answer, "another's") {
			t.Error(answer)
		}
		s.Must("DEL", a.names("k").lease)
	}
}

// TestLeaseOfAnotherType: a value that is no lease holds nobody up.
func TestLeaseOfAnotherType(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	s.Must("LPUSH", a.names("k").lease, "x")
	if l := a.Lease(t.Context(), "k"); l.Leads || l.Look {
		t.Errorf("%+v", l)
	}
	if a.Stats().Down || a.logged.Count("\n") > 0 {
		t.Error(a.logged.String())
	}
}

// TestCrowd: many at several gateways want the same, and it is fetched once.
func TestCrowd(t *testing.T) {
	s := redistest.Start(t)
	var all []*gateway
	for range 3 {
		all = append(all, join(t, s.URL(), Options{Lease: patient}).subscribe(0))
	}
	var fetched atomic.Int64
	var group sync.WaitGroup
	for i := range 30 {
		g := all[i%len(all)]
		group.Go(func() {
			lease := g.Lease(t.Context(), "k")
			defer lease.End(0)
			if r := g.Get(t.Context(), "k"); r != nil && bodyOf(t, r) == "hello" {
				return
			}
			if !lease.Leads {
				t.Errorf("nothing is there after the wait: %+v", lease)
				return
			}
			fetched.Add(1)
			g.store(response("k", `"1"`), "hello")
		})
	}
	group.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("it is fetched %d times", n)
	}
}

// TestCluster: all that belongs together is in one slot, and the rest is spread.
func TestCluster(t *testing.T) {
	url, servers := redistest.Cluster(t)
	a, b := join(t, url, Options{}).subscribe(0), join(t, url, Options{}).subscribe(0)
	works := func(round string) {
		t.Helper()
		for i := range 12 {
			key, text := fmt.Sprint(round, i), strings.Repeat("x", i*40000+1)
			lease := a.Lease(t.Context(), key)
			got := make(chan Lease)
			go func() { got <- b.Lease(t.Context(), key) }()
			kept := a.store(response(key, `"1"`), text)
			lease.End(0)
			if other := <-got; !other.Look {
				t.Errorf("%s: %+v", key, other)
			}
			b.finds(servers[0], key, text)
			renewed := *kept
			renewed.Received = renewed.Received.Add(time.Minute)
			a.Update(t.Context(), &renewed)
			servers[0].Wait("be updated", func() bool {
				r := b.Get(t.Context(), key)
				return r != nil && r.Received.Equal(renewed.Received) && bodyOf(t, r) == text
			})
		}
		seq, err := a.Publish(t.Context(), filter.Purge{Tag: round})
		if err != nil {
			t.Fatal(err)
		}
		servers[0].Wait("be told", func() bool { return b.last() == told{seq, filter.Purge{Tag: round}} })
	}
	works("first")
	for _, s := range servers {
		if answer := s.Must("DBSIZE"); answer == ":0\r\n" {
			t.Error("a server has nothing")
		}
	}
	// The one with the purges is lost for a while.
	var slot int
	if _, err := fmt.Sscanf(servers[0].Must("CLUSTER", "KEYSLOT", a.purges.key), ":%d", &slot); err != nil {
		t.Fatal(err)
	}
	lost := servers[slot*3/16384]
	lost.Kill()
	lost.Wait("be down", func() bool { return a.Stats().Down && b.Stats().Down })
	a.PublishLater(filter.Purge{Tag: "meanwhile"})
	lost.Run()
	lost.Wait("be up", func() bool {
		return !a.Stats().Down && !b.Stats().Down && b.knows(filter.Purge{Tag: "meanwhile"})
	})
}

// TestFailover: a replica takes over, and all goes on.
func TestFailover(t *testing.T) {
	url, master, replica, _ := redistest.Sentinel(t)
	a, b := join(t, url, Options{}).subscribe(0), join(t, url, Options{}).subscribe(0)
	a.store(response("k", `"1"`), "hello")
	b.finds(master, "k", "hello")
	seq, err := a.Publish(t.Context(), filter.Purge{Tag: "before"})
	if err != nil {
		t.Fatal(err)
	}
	replica.Wait("have all", func() bool {
		return strings.HasPrefix(replica.Must("EXISTS", a.names("k").head, a.purges.key), ":2") && b.last().seq == seq
	})
	if answer := master.Must("WAIT", "1", "10000"); answer != ":1\r\n" {
		t.Fatal(answer)
	}
	master.Kill()
	a.PublishLater(filter.Purge{Tag: "meanwhile"})
	replica.Wait("take over", func() bool { return b.knows(filter.Purge{Tag: "meanwhile"}) && !a.Stats().Down && !b.Stats().Down })
	b.finds(replica, "k", "hello")
	if all := b.all(); all[len(all)-1].p.All {
		t.Errorf("all was let go: %v", all)
	}
}

func BenchmarkGet(b *testing.B) {
	s := redistest.Start(b)
	a := join(b, s.URL(), Options{}).subscribe(0)
	for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
		text := strings.Repeat("x", size)
		key := fmt.Sprint(size)
		a.store(response(key, `"1"`), text)
		a.finds(s, key, text)
		b.Run(key, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a.Get(b.Context(), key) == nil {
					b.Fatal("it is not there")
				}
			}
		})
		b.Run(key+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a.Get(b.Context(), key) == nil {
						b.Error("it is not there")
					}
				}
			})
		})
	}
}

// BenchmarkPut measures what a request waits for.
func BenchmarkPut(b *testing.B) {
	s := redistest.Start(b)
	a := join(b, s.URL(), Options{}).subscribe(0)
	r, text := response("k", `"1"`), []byte(strings.Repeat("x", 1024))
	r.Size = 1024
	b.ReportAllocs()
	for b.Loop() {
		w, err := a.Put(b.Context(), r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = w.Write(text)
		if _, err := w.Commit(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublish measures until another gateway knows.
func BenchmarkPublish(b *testing.B) {
	s := redistest.Start(b)
	a, other := join(b, s.URL(), Options{}).subscribe(0), join(b, s.URL(), Options{})
	known := make(chan uint64, 1)
	other.Subscribe(0, func(seq uint64, p filter.Purge) {
		if !p.All {
			known <- seq
		}
	})
	for b.Loop() {
		seq, err := a.Publish(b.Context(), filter.Purge{Tag: "t"})
		if err != nil || <-known != seq {
			b.Fatal(err)
		}
	}
}
