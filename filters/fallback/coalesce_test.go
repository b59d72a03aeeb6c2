package fallback_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestRequestsThatWaitTogether get a fallback once their time has passed, whoever made the request.
func TestRequestsThatWaitTogether(t *testing.T) {
	other := newService(t, text(200, "other"))
	for name, test := range map[string]struct {
		policy, more, want string
		asked              int64 // the other upstream, with five that wait
	}{
		"fixed":              {"{body: later}", ", timeout: 1s", "later; body", 0},
		"last good":          {"last_good", ", timeout: 1s", "good; last_good", 0},
		"another":            {"b", ", timeout: 2s", "other; to", 1},
		"another, and slow":  {"[{to: {upstream: a, timeout: 300ms}}, {body: later}]", ", timeout: 1s", "later; body", 0},
		"silence":            {"{body: later}", ", timeout: {idle: 300ms}", "later; body", 0},
		"with a cache":       {"{body: later}", ", timeout: 1s, cache: 5m", "later; body", 0},
		"a part of the time": {"{body: later, after: 300ms}", ", timeout: 10s", "later; body", 0},
		"of no use":          {"{body: later, on: [404]}", ", timeout: 500ms", "504; ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, text(200, "good"))
			g := gateway(t, s.URL, other.URL, test.policy, test.more, ", coalesce: {}")
			g.Get("/x", "Cache-Control: no-cache")
			s.do.Store(http.HandlerFunc(hang))
			other.asked.Store(0)
			before := s.asked.Load()
			fiveGet(t, g, test.want)
			if n := other.asked.Load(); n != test.asked {
				t.Errorf("the other upstream was asked %d times", n)
			}
			if n := s.asked.Load() - before; n > 10 {
				t.Errorf("the service was asked %d times", n)
			}
		})
	}
}

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
			fiveGet(t, g, test.want)
			if n := s.asked.Load() - before; test.asked == 1 && n != 1 {
				t.Errorf("the service was asked %d times", n)
			}
			if common := metric(g, `cardea_coalesce_requests_total{outcome="shared",route="r"}`) == "4"; common != (test.asked == 1) {
				t.Errorf("shared: %v", common)
			}
		})
	}
}

// fiveGet has five ask at once.
func fiveGet(t *testing.T, g *gatewaytest.Gateway, want string) {
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if got := answered(t, g, "/x"); got != want {
				t.Errorf("%q, wanted %q", got, want)
			}
		})
	}
	all.Wait()
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

// TestWhatStandsInIsEncodedForThoseWhoWaitTogether as it is for everyone else.
func TestWhatStandsInIsEncodedForThoseWhoWaitTogether(t *testing.T) {
	s := newService(t, hang)
	long := strings.Repeat("later ", 500)
	g := gateway(t, s.URL, s.URL, "{body: '"+long+"'}", ", timeout: 300ms, coalesce: {}, compress: {}")
	resp, body := g.Get("/x", "Accept-Encoding: gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); string(plain) != long || err != nil {
		t.Errorf("%v: %d bytes", err, len(plain))
	}
}
