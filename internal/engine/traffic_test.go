package engine

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

func TestTraffic(t *testing.T) {
	m := observe.NewMetrics()
	r := newRoutes(m)
	named := func(names ...string) *Snapshot {
		s := &Snapshot{Unmatched: &Route{}}
		for _, name := range names {
			s.Routes = append(s.Routes, &Route{Route: filter.Route{Name: name}})
		}
		return s
	}
	first := named("a", "b")
	r.renew(first)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for _, status := range []int{200, 204, 0, 404, 503, 502, 200} {
				first.Routes[0].traffic.count(&filter.Exchange{Status: status, Sent: 10, Received: 1}, 20*time.Millisecond)
			}
		})
	}
	wait.Wait()
	first.Routes[1].traffic.count(&filter.Exchange{Status: 200}, 90*time.Second)
	second := named("a", "c") // b is gone
	r.renew(second)
	second.Routes[0].traffic.count(&filter.Exchange{Status: 200}, time.Millisecond)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var got []string
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "_bucket") || strings.Contains(line, `route="a",le="0.0`) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`cardea_request_bytes_total{route="-"} 0`,
		`cardea_request_bytes_total{route="a"} 28`,
		`cardea_request_bytes_total{route="c"} 0`,
		`cardea_request_duration_seconds_sum{route="-"} 0`,
		`cardea_request_duration_seconds_count{route="-"} 0`,
		`cardea_request_duration_seconds_bucket{route="a",le="0.001"} 1`,
		`cardea_request_duration_seconds_bucket{route="a",le="0.0025"} 1`,
		`cardea_request_duration_seconds_bucket{route="a",le="0.005"} 1`,
		`cardea_request_duration_seconds_bucket{route="a",le="0.01"} 1`,
		`cardea_request_duration_seconds_bucket{route="a",le="0.025"} 29`,
		`cardea_request_duration_seconds_bucket{route="a",le="0.05"} 29`,
		`cardea_request_duration_seconds_sum{route="a"} 0.561`,
		`cardea_request_duration_seconds_count{route="a"} 29`,
		`cardea_request_duration_seconds_sum{route="c"} 0`,
		`cardea_request_duration_seconds_count{route="c"} 0`,
		`cardea_requests_total{route="a",status="200"} 9`,
		`cardea_requests_total{route="a",status="204"} 4`,
		`cardea_requests_total{route="a",status="404"} 4`,
		`cardea_requests_total{route="a",status="499"} 4`,
		`cardea_requests_total{route="a",status="502"} 4`,
		`cardea_requests_total{route="a",status="503"} 4`,
		`cardea_response_bytes_total{route="-"} 0`,
		`cardea_response_bytes_total{route="a"} 280`,
		`cardea_response_bytes_total{route="c"} 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	var tr traffic
	ex := &filter.Exchange{Status: 200, Sent: 1}
	if n := testing.AllocsPerRun(100, func() { tr.count(ex, time.Second) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
