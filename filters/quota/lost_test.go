package quota_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// TestTheStoreIsLost: what clients and explain are told while the store is away is what happens.
func TestTheStoreIsLost(t *testing.T) {
	r := redistest.Start(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
admin: 127.0.0.1:0
store: redis://%s
routes:
  - {match: /deny, respond: a, quota: {quotas: 9/year, on_store_failure: deny}}
  - {match: /allow, respond: a, quota: {quotas: 1/year, on_store_failure: allow}}
`, r.Addr))
	r.Kill()
	for path, want := range map[string]string{"/deny": `"outcome": "quota: `, "/allow": `"outcome": "200`} {
		for range 3 {
			resp, _ := g.Get(path)
			if left := resp.Header.Get("RateLimit"); strings.Contains(left, "t=0") {
				t.Errorf("%s: %s", path, left)
			}
		}
		resp, err := g.Client.Get("http://" + g.AdminAddr() + "/explain?method=GET&url=http://localhost" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("explain %s, want %s: %s", path, want, body)
		}
	}
}
