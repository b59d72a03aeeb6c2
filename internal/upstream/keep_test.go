package upstream

import (
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// reloads builds the upstream of one snapshot after the other.
type reloads struct {
	t       *testing.T
	keeper  *keep.Keeper
	metrics *observe.Metrics
	scope   *keep.Scope // of the running snapshot
}

// load builds and starts the upstream of the next snapshot, and closes the one before.
func (r *reloads) load(change func(*config.Upstream), urls ...string) *Cluster {
	r.t.Helper()
	scope := r.keeper.Scope()
	c, err := Kept("orders", settings(change, urls...), Env{Metrics: r.metrics, Keeper: scope})
	if err != nil {
		r.t.Fatal(err)
	}
	c.Start()
	if r.scope != nil {
		if err := r.scope.Close(); err != nil {
			r.t.Error(err)
		}
	}
	r.scope = scope
	return c
}

func TestReload(t *testing.T) {
	bad, good := newBackend(t, says(502, "bad")), newBackend(t, says(200, "good"))
	r := &reloads{t: t, keeper: keep.New(), metrics: observe.NewMetrics()}
	withBreaker := func(u *config.Upstream) {
		u.Retry.Off = true
		u.Breaker = new(config.Breaker)
		u.Breaker.Default()
	}
	first := r.load(withBreaker, bad.URL, good.URL)
	for range 20 {
		do(first, get())
	}
	before := first.Status()
	if endpointOf(before, bad).EjectedUntil == nil {
		t.Fatalf("the bad one is not ejected: %+v", before)
	}
	if same := r.load(withBreaker, bad.URL, good.URL); same != first {
		t.Error("the same settings gave another cluster")
	}

	second := r.load(func(u *config.Upstream) { withBreaker(u); u.Retry.Off, u.Balance.By = false, "least_request" }, bad.URL, good.URL)
	if second == first || second.pool != first.pool || second.breaker != first.breaker {
		t.Error("with other settings for retries, connections and breaker are not those of before")
	}
	if e := endpointOf(second.Status(), bad); e.EjectedUntil == nil || !e.EjectedUntil.Equal(*endpointOf(before, bad).EjectedUntil) {
		t.Errorf("its ejection was forgotten: %+v", e)
	}
	if !first.closed {
		t.Error("the old cluster was not closed")
	}
	hits := bad.hits.Load()
	for range 10 {
		if got := do(second, get()); got.Body != "good" || got.Tries != 1 {
			t.Errorf("%+v", got)
		}
	}
	if bad.hits.Load() != hits {
		t.Error("the ejected endpoint was sent to")
	}

	if third := r.load(func(u *config.Upstream) { u.Timeout.Try = 1e9 }, bad.URL, good.URL); third.budget == nil || third.budget != second.budget {
		t.Error("a reload refilled the budget of retries")
	}

	third := r.load(func(u *config.Upstream) { u.Timeout.FirstByte = config.Duration(1e9) }, good.URL)
	if third.pool == second.pool {
		t.Error("other timeouts have the same pool")
	}
	if got := do(third, get()); got.Body != "good" {
		t.Errorf("%+v", got)
	}
	memory := third.memory
	if len(memory.parts) != 3 {
		t.Errorf("%d parts are held, want a pool, a budget and an endpoint", len(memory.parts))
	}
	_ = r.scope.Close()
	if len(memory.parts) != 0 {
		t.Errorf("at the end %d parts are held", len(memory.parts))
	}
}

func TestKeySaysAllThatMatters(t *testing.T) {
	base := Key("a", settings(nil, "http://a"))
	for name, change := range map[string]func(*config.Upstream){
		"weight":  func(u *config.Upstream) { u.Endpoints[0].Weight = 2 },
		"breaker": func(u *config.Upstream) { u.Breaker = &config.Breaker{} },
		"off":     func(u *config.Upstream) { u.Eject.Off = true },
		"status":  func(u *config.Upstream) { u.Eject.Status = nil },
		"budget":  func(u *config.Upstream) { u.Retry.Budget.Min.Count = 3 },
		"health":  func(u *config.Upstream) { u.Health = &config.HealthCheck{Path: "/x"} },
	} {
		if Key("a", settings(change, "http://a")) == base {
			t.Errorf("%s is not part of the key", name)
		}
	}
	if Key("b", settings(nil, "http://a")) == base || Key("a", settings(nil, "http://a")) != base {
		t.Error("the name is not part of the key, or the key is not stable")
	}
}
