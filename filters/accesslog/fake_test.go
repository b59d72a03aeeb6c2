package accesslog

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// fakeExpressions knows two conditions and headers.
type fakeExpressions struct{}

func (fakeExpressions) Condition(source string) (filter.Condition, error) {
	switch source {
	case "response.status >= 400":
		return func(ex *filter.Exchange) (bool, error) { return ex.Status >= 400, nil }, nil
	case "broken":
		return func(*filter.Exchange) (bool, error) { return false, errors.New("no such key") }, nil
	}
	return nil, errors.New("undeclared reference to " + source)
}

func (fakeExpressions) Value(source string) (filter.Value, error) {
	name, ok := strings.CutPrefix(source, "header.")
	if !ok {
		return nil, errors.New("undeclared reference to " + source)
	}
	return func(ex *filter.Exchange) (string, bool) {
		v := ex.Request.Header.Get(name)
		return v, v != ""
	}, nil
}

func (fakeExpressions) Template(string) (filter.Template, error) { return nil, errors.New("not here") }

// fakeKeeper keeps for the length of a test.
type fakeKeeper struct{ values map[string]any }

func (k *fakeKeeper) Keep(key string, make func() (any, error)) (any, error) {
	if v, ok := k.values[key]; ok {
		return v, nil
	}
	v, err := make()
	if err == nil {
		k.values[key] = v
	}
	return v, err
}

func (k *fakeKeeper) close(t testing.TB) {
	for _, v := range k.values {
		if err := v.(*Writer).Close(); err != nil {
			t.Error(err)
		}
	}
}

func newEnv(t testing.TB, dir string) (*filter.Env, *fakeKeeper) {
	keeper := &fakeKeeper{values: map[string]any{}}
	t.Cleanup(func() { keeper.close(t) })
	return &filter.Env{
		Route: &filter.Route{Name: "orders"}, Dir: dir, Log: slog.New(slog.DiscardHandler), Metrics: observe.NewMetrics(),
		Expr: fakeExpressions{}, Keeper: keeper,
	}, keeper
}

// parse returns the configuration of the policy in a text.
func parse(t testing.TB, text string) config.Node {
	t.Helper()
	root, err := config.ParseTree("test.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return root.Field("log")
}

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, parse(t, text))
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
