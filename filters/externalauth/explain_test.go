package externalauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExplainAsksNobody(t *testing.T) {
	env := filtertest.NewEnv(t, "orders", filtertest.Server(t, "authz", func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	f := newFilter(t, env, "{to: authz, response_headers: [X-User]}")
	ex := &filter.Exchange{Dry: true, Request: httptest.NewRequest("GET", "/", nil), Route: env.Route}
	ex.Prepare(env.Slots())
	ex.Request.Header.Set("X-User", "eve")
	if v := f.Explain(ex); v.Action != filter.Unknown || !strings.Contains(v.Note, "authz/ is asked") || ex.Request.Header.Get("X-User") != "" {
		t.Errorf("got %+v", v)
	}
	if err := f.Request(ex); err == nil {
		t.Error("a dry exchange passes")
	}
}

func newFilter(t testing.TB, env *filter.Env, policy string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, "external_auth: "+policy).Field("external_auth"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func BenchmarkCached(b *testing.B) {
	f, ex := cached(b)
	b.ReportAllocs()
	for b.Loop() {
		ex.Identity = nil
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedParallel(b *testing.B) {
	f, first := cached(b)
	header := first.Request.Header.Clone()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: first.Route}
		ex.Prepare(2)
		ex.Request.Header = header.Clone()
		for pb.Next() {
			ex.Identity = nil
			if err := f.Request(ex); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAsked(b *testing.B) {
	env := filtertest.NewEnv(b, "orders", filtertest.Upstream("authz", func(*filter.Exchange, *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"X-User": {"ada"}}, Body: http.NoBody}, nil
	}))
	f := newFilter(b, env, "{to: authz, response_headers: [X-User], identity: {subject: X-User}}")
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/orders", nil), Route: env.Route}
	ex.Prepare(env.Slots())
	b.ReportAllocs()
	for b.Loop() {
		ex.Identity = nil
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}

// cached is a policy that remembers what it has been told of an exchange.
func cached(t testing.TB) (*filter.Filter, *filter.Exchange) {
	env := filtertest.NewEnv(t, "orders", filtertest.Server(t, "authz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-User", "ada")
		w.Header().Set("X-Groups", "staff")
	}))
	f := newFilter(t, env, "{to: authz, response_headers: [X-User], identity: {subject: X-User, groups: X-Groups}, cache: {key: [header.authorization, method, path], ttl: 1h}}")
	ex := &filter.Exchange{
		Request: httptest.NewRequest("GET", "/orders", nil), Route: env.Route,
		Original: filter.Original{Method: "GET", Path: "/orders", Scheme: "http", Host: "example.com"},
	}
	ex.Prepare(env.Slots())
	for name, value := range map[string]string{"Authorization": "Bearer " + strings.Repeat("x", 300), "Accept": "*/*", "User-Agent": "curl", "X-User": "eve"} {
		ex.Request.Header.Set(name, value)
	}
	if err := f.Request(ex); err != nil || ex.Identity == nil || ex.Identity.Subject != "ada" {
		t.Fatal(err, ex.Identity)
	}
	return f, ex
}

func TestCachedAllocatesNothing(t *testing.T) {
	f, ex := cached(t)
	if n := testing.AllocsPerRun(1000, func() { ex.Identity = nil; _ = f.Request(ex) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
