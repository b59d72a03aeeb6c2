package mirror

import (
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func newEnv(t testing.TB, next func(*filter.Exchange, *http.Request) (*http.Response, error)) *filter.Env {
	return filtertest.NewEnv(t, "orders", filtertest.Upstream("next", next))
}

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, text).Field("mirror"))
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

// params are parameters with their values.
type params []struct{ name, value string }

// Get returns the value of the parameter with a name.
func (p params) Get(name string) (string, bool) {
	for i := range p {
		if p[i].name == name {
			return p[i].value, true
		}
	}
	return "", false
}

// routerParams are parameters as the router gives them.
type routerParams struct{ params }

func (p routerParams) Len() int                  { return len(p.params) }
func (p routerParams) At(i int) (string, string) { return p.params[i].name, p.params[i].value }
