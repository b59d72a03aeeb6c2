package gatewaytest_test

import (
	"fmt"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

// missKind is a policy that says of all that a cache missed it, and refuses it.
func missKind() filter.Kind {
	return filter.Define("refuse_missed", filter.Cache, func(*filter.Env, *struct {
		// On has no meaning.
		On bool `yaml:"on,short"`
	},
	) (*filter.Filter, error) {
		return &filter.Filter{Request: func(ex *filter.Exchange) error {
			ex.Cached = filter.Cached{Outcome: filter.CacheMiss, Why: "uri-miss"}
			return filter.Reject(filter.UpstreamTimeout, "")
		}}, nil
	})
}

// TestWhatACacheDidIsTold in the trace of a request, and where its failure is looked up.
func TestWhatACacheDidIsTold(t *testing.T) {
	c := newSpans(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
tracing: {endpoint: %q, headers: {x-key: secret}, sample: 100%%}
routes: [{match: /**, respond: ok, refuse_missed: true}]
`, c.URL), missKind())
	resp, _ := g.Get("/a")
	failure, ok := g.Engine.Past(resp.Header.Get("X-Request-Id"))
	if !ok || failure.Cache != "miss" || failure.CacheWhy != "uri-miss" {
		t.Errorf("the failure is %+v", failure)
	}
	if text := failure.Text(); !strings.Contains(text, "\ncache   miss uri-miss\n") {
		t.Errorf("it is told as\n%s", text)
	}
	g.Shutdown(t.Context()) // sends the spans
	spans := c.named("GET /**")
	if len(spans) != 1 || attribute(spans[0], "cardea.cache") != "miss" {
		t.Errorf("the spans are %v", spans)
	}
}
