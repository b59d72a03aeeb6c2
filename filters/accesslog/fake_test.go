package accesslog

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newEnv is the environment of a route in a folder.
func newEnv(t testing.TB, dir string) *filter.Env {
	env := filtertest.NewEnv(t, "orders")
	env.Dir = dir
	return env
}

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, text).Field("log"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// exchange returns one that is over, 12.345 ms after it began.
func exchange(env *filter.Env, change func(*filter.Exchange)) *filter.Exchange {
	start := time.Now().Add(-12345 * time.Microsecond)
	r := httptest.NewRequest("GET", "/orders/7?page=2&token=s3cret", nil)
	r.Header = http.Header{"User-Agent": {"curl/8"}, "Referer": {"https://app.example.com/?code=abc&x=1"}, "X-Tenant": {"acme"}}
	ex := &filter.Exchange{
		Request: r, Route: env.Route, Client: netip.MustParseAddr("192.0.2.7"), ID: "id-1", Start: start,
		Original: filter.Original{Method: "GET", Scheme: "https", Host: "api.example.com", Path: "/orders/7", Query: "page=2&token=s3cret", Proto: "HTTP/1.1"},
		Identity: &filter.Identity{Subject: "ann lee", Consumer: "acme", Method: "jwt"},
		Upstream: "orders",
		Attempts: []filter.Attempt{{Upstream: "orders", Endpoint: "10.0.0.1:80", Start: start, Connect: time.Millisecond, FirstByte: 9 * time.Millisecond, Status: 200}},
		Sent:     1234, Received: 5, FirstByte: start.Add(10 * time.Millisecond), Status: 200,
	}
	ex.Prepare(env.Slots())
	if change != nil {
		change(ex)
	}
	return ex
}

// run takes an exchange through the phases.
func run(t testing.TB, f *filter.Filter, ex *filter.Exchange) {
	t.Helper()
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	f.Finish(ex)
}

// count returns the value of a counter.
func count(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		return -1
	}
	return m.GetCounter().GetValue()
}
