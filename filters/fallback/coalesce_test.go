package fallback_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestWhatStandsInIsForAllWhoWaitTogether, unless it is of one caller: an outage does not end that requests are joined.
func TestWhatStandsInIsForAllWhoWaitTogether(t *testing.T) {
	private := newService(t, text(200, "mine", "Cache-Control: private"))
	common := newService(t, text(200, "other", "Cache-Control: max-age=60"))
	for name, test := range map[string]struct {
		other  *service
		policy string
		want   string
		asked  int64 // the failing service, by five at once
	}{
		"fixed":            {common, "{json: [], after: 300ms}", "[]\n; json", 1},
		"a status":         {common, "{status: 203, after: 300ms}", "203; status", 1},
		"a template":       {common, "{template: '{method}', after: 300ms}", "GET; template", 5},
		"a field":          {common, "{body: x, headers: {x-client: '{address}'}, after: 300ms}", "x; body", 5},
		"it says no-store": {common, "{body: x, headers: {cache-control: no-store}, after: 300ms}", "x; body", 5},
		"last good":        {common, "{last_good: 1h, after: 300ms}", "good; last_good", 1},
		"another":          {common, "{to: b, after: 300ms}", "other; to", 1},
		"another's own":    {private, "{to: b, after: 300ms}", "mine; to", 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, text(200, "good"))
			g := gateway(t, s.URL, test.other.URL, test.policy, ", coalesce: {}")
			g.Get("/x", "Cache-Control: no-cache")
			s.do.Store(http.HandlerFunc(hang))
			before := s.asked.Load()
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if got := answered(t, g, "/x"); got != test.want {
						t.Errorf("%q, wanted %q", got, test.want)
					}
				})
			}
			all.Wait()
			if n := s.asked.Load() - before; test.asked == 1 && n != 1 {
				t.Errorf("the service was asked %d times", n)
			}
			if common := metric(g, `cardea_coalesce_requests_total{outcome="shared",route="r"}`) == "4"; common != (test.asked == 1) {
				t.Errorf("shared: %v", common)
			}
		})
	}
}

// answered is an answer in short: its body, or its status, and what stood in.
func answered(t *testing.T, g *gatewaytest.Gateway, path string) string {
	r, _ := http.NewRequest("GET", g.URL+path, nil)
	r.Header.Set("Cache-Control", "no-cache")
	resp, err := g.Client.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	kind, _, _ := strings.Cut(resp.Header.Get("Cardea-Fallback"), ";")
	if resp.StatusCode != 200 {
		return resp.Status[:3] + "; " + kind
	}
	return string(body) + "; " + kind
}
