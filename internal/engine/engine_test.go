package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/observe"
)

// targetFunc is a target made of a function.
type targetFunc func(*filter.Exchange) (*http.Response, error)

func (f targetFunc) Serve(ex *filter.Exchange) (*http.Response, error) { return f(ex) }
func (f targetFunc) Explain(*filter.Exchange) string                   { return "a function" }

func text(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// snapshot is a snapshot of one route for all requests.
func snapshot(target targetFunc, steps ...engine.Step) *engine.Snapshot {
	any, err := router.ParsePath("/**")
	if err != nil {
		panic(err)
	}
	table, _ := router.New([]router.Rule{{Path: any, Name: "all"}})
	return &engine.Snapshot{
		Config: &config.Config{}, Table: table, Answers: &engine.Answers{},
		Routes:    []*engine.Route{{Route: filter.Route{Name: "all"}, Steps: steps, Target: target}},
		Unmatched: &engine.Route{Target: engine.Refusal{}},
	}
}

func newEngine(t testing.TB) (*engine.Engine, *bytes.Buffer) {
	var log bytes.Buffer
	return engine.New(engine.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: observe.NewMetrics()}), &log
}

func serve(t testing.TB, e *engine.Engine) *httptest.Server {
	t.Helper()
	edge := &listen.Edge{Name: "test", Forward: listen.NewForwarding(config.Forwarded{}, nil), Paths: router.DefaultOptions()}
	server := httptest.NewServer(e.Handler(edge))
	t.Cleanup(server.Close)
	return server
}

// tracer returns a step that writes its phases down.
func tracer(name string, log *[]string, request, response error, answer bool) engine.Step {
	var mu sync.Mutex
	say := func(phase string) {
		mu.Lock()
		defer mu.Unlock()
		*log = append(*log, name+"."+phase)
	}
	return engine.Step{Kind: name, Filter: filter.Filter{
		Request: func(ex *filter.Exchange) error {
			say("request")
			if answer {
				ex.Response = text(200, "from "+name)
			}
			return request
		},
		Response: func(*filter.Exchange) error { say("response"); return response },
		Finish:   func(*filter.Exchange) { say("finish") },
	}}
}

func TestPhasesRunInOrder(t *testing.T) {
	refuse := filter.Reject(filter.AddressDenied, "")
	for _, c := range []struct {
		name  string
		steps func(log *[]string) []engine.Step
		want  []string
		code  int
	}{
		{"all pass", func(l *[]string) []engine.Step {
			return []engine.Step{tracer("a", l, nil, nil, false), tracer("b", l, nil, nil, false)}
		}, []string{"a.request", "b.request", "target", "b.response", "a.response", "a.finish", "b.finish"}, 200},
		{"the first rejects", func(l *[]string) []engine.Step {
			return []engine.Step{tracer("a", l, refuse, nil, false), tracer("b", l, nil, nil, false)}
		}, []string{"a.request", "a.response", "a.finish"}, 403},
		{"the second answers", func(l *[]string) []engine.Step {
			return []engine.Step{tracer("a", l, nil, nil, false), tracer("b", l, nil, nil, true), tracer("c", l, nil, nil, false)}
		}, []string{"a.request", "b.request", "b.response", "a.response", "a.finish", "b.finish"}, 200},
		{"the response phase fails", func(l *[]string) []engine.Step {
			return []engine.Step{tracer("a", l, nil, nil, false), tracer("b", l, nil, errors.New("broken"), false)}
		}, []string{"a.request", "b.request", "target", "b.response", "a.response", "a.finish", "b.finish"}, 500},
		{"a phase is missing", func(l *[]string) []engine.Step {
			silent := tracer("a", l, nil, nil, false)
			silent.Request, silent.Finish = nil, nil
			return []engine.Step{silent}
		}, []string{"target", "a.response"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log []string
			e, _ := newEngine(t)
			e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) {
				log = append(log, "target")
				return text(200, "ok"), nil
			}, c.steps(&log)...))
			server := serve(t, e)
			resp, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			server.Close() // all phases are over
			if resp.StatusCode != c.code {
				t.Errorf("status %d, want %d", resp.StatusCode, c.code)
			}
			if diff := cmp.Diff(c.want, log); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPanicsAreAnsweredAndFinished(t *testing.T) {
	finished := make(chan int, 1)
	last := engine.Step{Kind: "watch", Filter: filter.Filter{Finish: func(ex *filter.Exchange) { finished <- ex.Status }}}
	e, log := newEngine(t)
	e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) { panic("boom") }, last))
	server := serve(t, e)
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	server.Close()
	if resp.StatusCode != 500 || !strings.Contains(string(body), `"code":"internal_error"`) || strings.Contains(string(body), "boom") {
		t.Errorf("answer %d %s", resp.StatusCode, body)
	}
	if got := <-finished; got != 500 {
		t.Errorf("finished with status %d", got)
	}
	if !strings.Contains(log.String(), "boom") {
		t.Errorf("the panic is not logged: %s", log)
	}
}

func TestAPanicInABodyCutsTheAnswerAndFinishes(t *testing.T) {
	finished := make(chan bool, 1)
	last := engine.Step{Kind: "watch", Filter: filter.Filter{Finish: func(ex *filter.Exchange) { finished <- ex.Aborted }}}
	e, log := newEngine(t)
	e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(io.MultiReader(strings.NewReader("some"), bomb{}))}, nil
	}, last))
	server := serve(t, e)
	if resp, err := http.Get(server.URL); err == nil {
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("the client took %q for the whole", body)
		}
		resp.Body.Close()
	}
	if !<-finished {
		t.Error("it was not finished as aborted")
	}
	server.Close()
	if e.Running() != 0 || !strings.Contains(log.String(), "panic while sending the answer") {
		t.Errorf("%d run; the log is %s", e.Running(), log)
	}
}

type bomb struct{}

func (bomb) Read([]byte) (int, error) { panic("boom") }

func TestSnapshotsLiveUntilTheirLastExchange(t *testing.T) {
	e, _ := newEngine(t)
	entered, release := make(chan struct{}), make(chan struct{})
	closed := make(chan string, 2)
	slow := snapshot(func(*filter.Exchange) (*http.Response, error) {
		close(entered)
		<-release
		return text(200, "old"), nil
	}, engine.Step{Kind: "x", Filter: filter.Filter{Close: func() error { closed <- "old"; return nil }}})
	e.Swap(slow)
	server := serve(t, e)
	answer := make(chan string)
	go func() {
		resp, err := http.Get(server.URL)
		if err != nil {
			answer <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) { return text(200, "new"), nil }))
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "new" {
		t.Errorf("after the swap: %s", body)
	}
	select {
	case <-closed:
		t.Fatal("the old snapshot was closed while in use")
	default:
	}
	close(release)
	if got := <-answer; got != "old" {
		t.Errorf("the old exchange ended with %q", got)
	}
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Fatal("the old snapshot was not closed")
	}
}

func TestTrailersPass(t *testing.T) {
	for _, announced := range []bool{true, false} {
		t.Run(fmt.Sprint("announced=", announced), func(t *testing.T) {
			e, _ := newEngine(t)
			e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) {
				resp := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Trailer: http.Header{}}
				if announced {
					resp.Trailer["Grpc-Status"] = nil
				}
				resp.Body = io.NopCloser(&onEOF{strings.NewReader("body"), func() { resp.Trailer["Grpc-Status"] = []string{"0"} }})
				return resp, nil
			}))
			resp, err := http.Get(serve(t, e).URL)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != "body" || resp.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("got %q, %v, trailer %v", body, err, resp.Trailer)
			}
		})
	}
}

type onEOF struct {
	io.Reader
	then func()
}

func (r *onEOF) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.then()
	}
	return n, err
}

func TestABrokenBodyIsNotEndedCleanly(t *testing.T) {
	e, _ := newEngine(t)
	finished := make(chan *filter.Error, 1)
	last := engine.Step{Kind: "watch", Filter: filter.Filter{Finish: func(ex *filter.Exchange) { finished <- filter.AsError(ex.Err) }}}
	e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(io.MultiReader(strings.NewReader("some"), broken{}))}, nil
	}, last))
	resp, err := http.Get(serve(t, e).URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the client read %q and saw no error", body)
	}
	if got := <-finished; got.Code != filter.UpstreamReset {
		t.Errorf("finished with %v", got)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestInterimResponsesPass(t *testing.T) {
	e, _ := newEngine(t)
	e.Swap(snapshot(func(ex *filter.Exchange) (*http.Response, error) {
		ex.Interim(103, http.Header{"Link": {"</a.css>; rel=preload"}})
		return text(200, "ok"), nil
	}))
	var hints []string
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, "GET", serve(t, e).URL, nil)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if diff := cmp.Diff([]string{"103 </a.css>; rel=preload"}, hints); diff != "" || resp.Header.Get("Link") != "" {
		t.Errorf("interim responses: %s; Link in the final one: %q", diff, resp.Header.Get("Link"))
	}
}

func TestClientsCannotStripOrForgeFields(t *testing.T) {
	e, _ := newEngine(t)
	got := make(chan http.Header, 1)
	e.Swap(snapshot(func(ex *filter.Exchange) (*http.Response, error) {
		got <- ex.Request.Header.Clone()
		return text(204, ""), nil
	}))
	server := serve(t, e)
	r, _ := http.NewRequest("GET", server.URL, nil)
	for name, value := range map[string]string{
		"Connection": "X-Forwarded-For, X-Request-Id, X-Secret", "X-Secret": "1", "X-Forwarded-For": "6.6.6.6", "X-Request-Id": "mine", "Proxy-Authorization": "x", "Te": "gzip",
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := <-got
	for _, name := range []string{"Connection", "X-Secret", "Proxy-Authorization", "Te"} {
		if h.Get(name) != "" {
			t.Errorf("the upstream sees %s: %s", name, h.Get(name))
		}
	}
	if id := h.Get("X-Request-Id"); id == "mine" || len(id) != 32 || resp.Header.Get("X-Request-Id") != id {
		t.Errorf("request id %q, and %q for the client", id, resp.Header.Get("X-Request-Id"))
	}
}

func TestRefusals(t *testing.T) {
	path, _ := router.ParsePath("/only")
	table, _ := router.New([]router.Rule{{Path: path, Methods: []string{"GET"}, Name: "only"}})
	s := snapshot(func(*filter.Exchange) (*http.Response, error) { return text(200, "ok"), nil })
	s.Table = table
	e, _ := newEngine(t)
	e.Swap(s)
	server := serve(t, e)
	for _, c := range []struct {
		method, path, accept, contentType string
		status                            int
		want                              []string
	}{
		{"GET", "/only", "", "", 200, []string{"ok"}},
		{"GET", "/%6fnly", "", "", 200, []string{"ok"}},
		{"GET", "/x/../only", "", "", 200, []string{"ok"}},
		{"GET", "/none", "", "", 404, []string{"application/problem+json", `"code":"route_not_found"`, `"status":404`, `"request_id":"`}},
		{"POST", "/only", "", "", 405, []string{`"code":"method_not_allowed"`, "Allow: GET"}},
		{"GET", "/none", "text/html,application/xhtml+xml", "", 404, []string{"text/html", "<h1>404 Not found</h1>"}},
		{"GET", "/none", "application/json,text/html", "", 404, []string{"application/problem+json"}},
		{"POST", "/none", "", "application/grpc", 200, []string{"Grpc-Status: 12", "Grpc-Message: No route matches this request. (route_not_found)"}},
		{"GET", "/a%00b", "", "", 400, []string{`"code":"bad_path"`}},
	} {
		t.Run(c.method+" "+c.path+" "+c.accept+c.contentType, func(t *testing.T) {
			r, err := http.NewRequest(c.method, server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", c.accept)
			r.Header.Set("Content-Type", c.contentType)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			var all bytes.Buffer
			_ = resp.Header.Write(&all)
			all.Write(body)
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(strings.ReplaceAll(all.String(), "\r", ""), want) {
					t.Errorf("%q is missing in:\n%s", want, all.String())
				}
			}
		})
	}
}

func TestFailuresCanBeLookedUp(t *testing.T) {
	e, _ := newEngine(t)
	e.Swap(snapshot(func(ex *filter.Exchange) (*http.Response, error) {
		ex.Upstream = "u"
		ex.Attempts = append(ex.Attempts, filter.Attempt{Upstream: "u", Endpoint: "10.0.0.1:80", Err: errors.New("refused")})
		return nil, filter.Reject(filter.UpstreamConnectFailed, "").Because(errors.New("connection refused"))
	}))
	resp, err := http.Get(serve(t, e).URL + "/x?secret=1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	f, ok := e.Past(resp.Header.Get("X-Request-Id"))
	if !ok || f.Upstream != "u" || f.Code != filter.UpstreamConnectFailed || f.Cause != "connection refused" || len(f.Attempts) != 1 || f.Attempts[0].Error != "refused" || strings.Contains(f.URL, "secret") {
		t.Errorf("failure %+v, %v", f, ok)
	}
}

// TestTheLoopAllocatesNothing holds the whole way through policies and target to what net/http's own types need.
func TestTheLoopAllocatesNothing(t *testing.T) {
	ok := &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody}
	pass := engine.Step{Kind: "pass", Filter: filter.Filter{
		Request: func(*filter.Exchange) error { return nil }, Response: func(*filter.Exchange) error { return nil }, Finish: func(*filter.Exchange) {},
	}}
	measure := func(steps ...engine.Step) float64 {
		e, _ := newEngine(t)
		e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) { return ok, nil }, steps...))
		h := e.Handler(&listen.Edge{Forward: listen.NewForwarding(config.Forwarded{}, nil), Paths: router.DefaultOptions()})
		w := &discard{http.Header{}}
		return testing.AllocsPerRun(200, func() {
			r := &http.Request{Method: "GET", URL: mustURL("/"), Header: http.Header{}, Host: "example.com", Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1, Proto: "HTTP/1.1", RemoteAddr: "192.0.2.1:1234"}
			h.ServeHTTP(w, r)
		})
	}
	if raceEnabled {
		t.Log("the race detector allocates: only the shape of the test runs")
		measure(pass)
		return
	}
	none, many := measure(), measure(pass, pass, pass, pass, pass, pass, pass, pass)
	if many != none {
		t.Errorf("eight policies allocate %v times, none %v times", many, none)
	}
	if none > 16 {
		t.Errorf("an exchange allocates %v times", none)
	}
}
