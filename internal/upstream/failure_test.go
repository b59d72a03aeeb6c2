package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/pool"
	"cardea.dev/cardea/observe"
)

func TestClassify(t *testing.T) {
	alive := context.Background()
	gone, cancel := context.WithCancel(alive)
	cancel()
	late, cancelLate := context.WithDeadlineCause(alive, time.Now().Add(-time.Second), filter.Reject(filter.UpstreamTimeout, "route"))
	defer cancelLate()
	over := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(alive)
		cancel(cause)
		return ctx
	}
	type meaning struct {
		code   filter.Code
		reason string
		sent   bool
		blame  bool
		fresh  bool
	}
	for _, c := range []struct {
		name    string
		err     error
		ctx     context.Context
		limited context.Context
		want    meaning
	}{
		{"refused connection", &pool.Error{Phase: pool.Connect, Kind: pool.Failed}, alive, alive, meaning{filter.UpstreamConnectFailed, reasonConnect, false, true, false}},
		{"no connection in time", &pool.Error{Phase: pool.Connect, Kind: pool.TimedOut}, alive, alive, meaning{filter.UpstreamConnectFailed, reasonConnect, false, true, false}},
		{"no such name", &pool.Error{Phase: pool.Resolve, Kind: pool.Failed}, alive, alive, meaning{filter.UpstreamNotResolved, reasonConnect, false, true, false}},
		{"no handshake", &pool.Error{Phase: pool.TLS, Kind: pool.Failed}, alive, alive, meaning{filter.UpstreamTLSFailed, reasonConnect, false, true, false}},
		{"no free connection", &pool.Error{Phase: pool.Queue, Kind: pool.TimedOut}, alive, alive, meaning{filter.UpstreamOverloaded, reasonConnect, false, false, false}},
		{"reset", &pool.Error{Phase: pool.Header, Kind: pool.Reset, Sent: true}, alive, alive, meaning{filter.UpstreamReset, reasonReset, true, true, false}},
		{"refused certificate", &pool.Error{Phase: pool.Header, Kind: pool.Reset, Sent: true, Err: &net.OpError{Op: "remote error", Err: tls.AlertError(116)}}, alive, alive, meaning{filter.UpstreamTLSFailed, reasonReset, true, true, false}},
		{"no answer in time", &pool.Error{Phase: pool.Header, Kind: pool.TimedOut, Sent: true}, alive, alive, meaning{filter.UpstreamTimeout, reasonTimeout, true, true, false}},
		{"a connection that had ended", &pool.Error{Phase: pool.Header, Kind: pool.IdleClosed, Sent: true}, alive, alive, meaning{filter.UpstreamReset, reasonReset, true, false, true}},
		{"refused stream", &pool.Error{Phase: pool.Header, Kind: pool.Refused}, alive, alive, meaning{filter.UpstreamReset, reasonReset, false, false, false}},
		{"no HTTP", &pool.Error{Phase: pool.Header, Kind: pool.Malformed, Sent: true}, alive, alive, meaning{filter.UpstreamBadResponse, "", true, true, false}},
		{"too large a head", &pool.Error{Phase: pool.Header, Kind: pool.TooLarge, Sent: true}, alive, alive, meaning{filter.UpstreamBadResponse, "", true, true, false}},
		{"cut body", &pool.Error{Phase: pool.Body, Kind: pool.Truncated, Sent: true}, alive, alive, meaning{filter.UpstreamReset, reasonReset, true, true, false}},
		{"cannot be sent", &pool.Error{Phase: pool.Write, Kind: pool.BadRequest}, alive, alive, meaning{filter.BadRequest, "", false, false, false}},
		{"closed pool", &pool.Error{Kind: pool.Closed}, alive, alive, meaning{filter.UpstreamUnavailable, "", false, false, false}},
		{"client's body", &pool.Error{Phase: pool.Write, Kind: pool.RequestBody, Sent: true, Err: errors.New("x")}, alive, alive, meaning{filter.ClientClosed, "", true, false, false}},
		{"client's body, late", &pool.Error{Phase: pool.Write, Kind: pool.RequestBody, Sent: true, Timeout: true}, alive, alive, meaning{filter.RequestTimeout, "", true, false, false}},
		{"client left", &pool.Error{Kind: pool.Canceled, Sent: true}, gone, gone, meaning{filter.ClientClosed, "", true, false, false}},
		{"deadline of the route", &pool.Error{Kind: pool.Canceled, Sent: true}, late, late, meaning{filter.UpstreamTimeout, "", true, true, false}},
		{"time of a try", &pool.Error{Kind: pool.Canceled, Sent: true}, alive, over(errTryTimeout), meaning{filter.UpstreamTimeout, reasonTimeout, true, true, false}},
		{"time of the request", &pool.Error{Kind: pool.Canceled, Sent: true}, alive, over(errRequestTimeout), meaning{filter.UpstreamTimeout, "", true, true, false}},
	} {
		f := classify(c.err, c.ctx, c.limited)
		if got := (meaning{f.err.Code, f.reason, f.sent, f.blame, f.fresh}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A client that leaves while a retry waits is not kept.
func TestClientLeavesDuringBackoff(t *testing.T) {
	b := newBackend(t, says(503, "busy"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Retry.Backoff, u.Retry.MaxBackoff = config.Duration(time.Hour), config.Duration(time.Hour)
	}, b.URL)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for b.hits.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	start := time.Now()
	got := do(c, get().WithContext(ctx))
	if time.Since(start) > 10*time.Second || got.Tries != 1 || c.Status().InFlight != 0 {
		t.Errorf("%+v after %v", got, time.Since(start))
	}
}

// A retry that could not begin in time is not waited for: the client gets what there is.
func TestNoTimeForARetry(t *testing.T) {
	b := newBackend(t, says(503, "busy"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Retry.Backoff, u.Retry.MaxBackoff = config.Duration(time.Hour), config.Duration(time.Hour)
		u.Timeout.Request = config.Duration(time.Minute)
	}, b.URL)
	if got, want := do(c, get()), (result{503, "busy", "", 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestPause(t *testing.T) {
	p := newRetryPolicy(settings(func(u *config.Upstream) {
		u.Retry.Backoff, u.Retry.MaxBackoff = config.Duration(25*time.Millisecond), config.Duration(250*time.Millisecond)
	}).Retry)
	for retry, most := range map[int]time.Duration{1: 25e6, 2: 50e6, 3: 100e6, 4: 200e6, 5: 250e6, 60: 250e6} {
		for range 100 {
			if d := p.pause(retry); d < most/2 || d > most {
				t.Fatalf("the pause before retry %d is %v, not from %v to %v", retry, d, most/2, most)
			}
		}
	}
}

func TestInterimAnswersAreHandedOn(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.WriteHeader(200)
	})
	c := newCluster(t, nil, b.URL)
	var got []string
	ex := &filter.Exchange{Request: get(), Interim: func(status int, h http.Header) { got = append(got, fmt.Sprint(status, h.Get("Link"))) }}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := []string{"103</style.css>; rel=preload"}; !slices.Equal(got, want) {
		t.Errorf("handed on were %q, want %q", got, want)
	}
}

func TestMetrics(t *testing.T) {
	good, bad := newBackend(t, says(200, "fine")), newBackend(t, says(503, ""))
	m := observe.NewMetrics()
	c, err := New("orders", settings(func(u *config.Upstream) { u.Eject.Consecutive, u.Limits.Requests = 2, 1 }, good.URL, bad.URL), Env{Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	for range 10 {
		do(c, get())
	}
	ex := &filter.Exchange{Request: get()}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	held := do(c, get())
	if held.Code != filter.UpstreamOverloaded {
		t.Errorf("%+v", held)
	}
	text := scrape(m)
	for _, want := range []string{
		`cardea_upstream_requests_total{code="2xx",upstream="orders"} 10`,
		`cardea_upstream_requests_total{code="5xx",upstream="orders"} 2`,
		`cardea_upstream_retries_total{reason="status",upstream="orders"} 2`,
		`cardea_upstream_ejections_total{upstream="orders"} 1`,
		`cardea_upstream_healthy{endpoint="` + good.address() + `",upstream="orders"} 1`,
		`cardea_upstream_healthy{endpoint="` + bad.address() + `",upstream="orders"} 0`,
		`cardea_upstream_refused_total{code="upstream_overloaded",upstream="orders"} 1`,
		`cardea_upstream_breaker_state{upstream="orders"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
	resp.Body.Close()
	c.Close()
	if text := scrape(m); strings.Contains(text, "upstream_healthy{") || !strings.Contains(text, `cardea_upstream_in_flight{upstream="orders"} 0`+"\n") {
		t.Errorf("after Close: %s", text)
	}
}

// scrape returns the metrics as they are shown.
func scrape(m *observe.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}
