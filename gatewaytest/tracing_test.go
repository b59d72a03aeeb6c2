package gatewaytest_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"cardea.dev/cardea/gatewaytest"
)

// spans is a collector of OTLP over HTTP that remembers the spans it got.
type spans struct {
	*httptest.Server
	mu  sync.Mutex
	all []*trace.Span
}

func newSpans(t *testing.T) *spans {
	t.Helper()
	c := &spans{}
	c.Server = upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("the collector got %s %s: %v", r.Method, r.URL, err)
			w.WriteHeader(400)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	return c
}

func (c *spans) take(r *http.Request) error {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = unzipped
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &request); err != nil {
		return err
	}
	if r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "secret" {
		return fmt.Errorf("header %v", r.Header)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.all = append(c.all, scope.Spans...)
		}
	}
	return nil
}

// drawn are the spans so far as a tree, one line each: depth, name, kind and some of the attributes.
func (c *spans) drawn() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.all, func(a, b *trace.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	var lines []string
	var draw func(parent []byte, indent string)
	draw = func(parent []byte, indent string) {
		for _, s := range c.all {
			if string(s.ParentSpanId) != string(parent) {
				continue
			}
			line := indent + s.Name + " " + strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
			for _, name := range []string{"http.response.status_code", "http.request.resend_count", "error.type"} {
				if v := attribute(s, name); v != "" {
					line += " " + name + "=" + v
				}
			}
			lines = append(lines, line)
			draw(s.SpanId, indent+"  ")
		}
	}
	draw(nil, "")
	return lines
}

func attribute(s *trace.Span, name string) string {
	i := slices.IndexFunc(s.Attributes, func(a *common.KeyValue) bool { return a.Key == name })
	if i < 0 {
		return ""
	}
	if n, ok := s.Attributes[i].Value.Value.(*common.AnyValue_IntValue); ok {
		return fmt.Sprint(n.IntValue)
	}
	return s.Attributes[i].Value.GetStringValue()
}

func (c *spans) named(name string) []*trace.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*trace.Span
	for _, s := range c.all {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func TestARequestIsTracedFromEndToEnd(t *testing.T) {
	c := newSpans(t)
	var tries atomic.Int64
	var mu sync.Mutex
	var parents []string
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		parents = append(parents, r.Header.Get("Traceparent"))
		mu.Unlock()
		if tries.Add(1) == 1 {
			w.WriteHeader(503)
		}
	})
	g := gatewaytest.New(t, `
tracing: {endpoint: "`+c.URL+`", headers: {X-Key: secret}}
upstreams: {u: {endpoints: `+up.URL+`, retry: {times: 1, on: [503], backoff: 1ms}}}
routes:
  - match: /orders/{id}
    name: orders
    to: u
    timeout: 5s
    headers: {request: {set: {X-A: b}}}
`)
	const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if resp, body := g.Get("/orders/7", "Traceparent: "+caller, "Tracestate: vendor=1"); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := g.Get("/nowhere"); resp.StatusCode != 404 {
		t.Fatal(resp.StatusCode)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	g.Shutdown(ctx) // delivers what is left

	roots := c.named("GET orders")
	if len(roots) != 1 || hex.EncodeToString(roots[0].TraceId) != "0af7651916cd43dd8448eb211c80319c" || hex.EncodeToString(roots[0].ParentSpanId) != "b7ad6b7169203331" {
		t.Fatalf("the gateway's span carries the caller's trace on: %v", c.drawn())
	}
	for name, want := range map[string]string{
		"http.request.method": "GET", "url.path": "/orders/7", "http.response.status_code": "200", "client.address": "127.0.0.1",
	} {
		if got := attribute(roots[0], name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	client := c.named("upstream u")
	var want []string
	for _, s := range client {
		want = append(want, "00-0af7651916cd43dd8448eb211c80319c-"+hex.EncodeToString(s.SpanId)+"-01")
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(want)
	slices.Sort(parents)
	if diff := cmp.Diff(want, parents); diff != "" || len(client) != 2 {
		t.Errorf("each try is a span, whose child the upstream is: %s", diff)
	}
	roots[0].ParentSpanId = nil // the caller's span is not here
	if diff := cmp.Diff([]string{
		"GET orders server http.response.status_code=200",
		"  policy timeout internal",
		"  policy overload internal",
		"  policy headers internal",
		"  upstream u client http.response.status_code=503 http.request.resend_count=0",
		"  upstream u client http.response.status_code=200 http.request.resend_count=1",
		"GET server http.response.status_code=404 error.type=route_not_found",
		"  policy overload internal",
	}, c.drawn()); diff != "" {
		t.Error(diff)
	}
}

func TestTraceFieldsPassWhenTracingIsOff(t *testing.T) {
	g := gatewaytest.New(t, "upstreams: {u: "+echo(t, "u").URL+"}\nroutes: [{match: /**, to: u}]")
	want := map[string]string{
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "vendor=1",
		"B3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", "X-B3-Traceid": "80f198ee56343ba864fe8b2a57d3eff7",
		"X-B3-Spanid": "e457b5a2e4d86bd1", "X-B3-Sampled": "1", "Baggage": "a=b",
	}
	var fields []string
	for name, value := range want {
		fields = append(fields, name+": "+value)
	}
	_, body := g.Get("/a", fields...)
	got := map[string]string{}
	for name, values := range parse(t, body).Header {
		if _, ok := want[name]; ok {
			got[name] = strings.Join(values, ",")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	g := gatewaytest.New(t, `
upstreams: {u: {endpoints: `+echo(t, "u").URL+`, health: /}}
tracing: http://127.0.0.1:1
log: {file: `+t.TempDir()+`/access.log}
compress: {}
routes:
  - {match: /a/**, to: u, cors: [https://a.example], body_limit: 1KiB, timeout: 5s, mirror: u, rewrite: /x}
  - {match: /b, respond: b}
`)
	for _, path := range []string{"/a/x", "/b", "/nowhere"} {
		g.Get(path)
	}
	defined := g.Metrics.Definitions()
	if len(defined) < 20 {
		t.Errorf("there are only %d metrics", len(defined))
	}
	for _, d := range defined {
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	}
	families, err := g.Metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if len(f.Metric) > 200 {
			t.Errorf("%s has %d series after three requests", f.GetName(), len(f.Metric))
		}
	}
}
