package quota_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// TestGatewaysShareAStore: they count together, and go on in the way that was said while the store is away.
func TestGatewaysShareAStore(t *testing.T) {
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	text := fmt.Sprintf(`
store: %s
routes:
  - {match: /a, respond: a, quota: 60/year per all}
  - {match: /deny, respond: a, quota: {quotas: 9/year, on_store_failure: deny}}
  - {match: /allow, respond: a, quota: {quotas: 1/year, on_store_failure: allow}}
`, r.URL())
	gateways := []*gatewaytest.Gateway{gatewaytest.New(t, text), gatewaytest.New(t, text)}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				if resp, _ := gateways[i%2].Get("/a"); resp.StatusCode == 200 {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 60 {
		t.Errorf("%d passed", passed.Load())
	}
	if err := gateways[0].SetConfig(strings.Replace(text, "60", "61", 1)); err != nil {
		t.Fatal(err)
	}
	get(t, gateways[0], "/a", "", 200)
	get(t, gateways[0], "/a", "", 429)
	r.Kill()
	get(t, gateways[0], "/a", "", 429)
	for range 2 {
		if resp, body := gateways[0].Get("/deny"); resp.StatusCode != 503 || !strings.Contains(body, "limits_unavailable") || strings.Contains(body, r.Addr) {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
		get(t, gateways[0], "/allow", "", 200)
	}
	r.Run()
	r.Wait("be found again", func() bool {
		resp, _ := gateways[0].Get("/deny")
		return resp.StatusCode == 200
	})
	get(t, gateways[0], "/allow", "", 429)
	get(t, gateways[0], "/a", "", 429)
	if log := gateways[0].Log(); !strings.Contains(log, `msg="the store of quotas cannot be reached"`) || !strings.Contains(log, "can be reached again") {
		t.Error("the log is not what it should be")
	}
}
