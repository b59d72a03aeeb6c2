package upstream

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

func TestBreaker(t *testing.T) {
	b := newBackend(t, says(500, "broken"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Breaker = new(config.Breaker)
		u.Breaker.Default()
		u.Breaker.MinRequests, u.Breaker.OpenFor, u.Breaker.Probes = 5, config.Duration(time.Hour), 2
	}, b.URL)
	now := time.Now() // time stands still
	c.clock = func() time.Time { return now }
	for range 5 {
		if got, want := do(c, get()), (result{500, "broken", "", 1}); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	ex := &filter.Exchange{Request: get()}
	_, err := c.Do(ex, ex.Request)
	if e := filter.AsError(err); e.Code != filter.UpstreamBreakerOpen || e.Header.Get("Retry-After") != "3600" || len(ex.Attempts) != 0 || ex.Upstream != c.name {
		t.Fatalf("with the breaker open: %v, %v, of upstream %q", err, e.Header, ex.Upstream)
	}
	if hits := b.hits.Load(); hits != 5 {
		t.Errorf("%d were sent", hits)
	}
	now = now.Add(time.Hour + time.Minute)
	if got := do(c, get()); got.Status != 500 {
		t.Errorf("the first probe: %+v", got)
	}
	if got := do(c, get()); got.Code != filter.UpstreamBreakerOpen {
		t.Errorf("after a probe that failed: %+v", got)
	}
	b.set(says(200, "well"))
	now = now.Add(time.Hour + time.Minute)
	for i := range 10 {
		if got := do(c, get()); got.Status != 200 {
			t.Errorf("request %d to a service that is well: %+v", i, got)
		}
	}
	if s := c.Status().Breaker; s.State != "closed" {
		t.Errorf("at the end: %+v", s)
	}
}

// A probe that streams for ever shows that the service is well as soon as its answer begins.
func TestBreakerProbeThatStreams(t *testing.T) {
	b := newBackend(t, says(500, ""))
	c := newCluster(t, func(u *config.Upstream) {
		u.Breaker = new(config.Breaker)
		u.Breaker.Default()
		u.Breaker.MinRequests, u.Breaker.OpenFor, u.Breaker.Probes = 1, config.Duration(time.Nanosecond), 1
	}, b.URL)
	do(c, get())
	b.set(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ex := &filter.Exchange{Request: get()}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if s := c.Status().Breaker; s.State != "closed" {
		t.Errorf("while the probe streams: %+v", s)
	}
}

func TestEjection(t *testing.T) {
	bad, good := newBackend(t, says(502, "bad")), newBackend(t, says(200, "good"))
	c := newCluster(t, func(u *config.Upstream) { u.Retry.Off = true }, bad.URL, good.URL)
	for range 100 {
		do(c, get())
	}
	if hits := bad.hits.Load(); hits != 5 {
		t.Errorf("the bad one got %d, want 5", hits)
	}
	s := c.Status()
	if e := endpointOf(s, bad); e.EjectedUntil == nil || e.InUse || s.Available != 1 {
		t.Errorf("its status is %+v", e)
	}
	if text := c.Explain(&filter.Exchange{Request: get()}); !strings.Contains(text, "ejected for another") {
		t.Errorf("explain says: %s", text)
	}
	good.set(says(504, "bad too")) // the last one is not ejected
	for range 20 {
		if got := do(c, get()); got.Status != 504 {
			t.Fatalf("%+v", got)
		}
	}
}

// An endpoint that fails too often, though never long in a row, is ejected by name.
func TestEjectionByErrorRate(t *testing.T) {
	var answers atomic.Int64
	bad := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader([]int{200, 503}[answers.Add(1)%2])
	})
	good := newBackend(t, says(200, "good"))
	c := newCluster(t, func(u *config.Upstream) { u.Retry.Off = true }, bad.URL, good.URL)
	var log bytes.Buffer
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 100 {
		do(c, get())
	}
	c.endInterval()
	if e := endpointOf(c.Status(), bad); e.EjectedUntil == nil || e.InUse {
		t.Errorf("its status is %+v", e)
	}
	if want := "endpoint=" + strings.TrimPrefix(bad.URL, "http://"); !strings.Contains(log.String(), want) {
		t.Errorf("%q is not in the log:\n%s", want, &log)
	}
}

// An ejected endpoint comes back by itself.
func TestEjectionEnds(t *testing.T) {
	bad, good := newBackend(t, says(502, "bad")), newBackend(t, says(200, "good"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Retry.Off = true
		u.Eject.Consecutive, u.Eject.For = 1, config.Duration(20*time.Millisecond)
	}, bad.URL, good.URL)
	for bad.hits.Load() == 0 {
		do(c, get())
	}
	bad.set(says(200, "better"))
	deadline := time.Now().Add(5 * time.Second)
	for bad.hits.Load() < 3 && time.Now().Before(deadline) {
		do(c, get())
	}
	if bad.hits.Load() < 3 {
		t.Error("it did not come back")
	}
}

// endpointOf finds a service in a status.
func endpointOf(s Status, b *backend) EndpointStatus {
	for _, e := range s.Endpoints {
		if e.Address == b.address() {
			return e
		}
	}
	return EndpointStatus{}
}

func TestLimits(t *testing.T) {
	hold := make(chan struct{})
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) { <-hold })
	c := newCluster(t, func(u *config.Upstream) {
		u.Limits.Requests, u.Limits.Pending, u.Limits.PendingWait = 2, 1, config.Duration(time.Minute)
	}, b.URL)
	results := make(chan result, 3)
	for range 3 {
		go func() { results <- do(c, get()) }()
	}
	waitFor(t, func() bool { return b.hits.Load() == 2 && c.Status().Limit.Waiting == 1 })
	if got, want := do(c, get()), (result{Code: filter.UpstreamOverloaded}); got != want {
		t.Errorf("the fourth: %+v, want %+v", got, want)
	}
	close(hold)
	for range 3 {
		if got := <-results; got.Status != 200 {
			t.Errorf("%+v", got)
		}
	}
}

// waitFor waits until something holds that other goroutines bring about.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came about")
		}
	}
}

func TestPriorityAndWeight(t *testing.T) {
	first, second, never := newBackend(t, says(200, "first")), newBackend(t, says(200, "second")), newBackend(t, says(200, "never"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Endpoints[1].Priority, u.Endpoints[2].Weight = 1, 0
	}, first.URL, second.URL, never.URL)
	for range 10 {
		if got := do(c, get()); got.Body != "first" {
			t.Errorf("%+v", got)
		}
	}
	c.setSick(first.address(), true)
	for range 10 {
		if got := do(c, get()); got.Body != "second" {
			t.Errorf("with the first sick: %+v", got)
		}
	}
	c.setSick(second.address(), true)
	if got := do(c, get()); got.Code != filter.UpstreamUnavailable || got.Tries != 0 {
		t.Errorf("with all sick: %+v", got)
	}
}

// setSick sets the health of an endpoint.
func (c *Cluster) setSick(address string, sick bool) {
	for _, e := range c.table.Load().endpoints {
		if e.name == address {
			e.sick.Store(sick)
		}
	}
	c.refresh()
}

func TestPanic(t *testing.T) {
	var urls []string
	var backends []*backend
	for range 4 {
		b := newBackend(t, says(200, "ok"))
		backends, urls = append(backends, b), append(urls, b.URL)
	}
	c := newCluster(t, func(u *config.Upstream) { u.Panic = 0.5 }, urls...)
	used := func() (n int) {
		for _, b := range backends {
			b.hits.Store(0)
		}
		for range 40 {
			do(c, get())
		}
		for _, b := range backends {
			if b.hits.Load() > 0 {
				n++
			}
		}
		return n
	}
	var got []int
	for _, b := range backends {
		got = append(got, used())
		c.setSick(b.address(), true)
	}
	got = append(got, used())
	if want := []int{4, 3, 2, 4, 4}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("with 0, 1, 2, 3, 4 sick, %v are used, want %v", got, want)
	}
}
