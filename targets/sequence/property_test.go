package sequence_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// TestNothingIsLost has many sequences under way at once over services that fail in all ways, some of whose clients leave and ask again, while the gateway
// reloads. Whatever fails: in the end there is each order with its reservation and its charge, or nothing of it.
func TestNothingIsLost(t *testing.T) {
	for _, unknown := range []string{"undo", "repeat"} {
		t.Run(unknown, func(t *testing.T) {
			s := newShop(t)
			s.fault = misfortune(rand.New(rand.NewPCG(1, uint64(len(unknown)))))
			config := s.config(", timeout: 1s, unknown: "+unknown, ", timeout: 1s, unknown: "+unknown, ", timeout: 1s, unknown: "+unknown, "")
			if unknown == "undo" { // whose calls need no answers
				config = strings.Replace(config, "DELETE orders/orders/{order.id}", "DELETE orders/by-key/{idempotency_key}", 1)
				config = strings.Replace(config, "DELETE stock/reservations/{stock.id}", "DELETE stock/by-key/{idempotency_key}", 1)
			}
			config = strings.Replace(config, "times: 3", "times: 20", 1)
			g := gatewaytest.New(t, config)
			var good, failed, stuck atomic.Int64
			var clients sync.WaitGroup
			for i := range 200 {
				clients.Go(func() {
					switch status, told := s.buy(g, i); {
					case status == http.StatusOK:
						good.Add(1)
					case strings.Contains(told, "stuck"):
						stuck.Add(1)
					default:
						failed.Add(1)
					}
				})
				if i%50 == 25 {
					if err := g.SetConfig(config + fmt.Sprintf("# %d\n", i)); err != nil {
						t.Error(err)
					}
				}
			}
			clients.Wait()
			waitFor(t, func() bool { return g.Engine.Running() == 0 })
			orders, reservations, charges := s.live("orders"), s.live("stock"), s.live("payments")
			t.Logf("%d are done, %d undone; %d calls", good.Load(), failed.Load(), len(s.calls))
			if stuck.Load() > 0 || good.Load() == 0 || failed.Load() == 0 {
				t.Errorf("%d are done, %d undone, %d stuck", good.Load(), failed.Load(), stuck.Load())
			}
			of := map[string][3]int{}
			for k, all := range [][]*thing{orders, reservations, charges} {
				for _, th := range all {
					id := th.Order
					if k == 0 {
						id = th.ID
					}
					n := of[id]
					n[k]++
					of[id] = n
				}
			}
			for id, n := range of {
				if n != [3]int{1, 1, 1} {
					t.Errorf("of order %s there are %v orders, reservations and charges", id, n)
				}
			}
			if int64(len(charges)) < good.Load() {
				t.Errorf("%d charges for %d clients who were told that all is well", len(charges), good.Load())
			}
		})
	}
}

// buy asks once, or leaves and asks again with the same key until there is an answer.
func (s *shop) buy(g *gatewaytest.Gateway, i int) (status int, told string) {
	for tries := 0; ; tries++ {
		ctx, leave := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, "POST", g.URL+"/buy", strings.NewReader(items))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Idempotency-Key", fmt.Sprint("client-", i))
		if i%5 == 0 && tries == 0 {
			go func() { s.passed(); leave() }()
		}
		resp, err := g.Client.Do(r)
		leave()
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusConflict && resp.Header.Get("Retry-After") != "" && tries < 10_000 {
			s.passed()
			continue
		}
		return resp.StatusCode, resp.Header.Get("Cardea-Sequence")
	}
}

// passed waits until some call has been made since, or all are.
func (s *shop) passed() {
	s.mu.Lock()
	before := len(s.calls)
	s.mu.Unlock()
	for range 5 {
		s.mu.Lock()
		now := len(s.calls)
		s.mu.Unlock()
		if now > before {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// misfortune makes a fifth of the calls fail. No call that undoes, or is repeated, fails for ever.
func misfortune(chance *rand.Rand) func(string, *http.Request, string) string {
	var mu sync.Mutex
	times := map[string]int{}
	ways := []string{"reset", "done, reset", "500", "done, 500", "garbage", "409", "503", "done, 503"}
	return func(_ string, r *http.Request, key string) string {
		mu.Lock()
		defer mu.Unlock()
		times[r.Method+key]++
		if times[r.Method+key] > 4 || chance.IntN(5) > 0 {
			return ""
		}
		return ways[chance.IntN(len(ways))]
	}
}
