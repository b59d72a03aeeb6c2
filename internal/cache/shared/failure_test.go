package shared

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis/redistest"
	"cardea.dev/cardea/internal/stored"
)

// lines fails where an outage was not logged by one line when it began, and one when it ended.
func (g *gateway) lines(lost, back int) {
	g.t.Helper()
	if a, b := g.logged.Count("level=ERROR"), g.logged.Count("level=INFO"); a != lost || b != back || g.logged.Count("\n") != a+b {
		g.t.Errorf("want %d outages and %d ends of such:\n%s", lost, back, g.logged.String())
	}
}

// TestKilled: while a server is gone there is nothing and nobody waits; when it is back all works again, with its data or without.
func TestKilled(t *testing.T) {
	for _, data := range []bool{true, false} {
		var args []string
		if data {
			args = []string{"--appendonly", "yes", "--appendfsync", "always"}
		}
		s := redistest.Start(t, args...)
		a, b := join(t, s.URL(), Options{}).subscribe(0), join(t, s.URL(), Options{}).subscribe(0)
		a.store(response("k", `"1"`), "hello")
		b.finds(s, "k", "hello")
		if _, err := a.Publish(t.Context(), filter.Purge{Tag: "before"}); err != nil {
			t.Fatal(err)
		}
		s.Wait("be told", func() bool { return b.last().p.Tag == "before" })
		old := b.last().seq

		s.Kill()
		s.Wait("be down", func() bool { return a.Stats().Down && b.Stats().Down })
		if r := b.Get(t.Context(), "k"); r != nil {
			t.Errorf("%+v", r)
		}
		if _, err := a.Put(t.Context(), response("k", `"1"`)); !errors.Is(err, stored.ErrNotKept) {
			t.Error(err)
		}
		if _, err := a.Publish(t.Context(), filter.Purge{Tag: "meanwhile"}); err == nil {
			t.Error("a purge is published nowhere")
		}
		a.PublishLater(filter.Purge{URL: "https://example.com/later"})
		if lease := a.Lease(t.Context(), "k"); lease.Leads || lease.Look {
			t.Errorf("without a server somebody leads: %+v", lease)
		}

		s.Run()
		s.Wait("be up", func() bool { return !a.Stats().Down })
		if !strings.Contains(s.Must("XRANGE", a.purges.key, "-", "+"), "meanwhile") {
			t.Error("it is up before its purges are published")
		}
		s.Wait("be up", func() bool { return !b.Stats().Down })
		if data {
			b.finds(s, "k", "hello")
		}
		a.store(response("new", `"1"`), "news")
		b.finds(s, "new", "news")
		for _, p := range []filter.Purge{{Tag: "meanwhile"}, {URL: "https://example.com/later"}} {
			s.Wait("be told what happened meanwhile", func() bool { return b.knows(p) && b.last().seq > old })
		}
		a.lines(1, 1)
		b.lines(1, 1)
	}
}

// TestFlushed: whoever knew all before goes on, and whoever did not lets go of all.
func TestFlushed(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), Options{}).subscribe(0), join(t, s.URL(), Options{}).subscribe(0)
	seq, err := a.Publish(t.Context(), filter.Purge{Tag: "before"})
	if err != nil {
		t.Fatal(err)
	}
	s.Wait("be told", func() bool { return b.last().seq == seq })
	a.store(response("k", `"1"`), "hello")
	b.finds(s, "k", "hello")
	s.Must("FLUSHALL")
	s.Wait("attest", func() bool { return strings.Contains(s.Must("EXISTS", a.purges.key), "1") })
	if r := b.Get(t.Context(), "k"); r != nil {
		t.Errorf("%+v", r)
	}
	told := len(b.all())
	next, err := a.Publish(t.Context(), filter.Purge{Tag: "after"})
	if err != nil || next <= seq {
		t.Fatal(next, err)
	}
	s.Wait("be told", func() bool { return b.last().seq == next })
	if all := b.all(); len(all) != told+1 {
		t.Errorf("%v", all)
	}
	c := join(t, s.URL(), Options{}).subscribe(seq - 1)
	s.Wait("be told", func() bool { return c.last().seq == next })
	if all := c.all(); len(all) != 2 || all[0].seq != seq || all[0].p != (filter.Purge{All: true}) {
		t.Errorf("%v", all)
	}
}

// TestMissed: purges that were missed are delivered in order, and where some are missing one of all comes first.
func TestMissed(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	var seqs []uint64
	for i := range 2500 { // more than are read at a time
		a.PublishLater(filter.Purge{Tag: fmt.Sprint(i)})
		if i%500 == 0 {
			s.Wait("publish", func() bool {
				a.purges.waiting.mu.Lock()
				defer a.purges.waiting.mu.Unlock()
				return len(a.purges.waiting.list) == 0
			})
		}
	}
	s.Wait("be told", func() bool { return a.last().p.Tag == "2499" })
	for _, one := range a.all() {
		seqs = append(seqs, one.seq)
	}
	b := join(t, s.URL(), Options{}).subscribe(seqs[100])
	s.Wait("be told", func() bool { return b.last().p.Tag == "2499" })
	if all := b.all(); len(all) != len(seqs)-101 || all[0].seq != seqs[101] {
		t.Errorf("%d %v", len(all), all[0])
	}
	for i, one := range b.all() {
		if one.seq != seqs[101+i] {
			t.Fatalf("purge %d is %v", i, one)
		}
	}
	s.Must("XTRIM", a.purges.key, "MAXLEN", "10")
	c := join(t, s.URL(), Options{}).subscribe(seqs[100])
	s.Wait("be told", func() bool { return c.last().p.Tag == "2499" })
	all := c.all()
	if len(all) != 11 || all[0] != (told{seqs[len(seqs)-11], filter.Purge{All: true}}) || all[1].seq != seqs[len(seqs)-10] {
		t.Errorf("%v", all)
	}
	// Some in the middle were deleted.
	s.Must("XDEL", a.purges.key, fmt.Sprintf("%d-0", seqs[len(seqs)-5]))
	e := join(t, s.URL(), Options{}).subscribe(seqs[len(seqs)-7])
	s.Wait("be told", func() bool { return e.last().p.Tag == "2499" })
	if all := e.all(); len(all) != 6 || all[1] != (told{seqs[len(seqs)-5], filter.Purge{All: true}}) {
		t.Errorf("%v", all)
	}
	// All were deleted, but the stream knows that there were some.
	s.Must("XTRIM", a.purges.key, "MAXLEN", "0")
	d := join(t, s.URL(), Options{}).subscribe(seqs[100])
	s.Wait("be told", func() bool { return d.last() == told{seqs[len(seqs)-1], filter.Purge{All: true}} })
}

// TestForgottenByRedis: the stream is lost while one gateway does not look, and another that has known nothing goes on with it.
func TestForgottenByRedis(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	seq, err := a.Publish(t.Context(), filter.Purge{Tag: "a"})
	if err != nil {
		t.Fatal(err)
	}
	s.Wait("be told", func() bool { return a.last().seq == seq })
	// As if the clock of another server, with no data, were behind.
	s.Must("DEL", a.purges.key)
	s.Must("XADD", a.purges.key, "5-0", "p", `{"tag":"x"}`, "prev", "0")
	s.Wait("let go of all", func() bool { return a.last().p.All && a.last().seq > seq })
	next, err := a.Publish(t.Context(), filter.Purge{Tag: "b"})
	if err != nil || next <= seq {
		t.Fatal(next, err)
	}
	s.Wait("be told", func() bool { return a.last() == told{next, filter.Purge{Tag: "b"}} })
	// One that goes on with a new stream, not knowing what was in the old.
	s.Must("DEL", a.purges.key)
	s.Must("XADD", a.purges.key, fmt.Sprintf("%d-0", next+1e9), "p", `{"tag":"y"}`, "prev", "0")
	s.Wait("let go of all", func() bool { return a.last().p.All && a.last().seq > next+1e9 })
	if !a.knows(filter.Purge{Tag: "y"}) {
		t.Errorf("%v", a.all())
	}
}

// TestNonsenseInStream: what nobody has written purges all, and stops nothing.
func TestNonsenseInStream(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	for _, entry := range [][]string{
		{"p", "{}", "prev", "1"},
		{"p", `{"tag":"a","all":true}`, "prev", "1"},
		{"p", `{"tag":"a\u0000"}`, "prev", "1"},
		{"p", `{"tag":"a","more":1}`, "prev", "1"},
		{"p", `{"tag":"a"} x`, "prev", "1"},
		{"p", `{"tag":"a"}`, "prev", "99999999999999999"},
		{"p", `{"tag":"a"}`},
		{"x", "y"},
	} {
		last := a.last().seq
		s.Must(append([]string{"XADD", a.purges.key, fmt.Sprintf("%d-0", last+1)}, entry...)...)
		s.Wait("purge all", func() bool { return a.last() == told{last + 1, filter.Purge{All: true}} })
	}
	works := func() {
		t.Helper()
		seq, err := a.Publish(t.Context(), filter.Purge{Tag: "works"})
		if err != nil || seq > maxSeq {
			t.Fatal(seq, err)
		}
		s.Wait("be told", func() bool { return a.last() == told{seq, filter.Purge{Tag: "works"}} })
	}
	works()
	s.Must("XADD", a.purges.key, "18446744073709551000-7", "p", `{"tag":"a"}`, "prev", "1")
	s.Wait("throw it away", func() bool { return !strings.Contains(s.Must("XINFO", "STREAM", a.purges.key), "18446744073709551000") })
	works()
	s.Must("SET", a.purges.key, "text")
	works()
	s.Must("SET", a.purges.key, "text")
	s.Wait("be a stream again", func() bool { return strings.Contains(s.Must("TYPE", a.purges.key), "stream") })
	works()
	if a.logged.Count("\n") > 0 {
		t.Errorf("logged: %s", a.logged.String())
	}
	for _, p := range []filter.Purge{{}, {Soft: true}, {URL: "a", Tag: "b"}, {Tag: "a\n"}, {Tag: "\xff"}, {Tag: strings.Repeat("x", maxText+1)}} {
		if _, err := a.Publish(t.Context(), p); err == nil {
			t.Errorf("%v is published", p)
		}
		a.PublishLater(p)
	}
	works()
}

// TestTooManyWait: what waits to be published is bounded.
func TestTooManyWait(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), Options{}).subscribe(0), join(t, s.URL(), Options{}).subscribe(0)
	s.Kill()
	s.Wait("be down", func() bool { return a.Stats().Down && b.Stats().Down })
	for i := range 3*maxWaiting + 7 {
		a.PublishLater(filter.Purge{Tag: fmt.Sprint(i), Soft: i != 5})
		a.PublishLater(filter.Purge{Tag: "the same"})
	}
	if n := len(a.purges.waiting.list); n > maxWaiting {
		t.Errorf("%d wait", n)
	}
	s.Run()
	s.Wait("be told", func() bool {
		return b.knows(filter.Purge{All: true}) && b.knows(filter.Purge{Tag: fmt.Sprint(3*maxWaiting + 6), Soft: true})
	})
}

// TestStopped: a server that says nothing holds nobody up, and is down after some questions.
func TestStopped(t *testing.T) {
	for _, stop := range []func(s *redistest.Server){
		func(s *redistest.Server) { s.Signal(syscall.SIGSTOP) },
		func(s *redistest.Server) { s.Must("CLIENT", "PAUSE", "5000") },
	} {
		s := redistest.Start(t)
		a := join(t, s.URL(), Options{Timeout: 200 * time.Millisecond}).subscribe(0)
		a.store(response("k", `"1"`), "hello")
		a.finds(s, "k", "hello")
		stop(s)
		s.Wait("be down", func() bool {
			if r := a.Get(t.Context(), "k"); r != nil {
				t.Errorf("%+v", r)
			}
			return a.Stats().Down
		})
		s.Signal(syscall.SIGCONT)
		a.finds(s, "k", "hello")
		a.lines(1, 1)
	}
}

// TestGone: who asks and leaves costs the server nothing.
func TestGone(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if r := a.Get(ctx, "k"); r != nil {
			t.Errorf("%+v", r)
		}
	}
	if a.Stats().Down || a.logged.Count("\n") > 0 {
		t.Errorf("%v %s", a.Stats(), a.logged.String())
	}
}

// TestNobodyAnswers: connecting takes as long as it takes, and nobody waits for it.
func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a := join(t, "redis://"+l.Addr().String(), Options{Timeout: 10 * time.Millisecond}).subscribe(0)
	if r := a.Get(t.Context(), "k"); r != nil {
		t.Errorf("%+v", r)
	}
	w, err := a.Put(t.Context(), response("k", `"1"`))
	if err == nil {
		if _, err := w.Commit(response("k", `"1"`)); err != nil {
			t.Error(err)
		}
	}
}

// TestFull: a server that may not make room can be read; one that may makes it.
func TestFull(t *testing.T) {
	for _, policy := range []string{"noeviction", "allkeys-lru", "volatile-lru"} {
		s := redistest.Start(t, "--maxmemory", "6mb", "--maxmemory-policy", policy)
		a := join(t, s.URL(), Options{}).subscribe(0)
		a.store(response("first", `"1"`), "hello")
		a.finds(s, "first", "hello")
		text := strings.Repeat("x", 100<<10)
		for i := range 100 {
			a.store(response(fmt.Sprint(i), `"1"`), text)
		}
		full := func() bool { return strings.Contains(a.logged.String(), "may not make room") }
		evicts := func() bool { return !strings.Contains(s.Must("INFO", "stats"), "evicted_keys:0\r") }
		s.Wait("be full", func() bool { return full() || evicts() })
		if policy == "noeviction" {
			a.finds(s, "first", "hello")
		}
		for i := range 100 {
			if r := a.Get(t.Context(), fmt.Sprint(i)); r != nil && bodyOf(t, r) != text {
				t.Errorf("%s: %d has another body", policy, i)
			}
		}
		if full() != (policy == "noeviction") || a.Stats().Down || a.logged.Count("\n") > 1 {
			t.Errorf("%s: %v %s", policy, a.Stats(), a.logged.String())
		}
	}
}

// TestPurgeWhenFull: a server that has no room for a purge gets it when it has.
func TestPurgeWhenFull(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), Options{}).subscribe(0), join(t, s.URL(), Options{}).subscribe(0)
	a.store(response("k", `"1"`), "hello")
	a.finds(s, "k", "hello")
	s.Must("CONFIG", "SET", "maxmemory", "1")
	if _, err := a.Publish(t.Context(), filter.Purge{Tag: "full"}); err == nil || a.Stats().Down {
		t.Errorf("%v %v", err, a.Stats())
	}
	if lease := b.Lease(t.Context(), "k"); lease.Leads || lease.Look {
		t.Errorf("somebody leads: %+v", lease)
	}
	b.finds(s, "k", "hello")
	if r := a.Get(t.Context(), "k"); r != nil {
		t.Error("what was to be purged is found")
	}
	s.Must("CONFIG", "SET", "maxmemory", "0")
	s.Wait("be told", func() bool { return b.knows(filter.Purge{Tag: "full"}) })
	a.finds(s, "k", "hello") // it has no such tag
}

// TestSpoilt: what is not as it was written is not there, and what is the store's own is deleted.
func TestSpoilt(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	long := strings.Repeat("0123456789abcdef", apartFrom/16+1)
	a.store(response("k", `"1"`), "hello")
	a.store(response("long", `"1"`), long)
	a.finds(s, "k", "hello")
	a.finds(s, "long", long)
	k, other, big := a.names("k"), a.names("other"), a.names("long")

	s.Must("COPY", k.head, other.head) // as if two keys had the same name
	gone := func(key, name string) {
		t.Helper()
		if r := a.Get(t.Context(), key); r != nil {
			t.Errorf("%s: %+v", key, r)
		}
		if name != "" {
			s.Wait("delete it", func() bool { return strings.HasPrefix(s.Must("EXISTS", name), ":0") })
		}
	}
	gone("other", other.head)

	for _, command := range [][]string{
		{"SETRANGE", k.head, "60", "~~~"}, {"APPEND", k.head, "x"}, {"SETRANGE", k.head, "5", "\xff\xff\xff"}, {"SETRANGE", k.head, "8", "\xff\xff\xff"},
	} {
		s.Must(command...)
		gone("k", k.head)
		a.store(response("k", `"1"`), "hello")
		a.finds(s, "k", "hello")
	}
	for _, command := range [][]string{
		{"SET", k.head, "text"},
		{"SET", k.head, "CdS\x03 another version"},
		{"SET", k.head, strings.Repeat("x", 3<<20)},
		{"DEL", k.head},
		{"EVAL", "redis.call('DEL', KEYS[1]); redis.call('LPUSH', KEYS[1], 'a')", "1", k.head},
	} {
		s.Must(command...)
		gone("k", "")
		a.Update(t.Context(), a.store(response("k", `"1"`), "hello"))
		a.finds(s, "k", "hello")
	}
	for _, command := range [][]string{
		{"DEL", big.body},
		{"SETRANGE", big.body, "100", "~~~"},
		{"APPEND", big.body, "x"},
		{"SET", big.body, "text"},
		{"EVAL", "redis.call('DEL', KEYS[1]); redis.call('LPUSH', KEYS[1], 'a')", "1", big.body},
	} {
		s.Must(command...)
		gone("long", "")
		a.store(response("long", `"1"`), long)
		a.finds(s, "long", long)
	}
	// A gateway that allows for less.
	b := join(t, s.URL(), Options{MaxBody: 1000}).subscribe(0)
	b.finds(s, "k", "hello")
	if r := b.Get(t.Context(), "long"); r != nil {
		t.Errorf("%+v", r)
	}
	a.finds(s, "long", long)
	if a.logged.Count("\n") > 0 {
		t.Errorf("logged: %s", a.logged.String())
	}
}

// TestUpdate: a head is replaced where the body is the one that it was about, and by no older one.
func TestUpdate(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), Options{}).subscribe(0), join(t, s.URL(), Options{}).subscribe(0)
	for _, text := range []string{"", "hello", strings.Repeat("x", apartFrom+1)} {
		old := a.store(response("k", `"1"`), text)
		b.finds(s, "k", text)
		renewed := *old
		renewed.Received = renewed.Received.Add(time.Minute)
		renewed.Terms.Lifetime = 2 * time.Hour
		a.Update(t.Context(), &renewed)
		is := func(r *stored.Response) func() bool {
			return func() bool {
				got := b.Get(t.Context(), "k")
				return got != nil && got.Received.Equal(r.Received) && bodyOf(t, got) == bodyOf(t, r)
			}
		}
		s.Wait("be updated", is(&renewed))
		a.Update(t.Context(), old)
		a.store(response("done", `"1"`), text)
		b.finds(s, "done", text)
		if !is(&renewed)() {
			t.Error("it is older than it was")
		}
		other := b.store(response("k", `"2"`), text+"2")
		a.finds(s, "k", text+"2")
		a.Update(t.Context(), &renewed)
		a.store(response("done again", `"1"`), text)
		b.finds(s, "done again", text)
		if !is(other)() {
			t.Error("another body has got the head")
		}
	}
	// Of nothing.
	a.Update(t.Context(), response("none", `"1"`))
	gone := a.store(response("gone", `"1"`), "x")
	a.Delete(t.Context(), "gone")
	a.Update(t.Context(), gone)
	a.store(response("done", `"3"`), "3")
	b.finds(s, "done", "3")
	if r := b.Get(t.Context(), "gone"); r != nil {
		t.Errorf("%+v", r)
	}
}

// TestMarker: a Marker has no body, and is kept though it has no lifetime.
func TestMarker(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	m := &stored.Response{Key: "k", Marker: true, Varies: [][]string{{"Accept", "Accept-Language"}, {"Accept"}}, Received: time.Now()}
	w, err := a.Put(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(m); err != nil {
		t.Fatal(err)
	}
	var got *stored.Response
	s.Wait("find it", func() bool { got = a.Get(t.Context(), "k"); return got != nil })
	if !got.Marker || got.Body != nil || fmt.Sprint(got.Varies) != fmt.Sprint(m.Varies) {
		t.Errorf("%+v", got)
	}
}

// TestTimes: nothing is kept for longer than it is of use, nor for more than a week.
func TestTimes(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	ttl := func(change func(r *stored.Response)) (ms int64) {
		r := response("k", "")
		r.Header, r.Received = stored.Fields{}, time.Now()
		change(r)
		a.store(r, "x")
		a.store(response("done", `"1"`), "y")
		a.finds(s, "done", "y")
		if _, err := fmt.Sscanf(s.Must("PTTL", a.names("k").head), ":%d", &ms); err != nil {
			t.Fatal(err)
		}
		a.Delete(t.Context(), "done")
		a.Delete(t.Context(), "k")
		s.Wait("be empty", func() bool { return strings.HasPrefix(s.Must("EXISTS", a.names("done").head), ":0") })
		return ms
	}
	for _, c := range []struct {
		change    func(r *stored.Response)
		least, at time.Duration
	}{
		{func(*stored.Response) {}, 50 * time.Minute, time.Hour + time.Minute},
		{func(r *stored.Response) { r.Terms.Lifetime = 1000 * time.Hour }, longest - time.Hour, longest},
		{func(r *stored.Response) { r.Terms.Lifetime, r.Terms.IfError = 0, 0 }, -2 * time.Millisecond, -2 * time.Millisecond},
		{func(r *stored.Response) { r.Terms.Lifetime = 1 << 62 }, longest - time.Hour, longest},
		{func(r *stored.Response) {
			r.Terms, r.Header = stored.Terms{}, stored.NewFields(map[string][]string{"Etag": {"x"}})
		}, 50 * time.Minute, time.Hour},
	} {
		if ms := time.Duration(ttl(c.change)) * time.Millisecond; ms < c.least || ms > c.at {
			t.Errorf("it is kept for %s, want %s to %s", ms, c.least, c.at)
		}
	}
}

// TestRoom: bodies that are too long, or too many, are not kept, and all that was taken is given back.
func TestRoom(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{MaxBody: 1000}).subscribe(0)
	r := response("k", `"1"`)
	r.Size = 1001
	if _, err := a.Put(t.Context(), r); !errors.Is(err, stored.ErrNotKept) {
		t.Error(err)
	}
	r.Size = -1
	w, err := a.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(make([]byte, 1000)); n != 1000 || err != nil {
		t.Error(n, err)
	}
	p := make([]byte, 2000)
	if n, err := w.ReadAt(p, 10); n != 990 || err == nil {
		t.Error(n, err)
	}
	if _, err := w.Write([]byte{1}); !errors.Is(err, stored.ErrNotKept) {
		t.Error(err)
	}
	if n, err := w.ReadAt(p, 0); n != 1000 || errors.Is(err, stored.ErrNotKept) {
		t.Errorf("what was written is gone while somebody may read it: %d, %v", n, err)
	}
	if _, err := w.Commit(r); !errors.Is(err, stored.ErrNotKept) {
		t.Error(err)
	}
	w.Abort()

	s.Signal(syscall.SIGSTOP)
	big := join(t, s.URL(), Options{MaxBody: 16 << 20})
	refused := 0
	var all []stored.Writer
	for range 100 {
		r.Size = 16 << 20
		w, err := big.Put(t.Context(), r)
		if err != nil {
			refused++
			continue
		}
		all = append(all, w)
	}
	if refused < 90 {
		t.Errorf("%d of 100 are refused", refused)
	}
	for _, w := range all {
		w.Abort()
		w.Abort()
	}
	var writing sync.WaitGroup
	for i := range 8 {
		writing.Go(func() {
			for j := range 3 * queueSize / 8 {
				small := response(fmt.Sprint(i, j), `"1"`)
				if w, err := a.Put(t.Context(), small); err == nil {
					_, _ = w.Write([]byte("x"))
					if got, err := w.Commit(small); err != nil || bodyOf(t, got) != "x" {
						t.Error(err)
					}
				}
			}
		})
	}
	writing.Wait()
	s.Signal(syscall.SIGCONT)
	s.Wait("give all back", func() bool { return a.writes.held.Load() == 0 && big.writes.held.Load() == 0 })
}

// TestClosedConnections: a server closes connections that were idle, and nobody notices.
func TestClosedConnections(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), Options{}).subscribe(0)
	for i := range 20 {
		text := fmt.Sprint(i)
		a.store(response("k", text), text)
		a.finds(s, "k", text)
		s.Must("CLIENT", "KILL", "TYPE", "normal")
		if r := a.Get(t.Context(), "k"); r == nil || bodyOf(t, r) != text {
			t.Errorf("%d: %+v %s", i, r, a.logged.String())
		}
	}
	if a.logged.Count("\n") > 0 {
		t.Errorf("logged %s", a.logged.String())
	}
}

// TestReader: a body can be read in all ways.
func TestReader(t *testing.T) {
	from, err := newBody([]byte("hello")).Open()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r := from.(*reader)
	if n := r.Buffered(); n != 5 {
		t.Error(n)
	}
	if _, err := r.WriteTo(&b); err != nil || b.String() != "hello" || r.Buffered() != 0 {
		t.Error(err, b.String())
	}
	p := make([]byte, 3)
	if n, err := r.ReadAt(p, 2); n != 3 || err != nil || string(p) != "llo" {
		t.Error(n, err)
	}
}
