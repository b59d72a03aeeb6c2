package aggregate_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"cardea.dev/cardea/gatewaytest"
)

// TestTracesAndMetrics: a span for each call, with its try at the upstream inside, and what it waited for; counters by what came of it.
func TestTracesAndMetrics(t *testing.T) {
	var mu sync.Mutex
	var spans []*trace.Span
	c := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, _ := io.ReadAll(z)
		var request collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(b, &request); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, s := range resource.ScopeSpans {
				spans = append(spans, s.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	t.Run("requests", func(t *testing.T) { // its gateway ends with it, which delivers the spans
		g := gatewaytest.New(t, "tracing: "+c.URL+"\n"+services(t, map[string]http.HandlerFunc{
			"a": says(`{"id":7}`), "bad": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		})+"routes:\n  - {match: /, name: home, aggregate: {first: a, second: {call: 'bad/{first.id}', optional: true}, third: {call: a, when: first.none}}}\n")
		if resp, body := g.Get("/"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, body)
		}
		rec := httptest.NewRecorder()
		g.Metrics.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		for _, line := range []string{
			`cardea_aggregate_calls_total{call="first",result="ok",route="home"} 1`, `cardea_aggregate_calls_total{call="second",result="failed",route="home"} 1`,
			`cardea_aggregate_calls_total{call="third",result="skipped",route="home"} 1`, `cardea_aggregate_call_duration_seconds_count{call="first",route="home"} 1`,
			`cardea_aggregate_partial_total{route="home"} 1`,
		} {
			if !strings.Contains(rec.Body.String(), line+"\n") {
				t.Errorf("there is no %s", line)
			}
		}
	})
	mu.Lock()
	defer mu.Unlock()
	byName, inside := map[string]*trace.Span{}, map[string]int{}
	for _, s := range spans {
		byName[s.Name] = s
		inside[string(s.ParentSpanId)]++
	}
	for _, name := range []string{"call first", "call second"} {
		s := byName[name]
		if s == nil || inside[string(s.SpanId)] == 0 {
			t.Errorf("%s is %v, with %d inside", name, s, inside[string(s.GetSpanId())])
		}
	}
	second := byName["call second"]
	if second.GetStatus().GetCode() != trace.Status_STATUS_CODE_ERROR {
		t.Errorf("the one that failed: %v", second)
	}
	waited := false
	for _, a := range second.GetAttributes() {
		waited = waited || a.Key == "cardea.call.after" && strings.Contains(a.Value.String(), "first")
	}
	if !waited || byName["call third"] != nil {
		t.Errorf("%v; %v", second, byName["call third"])
	}
}
