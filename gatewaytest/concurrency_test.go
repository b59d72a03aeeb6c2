package gatewaytest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

// holdUp is a service that answers a request when the test lets it.
type holdUp struct {
	*httptest.Server
	came chan string   // the paths of requests, as they come
	free chan struct{} // one for each that is to be answered
	most atomic.Int64  // at once
	here atomic.Int64
}

func newHoldUp(t *testing.T) *holdUp {
	t.Helper()
	h := &holdUp{came: make(chan string, 1000), free: make(chan struct{}, 1000)}
	h.Server = upstream(t, func(w http.ResponseWriter, r *http.Request) {
		n := h.here.Add(1)
		defer h.here.Add(-1)
		for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
		}
		h.came <- r.URL.Path
		select {
		case <-h.free:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, r.URL.Path)
	})
	return h
}

// answer is what became of a request.
type answer struct {
	status int
	body   string
	err    error
}

// send sends a request and goes on.
func send(client *http.Client, url string, fields ...string) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			done <- answer{err: err}
			return
		}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		resp, err := client.Do(r)
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		done <- answer{resp.StatusCode, string(body), err}
	}()
	return done
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 20 s it is not so that %s", what)
		}
	}
}

// used is how much a gateway counts of a key.
func used(g *gatewaytest.Gateway, key string) (used, refused int64) {
	for _, l := range g.Limiters() {
		for _, k := range l.Top(1000) {
			if k.Key == key {
				used, refused = used+k.Used, refused+k.Refused
			}
		}
	}
	return used, refused
}

// hasMetric says whether a line stands in the metrics.
func hasMetric(g *gatewaytest.Gateway, line string) func() bool {
	return func() bool {
		rec := httptest.NewRecorder()
		g.Metrics.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(rec.Body.String(), line)
	}
}

func TestConcurrencyIsLimitedByKey(t *testing.T) {
	up := newHoldUp(t)
	g := gatewaytest.New(t, "concurrency: 2 per header.x-user\n"+one(up.Server))
	var in []<-chan answer
	for range 2 {
		in = append(in, send(g.Client, g.URL+"/a", "X-User: me"))
		<-up.came
	}
	resp, body := g.Get("/a", "X-User: me")
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"code":"concurrency_limited"`) || strings.Contains(body, "me may") {
		t.Errorf("the third: %s %v %s", resp.Status, resp.Header, body)
	}
	other := send(g.Client, g.URL+"/b", "X-User: you")
	<-up.came
	failure, ok := g.Engine.Past(resp.Header.Get("X-Request-Id"))
	if !ok || !strings.Contains(failure.Cause, "me may have 2 under way") || failure.Limit != "concurrency 2 per header.x-user" || failure.LimitKey != "me" ||
		!strings.Contains(failure.Text(), "limit   concurrency 2 per header.x-user, which counted it for \"me\"\n") {
		t.Errorf("what is remembered: %+v", failure)
	}
	for range 3 {
		up.free <- struct{}{}
	}
	for _, done := range append(in, other) {
		if a := <-done; a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	await(t, "nothing is counted any more", func() bool { return g.Limiters()[0].Limiter().Keys == 0 })
}

func TestConcurrencyWaitsInLine(t *testing.T) {
	up := newHoldUp(t)
	g := gatewaytest.New(t, "concurrency: {limit: 1, queue: 2, wait: 1min}\n"+strings.Replace(one(up.Server), "to: u}", "to: u, name: r}", 1))
	first := send(g.Client, g.URL+"/1")
	<-up.came
	second := send(g.Client, g.URL+"/2")
	await(t, "one waits", hasMetric(g, `cardea_concurrency_waiting{route="r"} 1`))
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", g.URL+"/leaves", nil)
	left := make(chan error, 1)
	go func() {
		resp, err := g.Client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	await(t, "two wait", hasMetric(g, `cardea_concurrency_waiting{route="r"} 2`))
	if resp, _ := g.Get("/full"); resp.StatusCode != 429 {
		t.Errorf("with a full line: %s", resp.Status)
	}
	leave()
	<-left
	await(t, "the one that left is told apart", hasMetric(g, `cardea_requests_total{route="r",status="499"} 1`))
	await(t, "one waits again", hasMetric(g, `cardea_concurrency_waiting{route="r"} 1`))
	up.free <- struct{}{}
	if path := <-up.came; path != "/2" {
		t.Errorf("%s came next", path)
	}
	up.free <- struct{}{}
	for _, done := range []<-chan answer{first, second} {
		if a := <-done; a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
}

// TestConcurrencyIsInherited: routes that inherit the policy from one place count together, a route with its own counts alone.
func TestConcurrencyIsInherited(t *testing.T) {
	up := newHoldUp(t)
	g := gatewaytest.New(t, "concurrency: 1 per address\nupstreams: {u: "+up.URL+`}
routes:
  - {match: /a, to: u}
  - {match: /b, to: u}
  - {match: /own, to: u, concurrency: 1 per address}
  - {match: /off, to: u, concurrency: off}`)
	held := []<-chan answer{send(g.Client, g.URL+"/a")}
	<-up.came
	for path, refused := range map[string]bool{"/b": true, "/own": false, "/off": false} {
		if refused {
			if resp, _ := g.Get(path); resp.StatusCode != 429 {
				t.Errorf("%s: %s", path, resp.Status)
			}
			continue
		}
		held = append(held, send(g.Client, g.URL+path))
		if came := <-up.came; came != path {
			t.Errorf("%s came, want %s", came, path)
		}
	}
	if n := len(g.Limiters()); n != 2 {
		t.Errorf("there are %d limiters", n)
	}
	for range held {
		up.free <- struct{}{}
	}
	for _, done := range held {
		if a := <-done; a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
}

// TestConcurrencyAcrossReloads changes the limit and the routes while requests are under way and wait.
func TestConcurrencyAcrossReloads(t *testing.T) {
	up := newHoldUp(t)
	config := func(limit, version int) string {
		return fmt.Sprintf("concurrency: {limit: %d, queue: 1, wait: 1min, per: [address]}\nupstreams: {u: %s}\nroutes: [{match: /**, to: u, name: r%d}]", limit, up.URL, version)
	}
	g := gatewaytest.New(t, config(1, 1))
	first := send(g.Client, g.URL+"/1")
	<-up.came
	second := send(g.Client, g.URL+"/2")
	await(t, "one waits", hasMetric(g, `cardea_concurrency_waiting{route="r1"} 1`))
	for version := range 5 {
		if err := g.SetConfig(config(1, version+2)); err != nil {
			t.Fatal(err)
		}
	}
	if resp, _ := g.Get("/full"); resp.StatusCode != 429 {
		t.Errorf("after reloads: %s", resp.Status)
	}
	if n, refused := used(g, "127.0.0.1"); n != 1 || refused != 1 {
		t.Errorf("%d are counted, %d refused", n, refused)
	}
	if err := g.SetConfig(config(3, 9)); err != nil {
		t.Fatal(err)
	}
	third := send(g.Client, g.URL+"/3") // which has the second go by the new limit as well
	<-up.came
	<-up.came
	fourth := send(g.Client, g.URL+"/4")
	await(t, "one waits", hasMetric(g, `cardea_concurrency_waiting{route="r9"} 1`))
	for range 4 {
		up.free <- struct{}{}
	}
	for _, done := range []<-chan answer{first, second, third, fourth} {
		if a := <-done; a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	if up.most.Load() != 3 {
		t.Errorf("%d were under way at once", up.most.Load())
	}
}

// TestConcurrencyUnderLoad has many callers, some of which leave, and reloads meanwhile. No more than the limit are at the service, and nothing
// remains counted.
func TestConcurrencyUnderLoad(t *testing.T) {
	var here, most atomic.Int64
	up := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		n := here.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
		here.Add(-1) // before the answer is out: the next may come at once
		_, _ = io.WriteString(w, "ok")
	})
	config := func(version int) string {
		return fmt.Sprintf("concurrency: {limit: 4, per: [all], queue: 6, wait: 1min}\nupstreams: {u: %s}\nroutes: [{match: /**, to: u, headers: {response: {set: {X-Version: '%d'}}}}]", up.URL, version)
	}
	g := gatewaytest.New(t, config(0))
	var served, refused, other atomic.Int64
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for range 50 {
				switch a := <-send(g.Client, g.URL+"/"); {
				case a.status == 200:
					served.Add(1)
				case a.status == 429:
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	for version := range 20 {
		if err := g.SetConfig(config(version + 1)); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if other.Load() > 0 || served.Load() == 0 || most.Load() > 4 {
		t.Errorf("%d served, %d refused, %d neither; %d at once", served.Load(), refused.Load(), other.Load(), most.Load())
	}
	await(t, "nothing is counted any more", func() bool { return g.Limiters()[0].Limiter().Keys == 0 })
}

// upset is a policy that fails as a request says: in a panic, or by rejecting.
func upset() filter.Kind {
	return filter.Define("upset", filter.Dispatch, func(*filter.Env, *struct {
		// On is the phase in which it fails.
		On string `yaml:"on,short"`
	},
	) (*filter.Filter, error) {
		fail := func(phase string) func(*filter.Exchange) error {
			return func(ex *filter.Exchange) error {
				switch ex.Original.Query {
				case phase + "=panic":
					panic("upset")
				case phase + "=reject":
					return filter.Reject(filter.AccessDenied, "")
				}
				return nil
			}
		}
		finish := fail("finish")
		return &filter.Filter{Request: fail("request"), Response: fail("response"), Finish: func(ex *filter.Exchange) { _ = finish(ex) }}, nil
	})
}

func TestConcurrencyIsGivenBackWhateverComes(t *testing.T) {
	g := gatewaytest.New(t, "concurrency: 1\nupset: x\nroutes: [{match: /**, respond: ok}]", upset())
	for _, query := range []string{"request=panic", "request=reject", "response=panic", "response=reject", "finish=panic", "finish=reject", ""} {
		resp, _ := g.Get("/?" + query)
		if resp.StatusCode == 429 {
			t.Errorf("before %s something was not given back", query)
		}
		await(t, "nothing is counted after "+query, func() bool { return g.Limiters()[0].Limiter().Keys == 0 })
	}
}

func TestConcurrencyOfWebSockets(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		_, _, _ = c.Read(r.Context())
	})
	for upgraded, counts := range map[string]bool{"count": true, "release": false} {
		g := gatewaytest.New(t, "concurrency: {limit: 1, upgraded: "+upgraded+"}\n"+one(up))
		c, _, err := websocket.Dial(t.Context(), g.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		other, resp, err := websocket.Dial(t.Context(), g.URL, nil)
		if (err != nil) != counts || counts && resp.StatusCode != 429 {
			t.Errorf("%s: the second connection: %v", upgraded, err)
		}
		if err == nil {
			_ = other.CloseNow()
		}
		_ = c.CloseNow()
		await(t, "nothing is counted any more", func() bool { return g.Limiters()[0].Limiter().Keys == 0 })
	}
}

func TestConcurrencyOverHTTP2(t *testing.T) {
	up := newHoldUp(t)
	g := gatewaytest.New(t, "listen: {address: '127.0.0.1:0', protocols: [http1, h2c]}\nconcurrency: {limit: 2, queue: 1, wait: 1min}\n"+strings.Replace(one(up.Server), "to: u}", "to: u, name: r}", 1))
	client := h2(t)
	a, b := send(client, g.URL+"/1"), send(client, g.URL+"/2")
	<-up.came
	<-up.came
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", g.URL+"/leaves", nil)
	left := make(chan error, 1)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	await(t, "one waits", hasMetric(g, `cardea_concurrency_waiting{route="r"} 1`))
	if got := <-send(client, g.URL+"/3"); got.status != 429 || !strings.Contains(got.body, "concurrency_limited") {
		t.Errorf("the fourth stream: %+v", got)
	}
	leave()
	<-left
	await(t, "nobody waits", hasMetric(g, `cardea_concurrency_waiting{route="r"} 0`))
	up.free <- struct{}{}
	up.free <- struct{}{}
	for _, done := range []<-chan answer{a, b} {
		if got := <-done; got.status != 200 {
			t.Errorf("%+v", got)
		}
	}
	await(t, "nothing is counted any more", func() bool { return g.Limiters()[0].Limiter().Keys == 0 })
}

// TestConcurrencyBeforeAuthentication: a limit by address refuses before credentials are looked at, one by identity after.
func TestConcurrencyBeforeAuthentication(t *testing.T) {
	up := newHoldUp(t)
	g := gatewaytest.New(t, "consumers: {acme: {keys: [0123456789abcdef]}, bob: {keys: [fedcba9876543210]}}\napi_key: {}\nupstreams: {u: "+up.URL+`}
routes:
  - {match: /address, to: u, concurrency: 1 per address}
  - {match: /caller, to: u, concurrency: 1}`)
	for path, want := range map[string]int{"/address": 429, "/caller": 401} {
		held := send(g.Client, g.URL+path, "X-Api-Key: 0123456789abcdef")
		<-up.came
		if resp, _ := g.Get(path); resp.StatusCode != want {
			t.Errorf("%s without a key: %s", path, resp.Status)
		}
		if path == "/caller" {
			other := send(g.Client, g.URL+path, "X-Api-Key: fedcba9876543210")
			<-up.came
			if resp, _ := g.Get(path, "X-Api-Key: 0123456789abcdef"); resp.StatusCode != 429 {
				t.Errorf("the same caller again: %s", resp.Status)
			}
			up.free <- struct{}{}
			defer func() { <-other }()
		}
		up.free <- struct{}{}
		if a := <-held; a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
}
