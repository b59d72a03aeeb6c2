package sequence_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// TestAGatewayIsStopped for longer than its lease, in the last step: another undoes what it did, and it does not go on from there.
func TestAGatewayIsStopped(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
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
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
				t.Errorf("it does not stop: %v %v", err, status)
			}
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
	s.agrees(t, f, client, ends)
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

// agrees compares what is there with what was told, and with what is told once more.
func (s *shop) agrees(t *testing.T, f *farm, client *http.Client, ends <-chan bought) {
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
		again := s.insist(t, f, client, b.key)
		if b.status == 200 && (again.status != 200 || again.body != b.body) || b.status != 200 && again.status != 409 && !strings.Contains(b.body, "Nothing had been done") {
			t.Errorf("%s was told %d %s, and once more %d %s", b.key, b.status, b.body, again.status, again.body)
		}
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

// forgetful passes on what is asked of a store, and loses some of its answers, with the connection.
func forgetful(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(func() { _ = l.Close() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			shut := func() { _ = client.Close(); _ = server.Close() }
			all.Go(func() { defer shut(); _, _ = io.Copy(server, client) })
			all.Go(func() {
				defer shut()
				b := make([]byte, 1<<16)
				for first := true; ; first = false {
					n, err := server.Read(b)
					if err != nil || !first && rand.N(6) == 0 {
						return
					}
					if _, err := client.Write(b[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	return "redis://" + l.Addr().String()
}

// TestAnswersOfTheStoreAreLost: whether it has done what was asked is not known then.
func TestAnswersOfTheStoreAreLost(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	text := "store: " + forgetful(t, r.Addr) + "\n" + s.config(", unknown: repeat", ", unknown: repeat", "", secret+"      lease: 2s\n      store_timeout: 1s\n")
	f := &farm{all: []*process{startProcess(t, text), startProcess(t, text)}}
	client := &http.Client{Timeout: 30 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	const workers, each = 6, 15
	ends := make(chan bought, workers*each)
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			for i := range each {
				ends <- s.insist(t, f, client, fmt.Sprintf("%d-%d", w, i))
			}
		})
	}
	work.Wait()
	close(ends)
	waitFor(t, func() bool { return !strings.Contains(r.Must("KEYS", "*"), ":open") })
	s.agrees(t, f, client, ends)
	for _, p := range f.all {
		p.kill() // the proxy waits for its connections
	}
}

// TestRecoveryIsInterrupted in the middle of a call that undoes, by a reload, or by the end of the gateway: what comes after goes on at once, with all that is left.
func TestRecoveryIsInterrupted(t *testing.T) {
	for _, how := range []string{"a reload", "the end"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s, r := newShop(t), redistest.Start(t)
			text := s.shared(r, secret+"      lease: 2s\n")
			p := startProcess(t, text)
			reached := make(chan bool, 1)
			s.fault = func(name string, r *http.Request, _ string) string {
				switch {
				case name == "payments" && r.Method == "POST":
					p.kill()
					return "done, reset"
				case name == "stock" && r.Method == "DELETE" && len(reached) == 0:
					reached <- true
					return "slow" // until it is cut
				}
				return ""
			}
			if _, _, err := buy(http.DefaultClient, p.url, "k", items); err == nil {
				t.Fatal("it was answered")
			}
			g := gatewaytest.New(t, text)
			waitFor(t, func() bool { return len(reached) == 1 })
			if how == "a reload" {
				if err := g.SetConfig(text + "# once more\n"); err != nil {
					t.Fatal(err)
				}
			} else {
				g.Shutdown(t.Context())
				if open := r.Must("KEYS", "*:open"); !strings.Contains(open, ":open") {
					t.Errorf("it is no more to be undone: %q", open)
				}
				g = gatewaytest.New(t, text)
			}
			var resp *http.Response
			waitFor(t, func() bool {
				resp, _, _ = buy(http.DefaultClient, g.URL, "k", items)
				return resp != nil && resp.Header.Get("Retry-After") == ""
			})
			if got := resp.Header.Get("Cardea-Sequence"); resp.StatusCode != 409 || got != "order;state=undone, stock;state=undone, charge;state=undone" {
				t.Errorf("got %d %q", resp.StatusCode, got)
			}
			s.remains(t, "")
		})
	}
}
