package observe

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/config"
)

// count reads a counter or gauge.
func count(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	if d.Gauge != nil {
		return d.Gauge.GetValue()
	}
	return d.Counter.GetValue()
}

// scrape reads what is served.
func scrape(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, _ := io.ReadAll(w.Body)
	return string(b)
}

func TestMetricsAreServed(t *testing.T) {
	m := NewMetrics()
	m.Process("1.2.3")
	m.Process("1.2.3")
	m.Counter("requests_total", "Requests.", "route").WithLabelValues("orders").Add(2)
	m.Gauge("open_connections", "Connections.").WithLabelValues().Set(3)
	m.Histogram("request_seconds", "Durations.", nil, "route").WithLabelValues("orders").Observe(0.2)
	text := scrape(m)
	for _, want := range []string{
		`cardea_build_info{go="go1.`, `version="1.2.3"} 1`, "\ngo_goroutines ", "\nprocess_open_fds ",
		`cardea_requests_total{route="orders"} 2`, "\ncardea_open_connections 3", `cardea_request_seconds_count{route="orders"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestSameNameIsSameMetric(t *testing.T) {
	m := NewMetrics()
	m.Counter("x_total", "First.", "a").WithLabelValues("1").Inc()
	m.Counter("x_total", "Second.", "a").WithLabelValues("1").Inc()
	if n := count(t, m.Counter("x_total", "", "a").WithLabelValues("1")); n != 2 {
		t.Errorf("counted %v", n)
	}
	for name, f := range map[string]func(){
		"other labels": func() { m.Counter("x_total", "", "b") },
		"other kind":   func() { m.Gauge("x_total", "", "a") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: nothing was said", name)
				}
			}()
			f()
		}()
	}
}

func TestForget(t *testing.T) {
	m := NewMetrics()
	c := m.Counter("requests_total", "Requests.", "route", "code")
	for _, route := range []string{"a", "b"} {
		c.WithLabelValues(route, "200").Inc()
		c.WithLabelValues(route, "404").Inc()
		m.Gauge("active", "Active.", "route").WithLabelValues(route).Inc()
	}
	m.Gauge("other", "Other.").WithLabelValues().Inc()
	if n := m.Forget("route", "a"); n != 3 {
		t.Errorf("%d forgotten", n)
	}
	text := scrape(m)
	if strings.Contains(text, `route="a"`) || strings.Count(text, `route="b"`) != 3 || !strings.Contains(text, "cardea_other 1") {
		t.Error(text)
	}
}

func TestDefinitions(t *testing.T) {
	m := NewMetrics()
	m.Histogram("request_seconds", "How long requests took.", nil, "route")
	m.Counter("requests_total", "How many there were.", "route", "code")
	want := []Definition{
		{Name: "cardea_request_seconds", Kind: "histogram", Help: "How long requests took.", Labels: []string{"route"}},
		{Name: "cardea_requests_total", Kind: "counter", Help: "How many there were.", Labels: []string{"route", "code"}},
	}
	if diff := cmp.Diff(want, m.Definitions()); diff != "" {
		t.Error(diff)
	}
}

func TestDefinitionCheck(t *testing.T) {
	for _, d := range []Definition{
		{Name: "requests_total", Kind: "counter", Help: "X."},
		{Name: "cardea_Requests_total", Kind: "counter", Help: "X."},
		{Name: "cardea_requests", Kind: "counter", Help: "X."},
		{Name: "cardea_active_total", Kind: "gauge", Help: "X."},
		{Name: "cardea_wait_ms", Kind: "histogram", Help: "X."},
		{Name: "cardea_wait_duration", Kind: "histogram", Help: "X."},
		{Name: "cardea_body_size", Kind: "histogram", Help: "X."},
		{Name: "cardea_active", Kind: "gauge", Help: "no sentence"},
		{Name: "cardea_active", Kind: "gauge", Help: "X.", Labels: []string{"routeName"}},
	} {
		if d.Check() == nil {
			t.Errorf("%+v passes", d)
		}
	}
}

// The metrics of this package itself are named as all are.
func TestOwnNames(t *testing.T) {
	m := NewMetrics()
	m.Process("1")
	newTracer(t, "http://127.0.0.1:1", m, func(*config.Tracing) {})
	for _, d := range m.Definitions() {
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	}
}
