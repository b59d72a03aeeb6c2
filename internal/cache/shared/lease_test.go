package shared

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis/redistest"
	"cardea.dev/cardea/internal/stored"
)

const patient = 20 * time.Second // that no test waits for

// TestLease: one fetches, and the others get what it has stored since.
func TestLease(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Wait: patient, Lease: patient}
	a, b := join(t, s.URL(), o).subscribe(0), join(t, s.URL(), o).subscribe(0)
	for i, text := range []string{"first", "second"} { // there is an old one the second time
		lead, wait, done := a.Lease(t.Context(), "k")
		if !lead || wait(t.Context()) != nil {
			t.Fatal("nobody leads")
		}
		lead, wait, release := b.Lease(t.Context(), "k")
		if lead {
			t.Fatal("two lead")
		}
		release() // which is not its own
		got := make(chan *stored.Response)
		go func() { got <- wait(t.Context()) }()
		a.store(response("k", fmt.Sprint(i)), text)
		done()
		done()
		if r := <-got; r == nil || bodyOf(t, r) != text {
			t.Errorf("%+v", r)
		}
		s.Wait("give it back", func() bool { return strings.HasPrefix(s.Must("EXISTS", a.names("k").lease), ":0") })
	}
}

// TestLeaseEnds: nobody waits for what does not come.
func TestLeaseEnds(t *testing.T) {
	for name, c := range map[string]struct {
		o       Options
		instead func(s *redistest.Server, done, leave func())
	}{
		"given back":  {Options{Wait: patient, Lease: patient}, func(_ *redistest.Server, done, _ func()) { done() }},
		"not in time": {Options{Wait: 30 * time.Millisecond, Lease: patient}, func(*redistest.Server, func(), func()) {}},
		"vanished":    {Options{Wait: patient, Lease: 50 * time.Millisecond}, func(*redistest.Server, func(), func()) {}},
		"killed":      {Options{Wait: patient, Lease: patient}, func(s *redistest.Server, _, _ func()) { s.Kill() }},
		"left":        {Options{Wait: patient, Lease: patient}, func(_ *redistest.Server, _, leave func()) { leave() }},
		"flushed":     {Options{Wait: patient, Lease: patient}, func(s *redistest.Server, _, _ func()) { s.Must("FLUSHALL") }},
	} {
		s := redistest.Start(t)
		a, b := join(t, s.URL(), c.o).subscribe(0), join(t, s.URL(), c.o).subscribe(0)
		a.store(response("k", `"1"`), "old")
		b.finds(s, "k", "old")
		_, _, done := a.Lease(t.Context(), "k")
		lead, wait, _ := b.Lease(t.Context(), "k")
		if lead {
			continue // the machine was too slow
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan *stored.Response)
		go func() { got <- wait(ctx) }()
		c.instead(s, done, cancel)
		if r := <-got; r != nil {
			t.Errorf("%s: %+v", name, r)
		}
		cancel()
	}
}

// TestLeaseOfAnother: a lease that ended, and is another's now, is not given back.
func TestLeaseOfAnother(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	_, _, done := a.Lease(t.Context(), "k")
	s.Must("SET", a.names("k").lease, "another's")
	done()
	a.store(response("after", `"1"`), "x")
	a.finds(s, "after", "x")
	if answer := s.Must("GET", a.names("k").lease); !strings.Contains(answer, "another's") {
		t.Error(answer)
	}
}

// TestCrowd: many at several gateways want the same, and it is fetched once.
func TestCrowd(t *testing.T) {
	s := redistest.Start(t)
	var all []*gateway
	for range 3 {
		all = append(all, join(t, s.URL(), Options{Wait: patient, Lease: patient}).subscribe(0))
	}
	var fetched atomic.Int64
	var begun, group sync.WaitGroup
	begun.Add(30)
	for i := range 30 {
		g := all[i%len(all)]
		group.Go(func() {
			lead, wait, done := g.Lease(t.Context(), "k")
			begun.Done()
			if !lead {
				if r := wait(t.Context()); r == nil || bodyOf(t, r) != "hello" {
					t.Errorf("%+v", r)
				}
				return
			}
			begun.Wait()
			fetched.Add(1)
			g.store(response("k", `"1"`), "hello")
			done()
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
	a, b := join(t, url, Options{Wait: patient}).subscribe(0), join(t, url, Options{Wait: patient}).subscribe(0)
	works := func(round string) {
		t.Helper()
		for i := range 12 {
			key, text := fmt.Sprint(round, i), strings.Repeat("x", i*40000+1)
			_, _, done := a.Lease(t.Context(), key)
			lead, wait, _ := b.Lease(t.Context(), key)
			got := make(chan *stored.Response)
			go func() { got <- wait(t.Context()) }()
			kept := a.store(response(key, `"1"`), text)
			done()
			if r := <-got; !lead && r != nil && bodyOf(t, r) != text {
				t.Errorf("%s: %+v", key, r)
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
