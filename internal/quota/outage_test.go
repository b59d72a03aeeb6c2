package quota

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
)

// TestOutages: a server is lost in all the ways that it may be, and comes back. It is logged once, and what was counted meanwhile it is told of.
func TestOutages(t *testing.T) {
	for name, outage := range map[string]struct{ begin, end func(r *redistest.Server) }{
		"killed":    {(*redistest.Server).Kill, (*redistest.Server).Run},
		"stopped":   {func(r *redistest.Server) { r.Signal(syscall.SIGSTOP) }, func(r *redistest.Server) { r.Signal(syscall.SIGCONT) }},
		"read-only": {func(r *redistest.Server) { r.Must("REPLICAOF", "127.0.0.1", "1") }, func(r *redistest.Server) { r.Must("REPLICAOF", "NO", "ONE") }},
		"full":      {func(r *redistest.Server) { r.Must("CONFIG", "SET", "maxmemory", "1") }, func(r *redistest.Server) { r.Must("CONFIG", "SET", "maxmemory", "0") }},
		"forbidden": {func(r *redistest.Server) { r.Must("ACL", "SETUSER", "default", "-eval", "-evalsha") }, func(r *redistest.Server) { r.Must("ACL", "SETUSER", "default", "+@all") }},
	} {
		t.Run(name, func(t *testing.T) {
			r := redistest.Start(t, kept...)
			g := newGateway(t, r.URL(), "local", "2026-11-30 12:00:00")
			for range 3 {
				g.take(Unlimited, "k", 1, "month")
			}
			outage.begin(r)
			r.Wait("be down", func() bool {
				g.take(Unlimited, "other", 1, "month")
				return g.outage.Down()
			})
			failures := g.failures.Load()
			for i := range 50 {
				if got := g.take(20, "k", 1, "month", "1h"); i < 17 && got != int64(i+4) || i >= 17 && got != -20 {
					t.Errorf("number %d: got %d", i, got)
				}
			}
			if n := g.failures.Load(); n != failures {
				t.Errorf("%d failures: the server is asked although it is down", n-failures)
			}
			outage.end(r)
			r.Wait("be up again", func() bool { return !g.outage.Down() })
			r.Wait("know of it", func() bool {
				return r.Must("GET", "cardea:quota:{test}::month:tk:20758") == "$2\r\n20\r\n"
			})
			r.Wait("log", func() bool { return g.log.Count("level=INFO") > 0 })
			if lost, back := g.log.Count("level=ERROR"), g.log.Count("level=INFO"); lost != back || lost > 2 { // 2: the machine may be slow just then
				t.Errorf("logged %d outages and %d ends of them:\n%s", lost, back, g.log.String())
			}
		})
	}
}

// TestOneKeyIsSpoilt: what somebody else has put in the place of a key spoils that key alone.
func TestOneKeyIsSpoilt(t *testing.T) {
	r := redistest.Start(t)
	g := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:00")
	r.Must("LPUSH", "cardea:quota:{test}::month:tk:20758", "x")
	for range 10 {
		if _, err := g.Take(t.Context(), g.now, g.asks(5, "k", "month"), 1, 1); err == nil {
			t.Error("it is counted")
		}
		if got := g.take(Unlimited, "other", 1, "month"); got < 1 || g.outage.Down() {
			t.Errorf("got %d, down: %t", got, g.outage.Down())
		}
	}
	if n := g.log.Count("\n"); n != 1 {
		t.Errorf("%d lines are logged:\n%s", n, g.log.String())
	}
}

// TestSpoiltKeysHoldUpNobody: what the store is owed for a key that somebody else has spoilt keeps nothing else from it, nor the store from
// coming back.
func TestSpoiltKeysHoldUpNobody(t *testing.T) {
	r := redistest.Start(t, kept...)
	g := newGateway(t, r.URL(), "local", "2026-11-30 12:00:00")
	r.Must("LPUSH", "cardea:quota:{test}::month:tlist:20758", "x")
	r.Must("SET", "cardea:quota:{test}::month:ttext:20758", "x")
	g.take(Unlimited, "k", 1, "month")
	charge := func() {
		for _, key := range []string{"list", "text", "k"} {
			if err := g.Charge(g.now, g.asks(5, key, "month"), 1); err != nil {
				t.Error(err)
			}
		}
	}
	owes := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.owed)
	}
	charge()
	r.Wait("be told", func() bool { return owes() == 0 })
	r.Kill()
	r.Wait("be down", func() bool {
		g.take(Unlimited, "other", 1, "month")
		return g.outage.Down()
	})
	charge()
	r.Run()
	r.Wait("be up again", func() bool { return !g.outage.Down() && owes() == 0 })
	if got := r.Must("GET", "cardea:quota:{test}::month:tk:20758"); got != "$1\r\n3\r\n" {
		t.Errorf("the store says %q", got)
	}
}

// TestCloseTells: what the store is owed at the end it is told of before the connection to it is closed.
func TestCloseTells(t *testing.T) {
	r := redistest.Start(t)
	server, err := redis.New(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	s := redis.Attach(server, "quotas", func() *Shared {
		return NewShared(SharedOptions{Server: server, Log: slog.New(slog.DiscardHandler)})
	})
	g := &gateway{TB: t, SharedCounter: s.For(time.Second, "deny")}
	g.at("2026-11-30 12:00:00")
	for i := range 2000 {
		if err := g.Charge(g.now, g.asks(5, fmt.Sprint(i), "month"), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if got := r.Must("DBSIZE"); got != ":2001\r\n" && got != ":2000\r\n" { // with the key of the probe, where it came to it
		t.Errorf("the store has %q keys", got)
	}
}

// TestClosedConnections: a server closes connections that were idle, and nobody notices.
func TestClosedConnections(t *testing.T) {
	r := redistest.Start(t)
	g := newGateway(t, r.URL(), "deny", "2026-11-30 12:00:00")
	for range 20 {
		if got := g.take(Unlimited, "k", 1, "month"); got < 1 {
			t.Errorf("got %d", got)
		}
		r.Must("CLIENT", "KILL", "TYPE", "normal")
	}
	if n := g.log.Count("\n"); n > 0 {
		t.Errorf("logged %s", g.log.String())
	}
}

// TestLeaveEarly: who has left is not waited for, and no reason to count without the store.
func TestLeaveEarly(t *testing.T) {
	r := redistest.Start(t)
	g := newGateway(t, r.URL(), "allow", "2026-11-30 12:00:00")
	r.Signal(syscall.SIGSTOP)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if refused, err := g.Take(ctx, g.now, g.asks(5, "k", "month"), 1, 1); err == nil || refused >= 0 {
			t.Errorf("got %d %v", refused, err)
		}
	}
	if n := g.local.Keys(g.asks(5, "k", "month")[0].Series); n != 0 {
		t.Error("it is counted")
	}
	r.Signal(syscall.SIGCONT)
}

// TestCluster: the quotas of one policy are in one place, so that they are counted all or none; those of several are at all servers. While one
// of those is lost, the others' usage is kept.
func TestCluster(t *testing.T) {
	url, servers := redistest.Cluster(t)
	a, b := newGateway(t, url, "local", "2026-11-30 12:00:00"), newGateway(t, url, "local", "2026-11-30 12:00:00")
	for _, r := range servers { // so that the others go on
		r.Must("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	asks := func(g *gateway, scope int) (all []Ask) {
		for _, text := range []string{"day", "month", "30d"} {
			q := g.asks(10, "k", text)[0]
			q.Series = g.Series(fmt.Sprintf("route %d per x", scope), q.Series.period, 1000)
			all = append(all, q)
		}
		return all
	}
	for scope := range 12 {
		for i := range 14 {
			g := []*gateway{a, b}[i%2]
			all := asks(g, scope)
			refused, err := g.Take(t.Context(), g.now, all, 1, 1)
			if err != nil || (refused >= 0) != (i >= 10) {
				t.Errorf("scope %d, number %d: %d %v", scope, i, refused, err)
			}
			for _, q := range all {
				if q.Used != int64(min(i+1, 10)) {
					t.Errorf("scope %d, number %d: %d of %s are used", scope, i, q.Used, q.Series.period)
				}
			}
		}
	}
	for _, r := range servers {
		if r.Must("DBSIZE") == ":0\r\n" {
			t.Error("a server has nothing")
		}
	}
	if n := a.log.Count("\n") + b.log.Count("\n"); n > 0 {
		t.Errorf("logged %s%s", a.log.String(), b.log.String())
	}

	all := func() {
		for scope := range 12 {
			if refused, err := a.Take(t.Context(), a.now, asks(a, scope), 1, 1); err != nil || refused < 0 {
				t.Fatalf("scope %d: %d %v", scope, refused, err)
			}
		}
	}
	lost := servers[1]
	lost.Kill()
	lost.Wait("be down", func() bool { all(); return a.outage.Down() })
	for scope := range 12 {
		if err := a.Charge(a.now, asks(a, scope), 2); err != nil {
			t.Error(err)
		}
	}
	all()
	lost.Run() // it has forgotten all
	lost.Wait("be up again", func() bool { return !a.outage.Down() })
	servers[0].Wait("know of it", func() bool {
		for scope := range 12 {
			found := asks(b, scope)
			if _, err := b.Take(t.Context(), b.now, found, 0, 0); err != nil || found[0].Used != 12 && found[0].Used != 2 || found[2].Used != found[0].Used {
				return false
			}
		}
		return true
	})
}

// TestFailover: a replica takes over, and what was counted is there.
func TestFailover(t *testing.T) {
	url, master, replica, _ := redistest.Sentinel(t)
	g := newGateway(t, url, "local", "2026-11-30 12:00:00")
	for range 6 {
		g.take(10, "k", 1, "month", "30d")
	}
	key := "cardea:quota:{test}::month:tk:20758"
	replica.Wait("have it", func() bool { return replica.Must("GET", key) == "$1\r\n6\r\n" })
	master.Kill()
	replica.Wait("lose it", func() bool {
		g.take(Unlimited, "other", 1, "month")
		return g.outage.Down()
	})
	for range 2 {
		if err := g.Charge(g.now, g.asks(10, "k", "month", "30d"), 1); err != nil {
			t.Error(err)
		}
	}
	replica.Wait("take over", func() bool { return !g.outage.Down() && replica.Must("GET", key) == "$1\r\n8\r\n" })
	other := newGateway(t, url, "deny", "2026-11-30 12:00:00")
	replica.Wait("count", func() bool {
		asks := other.asks(10, "k", "month", "30d")
		_, err := other.Take(t.Context(), other.now, asks, 0, 1)
		return err == nil && asks[0].Used == 8 && asks[1].Used == 8
	})
}

// TestRights: what the manual says that a user needs is enough.
func TestRights(t *testing.T) {
	r := redistest.Start(t)
	r.Must(append([]string{"ACL", "SETUSER", "cardea", "on", ">sesame"}, rights(t)...)...)
	g := newGateway(t, strings.Replace(r.URL(), "://", "://cardea:sesame@", 1)+"/2", "deny", "2026-11-30 12:00:00")
	for i := range 3 {
		if got := g.take(10, "k", 1, "month", "1h"); got != int64(i+1) {
			t.Errorf("got %d, want %d", got, i+1)
		}
	}
	g.at("2026-11-30 16:00:00").take(10, "k", 1, "1h") // the first slots go
	asks := g.asks(10, "k", "month")
	if found, err := g.Reset(t.Context(), asks[0].Series, asks[0].Span, "k"); err != nil || !found {
		t.Errorf("reset: %t %v", found, err)
	}
	for _, key := range []string{probed, asks[0].key()} {
		if err := g.probe(t.Context(), key); err != nil {
			t.Errorf("it may not be probed: %v", err)
		}
	}
}

// rights are those that the manual names.
func rights(t *testing.T) []string {
	t.Helper()
	manual, err := os.ReadFile("../../docs/manual/shared-limits.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("`ACL SETUSER cardea on >PASSWORD ([^`]*)`").FindSubmatch(manual)
	if found == nil {
		t.Fatal("the manual does not say what the user needs")
	}
	return strings.Fields(string(found[1]))
}
