package observe

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request returns a request with fields.
func request(fields ...string) *http.Request {
	r, _ := http.NewRequest("GET", "http://api.example.com/orders/7", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func TestSpansReachTheCollector(t *testing.T) {
	c, m := newCollector(t), NewMetrics()
	tracer := newTracer(t, c.URL, m, func(c *config.Tracing) {
		c.Service, c.Headers = "edge", map[string]config.Secret{"X-Key": "secret"}
	})
	r := request("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate", "a=1,b=2")
	s := tracer.Start(r, "GET")
	s.Rename("GET /orders/{id}")
	s.Set(AttrRequestMethod, "GET")
	s.SetInt(AttrResponseStatus, 502)
	s.Set("cardea.some", []string{"a", "b"})
	s.Set("cardea.wait", 1500*time.Millisecond)
	s.Set("cardea.nil", nil)
	policy := s.Child("jwt")
	policy.End()
	try := s.Client("try")
	try.SetString(AttrUpstream, "orders")
	try.Fail(errors.New("connection refused"))
	try.Fail(nil)
	sent := request()
	try.Inject(sent.Header)
	try.End()
	s.End()
	s.End()
	if err := tracer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 3 || c.service != "edge" || c.path != "/v1/traces" || c.header.Get("X-Key") != "secret" {
		t.Fatalf("got %d spans of %q at %s with %v", len(c.spans), c.service, c.path, c.header)
	}
	server, child, client := c.spans["GET /orders/{id}"], c.spans["jwt"], c.spans["try"]
	if got := hex.EncodeToString(server.TraceId); got != "0af7651916cd43dd8448eb211c80319c" || got != s.TraceID() {
		t.Errorf("trace %s, span says %s", got, s.TraceID())
	}
	if hex.EncodeToString(server.ParentSpanId) != "b7ad6b7169203331" || server.TraceState != "a=1,b=2" {
		t.Errorf("parent %x, state %s", server.ParentSpanId, server.TraceState)
	}
	if !bytes.Equal(child.ParentSpanId, server.SpanId) || !bytes.Equal(client.ParentSpanId, server.SpanId) {
		t.Error("the children are not of the server's span")
	}
	kinds := []tracev1.Span_SpanKind{server.Kind, child.Kind, client.Kind}
	if diff := cmp.Diff([]tracev1.Span_SpanKind{tracev1.Span_SPAN_KIND_SERVER, tracev1.Span_SPAN_KIND_INTERNAL, tracev1.Span_SPAN_KIND_CLIENT}, kinds); diff != "" {
		t.Error(diff)
	}
	if client.Status.Code != tracev1.Status_STATUS_CODE_ERROR || client.Status.Message != "connection refused" {
		t.Errorf("status %v", client.Status)
	}
	attributes := map[string]string{}
	for _, a := range server.Attributes {
		attributes[a.Key] = strings.ReplaceAll(a.Value.String(), " ", "")
	}
	if len(attributes) != 4 || attributes[AttrRequestMethod] != `string_value:"GET"` || attributes[AttrResponseStatus] != `int_value:502` ||
		attributes["cardea.wait"] != "double_value:1.5" {
		t.Errorf("attributes %v", attributes)
	}
	want := http.Header{
		"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-" + hex.EncodeToString(client.SpanId) + "-01"},
		"Tracestate":  {"a=1,b=2"},
	}
	if diff := cmp.Diff(want, sent.Header); diff != "" {
		t.Error(diff)
	}
	if n := count(t, m.Counter("tracing_delivered_total", "").WithLabelValues()); n != 3 {
		t.Errorf("%v delivered", n)
	}
}

// A caller who is not trusted begins nothing here: its trace is only linked to.
func TestUntrustedCaller(t *testing.T) {
	c := newCollector(t)
	tracer := newTracer(t, c.URL, nil, func(c *config.Tracing) { c.Trust = false })
	r := request("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "tracestate", "a=1", "b3", "0")
	s := tracer.Start(r, "s")
	s.Inject(r.Header)
	s.End()
	if err := tracer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.spans["s"]
	if got == nil || len(got.ParentSpanId) != 0 || len(got.Links) != 1 || hex.EncodeToString(got.Links[0].TraceId) != "0af7651916cd43dd8448eb211c80319c" {
		t.Fatalf("got %v", got)
	}
	id, span := hex.EncodeToString(got.TraceId), hex.EncodeToString(got.SpanId)
	want := http.Header{"Traceparent": {"00-" + id + "-" + span + "-01"}, "B3": {id + "-" + span + "-1"}}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Error(diff)
	}

	none := newTracer(t, c.URL, nil, func(c *config.Tracing) { c.Trust, c.Sample = false, 0 })
	r = request("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate", "a=1")
	s = none.Start(r, "s")
	s.Inject(r.Header)
	if got := r.Header.Get("traceparent"); s.Recording() || !strings.HasSuffix(got, "-00") || strings.Contains(got, "0af7") || r.Header.Get("tracestate") != "" {
		t.Errorf("a stranger's word was taken: %v", r.Header)
	}
}

// A collector that does not answer holds up nobody.
func TestCollectorIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // takes connections, and never answers
	m := NewMetrics()
	var log bytes.Buffer
	cfg := config.Tracing{Endpoint: "http://" + l.Addr().String(), Sample: 1, Queue: 8, Timeout: config.Duration(20 * time.Millisecond)}
	tracer, err := NewTracer(cfg, TracerOptions{Metrics: m, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 2000 {
		tracer.Start(request(), "s").End()
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("2000 spans took %v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := tracer.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	tracer.Start(request(), "s").End()
	dropped := m.Counter("tracing_dropped_total", "", "reason")
	full, failed := count(t, dropped.WithLabelValues("queue_full")), count(t, dropped.WithLabelValues("collector"))
	if full == 0 || failed == 0 || full+failed != 2000 {
		t.Errorf("%v and %v dropped of 2000", full, failed)
	}
	if n := strings.Count(log.String(), "does not take spans"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}

func TestShutdownDeliversWhatWaits(t *testing.T) {
	c := newCollector(t)
	tracer := newTracer(t, c.URL+"/", nil, nil)
	for range 1500 {
		tracer.Start(request(), "s").End()
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spans["s"] == nil || c.requests != 3 || c.path != "/v1/traces" {
		t.Errorf("%d deliveries to %s", c.requests, c.path)
	}
}

// A shutdown that may not wait any longer ends a delivery that is under way.
func TestShutdownGivesUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tracer := newTracer(t, "http://"+l.Addr().String(), nil, nil)
	tracer.Start(request(), "s").End()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := tracer.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestOperatorIsToldOfRecovery(t *testing.T) {
	c := newCollector(t)
	var log bytes.Buffer
	cfg := config.Tracing{Endpoint: c.URL, Sample: 1}
	tracer, err := NewTracer(cfg, TracerOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{400, 400, 0, 0} {
		c.mu.Lock()
		c.status = status
		c.mu.Unlock()
		tracer.Start(request(), "s").End()
		if err := tracer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Count(log.String(), "level=WARN") != 1 || strings.Count(log.String(), "takes spans again") != 1 {
		t.Error(log.String())
	}
}

func TestSampling(t *testing.T) {
	c := newCollector(t)
	tracer := newTracer(t, c.URL, nil, func(c *config.Tracing) { c.Sample = 0.25 })
	sampled := 0
	for range 10_000 {
		if s := tracer.Start(request(), "s"); s.Recording() {
			sampled++
		}
	}
	if sampled < 2200 || sampled > 2800 {
		t.Errorf("%d of 10000 sampled", sampled)
	}
}

func TestOffMakesNothing(t *testing.T) {
	for _, c := range []config.Tracing{{}, {Endpoint: "http://x:4318", Off: true}} {
		tracer, err := NewTracer(c, TracerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if s := tracer.Start(request(), "s"); s != (Span{}) || tracer.On() {
			t.Error("off, and on")
		}
		if err := errors.Join(tracer.Flush(t.Context()), tracer.Shutdown(t.Context())); err != nil {
			t.Error(err)
		}
	}
	var none *Tracer
	s := none.Start(request(), "s").Child("c").Client("d")
	s.Set("a", 1)
	s.SetString("a", "b")
	s.SetInt("a", 1)
	s.Rename("x")
	s.Fail(errors.New("x"))
	s.Inject(http.Header{})
	s.End()
	if s.TraceID() != "" || s.Recording() {
		t.Error("the zero span records")
	}
}

func TestNoAllocationWithoutATrace(t *testing.T) {
	c := newCollector(t)
	off, _ := NewTracer(config.Tracing{}, TracerOptions{})
	unsampled := newTracer(t, c.URL, nil, func(c *config.Tracing) { c.Sample = 0 })
	plain := request()
	ignored := request("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	for name, f := range map[string]func() Span{
		"off":                func() Span { return off.Start(plain, "s") },
		"off, with a trace":  func() Span { return off.Start(ignored, "s") },
		"not sampled":        func() Span { return unsampled.Start(plain, "s") },
		"ignored by its own": func() Span { return unsampled.Start(ignored, "s") },
	} {
		if n := testing.AllocsPerRun(100, func() {
			s := f()
			child := s.Client("try")
			child.SetString("a", "b")
			child.SetInt("b", 1234567)
			child.End()
			s.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	c := newCollector(b)
	r := request()
	for name, share := range map[string]config.Share{"unsampled": 0, "sampled": 1} {
		tracer := newTracer(b, c.URL, nil, func(c *config.Tracing) { c.Sample = share })
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			h := http.Header{}
			for b.Loop() {
				s := tracer.Start(r, "s")
				s.Inject(h)
				s.End()
			}
		})
	}
	b.Run("off", func(b *testing.B) {
		var off *Tracer
		b.ReportAllocs()
		for b.Loop() {
			off.Start(r, "s").End()
		}
	})
}
