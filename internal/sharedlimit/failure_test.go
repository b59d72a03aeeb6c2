package sharedlimit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
	"cardea.dev/cardea/observe"
)

// mine is a counter of this gateway alone, which lets so many pass.
type mine struct {
	limit.Counter
	mu   sync.Mutex
	left int64
}

func (m *mine) Take(_ context.Context, _ limit.ID, cost int64) (limit.Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cost > m.left {
		return limit.Decision{}, nil
	}
	m.left -= cost
	return limit.Decision{Allowed: true, Remaining: m.left}, nil
}

func (m *mine) Look(_ limit.ID, cost int64) (limit.Decision, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return limit.Decision{Allowed: cost <= m.left, Remaining: m.left}, true
}

func (m *mine) Charge(_ limit.ID, cost int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left -= cost
}

func (m *mine) Reset(context.Context, string) (bool, error) { return false, nil }

var key = limit.NewID("k")

// breakDown takes until a server is known to be down.
func breakDown(t *testing.T, r *redistest.Server, c *Counter) {
	t.Helper()
	r.Wait("be down", func() bool {
		_, _ = c.Take(t.Context(), limit.NewID("fresh"), 1)
		return c.link.outage.Down()
	})
}

// TestOutages: a server is lost in all the ways that it may be, and comes back. Nothing hangs, and it is logged once.
func TestOutages(t *testing.T) {
	for name, outage := range map[string]struct{ begin, end func(r *redistest.Server) }{
		"killed":    {(*redistest.Server).Kill, (*redistest.Server).Run},
		"stopped":   {func(r *redistest.Server) { r.Signal(syscall.SIGSTOP) }, func(r *redistest.Server) { r.Signal(syscall.SIGCONT) }},
		"read-only": {func(r *redistest.Server) { r.Must("REPLICAOF", "127.0.0.1", "1") }, func(r *redistest.Server) { r.Must("REPLICAOF", "NO", "ONE") }},
		"full":      {func(r *redistest.Server) { r.Must("CONFIG", "SET", "maxmemory", "1") }, func(r *redistest.Server) { r.Must("CONFIG", "SET", "maxmemory", "0") }},
		"forbidden": {func(r *redistest.Server) { r.Must("ACL", "SETUSER", "default", "-eval", "-evalsha") }, func(r *redistest.Server) { r.Must("ACL", "SETUSER", "default", "+@all") }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []Mode{Exact, Approximate} {
				r := redistest.Start(t)
				logged := &redistest.Log{}
				metrics := observe.NewMetrics()
				local := &mine{left: 3}
				c := counter(t, r.URL(), Options{
					Mode: mode, OnFailure: Local, Local: local, Timeout: 250 * time.Millisecond, Log: slog.New(slog.NewTextHandler(logged, nil)), Metrics: metrics,
				}, hour(1_000_000))
				for range 10 {
					if d, err := c.Take(t.Context(), key, 1); err != nil || !d.Allowed {
						t.Fatal(d, err)
					}
				}
				outage.begin(r)
				breakDown(t, r, c)
				local.mu.Lock()
				local.left = 3
				local.mu.Unlock()
				for i, want := range []bool{true, true, true, false} {
					if d, err := c.Take(t.Context(), limit.NewID("other"), 1); err != nil || d.Allowed != want {
						t.Errorf("%s: number %d: %+v %v", mode, i, d, err)
					}
				}
				if d, ok := c.Look(limit.NewID("other"), 1); !ok || d.Allowed {
					t.Errorf("%s: look: %+v %t", mode, d, ok)
				}
				c.Charge(limit.NewID("other"), -5)
				if d, err := c.Take(t.Context(), limit.NewID("other"), 5); err != nil || !d.Allowed {
					t.Errorf("%s: charged: %+v %v", mode, d, err)
				}
				if n := value(t, metrics, "cardea_limit_store_errors_total"); n == 0 || n > 40 {
					t.Errorf("%s: %g errors: the store is asked although it is down", mode, n)
				}
				if n := value(t, metrics, "cardea_limit_store_up"); n != 0 {
					t.Errorf("%s: it is up", mode)
				}
				outage.end(r)
				r.Wait("be up again", func() bool { return !c.link.outage.Down() })
				r.Wait("count", func() bool {
					d, err := c.Take(t.Context(), limit.NewID("again"), 1)
					return err == nil && d.Remaining > 1000
				})
				r.Wait("log", func() bool { return logged.Count("again") > 0 })
				if down, up := logged.Count("level=ERROR"), logged.Count("level=INFO"); down != up || down > 2 { // 2: the machine may be slow just then
					t.Errorf("%s: logged %d outages and %d ends of them:\n%s", mode, down, up, logged.String())
				}
				if n := value(t, metrics, "cardea_limit_store_fallbacks_total"); n == 0 {
					t.Errorf("%s: no decision was made without the store", mode)
				}
			}
		})
	}
}

// value is the sum of a metric.
func value(t *testing.T, m *observe.Metrics, name string) (sum float64) {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, metric := range f.GetMetric() {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestAllowAndDeny(t *testing.T) {
	r := redistest.Start(t)
	allow, deny := counter(t, r.URL(), Options{OnFailure: Allow}, hour(7)), counter(t, r.URL(), Options{OnFailure: Deny}, hour(7))
	r.Kill()
	if d, err := allow.Take(t.Context(), key, 1); err != nil || !d.Allowed || d.Remaining != 7 {
		t.Errorf("allow: %+v %v", d, err)
	}
	if d, err := deny.Take(t.Context(), key, 1); !errors.Is(err, ErrUnavailable) || d.Allowed {
		t.Errorf("deny: %+v %v", d, err)
	}
	if d, ok := allow.Look(key, 1); !ok || !d.Allowed {
		t.Errorf("allow: %+v %t", d, ok)
	}
	if _, ok := deny.Look(key, 1); ok {
		t.Error("deny: it is known")
	}
	if allow.Unavailable() || !deny.Unavailable() {
		t.Errorf("unavailable: allow %t, deny %t", allow.Unavailable(), deny.Unavailable())
	}
	if _, err := deny.Reset(t.Context(), "k"); err == nil {
		t.Error("it is reset")
	}
	deny.Charge(key, 1)
}

// TestLeaveEarly: who has left is not waited for, and no reason to count without the store.
func TestLeaveEarly(t *testing.T) {
	for _, mode := range []Mode{Exact, Approximate} {
		r := redistest.Start(t)
		c := counter(t, r.URL(), Options{Mode: mode, OnFailure: Allow}, hour(7))
		r.Signal(syscall.SIGSTOP)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d, err := c.Take(ctx, key, 1); !errors.Is(err, context.Canceled) || d.Allowed {
			t.Errorf("%s: %+v %v", mode, d, err)
		}
		r.Signal(syscall.SIGCONT)
	}
}

// TestClosedConnections: a server closes connections that were idle, and nobody notices.
func TestClosedConnections(t *testing.T) {
	for _, mode := range []Mode{Exact, Approximate} {
		r := redistest.Start(t)
		logged := &redistest.Log{}
		c := counter(t, r.URL(), Options{Mode: mode, Log: slog.New(slog.NewTextHandler(logged, nil))}, hour(1000))
		for i := range 20 {
			if d, err := c.Take(t.Context(), limit.NewID(fmt.Sprint(i)), 1); err != nil || !d.Allowed {
				t.Errorf("%s: %+v %v", mode, d, err)
			}
			r.Must("CLIENT", "KILL", "TYPE", "normal")
		}
		if n := logged.Count("\n"); n > 0 {
			t.Errorf("%s: logged %s", mode, logged.String())
		}
	}
}

// TestCrowd: many more than there is room for wait for a server that says nothing. All get a decision.
func TestCrowd(t *testing.T) {
	for _, mode := range []Mode{Exact, Approximate} {
		r := redistest.Start(t)
		c := counter(t, r.URL(), Options{Mode: mode, OnFailure: Allow, Timeout: 20 * time.Millisecond}, hour(7))
		r.Signal(syscall.SIGSTOP)
		var all sync.WaitGroup
		for i := range 3 * queueSize {
			all.Go(func() {
				if d, err := c.Take(t.Context(), limit.NewID(fmt.Sprint(i)), 1); err != nil || !d.Allowed {
					t.Errorf("%s: %+v %v", mode, d, err)
				}
				c.Charge(key, 1)
			})
		}
		all.Wait()
		r.Signal(syscall.SIGCONT)
	}
}

// TestOneKeyIsSpoilt: what somebody else has put in the place of a key spoils that key alone.
func TestOneKeyIsSpoilt(t *testing.T) {
	r := redistest.Start(t)
	for _, mode := range []Mode{Exact, Approximate} {
		logged := &redistest.Log{}
		c := counter(t, r.URL(), Options{Mode: mode, Log: slog.New(slog.NewTextHandler(logged, nil))}, hour(7))
		r.Must("SET", c.prefix+"k", "text")
		r.Must("HSET", c.prefix+"k2", "b", "x", "s1", "y", "c1", "z")
		for range 10 {
			for _, text := range []string{"k", "k2"} {
				if d, err := c.Take(t.Context(), limit.NewID(text), 1); !errors.Is(err, ErrUnavailable) {
					t.Errorf("%s: %s: %+v %v", mode, text, d, err)
				}
			}
		}
		if d, err := c.Take(t.Context(), limit.NewID(string(mode)), 1); err != nil || !d.Allowed || c.link.outage.Down() {
			t.Errorf("%s: another key: %+v %v", mode, d, err)
		}
		if n := logged.Count("\n"); n != 1 {
			t.Errorf("%s: %d lines are logged", mode, n)
		}
	}
}

// TestNonsense: a server that is none.
func TestNonsense(t *testing.T) {
	hello := "%1\r\n$5\r\nproto\r\n:3\r\n"
	for _, text := range []string{
		"", "HTTP/1.1 400 Bad Request\r\n\r\n", "$999999999999\r\n", "*1\r\n", hello + strings.Repeat("+OK\r\n", 3), hello + "+OK\r\n*7\r\n:1\r\n:99\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
		strings.Repeat("*0\r\n", 4), strings.Repeat("_\r\n", 4), "-ERR no\r\n-ERR no\r\n-ERR no\r\n-ERR no\r\n-ERR no\r\n",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { // ends with the listener
			defer close(ended)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, text)
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}
		}()
		for _, mode := range []Mode{Exact, Approximate} {
			server, err := redis.New("redis://" + l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c, err := New(server, "x", []limit.Rule{hour(7)}, Options{Mode: mode, OnFailure: Deny, Timeout: 200 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			for range redis.SlowAnswers + 1 {
				if d, err := c.Take(t.Context(), key, 1); err == nil {
					t.Errorf("%q: %+v", text, d)
				}
			}
			_ = c.Close()
			_ = server.Close()
		}
		_ = l.Close()
		<-ended
	}
}

// TestFailover: a replica takes over, and what was counted is there.
func TestFailover(t *testing.T) {
	url, master, replica, _ := redistest.Sentinel(t)
	c := counter(t, url, Options{Timeout: time.Second}, hour(10))
	for range 6 {
		if d, err := c.Take(t.Context(), key, 1); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	replica.Wait("have it", func() bool { return strings.Contains(replica.Must("EXISTS", c.prefix+"k"), "1") })
	if answer := master.Must("WAIT", "1", "10000"); answer != ":1\r\n" {
		t.Fatal(answer)
	}
	master.Kill()
	replica.Wait("take over", func() bool { _, err := c.Take(t.Context(), limit.NewID("other"), 0); return err == nil })
	if d, err := c.Take(t.Context(), key, 1); err != nil || !d.Allowed || d.Remaining != 3 {
		t.Errorf("%+v %v", d, err)
	}
}

// TestCloseWhileLost: nothing waits at the end.
func TestCloseWhileLost(t *testing.T) {
	for _, mode := range []Mode{Exact, Approximate} {
		r := redistest.Start(t)
		c := counter(t, r.URL(), Options{Mode: mode, OnFailure: Allow, Timeout: 10 * time.Millisecond}, hour(10000))
		for i := range 200 {
			_, _ = c.Take(t.Context(), limit.NewID(fmt.Sprint(i)), 1)
		}
		r.Signal(syscall.SIGSTOP)
		for i := range 200 {
			c.Charge(limit.NewID(fmt.Sprint(i)), 1)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if d, err := c.Take(t.Context(), key, 1); err != nil || !d.Allowed {
			t.Errorf("%s: after the end: %+v %v", mode, d, err)
		}
		r.Signal(syscall.SIGCONT)
	}
}

// TestPartOfClusterIsLost: while a server of a cluster is lost, its limits are not counted, and that is logged once.
func TestPartOfClusterIsLost(t *testing.T) {
	url, servers := redistest.Cluster(t)
	logged := &redistest.Log{}
	c := counter(t, url, Options{Timeout: time.Second, Log: slog.New(slog.NewTextHandler(logged, nil))}, hour(1000))
	for _, r := range servers { // so that the others go on
		r.Must("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	all := func() (failed int) {
		for i := range 30 {
			if _, err := c.Take(t.Context(), limit.NewID(fmt.Sprint(i)), 1); err != nil {
				failed++
			}
		}
		return failed
	}
	if n := all(); n > 0 {
		t.Errorf("%d failed", n)
	}
	// Not the one that has the key which probes are made with: the other two answer them.
	var slot int
	if _, err := fmt.Sscanf(servers[0].Must("CLUSTER", "KEYSLOT", prefix+"probe"), ":%d", &slot); err != nil {
		t.Fatal(err)
	}
	probed, lost := servers[slot*3/16384], servers[(slot*3/16384+1)%3]
	lost.Kill()
	probed.Wait("be down", func() bool { all(); return c.link.outage.Down() })
	probed.Wait("be probed", func() bool {
		all()
		stats := probed.Must("INFO", "commandstats")
		_, calls, _ := strings.Cut(stats, "cmdstat_eval:calls=")
		n, _, _ := strings.Cut(calls, ",")
		count, _ := strconv.Atoi(n)
		return count >= 5
	})
	lost.Run()
	probed.Wait("count again", func() bool { return all() == 0 })
	if n := logged.Count("level=ERROR"); n > 3 {
		t.Errorf("%d outages are logged:\n%s", n, logged.String())
	}
}
