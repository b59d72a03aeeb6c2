package mirror

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// upstreamFunc is an upstream that is a function.
type upstreamFunc func(ex *filter.Exchange, r *http.Request) (*http.Response, error)

func (f upstreamFunc) Name() string { return "next" }
func (f upstreamFunc) Do(ex *filter.Exchange, r *http.Request) (*http.Response, error) {
	return f(ex, r)
}

// server is an upstream that is a real server.
func server(t *testing.T, h http.HandlerFunc) filter.Upstream {
	s := httptest.NewServer(h)
	to, _ := url.Parse(s.URL)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
	})
	return upstreamFunc(func(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		return transport.RoundTrip(r)
	})
}

func newEnv(next filter.Upstream) *filter.Env {
	return &filter.Env{
		Route: &filter.Route{Name: "orders"}, Log: slog.New(slog.DiscardHandler), Metrics: observe.NewMetrics(),
		Upstream: func(name string) (filter.Upstream, error) {
			if name != "next" {
				return nil, errors.New("there is no upstream " + name)
			}
			return next, nil
		},
	}
}

func parse(t testing.TB, text string) config.Node {
	t.Helper()
	root, err := config.ParseTree("test.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return root.Field("mirror")
}

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// results returns the counters that are not 0.
func results(t *testing.T, env *filter.Env) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	vec := env.Metrics.Counter("mirror_requests_total", "Requests chosen to be mirrored, by what became of the copy.", "route", "upstream", "result")
	for _, name := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "failed", "timeout", "canceled", "body_too_large", "body_unread", "busy"} {
		var m dto.Metric
		if err := vec.WithLabelValues("orders", "next", name).Write(&m); err != nil {
			t.Fatal(err)
		}
		if v := m.GetCounter().GetValue(); v != 0 {
			got[name] = v
		}
	}
	return got
}

// routerParams are parameters as the router gives them.
type routerParams struct{ params }

func (p routerParams) Len() int                  { return len(p.params) }
func (p routerParams) At(i int) (string, string) { return p.params[i].name, p.params[i].value }
