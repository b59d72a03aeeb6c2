package aggregate_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"cardea.dev/cardea/gatewaytest"
)

// spans are what a collector was sent.
type spans struct {
	mu  sync.Mutex
	all []*trace.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	b, _ := io.ReadAll(z)
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(b, &request); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// TestTracesAndMetrics: a span for each call, with its try at the upstream inside, and what it waited for; counters by what came of it.
func TestTracesAndMetrics(t *testing.T) {
	sent := &spans{}
	c := httptest.NewServer(sent)
	t.Cleanup(c.Close)
	t.Run("requests", func(t *testing.T) { // its gateway ends with it, which delivers the spans
		g := gatewaytest.New(t, "tracing: "+c.URL+"\n"+services(t, map[string]http.HandlerFunc{
			"a": says(`{"id":7}`), "bad": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		})+"routes:\n  - {match: /, name: home, aggregate: {first: a, second: {call: 'bad/{first.id}', optional: true}, third: {call: a, when: first.none}}}\n")
		if resp, body := g.Get("/"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, body)
		}
		checkMetrics(t, g)
	})
	sent.mu.Lock()
	defer sent.mu.Unlock()
	byName, inside := map[string]*trace.Span{}, map[string]int{}
	for _, s := range sent.all {
		byName[s.Name] = s
		inside[string(s.ParentSpanId)]++
	}
	for _, name := range []string{"call first", "call second"} {
		if s := byName[name]; s == nil || inside[string(s.SpanId)] == 0 {
			t.Errorf("%s is %v, with %d inside", name, s, inside[string(s.GetSpanId())])
		}
	}
	second := byName["call second"]
	waited := slices.ContainsFunc(second.GetAttributes(), func(a *common.KeyValue) bool {
		return a.Key == "cardea.call.after" && strings.Contains(a.Value.String(), "first")
	})
	if !waited || second.GetStatus().GetCode() != trace.Status_STATUS_CODE_ERROR || byName["call third"] != nil {
		t.Errorf("%v; %v", second, byName["call third"])
	}
}

// TestTracedCallsAreMadeOnce: what a trace adds to a request does not make it another one.
func TestTracedCallsAreMadeOnce(t *testing.T) {
	c := httptest.NewServer(&spans{})
	t.Cleanup(c.Close)
	var asked atomic.Int64
	g := gatewaytest.New(t, "tracing: "+c.URL+"\n"+services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		says(`{"id":7}`)(w, r)
	}})+"routes:\n  - {match: /, aggregate: {a: u, b: {call: u, when: a.id == 7}}}\n")
	if resp, body := g.Get("/"); resp.StatusCode != 200 || body != `{"a":{"id":7},"b":{"id":7}}` || asked.Load() != 1 {
		t.Errorf("%d %s, after %d requests", resp.StatusCode, body, asked.Load())
	}
}

func checkMetrics(t *testing.T, g *gatewaytest.Gateway) {
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
}
