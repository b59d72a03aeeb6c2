package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a service that tests send to.
type backend struct {
	*httptest.Server
	hits   atomic.Int64
	handle atomic.Pointer[http.HandlerFunc]
}

// newBackend starts a service.
func newBackend(t testing.TB, handle http.HandlerFunc) *backend {
	b := new(backend)
	b.set(handle)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		(*b.handle.Load())(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

// set changes what the service does.
func (b *backend) set(handle http.HandlerFunc) { b.handle.Store(&handle) }

// address is the service's host and port.
func (b *backend) address() string { return b.Listener.Addr().String() }

// says answers with a status and a text.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// settings are those of an upstream with its defaults, changed.
func settings(change func(*config.Upstream), urls ...string) *config.Upstream {
	c := new(config.Upstream)
	c.Default()
	for _, u := range urls {
		c.Endpoints = append(c.Endpoints, config.Endpoint{URL: u, Weight: 1})
	}
	c.Retry.Backoff = config.Duration(time.Millisecond)
	if change != nil {
		change(c)
	}
	return c
}

// newCluster starts a cluster that is closed with the test.
func newCluster(t testing.TB, change func(*config.Upstream), urls ...string) *Cluster {
	t.Helper()
	c, err := New("orders", settings(change, urls...), Env{Metrics: observe.NewMetrics(), Expr: keys{}})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// keys compiles header.<name> and address, which is all that tests need.
type keys struct{ filter.Expressions }

func (keys) Value(source string) (filter.Value, error) {
	name, ok := strings.CutPrefix(source, "header.")
	if !ok && source != "address" {
		return nil, fmt.Errorf("there is no variable %q", source)
	}
	return func(ex *filter.Exchange) (string, bool) {
		v := ex.Request.Header.Get(name)
		return v, v != ""
	}, nil
}

// result is what came of a request.
type result struct {
	Status int
	Body   string
	Code   filter.Code // of the error
	Tries  int
}

// do sends a request and reads the answer.
func do(c *Cluster, req *http.Request) result {
	ex := &filter.Exchange{Request: req, Start: time.Now()}
	resp, err := c.Do(ex, req)
	r := result{Tries: len(ex.Attempts)}
	if err != nil {
		r.Code = codeOf(err)
		return r
	}
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	text, err := io.ReadAll(resp.Body)
	r.Body = string(text)
	if err != nil {
		r.Code = codeOf(err)
	}
	return r
}

// codeOf is the code of an error, which must be a *filter.Error itself.
func codeOf(err error) filter.Code {
	e, ok := err.(*filter.Error)
	if !ok {
		return filter.Code(fmt.Sprintf("no filter.Error: %T %v", err, err))
	}
	return e.Code
}

// request makes a request as the engine gives it to a target. A body is sent as it would come from a client, not from memory.
func request(method, body string) *http.Request {
	req, _ := http.NewRequest(method, "http://client.example/path?q=1", nil)
	if body != "" {
		req.Body, req.ContentLength = io.NopCloser(struct{ io.Reader }{strings.NewReader(body)}), int64(len(body))
	}
	return req
}

func get() *http.Request { return request("GET", "") }

// dead returns the URL of an address where nothing listens.
func dead(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// breaks returns the URL of a service that reads a request and closes the connection.
func breaks(t testing.TB, hits *atomic.Int64) string {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		hits.Add(1)
		panic(http.ErrAbortHandler)
	})
	return b.URL
}

func TestRoundTrip(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, text)
	})
	for _, c := range []struct{ host, want string }{
		{"keep", "PUT client.example /path?q=1 hello"},
		{"rewrite", "PUT " + b.address() + " /path?q=1 hello"},
		{"svc.local", "PUT svc.local /path?q=1 hello"},
	} {
		cl := newCluster(t, func(u *config.Upstream) { u.Host = c.host }, b.URL)
		if got, want := do(cl, request("PUT", "hello")), (result{200, c.want, "", 1}); got != want {
			t.Errorf("host %s: %+v, want %+v", c.host, got, want)
		}
	}
}

func TestAttempts(t *testing.T) {
	b := newBackend(t, says(200, "fine"))
	gone := dead(t)
	c := newCluster(t, nil, gone)
	ex := &filter.Exchange{Request: get()}
	if _, err := c.Do(ex, ex.Request); codeOf(err) != filter.UpstreamConnectFailed || len(ex.Attempts) != 3 {
		t.Errorf("%v after %d tries", err, len(ex.Attempts))
	}
	for i, a := range ex.Attempts {
		if a.Upstream != "orders" || "http://"+a.Endpoint != gone || codeOf(a.Err) != filter.UpstreamConnectFailed || a.Start.IsZero() {
			t.Errorf("try %d is %+v", i, a)
		}
	}
	ok := newCluster(t, nil, b.URL)
	ex = &filter.Exchange{Request: get()}
	resp, err := ok.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if a := ex.Attempts[0]; a.Status != 200 || a.Connect == 0 || a.FirstByte == 0 || a.Reused || a.Err != nil || a.Endpoint != b.address() {
		t.Errorf("the try is %+v", a)
	}
}

func TestRetries(t *testing.T) {
	good := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %d", len(text))
	})
	busy := newBackend(t, says(503, "busy"))
	var hits atomic.Int64
	reset, gone := breaks(t, &hits), dead(t)
	large := strings.Repeat("x", 100<<10)
	only := func(name string) func(*config.Upstream) {
		return func(u *config.Upstream) { u.Retry.On = []config.RetryOn{{Failure: name}} }
	}
	for _, c := range []struct {
		name         string
		bad          string
		change       func(*config.Upstream)
		method, body string
		want         result // when the bad endpoint comes first
	}{
		{"GET, not sent", gone, nil, "GET", "", result{200, "got 0", "", 2}},
		{"POST, not sent", gone, nil, "POST", "12345", result{200, "got 5", "", 2}},
		{"large POST, not sent", gone, nil, "POST", large, result{200, "got 102400", "", 2}},
		{"GET, broken off", reset, nil, "GET", "", result{200, "got 0", "", 2}},
		{"PUT, broken off", reset, nil, "PUT", "12345", result{200, "got 5", "", 2}},
		{"POST, broken off", reset, nil, "POST", "12345", result{Code: filter.UpstreamReset, Tries: 1}},
		{"POST without body, broken off", reset, nil, "POST", "", result{Code: filter.UpstreamReset, Tries: 1}},
		{"large PUT, broken off", reset, nil, "PUT", large, result{Code: filter.UpstreamReset, Tries: 1}},
		{"large PUT, broken off, kept", reset, func(u *config.Upstream) { u.Retry.MaxBody = 1 << 20 }, "PUT", large, result{200, "got 102400", "", 2}},
		{"POST that may be repeated, broken off", reset, func(u *config.Upstream) { u.Retry.Methods = []string{"POST"} }, "POST", "12345", result{200, "got 5", "", 2}},
		{"GET, 503", busy.URL, nil, "GET", "", result{200, "got 0", "", 2}},
		{"PUT, 503", busy.URL, nil, "PUT", "12345", result{200, "got 5", "", 2}},
		{"POST, 503", busy.URL, nil, "POST", "12345", result{503, "busy", "", 1}},
		{"GET, 503, not named", busy.URL, only("reset"), "GET", "", result{503, "busy", "", 1}},
		{"GET, broken off, not named", reset, only("timeout"), "GET", "", result{Code: filter.UpstreamReset, Tries: 1}},
		{"GET, not sent, not named", gone, only("timeout"), "GET", "", result{Code: filter.UpstreamConnectFailed, Tries: 1}},
		{"off", busy.URL, func(u *config.Upstream) { u.Retry.Off = true }, "GET", "", result{503, "busy", "", 1}},
		{"no times", gone, func(u *config.Upstream) { u.Retry.Times = 0 }, "GET", "", result{Code: filter.UpstreamConnectFailed, Tries: 1}},
		{"no budget", busy.URL, func(u *config.Upstream) { u.Retry.Budget = config.RetryBudget{} }, "GET", "", result{503, "busy", "", 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newCluster(t, func(u *config.Upstream) {
				u.Eject.Off = true
				if c.change != nil {
					c.change(u)
				}
			}, c.bad, good.URL)
			seen := map[result]int{}
			for range 4 { // in turn: each endpoint is the first of two
				seen[do(cl, request(c.method, c.body))]++
			}
			ok := result{200, fmt.Sprintf("got %d", len(c.body)), "", 1}
			if seen[ok] != 2 || seen[c.want] != 2 {
				t.Errorf("got %v, want twice %+v and twice %+v", seen, ok, c.want)
			}
		})
	}
}

func TestLastAnswerIsTheClients(t *testing.T) {
	var n atomic.Int64
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		says(503, fmt.Sprintf("busy %d", n.Add(1)))(w, r)
	})
	c := newCluster(t, func(u *config.Upstream) { u.Eject.Off = true }, b.URL)
	if got, want := do(c, get()), (result{503, "busy 3", "", 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// An endpoint that dies under load is no client's concern.
func TestEndpointDiesUnderLoad(t *testing.T) {
	backends := []*backend{newBackend(t, says(200, "ok")), newBackend(t, says(200, "ok")), newBackend(t, says(200, "ok"))}
	c := newCluster(t, nil, backends[0].URL, backends[1].URL, backends[2].URL)
	var wg sync.WaitGroup
	var sent atomic.Int64
	results := make(chan result, 10000)
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if sent.Add(1) == 400 {
					backends[1].CloseClientConnections()
					backends[1].Listener.Close()
					backends[1].CloseClientConnections()
				}
				results <- do(c, request("PUT", "some body"))
			}
		})
	}
	wg.Wait()
	close(results)
	retried := 0
	for r := range results {
		if r.Status != 200 || r.Body != "ok" {
			t.Fatalf("a client got %+v", r)
		}
		if r.Tries > 1 {
			retried++
		}
	}
	if retried == 0 || retried > 200 {
		t.Errorf("%d requests were tried again", retried)
	}
	if s := c.Status(); s.Available != 2 || s.InFlight != 0 {
		t.Errorf("at the end: %+v", s)
	}
}

// However often a service fails, the budget keeps what it is sent within a fifth of what clients ask.
func TestBudgetBoundsRetries(t *testing.T) {
	b := newBackend(t, says(503, "busy"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Eject.Off = true
		u.Retry.Budget.Min = config.Rate{Count: 1, Per: time.Second} // ten in the window
	}, b.URL)
	const n = 500
	for range n {
		if got := do(c, get()); got.Status != 503 {
			t.Fatalf("%+v", got)
		}
	}
	if hits := b.hits.Load(); hits < n*115/100 || hits > n*120/100+10 {
		t.Errorf("for %d requests %d were sent", n, hits)
	}
}

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
	if e := filter.AsError(err); e.Code != filter.UpstreamBreakerOpen || e.Header.Get("Retry-After") != "3600" || len(ex.Attempts) != 0 {
		t.Fatalf("with the breaker open: %v, %v", err, e.Header)
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
	waitFor(t, func() bool { return b.hits.Load() == 2 && c.gate.waiting() == 1 })
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

func TestTimeouts(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	silent := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	half := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	short := config.Duration(30 * time.Millisecond)
	for _, c := range []struct {
		name   string
		url    string
		change func(*config.Upstream)
		want   result
	}{
		{"first byte", silent.URL, func(u *config.Upstream) { u.Timeout.FirstByte = short }, result{Code: filter.UpstreamTimeout, Tries: 3}},
		{"try", silent.URL, func(u *config.Upstream) { u.Timeout.Try = short }, result{Code: filter.UpstreamTimeout, Tries: 3}},
		{"request", silent.URL, func(u *config.Upstream) { u.Timeout.Request = short }, result{Code: filter.UpstreamTimeout, Tries: 1}},
		{"request, in the body", half.URL, func(u *config.Upstream) { u.Timeout.Request = short }, result{200, "half", filter.UpstreamTimeout, 1}},
		{"idle, in the body", half.URL, func(u *config.Upstream) { u.Timeout.Idle = short }, result{200, "half", filter.UpstreamTimeout, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newCluster(t, c.change, c.url)
			if got := do(cl, get()); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if s := cl.Status(); s.InFlight != 0 || s.Endpoints[0].Failures != int64(c.want.Tries) {
				t.Errorf("the status is %+v", s)
			}
		})
	}
	t.Run("try does not end a body", func(t *testing.T) {
		slow := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "slow ")
			w.(http.Flusher).Flush()
			time.Sleep(2 * time.Duration(short))
			_, _ = io.WriteString(w, "end")
		})
		cl := newCluster(t, func(u *config.Upstream) { u.Timeout.Try = short }, slow.URL)
		if got, want := do(cl, get()), (result{200, "slow end", "", 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestClientLeaves(t *testing.T) {
	for _, headFirst := range []bool{false, true} {
		arrived, left := make(chan struct{}, 1), make(chan struct{}, 1)
		b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			if headFirst {
				w.(http.Flusher).Flush()
			}
			arrived <- struct{}{}
			<-r.Context().Done()
			left <- struct{}{}
		})
		c := newCluster(t, func(u *config.Upstream) {
			u.Breaker = new(config.Breaker)
			u.Breaker.Default()
		}, b.URL)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-arrived
			cancel()
		}()
		got := do(c, get().WithContext(ctx))
		if got.Code != filter.ClientClosed || got.Tries != 1 {
			t.Errorf("%+v", got)
		}
		<-left
		s := c.Status()
		if s.InFlight != 0 || s.Endpoints[0].Failures != 0 || s.Breaker.Requests != 0 {
			t.Errorf("it was counted: %+v %+v", s, s.Breaker)
		}
	}
}

// A deadline that a policy has set answers with the policy's own error.
func TestDeadlineOfAPolicy(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newCluster(t, nil, b.URL)
	ex := &filter.Exchange{Request: get(), Start: time.Now()}
	ex.Limit(20*time.Millisecond, filter.Reject(filter.RequestTimeout, "too slow"))
	defer ex.Release()
	_, err := c.Do(ex, ex.Request)
	if e := filter.AsError(err); e.Code != filter.RequestTimeout || e.Detail != "too slow" {
		t.Errorf("%v", err)
	}
}

// What cannot be read of the client's body is not the service's fault, and keeps its code.
func TestBadRequestBody(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	for _, c := range []struct {
		err  error
		want filter.Code
	}{
		{filter.Reject(filter.BodyTooLarge, ""), filter.BodyTooLarge},
		{&http.MaxBytesError{Limit: 1}, filter.BodyTooLarge},
		{io.ErrUnexpectedEOF, filter.ClientClosed},
	} {
		cl := newCluster(t, nil, b.URL)
		req := request("PUT", "")
		req.Body, req.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("abc"), unreadable{c.err})), -1
		got := do(cl, req)
		if got.Code != c.want || got.Tries != 1 {
			t.Errorf("%v: %+v, want %s", c.err, got, c.want)
		}
		if s := cl.Status(); s.Endpoints[0].Failures != 0 {
			t.Errorf("%v counted as a failure", c.err)
		}
	}
}

func TestBodyBreaksOff(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "only this")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c := newCluster(t, nil, b.URL)
	if got, want := do(c, get()), (result{200, "only this", filter.UpstreamReset, 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if s := c.Status(); s.Endpoints[0].Failures != 1 || s.InFlight != 0 {
		t.Errorf("the status is %+v", s)
	}
}

// What is counted as under way ends with the body, however it ends, and ends once.
func TestInFlightEndsWithTheBody(t *testing.T) {
	b := newBackend(t, says(200, "a body"))
	c := newCluster(t, nil, b.URL)
	ex := &filter.Exchange{Request: get()}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Status().Endpoints[0].InFlight; n != 1 {
		t.Errorf("with the head here, %d are under way", n)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if n := c.Status().Endpoints[0].InFlight; n != 0 {
		t.Errorf("with the body here, %d are under way", n)
	}
	resp.Body.Close()
	resp.Body.Close()
	if n := c.Status().Endpoints[0].InFlight; n != 0 {
		t.Errorf("with the body closed, %d are under way", n)
	}
	req := request("HEAD", "")
	if got := do(c, req); got.Status != 200 || c.Status().InFlight != 0 {
		t.Errorf("HEAD: %+v, and %d under way", got, c.Status().InFlight)
	}
}

func TestUpgrade(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, rw)
	})
	c := newCluster(t, func(u *config.Upstream) {
		u.Timeout.Request, u.Timeout.Try = config.Duration(50*time.Millisecond), config.Duration(40*time.Millisecond)
	}, b.URL)
	req := get()
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	ex := &filter.Exchange{Request: req}
	resp, err := c.Do(ex, req)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != 101 {
		t.Fatalf("status %d with a %T", resp.StatusCode, resp.Body)
	}
	time.Sleep(100 * time.Millisecond) // the limits of requests are not those of tunnels
	_, _ = io.WriteString(tunnel, "hello")
	buf := make([]byte, 5)
	if _, err := io.ReadFull(tunnel, buf); err != nil || string(buf) != "hello" {
		t.Errorf("%q, %v", buf, err)
	}
	if n := c.Status().InFlight; n != 1 {
		t.Errorf("%d are under way", n)
	}
	_ = tunnel.(interface{ CloseWrite() error }).CloseWrite()
	rest, _ := io.ReadAll(tunnel)
	tunnel.Close()
	if len(rest) != 0 || c.Status().InFlight != 0 {
		t.Errorf("at the end %q came, and %d are under way", rest, c.Status().InFlight)
	}
}

func TestHashGoesByKey(t *testing.T) {
	a, b := newBackend(t, says(200, "a")), newBackend(t, says(200, "b"))
	c := newCluster(t, func(u *config.Upstream) { u.Balance.By, u.Balance.Key = "hash", "header.x-user" }, a.URL, b.URL)
	answers := map[string]int{}
	for k := range 40 {
		req := get()
		req.Header.Set("X-User", fmt.Sprint(k))
		first, again := do(c, req), do(c, req)
		if first != again {
			t.Errorf("user %d went to %s and %s", k, first.Body, again.Body)
		}
		answers[first.Body]++
	}
	if len(answers) != 2 {
		t.Errorf("all users go the same way: %v", answers)
	}
	if _, err := New("x", settings(func(u *config.Upstream) { u.Balance.By, u.Balance.Key = "hash", "nothing" }, a.URL), Env{Expr: keys{}}); err == nil {
		t.Error("a key that does not exist was taken")
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

func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/s.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: says(200, "socket")}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	c := newCluster(t, nil, "unix://"+path)
	if got, want := do(c, get()), (result{200, "socket", "", 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDryExchangeSendsNothing(t *testing.T) {
	b := newBackend(t, says(200, ""))
	c := newCluster(t, nil, b.URL)
	if _, err := c.Do(&filter.Exchange{Request: get(), Dry: true}, get()); !errors.Is(err, errDry) || b.hits.Load() != 0 {
		t.Errorf("%v, and %d were sent", err, b.hits.Load())
	}
}

// A body that is in memory is repeated however large it is.
func TestBodyInMemory(t *testing.T) {
	var hits atomic.Int64
	good := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	c := newCluster(t, func(u *config.Upstream) { u.Eject.Off = true }, breaks(t, &hits), good.URL)
	for range 2 {
		req, _ := http.NewRequest("PUT", "http://x/", bytes.NewReader(make([]byte, 1<<20)))
		if got := do(c, req); got.Body != "1048576" {
			t.Errorf("%+v", got)
		}
	}
	if hits.Load() != 1 {
		t.Errorf("%d tries broke off", hits.Load())
	}
}
