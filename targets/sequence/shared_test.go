package sequence_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

const secret = "      secret: 0123456789abcdef0123456789abcdef\n"

// durable starts a server that forgets nothing when it is killed. It waits for the disk at each change, which may take long.
func durable(t *testing.T) *redistest.Server {
	return redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
}

// shared is the configuration of gateways that share a store. Services know requests again.
func (s *shop) shared(r *redistest.Server, more string) string {
	return "store: " + r.URL() + "\n" + s.config(", unknown: repeat", ", unknown: repeat", "", more)
}

// count is how often each service was called with a method.
func (s *shop) count(method string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, c := range s.calls {
		for _, name := range []string{"orders", "stock", "payments"} {
			if strings.HasPrefix(c, method+" "+name+"/") {
				n[name]++
			}
		}
	}
	return fmt.Sprintf("%d %d %d", n["orders"], n["stock"], n["payments"])
}

// TestOneOfManyRuns: the same key through two gateways, a hundred times at once.
func TestOneOfManyRuns(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	text := s.shared(r, secret+"      store_timeout: 5s\n")
	gateways := []*gatewaytest.Gateway{gatewaytest.New(t, text), gatewaytest.New(t, text)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	firsts, bodies, refused := 0, map[string]bool{}, 0
	for i := range 100 {
		wg.Go(func() {
			resp, body := gateways[i%2].Do("POST", "/buy", items, "Idempotency-Key: one")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case resp.StatusCode == 200:
				bodies[body] = true
				if resp.Header.Get("Idempotency-Replayed") == "" {
					firsts++
				}
			case resp.StatusCode == 409 && strings.Contains(body, "idempotency_conflict") && resp.Header.Get("Retry-After") == "1":
				refused++
			default:
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if got := s.count("POST"); firsts != 1 || len(bodies) != 1 || got != "1 1 1" {
		t.Errorf("%d first answers, of %d kinds, %d refused; calls: %s", firsts, len(bodies), refused, got)
	}
	for _, g := range gateways {
		resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: one")
		if resp.StatusCode != 200 || !bodies[body] || resp.Header.Get("Idempotency-Replayed") != "true" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("again: %d %v %s", resp.StatusCode, resp.Header, body)
		}
		if resp, body := g.Do("POST", "/buy", `{"items": ["other"]}`, "Idempotency-Key: one"); resp.StatusCode != 422 || !strings.Contains(body, "idempotency_conflict") {
			t.Errorf("for something else: %d %s", resp.StatusCode, body)
		}
	}
	if got := s.count("POST"); got != "1 1 1" {
		t.Errorf("after all, calls: %s", got)
	}
	nothingReadable(t, r, "one")
}

// nothingReadable looks for what must not stand in the store.
func nothingReadable(t *testing.T, r *redistest.Server, key string) {
	t.Helper()
	all := ""
	for _, name := range strings.Fields(r.Must("KEYS", "*")) {
		if !strings.HasPrefix(name, "cardea:") {
			continue
		}
		all += name + "\n"
		if strings.HasPrefix(r.Must("TYPE", name), "+hash") {
			all += r.Must("HGETALL", name)
		}
	}
	for _, text := range []string{"credential-of-the-client", "\r\n" + key + "\r\n", "latch", "items", `"id"`, "Bearer"} {
		if strings.Contains(all, text) {
			t.Errorf("%q is in the store: %q", text, all)
		}
	}
	if all == "" {
		t.Error("the store is empty")
	}
}

// TestKeysAreShared: what one gateway has undone the other knows; and without a secret, what one has done is asked for again.
func TestKeysAreShared(t *testing.T) {
	for name, more := range map[string]string{"with a journal": secret, "without": ""} {
		t.Run(name, func(t *testing.T) {
			s, r := newShop(t), redistest.Start(t)
			reached, goOn := make(chan bool), make(chan bool)
			s.fault = func(name string, r *http.Request, _ string) string {
				if name == "payments" && r.Method == "POST" {
					reached <- true
					<-goOn
					return "409"
				}
				return ""
			}
			text := s.shared(r, more)
			a, b := gatewaytest.New(t, text), gatewaytest.New(t, text)
			var wg sync.WaitGroup
			wg.Go(func() { a.Do("POST", "/buy", items, "Idempotency-Key: k") })
			<-reached
			if resp, body := b.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 409 || !strings.Contains(body, "under way") {
				t.Errorf("meanwhile: %d %s", resp.StatusCode, body)
			}
			goOn <- true
			wg.Wait()
			resp, body := b.Do("POST", "/buy", items, "Idempotency-Key: k")
			if resp.StatusCode != 409 || !strings.Contains(body, "was undone") || resp.Header.Get("Cardea-Sequence") != "order;state=undone, stock;state=undone, charge;state=failed" {
				t.Errorf("after it was undone: %d %s %v", resp.StatusCode, body, resp.Header)
			}
			s.mu.Lock()
			s.fault = nil
			s.mu.Unlock()
			a.Do("POST", "/buy", items, "Idempotency-Key: l")
			calls := len(s.calls)
			resp, _ = b.Do("POST", "/buy", items, "Idempotency-Key: l")
			if again := len(s.calls) - calls; resp.StatusCode != 200 || again != map[bool]int{true: 0, false: 3}[more == secret] {
				t.Errorf("after it was done: %d, %d calls", resp.StatusCode, again)
			}
			if len(s.live("orders")) != 1 {
				t.Errorf("there are orders %v", s.live("orders"))
			}
		})
	}
}

// TestAGatewayIsKilled in the middle of each step: another undoes what it did, and the key says so.
func TestAGatewayIsKilled(t *testing.T) {
	for step, service := range []string{"orders", "stock", "payments"} {
		for _, how := range []string{"before it is done", "after it is done"} {
			t.Run(service+", "+how, func(t *testing.T) {
				t.Parallel()
				s, r := newShop(t), redistest.Start(t)
				text := s.shared(r, secret+"      lease: 2s\n")
				p := startProcess(t, text)
				var killed atomic.Bool
				s.fault = func(name string, r *http.Request, _ string) string {
					if name != service || r.Method != "POST" || killed.Swap(true) {
						return ""
					}
					p.kill()
					if strings.HasPrefix(how, "after") {
						return "done, reset"
					}
					return "reset"
				}
				if _, _, err := buy(http.DefaultClient, p.url, "k", items); err == nil {
					t.Fatal("it was answered")
				}
				nothingReadable(t, r, "k")
				g := gatewaytest.New(t, text)
				resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k")
				if resp.StatusCode != 409 || !strings.Contains(body, "idempotency_conflict") {
					t.Errorf("at first: %d %s", resp.StatusCode, body)
				}
				waitFor(t, func() bool {
					resp, body = g.Do("POST", "/buy", items, "Idempotency-Key: k")
					return resp.Header.Get("Retry-After") == ""
				})
				told := []string{"order;state=undone, stock;state=waiting, charge;state=waiting", "order;state=undone, stock;state=undone, charge;state=waiting", "order;state=undone, stock;state=undone, charge;state=undone"}[step]
				if resp.StatusCode != 409 || !strings.Contains(body, "was undone") || resp.Header.Get("Cardea-Sequence") != told {
					t.Errorf("after: %d %s %v", resp.StatusCode, body, resp.Header)
				}
				s.remains(t, "")
				if log := g.Log(); !strings.Contains(log, "a sequence was abandoned in the middle, and is undone") || strings.Contains(log, "credential-of") {
					t.Errorf("logged %s", log)
				}
			})
		}
	}
}

// TestKilledWithoutAKey: what has no key is found, too, by looking now and then.
func TestKilledWithoutAKey(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	text := s.shared(r, secret+"      lease: 2s\n")
	p := startProcess(t, text)
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "payments" && r.Method == "POST" {
			p.kill()
			return "done, reset"
		}
		return ""
	}
	if _, err := http.Post(p.url+"/buy", "application/json", strings.NewReader(items)); err == nil {
		t.Fatal("it was answered")
	}
	gatewaytest.New(t, text)
	waitFor(t, func() bool { return len(s.live("orders"))+len(s.live("stock"))+len(s.live("payments")) == 0 })
	if got := s.count("DELETE"); got != "1 1 1" {
		t.Errorf("undone by %s", got)
	}
}

// TestKilledWithoutAJournal: the key is not used again, and operators are told which steps were done.
func TestKilledWithoutAJournal(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	text := s.shared(r, "      lease: 2s\n")
	p := startProcess(t, text)
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "payments" && r.Method == "POST" {
			p.kill()
			return "done, reset"
		}
		return ""
	}
	if _, _, err := buy(http.DefaultClient, p.url, "k", items); err == nil {
		t.Fatal("it was answered")
	}
	g := gatewaytest.New(t, text)
	var resp *http.Response
	body := ""
	waitFor(t, func() bool {
		resp, body = g.Do("POST", "/buy", items, "Idempotency-Key: k")
		return resp.Header.Get("Retry-After") == ""
	})
	const told = "order;state=done, stock;state=done, charge;state=unknown"
	if resp.StatusCode != 409 || !strings.Contains(body, "sequence_unknown") || resp.Header.Get("Cardea-Sequence") != told {
		t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
	}
	if log := g.Log(); !strings.Contains(log, "a sequence was abandoned, and cannot be undone") || !strings.Contains(log, told) {
		t.Errorf("logged %s", log)
	}
	if got := s.count("POST"); got != "1 1 1" {
		t.Errorf("calls: %s", got)
	}
}

// TestTheStoreIsAway when a request comes.
func TestTheStoreIsAway(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), durable(t)
	g := gatewaytest.New(t, s.shared(r, secret))
	l := gatewaytest.New(t, s.shared(r, secret+"      on_store_failure: local\n"))
	g.Do("POST", "/buy", items, "Idempotency-Key: before")
	for _, away := range []func(){r.Kill, r.Run, func() { r.Signal(syscall.SIGSTOP) }, func() { r.Signal(syscall.SIGCONT) }} {
		away()
		up := false
		if answer, err := r.Do("PING"); err == nil && strings.HasPrefix(answer, "+PONG") {
			up = true
			r.Wait("be found again", func() bool {
				resp, _ := g.Do("POST", "/buy", items)
				return resp.StatusCode == 200
			})
			if resp, _ := g.Do("POST", "/buy", items, "Idempotency-Key: before"); resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("it has forgotten: %d", resp.StatusCode)
			}
			continue
		}
		before := s.count("POST")
		resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: away")
		if after := s.count("POST"); resp.StatusCode != 503 || !strings.Contains(body, "sequence_unavailable") || strings.Contains(body, r.Addr) || before != after {
			t.Errorf("%v: got %d %s; calls %s, then %s", up, resp.StatusCode, body, before, after)
		}
		if resp, body := l.Do("POST", "/buy", items, "Idempotency-Key: "+fmt.Sprint(len(s.calls))); resp.StatusCode != 200 {
			t.Errorf("local: got %d %s", resp.StatusCode, body)
		}
	}
}

// TestTheStoreGoes in the middle: for a moment, and the sequence goes on; for longer than the lease, and it is undone, also where a step would take longer than that.
func TestTheStoreGoes(t *testing.T) {
	for name, test := range map[string]struct{ lease, fault, then string }{
		"for a moment":              {"60s", "", "orders stock payments"},
		"for long":                  {"1s", "", ""},
		"for long, in a slow step":  {"1s", "slow", ""},
		"for long, and it was done": {"1s", "done, slow", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := newShop(t), durable(t)
			text := s.shared(r, secret+"      store_timeout: 900ms\n      timeout: 0\n      lease: "+test.lease+"\n")
			g := gatewaytest.New(t, text)
			var gone atomic.Bool
			var back sync.WaitGroup
			s.fault = func(name string, _ *http.Request, _ string) string {
				if at := map[bool]string{true: "stock", false: "payments"}[test.fault == ""]; name != at || gone.Swap(true) {
					return ""
				}
				r.Kill()
				if test.then != "" {
					back.Go(r.Run)
				}
				return test.fault
			}
			resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k")
			back.Wait()
			s.remains(t, test.then)
			if test.then != "" {
				if resp.StatusCode != 200 {
					t.Errorf("got %d %s", resp.StatusCode, body)
				}
				return
			}
			if resp.StatusCode != 503 || !strings.Contains(body, "sequence_failed") || !strings.Contains(body, "lost touch") {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			r.Run()
			h := gatewaytest.New(t, text)
			waitFor(t, func() bool {
				resp, body = h.Do("POST", "/buy", items, "Idempotency-Key: k")
				return resp.Header.Get("Retry-After") == ""
			})
			if resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
				t.Errorf("then %d %s", resp.StatusCode, body)
			}
			s.remains(t, "")
		})
	}
}

// TestTheStoreGoesAtTheEnd: nobody is told that all is done while another gateway may undo it.
func TestTheStoreGoesAtTheEnd(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), durable(t)
	text := strings.Replace(s.shared(r, secret+"      lease: 3s\n      on_store_failure: local\n"), "within: 20s", "within: 500ms", 1)
	g := gatewaytest.New(t, text)
	s.fault = func(name string, req *http.Request, _ string) string {
		if name == "payments" && req.Method == "POST" {
			r.Kill()
		}
		return ""
	}
	resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k")
	if resp.StatusCode != 503 || !strings.Contains(body, "sequence_unknown") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	s.remains(t, "orders stock payments")
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 503 || !strings.Contains(body, "sequence_unavailable") {
		t.Errorf("meanwhile: %d %s", resp.StatusCode, body)
	}
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: l"); resp.StatusCode != 200 {
		t.Errorf("another, without the store: %d %s", resp.StatusCode, body)
	}
	r.Run()
	waitFor(t, func() bool {
		resp, body = g.Do("POST", "/buy", items, "Idempotency-Key: k")
		return resp.Header.Get("Retry-After") == ""
	})
	if resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
		t.Errorf("then %d %s", resp.StatusCode, body)
	}
	if len(s.live("orders")) != 1 {
		t.Errorf("there are orders %v", s.live("orders"))
	}
}

// TestTheStoreForgets what is under way: it is undone.
func TestTheStoreForgets(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	g := gatewaytest.New(t, s.shared(r, secret))
	s.fault = func(name string, req *http.Request, _ string) string {
		if name == "stock" && req.Method == "POST" {
			r.Must("FLUSHALL")
		}
		return ""
	}
	resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k")
	if resp.StatusCode != 503 || !strings.Contains(body, "sequence_failed") || resp.Header.Get("Cardea-Sequence") != "order;state=undone, stock;state=undone, charge;state=waiting" {
		t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
	}
	s.remains(t, "")
}

// TestWhatUndoesSeesTheRequest: fields, parameters, variables and the body are what they were, on the gateway that takes over.
func TestWhatUndoesSeesTheRequest(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	text := "store: " + r.URL() + fmt.Sprintf(`
upstreams: {orders: {endpoints: [%s], retry: off}}
overload: off
routes:
  - match: /buy/{user}
    sequence:
      order:
        call: "POST orders/orders"
        body: {items: "{body.items}"}
        on_error: {call: "PATCH orders/{user}/{order.id}?q={query.q}&m={method}&a={address}", headers: {x-id: "{request_id}"}, body: {key: "{idempotency_key}", n: "{body.n}", host: "{host}"}}
      fail: "POST orders/fail"
      lease: 1s
      store_timeout: 900ms
%s`, s.urls["orders"], secret)
	p := startProcess(t, text)
	type seen struct{ line, auth, id, who, body string }
	undone := make(chan seen, 10)
	s.fault = func(_ string, r *http.Request, _ string) string {
		switch {
		case r.Method == "PATCH":
			undone <- seen{r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("X-Id"), r.Header.Get("X-Who"), s.last()}
			return "400"
		case r.URL.Path == "/fail":
			p.kill()
			return "reset"
		}
		return ""
	}
	req, _ := http.NewRequest("POST", p.url+"/buy/a%2Fb?q=x%20y", strings.NewReader(`{"items": [1], "n": 12345678901234567890.10}`))
	req.Header.Set("Authorization", "Bearer credential-of-the-client")
	req.Header.Set("X-Who", "caf\xe9")
	req.Host = "shop.example"
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Fatal("it was answered")
	}
	g := gatewaytest.New(t, text)
	got := <-undone
	if got.line != "/a%2Fb/1?q=x%20y&m=POST&a=127.0.0.1" && got.line != "/a%2Fb/1?q=x+y&m=POST&a=127.0.0.1" || got.auth != "Bearer credential-of-the-client" || got.id == "" || got.who != "caf\xe9" ||
		!strings.Contains(got.body, `"n":12345678901234567890.10`) || !strings.Contains(got.body, `"host":"shop.example"`) || !strings.Contains(got.body, `-order"`) {
		t.Errorf("undone by %+v", got)
	}
	waitFor(t, func() bool { return strings.Contains(g.Log(), "an abandoned sequence has ended") })
	if log := g.Log(); !strings.Contains(log, "order;state=stuck") || !strings.Contains(log, "a step of a sequence could not be undone") || !strings.Contains(log, got.id) {
		t.Errorf("logged %s", log)
	}
}

// TestAClusterIsAStore: all that belongs together is in one place.
func TestAClusterIsAStore(t *testing.T) {
	t.Parallel()
	url, _ := redistest.Cluster(t)
	s := newShop(t)
	text := "store: " + url + "\n" + s.config("", "", "", secret)
	a, b := gatewaytest.New(t, text), gatewaytest.New(t, text)
	_, first := a.Do("POST", "/buy", items, "Idempotency-Key: k")
	if resp, body := b.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 200 || body != first || resp.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %d %s, first %s", resp.StatusCode, body, first)
	}
}

// dieInStock has a gateway killed while it reserves stock, in the middle of a request with the key "k".
func (s *shop) dieInStock(t *testing.T, p *process) {
	t.Helper()
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "stock" && r.Method == "POST" {
			p.kill()
			return "reset"
		}
		return ""
	}
	if _, _, err := buy(http.DefaultClient, p.url, "k", items); err == nil {
		t.Fatal("it was answered")
	}
}

// TestOfOtherSteps: a sequence whose steps are others by now cannot be undone by them, and is told of; what a client sent stays unread with another secret.
func TestOfOtherSteps(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	more := secret + "      lease: 2s\n      store_timeout: 900ms\n"
	p := startProcess(t, s.shared(r, more))
	s.dieInStock(t, p)
	sealed := gatewaytest.New(t, s.shared(r, strings.Replace(more, "0123", "3210", 1)))
	waitFor(t, func() bool { return abandoned(t, sealed) == 1 })
	if err := sealed.SetConfig(strings.Replace(s.shared(r, more), "DELETE stock", "PUT stock", 1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return abandoned(t, sealed) == 1 })
	if resp, body := sealed.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 409 || !strings.Contains(body, "idempotency_conflict") {
		t.Errorf("meanwhile: %d %s", resp.StatusCode, body)
	}
	if got := s.count("DELETE"); got != "0 0 0" {
		t.Errorf("undone by %s", got)
	}
	if err := sealed.SetConfig(s.shared(r, more)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(s.live("orders")) == 0 && abandoned(t, sealed) == 0 })
}

// TestOfNobody: what no gateway can undo is given up after a while, and told of.
func TestOfNobody(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	more := secret + "      lease: 1s\n      store_timeout: 900ms\n"
	p := startProcess(t, s.shared(r, more))
	s.dieInStock(t, p)
	for _, name := range strings.Fields(r.Must("KEYS", "cardea:*")) {
		if strings.HasPrefix(name, "cardea:") && strings.HasPrefix(r.Must("TYPE", name), "+hash") {
			r.Must("HSET", name, "l", "1") // long ago
		}
	}
	g := gatewaytest.New(t, s.shared(r, strings.Replace(more, "0123", "3210", 1)))
	waitFor(t, func() bool { return strings.Contains(g.Log(), "a sequence was abandoned, and cannot be undone") })
	resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k", "Authorization: Bearer credential-of-the-client")
	if resp.StatusCode != 409 || !strings.Contains(body, "sequence_unknown") || resp.Header.Get("Cardea-Sequence") != "order;state=done, stock;state=unknown, charge;state=waiting" {
		t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
	}
	if got := s.count("DELETE"); got != "0 0 0" {
		t.Errorf("undone by %s", got)
	}
}

// abandoned is how many sequences a gateway knows that wait to be undone.
func abandoned(t *testing.T, g *gatewaytest.Gateway) float64 {
	t.Helper()
	var m dto.Metric
	gauge := g.Metrics.Gauge("sequence_abandoned", "Sequences whose gateway ended in the middle, and which nobody has undone yet.", "route")
	if err := gauge.WithLabelValues("/buy").Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// TestSettingsOfTheStore that do not go together, and what is told of those that do.
func TestSettingsOfTheStore(t *testing.T) {
	s := newShop(t)
	for more, want := range map[string]string{
		secret:                                       "there is none",
		"      store: http://redis\n":                "Redis",
		"      store: local\n" + secret:              "there is none",
		"      store: redis://r\n      secret: x\n":  "at least",
		"      lease: 1s\n      store_timeout: 1s\n": "not shorter than the lease",
		"      on_store_failure: allow\n":            "deny",
	} {
		if _, err := gatewaytest.Start(t, s.config("", "", "", more)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: %v", more, err)
		}
	}
}
