package upstream

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// hedging has requests sent once more at once, without bound.
func hedging(u *config.Upstream) {
	u.Hedge = new(config.Hedge)
	u.Hedge.Default()
	u.Hedge.After, u.Hedge.Max = config.HedgeAfter{Time: config.Duration(time.Millisecond)}, 1
}

// hedged is how often something came of a hedge.
func hedged(t testing.TB, c *Cluster, outcome string) int {
	t.Helper()
	var m dto.Metric
	if err := c.metrics.hedged[outcome].Write(&m); err != nil {
		t.Fatal(err)
	}
	return int(m.Counter.GetValue())
}

// hangs answers nothing until the request is given up, and tells of that.
func hangs(gone chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		gone <- struct{}{}
	}
}

// idle checks that nothing is counted as under way any more.
func idle(t *testing.T, c *Cluster) {
	t.Helper()
	s := c.Status()
	for _, e := range s.Endpoints {
		if e.InFlight != 0 {
			t.Errorf("%d requests are under way at %s", e.InFlight, e.Address)
		}
	}
	if s.Limit != nil && (s.Limit.InFlight != 0 || s.Limit.Waiting != 0) {
		t.Errorf("at the end the limit has %+v", s.Limit)
	}
}

func TestHedge(t *testing.T) {
	gone := make(chan struct{}, 100)
	slow, fast := newBackend(t, hangs(gone)), newBackend(t, says(200, "fast"))
	c := newCluster(t, func(u *config.Upstream) {
		hedging(u)
		u.Eject.Consecutive, u.Limits.Requests = 1, 100
	}, slow.URL, fast.URL)
	won := 0
	for range 10 {
		ex := &filter.Exchange{Request: get()}
		resp, err := c.Do(ex, ex.Request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(text) != "fast" {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
		if ex.Attempts[0].Endpoint != slow.address() {
			continue
		}
		won++
		<-gone // the slow one is told that nobody waits any more
		if len(ex.Attempts) != 2 || ex.Attempts[0].Err != errHedgeLost || ex.Attempts[1].Status != 200 || ex.Attempts[1].Err != nil || ex.Attempts[1].FirstByte == 0 {
			t.Errorf("the tries were %+v", ex.Attempts)
		}
	}
	if n := hedged(t, c, hedgeWon); n != won || won == 0 {
		t.Errorf("%d were won, want %d", n, won)
	}
	s := c.Status()
	if e := endpointOf(s, slow); e.Failures != 0 || e.EjectedUntil != nil {
		t.Errorf("who lost is blamed: %+v", e)
	}
	if s.Hedges.Sent < int64(won) || s.Hedges.Won != int64(won) || s.Hedges.AfterMS != 1 {
		t.Errorf("the status is %+v", s.Hedges)
	}
	if text := c.Explain(&filter.Exchange{Request: get()}); !strings.Contains(text, "sent once more when its answer takes longer than 1ms") {
		t.Errorf("explain says %s", text)
	}
	idle(t, c)
}

// When the first try breaks off while the second is under way, the second counts, and the other way round.
func TestHedgeWithEndpointsThatDie(t *testing.T) {
	arrived := make(chan string, 2)
	die := make(chan struct{})
	handler := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			arrived <- name
			if len(arrived) < 2 { // the first of the two
				<-die
				panic(http.ErrAbortHandler)
			}
			close(die)
			time.Sleep(20 * time.Millisecond) // so that the other breaks off before; either way the answer must come
			_, _ = io.WriteString(w, "well")
		}
	}
	a, b := newBackend(t, handler("a")), newBackend(t, handler("b"))
	c := newCluster(t, hedging, a.URL, b.URL)
	if got := do(c, get()); got.Status != 200 || got.Body != "well" || got.Tries != 2 {
		t.Errorf("%+v", got)
	}
	idle(t, c)
}

func TestHedgeWhereBothFail(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	broken := func(w http.ResponseWriter, _ *http.Request) {
		both.Done()
		both.Wait()
		w.WriteHeader(503)
	}
	a, b := newBackend(t, broken), newBackend(t, broken)
	c := newCluster(t, func(u *config.Upstream) { hedging(u); u.Retry.Times = 0 }, a.URL, b.URL)
	if got := do(c, get()); got.Status != 503 || got.Tries != 2 {
		t.Errorf("%+v", got)
	}
	idle(t, c)
}

// Of two at once, an answer that would be tried again does not win over one that is still to come.
func TestHedgeWaitsForTheBetterAnswer(t *testing.T) {
	second := make(chan struct{})
	var once sync.Once
	handler := func(w http.ResponseWriter, _ *http.Request) {
		first := false
		once.Do(func() { first = true })
		if first {
			<-second
			time.Sleep(20 * time.Millisecond) // the bad answer comes before, mostly
			_, _ = io.WriteString(w, "good")
			return
		}
		close(second)
		w.WriteHeader(503)
	}
	a, b := newBackend(t, handler), newBackend(t, handler)
	c := newCluster(t, hedging, a.URL, b.URL)
	if got := do(c, get()); got.Status != 200 || got.Body != "good" {
		t.Errorf("%+v", got)
	}
	idle(t, c)
}

func TestClientLeavesInAHedge(t *testing.T) {
	gone := make(chan struct{}, 2)
	a, b := newBackend(t, hangs(gone)), newBackend(t, hangs(gone))
	c := newCluster(t, func(u *config.Upstream) { hedging(u); u.Limits.Requests = 5 }, a.URL, b.URL)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		waitFor(t, func() bool { return a.hits.Load()+b.hits.Load() == 2 })
		leave()
	}()
	if got := do(c, get().WithContext(ctx)); got.Code != filter.ClientClosed || got.Tries != 2 {
		t.Errorf("%+v", got)
	}
	<-gone
	<-gone
	for _, e := range c.Status().Endpoints {
		if e.Failures != 0 {
			t.Errorf("%s is blamed for a client that left", e.Address)
		}
	}
	idle(t, c)
}

func TestWhatIsNotHedged(t *testing.T) {
	var answer atomic.Pointer[func() bool] // says when
	slow := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(5 * time.Millisecond)
		waitFor(t, *answer.Load())
		_, _ = io.WriteString(w, "slow")
	}
	always := func() bool { return true }
	answer.Store(&always)
	a, b := newBackend(t, slow), newBackend(t, slow)
	upload := func(method string) *http.Request {
		r := get()
		r.Method, r.Body, r.ContentLength = method, io.NopCloser(strings.NewReader("body")), 4
		return r
	}
	post := get()
	post.Method = http.MethodPost
	for _, c := range []struct {
		name    string
		request *http.Request
		change  func(*config.Upstream)
		outcome string
	}{
		{"an upload", upload(http.MethodPut), func(u *config.Upstream) { u.Hedge.Methods = []string{"PUT"} }, ""},
		{"GET with a body", upload(http.MethodGet), nil, ""},
		{"POST", post, nil, ""},
		{"off", get(), func(u *config.Upstream) { u.Hedge.Off = true }, ""},
		{"a percentile of nothing", get(), func(u *config.Upstream) { u.Hedge.After = config.HedgeAfter{Percentile: 50} }, ""},
		{"at the limit", get(), func(u *config.Upstream) { u.Limits.Requests = 1 }, hedgeLimit},
	} {
		cluster := newCluster(t, func(u *config.Upstream) {
			hedging(u)
			if c.change != nil {
				c.change(u)
			}
		}, a.URL, b.URL)
		when := func() bool { return c.outcome == "" || hedged(t, cluster, c.outcome) == 1 }
		answer.Store(&when)
		if got := do(cluster, c.request); got.Status != 200 || got.Tries != 1 {
			t.Errorf("%s: %+v", c.name, got)
		}
		idle(t, cluster)
	}
	answer.Store(&always)
	alone := newCluster(t, hedging, a.URL)
	if got := do(alone, get()); got.Status != 200 || got.Tries != 1 {
		t.Errorf("with one endpoint: %+v", got)
	}
}

func TestHedgeBudget(t *testing.T) {
	var c *Cluster
	var requests atomic.Int64
	slow := func(http.ResponseWriter, *http.Request) { // until it was decided whether the request is sent once more
		waitFor(t, func() bool { return c.hedge.sent.Load()+int64(hedged(t, c, hedgeBudget)) >= requests.Load() })
	}
	a, b := newBackend(t, slow), newBackend(t, slow)
	c = newCluster(t, func(u *config.Upstream) { hedging(u); u.Hedge.Max = 0.1 }, a.URL, b.URL)
	now := time.Now() // time stands still
	c.clock = func() time.Time { return now }
	tries := 0
	for range 30 {
		requests.Add(1)
		tries += do(c, get()).Tries
	}
	if tries != 30+3+1 || hedged(t, c, hedgeBudget) == 0 {
		t.Errorf("30 requests had %d tries, want 34", tries)
	}
}

func TestHedgeAfterAPercentile(t *testing.T) {
	h := &hedger{after: config.HedgeAfter{Percentile: 90}, atLeast: 5 * time.Millisecond}
	for i := range 100 {
		h.times.Add(1, time.Duration(i+1)*time.Millisecond)
		if i < hedgeSamples-1 && h.wait(1) != 0 {
			t.Fatalf("after %d answers it waits %v", i+1, h.wait(1))
		}
	}
	if d := h.wait(int64(time.Second)); d < 90*time.Millisecond || d > 103*time.Millisecond {
		t.Errorf("it waits %v", d)
	}
	h.atLeast = time.Second
	if d := h.wait(int64(time.Second)); d != time.Second {
		t.Errorf("it waits %v, want the least", d)
	}
}

// Whatever endpoints and clients do, each request has one result, and nothing is left over.
func TestHedgeUnderLoad(t *testing.T) {
	for _, protocol := range []string{"http1", "h2c"} {
		t.Run(protocol, func(t *testing.T) { hedgeUnderLoad(t, protocol) })
	}
}

func hedgeUnderLoad(t *testing.T, protocol string) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		switch rand.IntN(6) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(503)
		case 2:
			<-r.Context().Done()
		case 3:
			time.Sleep(2 * time.Millisecond)
			fallthrough
		default:
			_, _ = io.WriteString(w, r.URL.Query().Get("n"))
		}
	}
	serve := func() string {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(handler))
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetHTTP1(protocol == "http1")
		srv.Config.Protocols.SetUnencryptedHTTP2(protocol == "h2c")
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.Start()
		t.Cleanup(srv.Close)
		return srv.URL
	}
	c := newCluster(t, func(u *config.Upstream) {
		hedging(u)
		u.Eject.Off, u.Protocol = true, protocol
		u.Limits.Adaptive = new(config.AdaptiveLimit)
		u.Limits.Adaptive.Default()
		u.Limits.Pending = 10
		u.Breaker = new(config.Breaker)
		u.Breaker.Default()
		u.Breaker.MinRequests = 1_000_000 // it counts, and lets all through, also where the first are all late
	}, serve(), serve(), serve())
	var answered atomic.Int64
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			for i := range 60 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rand.IntN(100))*time.Millisecond)
				req := get().WithContext(ctx)
				want := fmt.Sprintf("%d-%d", n, i)
				req.URL.RawQuery = "n=" + want
				ex := &filter.Exchange{Request: req, Start: time.Now(), Interim: func(int, http.Header) {}, Priority: filter.Priority(i%4) + filter.Low}
				resp, err := c.Do(ex, req)
				if err == nil {
					text, err := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode == 200 && err == nil {
						answered.Add(1)
						if string(text) != want {
							t.Errorf("%q got the answer of %q", want, text)
						}
					}
				}
				clear(req.Header) // as the next request on the client's connection would
				req.URL.Path = "/changed"
				cancel()
			}
		})
	}
	wait.Wait()
	if answered.Load() == 0 || c.hedge.sent.Load() == 0 {
		t.Errorf("%d were answered, and %d sent once more", answered.Load(), c.hedge.sent.Load())
	}
	idle(t, c)
}
