package gatewaytest_test

import (
	"context"
	"encoding/json"
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
	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/gatewaytest"
)

// echo is an upstream that tells what it was asked.
func echo(t testing.TB, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Upstream", name)
		_ = json.NewEncoder(w).Encode(map[string]any{"upstream": name, "method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "host": r.Host, "body": string(body), "header": r.Header})
	}))
	t.Cleanup(s.Close)
	return s
}

type asked struct {
	Upstream, Method, Path, Query, Host, Body string
	Header                                    http.Header
}

func parse(t *testing.T, body string) asked {
	t.Helper()
	var a asked
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("not from the upstream: %v: %s", err, body)
	}
	return a
}

func TestSixLinesMakeAGateway(t *testing.T) {
	g := gatewaytest.New(t, `
upstreams:
  orders: `+echo(t, "orders").URL+`
routes:
  - match: /orders/**
    to: orders
`)
	resp, body := g.Do("POST", "/orders/7?x=1", "hello", "X-Custom: yes", "Host: api.example.com:8080")
	a := parse(t, body)
	if resp.StatusCode != 200 || a.Method != "POST" || a.Path != "/orders/7" || a.Query != "x=1" || a.Body != "hello" || a.Host != "api.example.com:8080" || a.Header.Get("X-Custom") != "yes" {
		t.Errorf("got %d %+v", resp.StatusCode, a)
	}
	if got := a.Header.Get("X-Forwarded-For"); got != "127.0.0.1" {
		t.Errorf("X-Forwarded-For is %q", got)
	}
	resp, body = g.Get("/other")
	if resp.StatusCode != 404 || !strings.Contains(body, `"route_not_found"`) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestPoliciesAreInheritedAndTurnedOff(t *testing.T) {
	g := gatewaytest.New(t, `
headers: {response: {set: {X-From: root}}}
routes:
  - match: /a/**
    respond: a
    headers: {response: {set: {X-From: a}}}
    routes:
      - {match: /b, respond: b}
      - {match: /c, respond: c, headers: off}
      - match: {path: /d/**, header: {x-v: "2"}}
        routes:
          - {match: /e, respond: e}
  - {match: /root, respond: root}
`)
	for path, want := range map[string]string{"/a/x": "a a", "/a/b": "b a", "/a/c": "c ", "/root": "root root", "/a/d/e": "a a"} {
		resp, body := g.Get(path)
		if got := body + " " + resp.Header.Get("X-From"); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if _, body := g.Get("/a/d/e", "X-V: 2"); body != "e" {
		t.Errorf("/a/d/e with the header: got %q", body)
	}
}

func TestPreflightsGoWhereTheRequestWould(t *testing.T) {
	g := gatewaytest.New(t, `
upstreams: {u: `+echo(t, "u").URL+`}
routes:
  - {match: POST /orders, to: u, cors: [https://app.example.com]}
  - {match: /**, respond: other}
`)
	resp, _ := g.Do("OPTIONS", "/orders", "", "Origin: https://app.example.com", "Access-Control-Request-Method: POST")
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	if _, body := g.Do("OPTIONS", "/orders", ""); body != "other" {
		t.Errorf("plain OPTIONS went to %q", body)
	}
}

func TestErrorsCanBeOverridden(t *testing.T) {
	g := gatewaytest.New(t, `
errors:
  route_not_found: {title: Gone fishing, body: "<h1>{status} {title} {request.path}</h1>"}
  5xx: Please come back later.
upstreams: {gone: http://127.0.0.1:1}
routes:
  - {match: /gone, to: gone}
`)
	resp, body := g.Get("/x")
	if resp.StatusCode != 404 || body != "<h1>404 Gone fishing /x</h1>" || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
	}
	resp, body = g.Get("/gone")
	if resp.StatusCode != 502 || !strings.Contains(body, `"detail":"Please come back later."`) || !strings.Contains(body, `"code":"upstream_connect_failed"`) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestWrongConfigurationsAreRefusedWithAllErrors(t *testing.T) {
	_, err := gatewaytest.Start(t, `
upstreams:
  orders: http://127.0.0.1:1
routes:
  - match: /a
    to: oders
  - match: /b
    to: orders
    haeders: {}
  - {match: /c}
  - {match: /c, to: orders}
  - {match: /c/, to: orders, respond: x}
  - {match: {path: /d, when: "nothing.here == 1"}, to: orders}
  - {match: "/e/{", to: orders}
`)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{
		`cardea.yaml:6:9`, `did you mean "orders"?`, `cardea.yaml:9:5`, `did you mean "headers"?`, `the route has no target`,
		`one target`, `nothing`, `cardea.yaml:14`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

func TestDuplicateRoutesNameBothPlaces(t *testing.T) {
	_, err := gatewaytest.Start(t, `
routes:
  - {match: /a, respond: one}
  - {match: "/{x}", respond: template}
  - {match: /a, respond: two}
`)
	if err == nil || !strings.Contains(err.Error(), "cardea.yaml:3") || !strings.Contains(err.Error(), "cardea.yaml:5") {
		t.Errorf("got %v", err)
	}
}

func TestAFailedReloadChangesNothing(t *testing.T) {
	g := gatewaytest.New(t, `routes: [{match: /a, respond: one}]`)
	if err := g.SetConfig(`routes: [{match: /a, repsond: two}]`); err == nil {
		t.Fatal("the reload succeeded")
	}
	if report := g.Last(); report.OK || report.Errors == nil || report.Trigger != "test" {
		t.Errorf("report %+v", report)
	}
	if _, body := g.Get("/a"); body != "one" {
		t.Errorf("got %q", body)
	}
	if err := g.SetConfig(`routes: [{match: /a, respond: two}]`); err != nil {
		t.Fatal(err)
	}
	if _, body := g.Get("/a"); body != "two" {
		t.Errorf("got %q", body)
	}
}

func TestReloadsUnderLoadFailNothing(t *testing.T) {
	up := echo(t, "u")
	config := func(version int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "upstreams: {u: {endpoints: %s, health: /}}\nheaders: {response: {set: {X-Version: \"%d\"}}}\nroutes:\n", up.URL, version)
		for i := range 1000 {
			fmt.Fprintf(&b, "  - {match: /r%d/**, to: u, name: r%d}\n", i, i)
		}
		return b.String()
	}
	g := gatewaytest.New(t, config(0))
	ctx, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	var requests, failed atomic.Int64
	var first atomic.Pointer[string]
	for worker := range 8 {
		wait.Go(func() {
			for i := worker; ctx.Err() == nil; i += 8 {
				resp, err := g.Client.Get(fmt.Sprintf("%s/r%d/x", g.URL, i%1000))
				requests.Add(1)
				problem := ""
				switch {
				case err != nil:
					problem = err.Error()
				case resp.StatusCode != 200:
					text, _ := io.ReadAll(resp.Body)
					problem = fmt.Sprint(resp.StatusCode, " ", string(text))
				}
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if problem != "" {
					failed.Add(1)
					first.CompareAndSwap(nil, &problem)
				}
			}
		})
	}
	for version := range 100 {
		if err := g.SetConfig(config(version + 1)); err != nil {
			t.Fatal(err)
		}
	}
	resp, _ := g.Get("/r1/x")
	stop()
	wait.Wait()
	if resp.Header.Get("X-Version") != "100" {
		t.Errorf("the last version is %s", resp.Header.Get("X-Version"))
	}
	if problem := first.Load(); problem != nil {
		t.Errorf("%d of %d requests failed, the first with: %s", failed.Load(), requests.Load(), *problem)
	}
	if requests.Load() < 100 {
		t.Errorf("only %d requests were made", requests.Load())
	}
	t.Logf("%d requests during 100 reloads of 1,000 routes", requests.Load())
}

func TestWebSocketsOutliveReloads(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, text, err := c.Read(r.Context())
			if err != nil {
				return
			}
			_ = c.Write(r.Context(), kind, append([]byte("echo "), text...))
		}
	}))
	defer up.Close()
	config := `
upstreams: {u: ` + up.URL + `}
routes: [{match: /ws, to: u}]
`
	g := gatewaytest.New(t, config)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, g.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	say := func(text string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, got, err := c.Read(ctx)
		if err != nil || string(got) != "echo "+text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	say("one")
	if err := g.SetConfig(`routes: [{match: /other, respond: x}]`); err != nil {
		t.Fatal(err)
	}
	say("two")
	if resp, _ := g.Get("/ws"); resp.StatusCode != 404 {
		t.Errorf("the new configuration answers %d", resp.StatusCode)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestStreamsAreFlushedAtOnce(t *testing.T) {
	next := make(chan string)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for text := range next {
			fmt.Fprintf(w, "data: %s\n\n", text)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer up.Close()
	g := gatewaytest.New(t, "compress: {}\nupstreams: {u: "+up.URL+"}\nroutes: [{match: /**, to: u}]")
	resp, err := g.Client.Get(g.URL + "/events") // the head comes before the first event
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 100)
	for _, text := range []string{"one", "two"} {
		next <- text
		n, err := resp.Body.Read(buf)
		if got := string(buf[:n]); err != nil || got != "data: "+text+"\n\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	close(next)
}

func TestAClientThatLeavesCancelsTheUpstream(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	}))
	defer up.Close()
	g := gatewaytest.New(t, "upstreams: {u: "+up.URL+"}\nroutes: [{match: /**, to: u}]")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-entered
		cancel()
	}()
	r, _ := http.NewRequestWithContext(ctx, "GET", g.URL, nil)
	if _, err := g.Client.Do(r); err == nil {
		t.Error("there was an answer")
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("the upstream call goes on")
	}
}

func TestTheAdminAPI(t *testing.T) {
	t.Setenv("ORDERS_TOKEN", "top-secret-token")
	g := gatewaytest.New(t, `
admin: 127.0.0.1:0
upstreams: {orders: `+echo(t, "orders").URL+`}
routes:
  - match: /orders/{id}
    to: orders
    headers: {request: {set: {Authorization: "Bearer ${ORDERS_TOKEN}"}}}
  - {match: {path: "/orders/{id}", header: {x-beta: "1"}}, respond: beta}
`)
	url := "http://" + g.AdminAddr()
	get := func(path string, want int) string {
		t.Helper()
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s", path, resp.StatusCode, want, text)
		}
		return string(text)
	}
	g.Get("/orders/7")
	failed, _ := g.Get("/none")
	for path, want := range map[string][]string{
		"/livez": {"ok"}, "/readyz": {"ready"}, "/status": {`"ready": true`, `"routes": 2`}, "/": {"/explain"},
		"/metrics":   {`cardea_requests_total{route="/orders/{id}",status="200"} 1`, "go_goroutines", `cardea_build_info`},
		"/config":    {"${ORDERS_TOKEN}", "/orders/{id}"},
		"/routes":    {`"match": "/orders/{id} with header X-Beta`, `"policy": "headers"`},
		"/upstreams": {`"orders"`, "127.0.0.1"},
		"/explain?url=https://x.example/orders/7":                    {`"id": "7"`, `"condition": "header"`, `"wanted": "= \"1\""`},
		"/explain?url=https://x.example/orders/7&header=X-Beta:%201": {`"kind": "respond"`},
		"/explain?id=" + failed.Header.Get("X-Request-Id"):           {`"route_not_found"`},
		"/debug/pprof/cmdline":                                       {""},
	} {
		text := get(path, 200)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is missing in:\n%s", path, w, text)
			}
		}
		if strings.Contains(text, "top-secret") {
			t.Errorf("%s shows a secret", path)
		}
	}
	get("/explain?id=none", 404)
	get("/explain?url=nonsense", 400)
	reload, _ := http.NewRequest("POST", url+"/reload", nil)
	rebound, _ := http.NewRequest("GET", url+"/config", nil)
	rebound.Host = "evil.example:9090"
	for r, want := range map[*http.Request]int{reload: 200, rebound: 403} {
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s %s as %s: %v %v", r.Method, r.URL.Path, r.Host, resp, err)
		}
		resp.Body.Close()
	}
}

func TestMethodsAndHeads(t *testing.T) {
	g := gatewaytest.New(t, `
routes:
  - {match: "GET /a", respond: hello}
  - {match: "PUT /a", respond: 204}
`)
	resp, body := g.Do("HEAD", "/a", "")
	if resp.StatusCode != 200 || body != "" || resp.ContentLength != 5 {
		t.Errorf("HEAD: %d %q %d", resp.StatusCode, body, resp.ContentLength)
	}
	resp, _ = g.Do("DELETE", "/a", "")
	if diff := cmp.Diff([]any{405, "GET, HEAD, PUT"}, []any{resp.StatusCode, resp.Header.Get("Allow")}); diff != "" {
		t.Error(diff)
	}
}
