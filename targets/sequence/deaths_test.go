package sequence_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// TestAGatewayIsStopped for longer than its lease, in the last step: another undoes what it did, and it does not go on from there.
func TestAGatewayIsStopped(t *testing.T) {
	s, r := newShop(t), durable(t)
	text := s.shared(r, secret+"      lease: 1s\n      store_timeout: 900ms\n")
	p := startProcess(t, text)
	g := gatewaytest.New(t, text)
	signal := func(sig syscall.Signal) {
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Error(err)
		}
	}
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "payments" && r.Method == "POST" {
			signal(syscall.SIGSTOP)
		}
		return ""
	}
	var wg sync.WaitGroup
	var status int
	body := ""
	wg.Go(func() {
		resp, text, err := buy(http.DefaultClient, p.url, "k", items)
		if err != nil {
			t.Error(err)
			return
		}
		status, body = resp.StatusCode, text
	})
	waitFor(t, func() bool { return strings.Contains(g.Log(), "an abandoned sequence has ended") })
	s.remains(t, "")
	signal(syscall.SIGCONT)
	wg.Wait()
	if status != 503 || !strings.Contains(body, "sequence_failed") {
		t.Errorf("got %d %s", status, body)
	}
	s.remains(t, "")
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
		t.Errorf("then %d %s", resp.StatusCode, body)
	}
}

// farm are gateways that are killed and started again, with a store that is, too.
type farm struct {
	mu  sync.Mutex
	all []*process
}

func (f *farm) any() *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[rand.N(len(f.all))]
}

// bought is what a client was told in the end.
type bought struct {
	key    string
	status int
	body   string
}

// TestRandomDeaths of gateways, and of the store, with services that fail: in the end each order is there with its reservation and its charge, or none of the three; and
// what a client was told is so.
func TestRandomDeaths(t *testing.T) {
	s, r := newShop(t), durable(t)
	text := s.shared(r, secret+"      lease: 1s\n      store_timeout: 500ms\n")
	s.fault = func(_ string, r *http.Request, _ string) string {
		time.Sleep(rand.N(60 * time.Millisecond)) // deaths come in the middle
		if r.Method == "POST" && rand.N(12) == 0 {
			return []string{"reset", "done, reset", "500", "done, 500", "409", "garbage"}[rand.N(6)]
		}
		return ""
	}
	f := &farm{}
	for range 3 {
		f.all = append(f.all, startProcess(t, text))
	}
	client := &http.Client{Timeout: 30 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	const workers, each = 10, 15
	ends := make(chan bought, workers*each)
	var work, death sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			for i := range each {
				ends <- s.insist(t, f, client, fmt.Sprintf("%d-%d", w, i))
			}
		})
	}
	stop := make(chan struct{})
	death.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(rand.N(300 * time.Millisecond)):
			}
			if n%8 == 7 {
				r.Kill()
				r.Run()
				continue
			}
			i := n % len(f.all)
			f.all[i].kill()
			next := startProcess(t, text)
			f.mu.Lock()
			f.all[i] = next
			f.mu.Unlock()
		}
	})
	work.Wait()
	close(stop)
	death.Wait()
	close(ends)
	s.mu.Lock()
	s.fault = nil
	s.mu.Unlock()
	waitFor(t, func() bool { return !strings.Contains(r.Must("KEYS", "*"), ":open") })
	s.agrees(t, ends)
}

// insist asks until there is an answer that stays.
func (s *shop) insist(t *testing.T, f *farm, client *http.Client, key string) bought {
	for range 1000 {
		resp, body, err := buy(client, f.any().url, key, items)
		if err == nil && resp.Header.Get("Retry-After") == "" && !strings.Contains(body, "sequence_unavailable") {
			return bought{key, resp.StatusCode, body}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s comes to no end", key)
	return bought{key: key}
}

// agrees compares what is there with what was told.
func (s *shop) agrees(t *testing.T, ends <-chan bought) {
	t.Helper()
	live := map[string]int{} // by order
	for _, name := range []string{"orders", "stock", "payments"} {
		for _, th := range s.live(name) {
			order := th.Order
			if name == "orders" {
				order = th.ID
			}
			live[order]++
		}
	}
	for order, n := range live {
		if n != 3 {
			t.Errorf("of the order %s there are %d things", order, n)
		}
	}
	statuses, told := map[int]int{}, 0
	for b := range ends {
		statuses[b.status]++
		var answer struct {
			Order struct{ ID string }
		}
		switch {
		case b.status == 200:
			told++
			if err := json.Unmarshal([]byte(b.body), &answer); err != nil || live[answer.Order.ID] != 3 {
				t.Errorf("%s was told that %s is there: %v", b.key, b.body, err)
			}
		case strings.Contains(b.body, "Not all could"), strings.Contains(b.body, "sequence_unknown"):
			t.Errorf("%s: %s", b.key, b.body)
		}
	}
	t.Logf("%d orders, %d told; statuses %v; calls that undo: %s", len(live), told, statuses, s.count("DELETE"))
	if told != len(live) {
		t.Errorf("%d orders are there, and %d were told", len(live), told)
	}
}
