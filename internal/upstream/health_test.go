package upstream

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// checked sets quick health checks.
func checked(u *config.Upstream) {
	u.Health = new(config.HealthCheck)
	u.Health.Default()
	u.Health.Path, u.Health.Interval, u.Health.Unhealthy = "/healthz", config.Duration(5*time.Millisecond), 2
	_ = u.Health.Validate()
}

// newChecked starts a service that says how it is, and counts requests that are no checks.
func newChecked(t testing.TB, name string) (b *backend, sick *atomic.Bool) {
	sick = new(atomic.Bool)
	b = newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			b.hits.Add(-1)
			if sick.Load() {
				w.WriteHeader(500)
			}
			return
		}
		_, _ = io.WriteString(w, name)
	})
	return b, sick
}

func TestHealth(t *testing.T) {
	a, aSick := newChecked(t, "a")
	b, bSick := newChecked(t, "b")
	c := newCluster(t, func(u *config.Upstream) {
		checked(u)
		u.SlowStart = config.Duration(time.Hour)
	}, a.URL, b.URL)
	available := func(n int) func() bool { return func() bool { return c.Status().Available == n } }
	aSick.Store(true)
	waitFor(t, available(1))
	for range 10 {
		if got := do(c, get()); got.Body != "b" {
			t.Errorf("with a sick: %+v", got)
		}
	}
	if e := endpointOf(c.Status(), a); e.Healthy || e.Reason != "status 500" || e.InUse {
		t.Errorf("its status is %+v", e)
	}
	if text := c.Explain(&filter.Exchange{Request: get()}); !strings.Contains(text, "unhealthy (status 500)") {
		t.Errorf("explain says: %s", text)
	}
	bSick.Store(true)
	waitFor(t, available(0))
	if got := do(c, get()); got.Code != filter.UpstreamUnavailable {
		t.Errorf("with all sick: %+v", got)
	}
	bSick.Store(false)
	waitFor(t, available(1))
	time.Sleep(time.Millisecond)
	aSick.Store(false)
	waitFor(t, available(2))
	count := map[string]int{}
	for range 1000 {
		count[do(c, get()).Body]++
	}
	if count["a"] < 250 || count["b"] < 250 { // both have just come up, and share alike
		t.Errorf("after both came up: %v", count)
	}
}

// A slow start begins when an endpoint is healthy again, and not when the gateway starts.
func TestSlowStartOfOneThatIsBack(t *testing.T) {
	a, aSick := newChecked(t, "a")
	b, _ := newChecked(t, "b")
	c := newCluster(t, func(u *config.Upstream) {
		checked(u)
		u.SlowStart = config.Duration(time.Hour)
	}, a.URL, b.URL)
	share := func() (n int) {
		for range 1000 {
			if do(c, get()).Body == "a" {
				n++
			}
		}
		return n
	}
	if n := share(); n < 450 || n > 550 {
		t.Errorf("at the start a gets %d of 1000", n)
	}
	aSick.Store(true)
	waitFor(t, func() bool { return c.Status().Available == 1 })
	aSick.Store(false)
	waitFor(t, func() bool { return c.Status().Available == 2 })
	if n := share(); n < 30 || n > 170 { // a tenth of b's
		t.Errorf("when it is back a gets %d of 1000", n)
	}
}

// An endpoint that was sick is so for the next configuration too, before it was checked anew.
func TestHealthLivesOn(t *testing.T) {
	a, aSick := newChecked(t, "a")
	b, _ := newChecked(t, "b")
	aSick.Store(true)
	r := &reloads{t: t, keeper: keep.New(), metrics: observe.NewMetrics()}
	defer func() { _ = r.scope.Close() }()
	first := r.load(checked, a.URL, b.URL)
	waitFor(t, func() bool { return first.Status().Available == 1 })
	second := r.load(func(u *config.Upstream) {
		checked(u)
		u.Health.Interval = config.Duration(time.Hour)
		u.Retry.Off = true
	}, a.URL, b.URL)
	if second == first || second.Status().Available != 1 {
		t.Errorf("right after the reload: %+v", second.Status())
	}
	third := r.load(nil, a.URL, b.URL)
	if third.Status().Available != 2 {
		t.Errorf("without checks: %+v", third.Status())
	}
}
