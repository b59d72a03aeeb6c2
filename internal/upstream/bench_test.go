package upstream

import (
	"io"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/breaker"
	"cardea.dev/cardea/internal/upstream/pool"
)

// BenchmarkDo is a whole request to a service on loopback, beside the round trip alone.
func BenchmarkDo(b *testing.B) {
	srv := newBackend(b, says(200, "hello"))
	c := newCluster(b, func(u *config.Upstream) { u.Balance.By = "least_request" }, srv.URL)
	b.Run("pool", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req := get()
			resp, err := c.pool.RoundTrip(req.Context(), req, pool.Target{Scheme: "http", Address: srv.address()}, nil)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	b.Run("cluster", func(b *testing.B) { benchmarkDo(b, c) })
	b.Run("adaptive", func(b *testing.B) {
		benchmarkDo(b, newCluster(b, func(u *config.Upstream) { u.Limits.Adaptive = &config.AdaptiveLimit{Start: 20} }, srv.URL))
	})
	other := newBackend(b, says(200, "hello"))
	b.Run("hedge", func(b *testing.B) {
		benchmarkDo(b, newCluster(b, func(u *config.Upstream) {
			u.Hedge = new(config.Hedge)
			u.Hedge.Default()
		}, srv.URL, other.URL))
	})
}

func benchmarkDo(b *testing.B, c *Cluster) {
	b.ReportAllocs()
	ex := &filter.Exchange{}
	for b.Loop() {
		ex.Request, ex.Attempts = get(), ex.Attempts[:0]
		resp, err := c.Do(ex, ex.Request)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// BenchmarkChoose is what a Cluster does for a request beside the round trip.
func BenchmarkChoose(b *testing.B) {
	c := newCluster(b, func(u *config.Upstream) {
		u.Breaker = new(config.Breaker)
		u.Breaker.Default()
	}, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	ex := &filter.Exchange{Request: get()}
	x, err := c.begin(ex, ex.Request)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		chooseAndCount(b, x)
	}
}

// chooseAndCount does all that a try does but the round trip.
func chooseAndCount(t testing.TB, x *call) {
	x.tries, x.tried, x.ex.Attempts = 0, x.first[:0], x.ex.Attempts[:0]
	e, ticket, err := x.choose()
	if err != nil {
		t.Fatal(err)
	}
	x.cluster.budget.request(x.cluster.now())
	x.begin(e, ticket)
	x.endTry(outcome{breaker.Success, breaker.Success}, nil)
}

func TestChooseDoesNotAllocate(t *testing.T) {
	c := newCluster(t, nil, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	ex := &filter.Exchange{Request: get()}
	x, err := c.begin(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { chooseAndCount(t, x) }); n != 0 {
		t.Errorf("%v allocations for a choice", n)
	}
}
