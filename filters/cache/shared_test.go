package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// three runs three gateways that share a cache.
func three(t *testing.T, store *redistest.Server, s *service, policy string) []*gatewaytest.Gateway {
	t.Helper()
	var all []*gatewaytest.Gateway
	for range 3 {
		g := gateway(t, s, policy, "admin: 127.0.0.1:0\ncaches: {default: {shared: true, store: "+store.URL()+", max_shared: 64KiB, store_timeout: 2s}}")
		g.Client.Transport.(*http.Transport).MaxConnsPerHost = 0
		all = append(all, g)
	}
	return all
}

// crowd has clients ask each of some gateways at once, and returns what they ended with.
func crowd(t *testing.T, all []*gatewaytest.Gateway, each int, path string) (wait func() (answers map[string]int)) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	answers := map[string]int{}
	for i := range each * len(all) {
		g := all[i%len(all)]
		group.Go(func() {
			said := ""
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+path, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			r.Host = "shop"
			resp, err := g.Client.Do(r)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				said = fmt.Sprintf("%d %s", resp.StatusCode, body)
			}
			if err != nil {
				said = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			answers[said]++
		})
	}
	return func() map[string]int {
		group.Wait()
		return answers
	}
}

// same fails where not all have got one answer.
func same(t *testing.T, answers map[string]int, want string, n int) {
	t.Helper()
	if len(answers) != 1 || answers[want] != n {
		t.Errorf("%v, wanted %d times %q", answers, n, want)
	}
}

// TestOneFetchForManyGateways has 3 times 100 clients ask for what is not stored, for what must be validated, and what is as good as over.
func TestOneFetchForManyGateways(t *testing.T) {
	for name, c := range map[string]struct {
		fields []string
		first  bool // it is stored already, and the clients come later
		policy string
	}{
		"cold":                   {[]string{"Cache-Control: max-age=600"}, false, "{wait: 1m}"},
		"varies":                 {[]string{"Cache-Control: max-age=600", "Vary: User-Agent, X-Other"}, false, "{wait: 1m}"},
		"stale":                  {[]string{"Cache-Control: max-age=600"}, true, "{wait: 1m}"},
		"stale, to validate":     {[]string{"Cache-Control: max-age=600", `Etag: "1"`}, true, "{wait: 1m}"},
		"stale while revalidate": {[]string{"Cache-Control: max-age=600, stale-while-revalidate=600"}, true, "{wait: 1m}"},
		"refreshed early":        {[]string{"Cache-Control: max-age=600"}, true, "{wait: 1m, refresh_early: 50%}"},
	} {
		t.Run(name, func(t *testing.T) {
			store, release := redistest.Start(t), make(chan struct{})
			var early atomic.Bool
			early.Store(c.first)
			s := newService(t, func(w http.ResponseWriter, r *http.Request) {
				fields := []string{"X-Late: 1"}
				if early.Load() {
					fields = []string{"Age: 500"}
				} else {
					<-release
				}
				page(append(fields, c.fields...)...)(w, r)
			})
			all, want := three(t, store, s, c.policy), int64(1)
			if c.first {
				all[0].Get("/x", "Host: shop")
				store.Wait("be stored", func() bool { return strings.Contains(store.Must("KEYS", "*}"), ":default:{") })
				early.Store(false)
				want = 2
				if !strings.Contains(c.policy, "refresh_early") {
					makeStale(t, store, all)
				}
			}
			wait := crowd(t, all, 100, "/x")
			until(t, "a fetch", func() bool { return s.asked.Load() == want })
			close(release)
			same(t, wait(), "200 hello, world", 300)
			for _, g := range all {
				store.Wait("be fresh", func() bool { resp, _ := g.Get("/x", "Host: shop"); return resp.Header.Get("X-Late") != "" })
			}
			if n := s.asked.Load(); n != want {
				t.Errorf("the service was asked %d times, wanted %d", n, want)
			}
		})
	}
}

// makeStale purges all softly, and has all gateways know.
func makeStale(t *testing.T, store *redistest.Server, all []*gatewaytest.Gateway) {
	t.Helper()
	mark := func(g *gatewaytest.Gateway) string {
		resp, err := g.Client.Get("http://" + g.AdminAddr() + "/caches")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		_, rest, _ := strings.Cut(string(text), `"purge_seq": `)
		n, _, _ := strings.Cut(rest, "\n")
		return strings.TrimRight(n, ",")
	}
	resp, err := all[0].Client.Post("http://"+all[0].AdminAddr()+"/caches/purge", "application/x-www-form-urlencoded", strings.NewReader("all=true&soft=true"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	store.Wait("be told", func() bool {
		first := mark(all[0])
		return first != "" && first != "0" && mark(all[1]) == first && mark(all[2]) == first
	})
}

// TestSharedNotForOthers: gateways do not wait for each other's answers that are not for others, from when that is known.
func TestSharedNotForOthers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"not stored":    page("Cache-Control: no-store"),
		"a cookie":      page("Cache-Control: max-age=600", "Set-Cookie: a=b"),
		"no-cache":      page("Cache-Control: no-cache", `Etag: "1"`),
		"at once stale": page("Cache-Control: max-age=0", `Etag: "1"`),
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			w.Header().Set("Content-Length", "9")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, gate, end := redistest.Start(t), make(chan struct{}), make(chan struct{})
			s := newService(t, func(w http.ResponseWriter, r *http.Request) {
				<-gate
				answer(w, r)
				w.(http.Flusher).Flush()
				<-end // the body takes its time: nobody else waits for that
			})
			all := three(t, store, s, "{wait: 10m}")
			wait := crowd(t, all, 1, "/x")
			until(t, "the first", func() bool { return s.asked.Load() == 1 })
			close(gate)
			until(t, "all", func() bool { return s.asked.Load() >= 3 })
			close(end)
			wait()
		})
	}
}

// TestSharedHolderGone: what a gateway that has ended was about to fetch is fetched by one of the others.
func TestSharedHolderGone(t *testing.T) {
	store, gate := redistest.Start(t), make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
		page("Cache-Control: max-age=600")(w, r)
	})
	all := three(t, store, s, "{wait: 10m}")
	first := crowd(t, all[:1], 1, "/x")
	until(t, "the first", func() bool { return s.asked.Load() == 1 })
	rest := crowd(t, all[1:], 50, "/x")
	ended := make(chan struct{})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	go func() { defer close(ended); all[0].Shutdown(over) }()
	until(t, "another", func() bool { return s.asked.Load() == 2 })
	close(gate)
	same(t, rest(), "200 hello, world", 100)
	first()
	<-ended
	if n := s.asked.Load(); n != 2 {
		t.Errorf("the service was asked %d times", n)
	}
}

// TestSharedHolderKilled: a lease that nobody gives back holds others up for half of `wait` at most.
func TestSharedHolderKilled(t *testing.T) {
	store, gate := redistest.Start(t), make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		page("Cache-Control: max-age=600")(w, r)
	})
	all := three(t, store, s, "{wait: 2s}")
	first := crowd(t, all[:1], 1, "/x")
	until(t, "the first", func() bool { return s.asked.Load() == 1 })
	lease := strings.Fields(store.Must("KEYS", "*:l"))[2]
	store.Must("SET", lease, "of one that was killed", "PX", "600000")
	rest := crowd(t, all[1:], 1, "/x")
	until(t, "all", func() bool { return s.asked.Load() == 3 })
	close(gate)
	same(t, rest(), "200 hello, world", 2)
	first()
	if answer := store.Must("GET", lease); !strings.Contains(answer, "killed") {
		t.Error(answer)
	}
}

// lookups is how often a store was asked for what is stored.
func lookups(store *redistest.Server) int {
	_, rest, _ := strings.Cut(store.Must("INFO", "commandstats"), "cmdstat_getrange:calls=")
	calls, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.Atoi(calls)
	return n
}

// TestSharedStoreLost: while gateways wait for each other, their store is killed, or stopped. They go on by themselves.
func TestSharedStoreLost(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(*redistest.Server)
		ask  int64 // how many gateways the service is asked by then; the third may wait for the second
	}{
		"killed":  {func(store *redistest.Server) { store.Kill() }, 3},
		"stopped": {func(store *redistest.Server) { store.Signal(syscall.SIGSTOP) }, 3},
		"emptied": {func(store *redistest.Server) { store.Must("FLUSHALL") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			store, gate := redistest.Start(t), make(chan struct{})
			s := newService(t, func(w http.ResponseWriter, r *http.Request) {
				<-gate
				page("Cache-Control: max-age=600")(w, r)
			})
			all := three(t, store, s, "{wait: 10m}")
			wait := crowd(t, all, 30, "/x")
			until(t, "the first", func() bool { return s.asked.Load() == 1 })
			store.Wait("be asked by all", func() bool { return lookups(store) >= 90 }) // who finds none when the others are served is served for himself
			c.lose(store)
			until(t, "the others", func() bool { return s.asked.Load() >= c.ask })
			close(gate)
			same(t, wait(), "200 hello, world", 90)
			if n := s.asked.Load(); n > 3 {
				t.Errorf("the service was asked %d times", n)
			}
			if name == "stopped" {
				store.Signal(syscall.SIGCONT)
			}
		})
	}
}
