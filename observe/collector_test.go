package observe

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"cardea.dev/cardea/config"
)

// collector takes OTLP over HTTP.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	spans    map[string]*tracev1.Span // by name
	service  string
	header   http.Header
	path     string
	requests int
	status   int // answered; 0 is 200
}

// newCollector starts a collector that the test's end stops.
func newCollector(t testing.TB) *collector {
	c := &collector{spans: map[string]*tracev1.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	b, err := io.ReadAll(body)
	var request v1.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &request)
	}
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	c.header, c.path = r.Header, r.URL.Path
	for _, resource := range request.ResourceSpans {
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				c.service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans[s.Name] = s
			}
		}
	}
	answer, _ := proto.Marshal(&v1.ExportTraceServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(answer)
}

// newTracer returns a tracer that sends to a collector, with the defaults changed by change. The test's end shuts it down.
func newTracer(t testing.TB, endpoint string, m *Metrics, change func(*config.Tracing)) *Tracer {
	t.Helper()
	var c config.Tracing
	c.Default()
	c.Endpoint = endpoint
	if change != nil {
		change(&c)
	}
	tracer, err := NewTracer(c, TracerOptions{Version: "1.2.3", Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		tracer.Shutdown(ctx)
	})
	return tracer
}
