package gatewaytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	policy "cardea.dev/cardea/filters/overload"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/overload"
)

// class is a policy that takes the class of a request from the field X-Class, before authentication as `priority` does.
func class() filter.Kind {
	return filter.Define("class", filter.Guard, func(*filter.Env, *struct{}) (*filter.Filter, error) {
		return &filter.Filter{Early: &filter.Filter{Request: func(ex *filter.Exchange) error {
			for i, name := range filter.Priorities() {
				if ex.Request.Header.Get("X-Class") == name {
					ex.Priority = filter.Low + filter.Priority(i)
				}
			}
			return nil
		}}}, nil
	}).WithEarly().OnByDefault()
}

// gauge puts a monitor in the place of the gateway's own, which measures what the test says, when the test says so.
type gauge struct {
	settings overload.Settings
	used     atomic.Uint64
	monitor  atomic.Pointer[overload.Monitor]
}

func (g *gauge) kind() filter.Kind {
	return filter.Define("gauge", filter.Observe, func(env *filter.Env, _ *struct{}) (*filter.Filter, error) {
		m, err := filter.Keep(env, policy.Key(g.settings), func() (*overload.Monitor, error) {
			return overload.New(g.settings, overload.Options{
				Log: env.Log, Metrics: env.Metrics, Relieve: func() {},
				Read: func() overload.Measurements { return overload.Measurements{Limit: 1000, Used: g.used.Load()} },
			}), nil
		})
		g.monitor.Store(m)
		return &filter.Filter{}, err
	}).OnByDefault()
}

// sample measures n times with a use of memory, in thousandths of the limit.
func (g *gauge) sample(n int, used uint64) {
	g.used.Store(used)
	for range n {
		g.monitor.Load().Sample(0)
	}
}

func newGauge() *gauge {
	c := new(policy.Config)
	c.Default()
	return &gauge{settings: c.Settings()}
}

// TestOverloadShedsByClass takes a gateway through an overload, step by step.
func TestOverloadShedsByClass(t *testing.T) {
	load := newGauge()
	g := gatewaytest.New(t, `
admin: 127.0.0.1:0
routes:
  - {match: /**, respond: ok}
  - {match: /health, respond: healthy, overload: off}
`, load.kind(), class())
	served := func() string {
		var names []string
		for _, name := range filter.Priorities() {
			all := 0
			for range 20 {
				if resp, body := g.Get("/", "X-Class: "+name); resp.StatusCode == http.StatusOK {
					all++
				} else if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"overloaded"`) || resp.Header.Get("Retry-After") == "" {
					t.Fatalf("%s: %s %s", name, resp.Status, body)
				}
			}
			switch all {
			case 20:
				names = append(names, name)
			case 0:
			default:
				names = append(names, "some of "+name)
			}
		}
		return strings.Join(names, ", ")
	}
	if got := served(); got != "low, normal, high, critical" {
		t.Errorf("at rest: %s", got)
	}
	load.sample(20, 900) // 20 least steps of 5%
	if got := served(); got != "normal, high, critical" {
		t.Errorf("after a while: %s", got)
	}
	if status := adminStatus(t, g); status.Pressure != 1 || status.Reason != "memory" || status.Load["memory"] != 1 {
		t.Errorf("/status: %+v", status)
	}
	load.sample(20, 900)
	if got := served(); got != "high, critical" {
		t.Errorf("after a longer while: %s", got)
	}
	load.sample(1, 1000)
	if got := served(); got != "critical" {
		t.Errorf("with no memory left: %s", got)
	}
	if resp, _ := g.Get("/health"); resp.StatusCode != http.StatusOK {
		t.Errorf("a route with `overload: off`: %s", resp.Status)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/status"} {
		if code, _ := admin(t, g, path); code != http.StatusOK {
			t.Errorf("the admin API's %s: %d", path, code)
		}
	}
	if resp, _ := g.Get("/nowhere", "Host: x", "X-Class: low"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("no route matches: %s", resp.Status)
	}
	if err := g.SetConfig("admin: 127.0.0.1:0\nroutes: [{match: /**, respond: new}]"); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "critical" {
		t.Errorf("after a reload: %s", got)
	}
	load.sample(40, 10)
	if got := served(); got != "low, normal, high, critical" {
		t.Errorf("when it is over: %s", got)
	}
	_, metrics := admin(t, g, "/metrics")
	for _, want := range []string{
		`cardea_overload_shed_total{class="low",reason="memory"} 81`, `cardea_overload_shed_total{class="normal",reason="memory"} 60`,
		`cardea_overload_shed_total{class="high",reason="memory"} 40`, `cardea_overload_shed_total{class="critical",reason="memory"} 0`, "cardea_overload_pressure 0",
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	if log := g.Log(); strings.Count(log, "begins to shed") != 1 || strings.Count(log, "no longer overloaded") != 1 {
		t.Errorf("the log:\n%s", log)
	}
	if err := g.SetConfig("admin: 127.0.0.1:0\noverload: off\nroutes: [{match: /**, respond: new}]"); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "low, normal, high, critical" {
		t.Errorf("with `overload: off`: %s", got)
	}
}

// TestOverloadCountsRequests fills a gateway with requests that wait.
func TestOverloadCountsRequests(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	text := one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			arrived <- struct{}{}
			<-leave
		}
	}))
	g := gatewaytest.New(t, "overload: {requests: 3}\n"+text)
	results := make(chan int)
	for range 3 {
		go func() { // ends with its request
			resp, err := g.Client.Get(g.URL + "/wait")
			if err != nil {
				results <- 0
				return
			}
			_ = resp.Body.Close()
			results <- resp.StatusCode
		}()
		<-arrived
	}
	for range 3 { // those that are refused do not stay counted
		if resp, body := g.Get("/"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "overloaded") {
			t.Errorf("with three under way: %s %s", resp.Status, body)
		}
	}
	if err := g.SetConfig("overload: {requests: 4}\n" + text); err != nil {
		t.Fatal(err)
	}
	becomesOK(t, g, "with room for a fourth")
	if err := g.SetConfig("overload: {requests: 3}\n" + text); err != nil {
		t.Fatal(err)
	}
	if resp, _ := g.Get("/"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("those under way are not known after a reload: %s", resp.Status)
	}
	close(leave)
	for range 3 {
		if status := <-results; status != http.StatusOK {
			t.Errorf("one that waited got %d", status)
		}
	}
	becomesOK(t, g, "afterwards")
}

// becomesOK asks until there is an answer: a request counts until a moment after its own was read.
func becomesOK(t *testing.T, g *gatewaytest.Gateway, when string) {
	t.Helper()
	for range 1000 {
		if resp, _ := g.Get("/"); resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Errorf("%s: refused", when)
}

// admin asks the admin API.
func admin(t *testing.T, g *gatewaytest.Gateway, path string) (status int, body string) {
	t.Helper()
	resp, err := g.Client.Get("http://" + g.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func adminStatus(t *testing.T, g *gatewaytest.Gateway) overload.Status {
	t.Helper()
	var status struct{ Overload overload.Status }
	if _, body := admin(t, g, "/status"); json.Unmarshal([]byte(body), &status) != nil {
		t.Fatal(body)
	}
	return status.Overload
}
