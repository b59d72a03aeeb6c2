package gatewaytest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/engine"
)

// callServices answers /ok, /list, /long, and with the status that the path names; /hang until the caller leaves, of which it tells.
func callServices(t *testing.T) (url string, hanging chan string) {
	t.Helper()
	hanging = make(chan string, 100)
	flaky := sync.Map{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		var status int
		switch _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); {
		case err == nil:
			w.WriteHeader(status)
		case strings.HasPrefix(r.URL.Path, "/hang"):
			hanging <- r.URL.Path
			<-r.Context().Done()
		case strings.HasPrefix(r.URL.Path, "/flaky"):
			if _, again := flaky.LoadOrStore(r.Header.Get("X-Request-Id"), true); !again {
				w.WriteHeader(503)
				return
			}
			_, _ = io.WriteString(w, `{"id":7}`)
		case r.URL.Path == "/list":
			_, _ = io.WriteString(w, `["a","b","400","a"]`)
		case r.URL.Path == "/long":
			_, _ = io.WriteString(w, `["`+strings.Repeat("x", 300_000)+`"]`)
		default:
			_, _ = io.WriteString(w, `{"id":7,"vip":false}`)
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.URL, hanging
}

// callGateway is a gateway with a target over the services, at /.
func callGateway(t *testing.T, target, more string) (g *gatewaytest.Gateway, hanging chan string) {
	t.Helper()
	url, hanging := callServices(t)
	return gatewaytest.New(t, fmt.Sprintf(`
listen: {address: 127.0.0.1:0, trusted_proxies: [loopback]}
admin: 127.0.0.1:0
overload: off
upstreams:
  s: {endpoints: [%s], retry: {times: 1, backoff: 1ms}, eject: off, breaker: off}
  gone: {endpoints: [http://127.0.0.1:1], retry: off, eject: off, breaker: off}
routes:
  - match: /page
    name: page
%s    %s
`, url, more, target)), hanging
}

// past waits until a request is over, and is remembered.
func past(t *testing.T, g *gatewaytest.Gateway, id string) engine.Past {
	t.Helper()
	for range 1000 {
		if p, ok := g.Engine.Past(id); ok && p.TookMS > 0 {
			return p
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("the request %s is not remembered", id)
	return engine.Past{}
}

// cameOf are the calls with what came of them: "name outcome", with status, code and tries where there are any.
func cameOf(p engine.Past) (all []string) {
	for _, c := range p.Calls {
		line := fmt.Sprintf("%s %s %d %s", c.Call, c.Outcome, c.Status, c.Code)
		if len(c.After) > 0 {
			line += " after " + strings.Join(c.After, "+")
		}
		all = append(all, line)
	}
	return all
}

// TestCallsOfAPage: of a page which lacks something is known which calls it was made of, what waited for what, and why something is missing.
func TestCallsOfAPage(t *testing.T) {
	g, _ := callGateway(t, `aggregate:
      profile: "GET s/ok?token=hunter2&u={query.u}"
      list: {call: GET s/list, hide: true}
      loop: {each: list, call: "GET s/{item}?token=hunter2", optional: true}
      flaky: {call: "GET s/flaky/{profile.id}"}
      gone: {call: GET gone/x, optional: true, default: []}
      reviews: {call: "GET s/500", optional: true}
      vip: {call: GET s/vip, when: profile.vip}
      same: "GET s/ok?token=hunter2&u={query.u}"
      long: GET s/long
`, "")
	resp, body := g.Get("/page?u=secret-user")
	if resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode, body)
	}
	p := past(t, g, resp.Header.Get("X-Request-Id"))
	want := []string{
		"profile ok 200 ", "list ok 200 ", "loop ok 400 call_failed after list", "flaky ok 200  after profile", "gone default 0 upstream_connect_failed",
		"reviews failed 500 call_failed", "vip skipped 0  after profile", "same ok 200 ", "long ok 200 ",
	}
	got := cameOf(p)
	shares := 0 // who of the two that are the same came first is by chance
	for i, c := range p.Calls {
		if c.SameAs != "" {
			shares++
			got[i] = strings.Replace(got[i], " 0 ", " 200 ", 1)
		}
	}
	if !slices.Equal(got, want) || shares != 1 {
		t.Errorf("%q, %d share; wanted\n%q", got, shares, want)
	}
	byName := map[string]*engine.CallOut{}
	for i := range p.Calls {
		byName[p.Calls[i].Call] = &p.Calls[i]
	}
	if l := byName["loop"].Loop; l == nil || l.Times != 4 || l.Made != 4 || l.Failed != 1 || l.Shared != 1 || l.Element != 2 {
		t.Errorf("loop %+v", l)
	}
	if f := byName["flaky"]; f.Tries != 2 || len(f.Attempts) != 2 || f.Attempts[0].Status != 503 || f.Attempts[1].Status != 200 || f.Level != 2 || f.Path != "/flaky/7" {
		t.Errorf("flaky %+v", f)
	}
	if l := byName["long"]; l.Time.PassedMS < l.Time.EndMS {
		t.Errorf("long %+v", l.Time)
	}
	for _, c := range p.Calls {
		if c.Time == nil || c.Time.BeginMS > c.Time.EndMS || c.Time.EndMS > p.TookMS {
			t.Errorf("%s was under way in %+v, of %g ms", c.Call, c.Time, p.TookMS)
		}
	}
	shown := p.Text() + adminSays(t, g, "id="+p.RequestID)
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, "secret-user") {
		t.Errorf("it shows secrets: %s", shown)
	}
	if !strings.Contains(shown, "its default stands in") || !strings.Contains(shown, "* ") {
		t.Error(shown)
	}
}

// adminSays is what explain of the admin API answers.
func adminSays(t *testing.T, g *gatewaytest.Gateway, query string) string {
	t.Helper()
	resp, err := http.Get("http://" + g.AdminAddr() + "/explain?" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode, string(b), err)
	}
	return string(b)
}

// TestPlanAndPastHaveTheSameShape: the console draws one as the other.
func TestPlanAndPastHaveTheSameShape(t *testing.T) {
	type call struct {
		Call, Upstream, Method, When, Each string
		Level                              int
		After                              []string
		Optional                           bool
		Role                               filter.Role
	}
	for name, target := range map[string]string{
		"aggregate": `aggregate: {a: GET s/ok, b: {call: "GET s/{a.id}", when: a.vip, optional: true}, list: GET s/list, c: {each: list, call: "GET s/ok/{item}{a.id}"}}`,
		"sequence":  `sequence: {a: GET s/ok, b: POST s/ok, c: {call: POST s/ok}}`,
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := callGateway(t, target, "")
			var plan struct {
				Target struct{ Calls []call }
			}
			if err := json.Unmarshal([]byte(adminSays(t, g, "url="+g.URL+"/page")), &plan); err != nil {
				t.Fatal(err)
			}
			resp, body := g.Get("/page")
			if resp.StatusCode != 200 {
				t.Fatal(resp.StatusCode, body)
			}
			past(t, g, resp.Header.Get("X-Request-Id"))
			var made struct{ Calls []call }
			if err := json.Unmarshal([]byte(adminSays(t, g, "id="+resp.Header.Get("X-Request-Id"))), &made); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(plan.Target.Calls) != fmt.Sprint(made.Calls) || len(made.Calls) < 3 {
				t.Errorf("planned %+v\nmade    %+v", plan.Target.Calls, made.Calls)
			}
		})
	}
}

// TestCallsOfFailures: what came of each call, where the whole fails, is late, or nobody waits for it any more.
func TestCallsOfFailures(t *testing.T) {
	for name, test := range map[string]struct {
		target, more string
		leaves       bool
		status       int
		want         []string
		why          string
	}{
		"a required call fails": {
			`aggregate: {a: GET s/hang, b: GET s/400, c: "GET s/{b.id}", d: "GET s/{a.id}"}`, "", false, 502,
			[]string{"a cancelled 0 ", "b failed 400 call_failed", "c waiting 0  after b", "d waiting 0  after a"},
			"because b failed",
		},
		"the calls are late": {
			`aggregate: {a: GET s/ok, b: GET s/hang, timeout: 100ms}`, "", false, 504, []string{"a ok 200 ", "b failed 0 upstream_timeout"}, "took longer than 100ms",
		},
		"an optional one is late": {
			`aggregate: {a: GET s/ok, b: {call: GET s/hang, optional: true, timeout: 100ms}}`, "", false, 200,
			[]string{"a ok 200 ", "b failed 0 upstream_timeout"},
			"it is missing",
		},
		"requests that cannot be made": {
			`aggregate: {a: {call: GET s/list}, b: {call: "GET s/{a.id}", optional: true}, c: {each: a, call: "GET s/{item.id}", optional: true}}`, "", false, 200,
			[]string{"a ok 200 ", "b failed 0 call_failed after a", "c ok 0 call_failed after a"},
			"4 of 4 made, 4 failed",
		},
		"the route is late": {
			`aggregate: {a: GET s/ok, b: {call: GET s/hang, optional: true}}`, "    timeout: 100ms\n", false, 200,
			[]string{"a ok 200 ", "b cancelled 0 upstream_timeout"},
			"cancelled",
		},
		"the client leaves": {
			`aggregate: {a: GET s/ok, b: GET s/hang, c: "GET s/{b.id}"}`, "", true, 499,
			[]string{"a ok 200 ", "b cancelled 0 client_closed", "c waiting 0  after b"},
			"the client left",
		},
		"a sequence is undone": {
			`sequence: {a: {call: POST s/ok, on_error: "DELETE s/a/{a.id}"}, b: {call: POST s/ok, when: has(body.none)}, c: {call: POST s/400}, d: POST s/ok, undo: {backoff: 1ms}}`, "", false, 502,
			[]string{"a undone 200 ", "b skipped 0 ", "c failed 400 call_failed after a", "d waiting 0 ", "undo a ok 200  after c"},
			"DELETE s/a/7",
		},
		"whether a step is to be made cannot be said": {
			`sequence: {a: {call: POST s/ok, on_error: "DELETE s/a/{a.id}"}, b: {call: POST s/ok, when: body.none}, c: POST s/ok, undo: {backoff: 1ms}}`, "", false, 400,
			[]string{"a undone 200 ", "b failed 0 call_failed", "c waiting 0 ", "undo a ok 200  after a"},
			"cannot say whether its condition holds",
		},
		"a sequence cannot be undone": {
			`sequence: {a: {call: POST s/ok, on_error: [DELETE s/500, "DELETE s/a/{a.id}"]}, b: {call: POST s/hang, timeout: 100ms}, undo: {backoff: 1ms, times: 10}}`, "", false, 504,
			[]string{"a stuck 200 ", "b stuck 0 upstream_timeout after a", "undo a 1 failed 500 call_failed after b", "undo a 2 ok 200  after undo a 1"},
			"try 11",
		},
		"a sequence asks again": {
			`sequence: {a: {call: POST s/ok, on_error: DELETE s/ok}, b: {call: POST s/500, unknown: repeat, on_error: DELETE s/ok}, undo: {backoff: 1ms, times: 1}}`, "", false, 502,
			[]string{"a undone 200 ", "b undone 500 call_failed after a", "b again failed 500 call_failed after b", "undo b ok 200  after b again", "undo a ok 200  after undo b"},
			"undo b",
		},
		"a sequence that the client left": {
			`sequence: {a: {call: POST s/hang, timeout: 100ms, on_error: DELETE s/ok}, b: POST s/ok, undo: {backoff: 1ms}}`, "", true, 504,
			[]string{"a undone 0 upstream_timeout", "b waiting 0 ", "undo a ok 200  after a"},
			"undone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, hanging := callGateway(t, test.target, test.more)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.leaves {
				go func() { <-hanging; cancel() }()
			}
			method, body := "GET", ""
			if strings.HasPrefix(test.target, "sequence") {
				method, body = "POST", "{}"
			}
			r, err := http.NewRequestWithContext(ctx, method, g.URL+"/page", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Request-Id", "the-one")
			status := test.status
			if resp, err := g.Client.Do(r); err == nil {
				status = resp.StatusCode
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			} else if !test.leaves {
				t.Fatal(err)
			}
			p := past(t, g, "the-one")
			if got := cameOf(p); !slices.Equal(got, test.want) || status != test.status || p.Status != test.status {
				t.Errorf("%d %d %q\nwanted %q", status, p.Status, got, test.want)
			}
			if text := p.Text(); !strings.Contains(text, test.why) {
				t.Errorf("%s\nwanted %q", text, test.why)
			}
		})
	}
}

// TestCallsBehindPolicies: also where a policy asks on behalf of several requests, or puts something in the place of the answer, the calls are known.
func TestCallsBehindPolicies(t *testing.T) {
	for policy, want := range map[string][]string{
		"cache: {ttl: 1h}":       {"a ok 200 ", "b ok 200  after a"},
		"coalesce: {}":           {"a ok 200 ", "b ok 200  after a"},
		"fallback: {json: [no]}": {"a ok 200 ", "b failed 400 call_failed after a"},
	} {
		t.Run(policy, func(t *testing.T) {
			b := "ok"
			if strings.HasPrefix(policy, "fallback") {
				b = "400"
			}
			g, _ := callGateway(t, fmt.Sprintf(`aggregate: {a: GET s/ok, b: "GET s/%s/{a.id}"}`, b), "    "+policy+"\n")
			resp, body := g.Get("/page")
			if resp.StatusCode != 200 {
				t.Fatal(resp.StatusCode, body)
			}
			p := past(t, g, resp.Header.Get("X-Request-Id"))
			if got := cameOf(p); !slices.Equal(got, want) || p.Status != 200 || (p.Code != "") != (b == "400") || (p.Fallback != "") != (b == "400") {
				t.Errorf("%q %+v", got, p)
			}
		})
	}
}

// TestManyPagesAtOnce: each request has its own calls.
func TestManyPagesAtOnce(t *testing.T) {
	g, _ := callGateway(t, `aggregate: {a: "GET s/ok/{query.n}", b: {call: "GET s/500", optional: true}, c: "GET s/ok/{a.id}/{query.n}"}`, "")
	var group sync.WaitGroup
	for n := range 50 {
		group.Go(func() {
			resp, body := g.Get(fmt.Sprintf("/page?n=%d", n), fmt.Sprintf("X-Request-Id: r%d", n))
			if resp.StatusCode != 200 {
				t.Error(resp.StatusCode, body)
				return
			}
			p := past(t, g, fmt.Sprintf("r%d", n))
			if len(p.Calls) != 3 || p.Calls[0].Path != fmt.Sprintf("/ok/%d", n) || p.Calls[2].Path != fmt.Sprintf("/ok/7/%d", n) || p.Calls[1].Outcome != filter.CallFails {
				t.Errorf("%d: %+v", n, p.Calls)
			}
			_ = p.Text()
		})
	}
	group.Wait()
}

// TestCallsInTraces: each call is a span with its name, its upstream, what came of it and what it waited for; those that undo, too.
func TestCallsInTraces(t *testing.T) {
	for name, test := range map[string]struct {
		target string
		want   map[string]string // by name of the span: attributes
	}{
		"aggregate": {
			`aggregate: {a: GET s/ok, b: {call: "GET s/500/{a.id}", optional: true}, c: {call: "GET gone/{a.id}", optional: true}, same: GET s/ok, list: GET s/list, d: {each: list, call: "GET s/ok/{item}"}}`,
			map[string]string{
				"call b": "b s 500 call_failed a", "call c": "c gone  upstream_connect_failed a", "call list": "list s 200  ", "call d": "d s 200  list",
			},
		},
		"sequence": {
			`sequence: {a: {call: POST s/ok, on_error: "DELETE s/404/{a.id}"}, b: {call: POST s/ok, on_error: DELETE gone}, c: POST s/400, undo: {times: 1, backoff: 1ms}}`,
			map[string]string{
				"step a": "a s 200  ", "step b": "b s 200  a", "step c": "c s 400 call_failed b", "undo b": "undo b gone  upstream_connect_failed c undoes b",
				"undo a": "undo a s 404  undo b undoes a",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newSpans(t)
			t.Run("requests", func(t *testing.T) { // its gateway ends with it, which delivers the spans
				url, _ := callServices(t)
				g := gatewaytest.New(t, fmt.Sprintf("tracing: {endpoint: %s, headers: {x-key: secret}}\noverload: off\nupstreams:\n  s: {endpoints: [%s], retry: off}\n  gone: {endpoints: [http://127.0.0.1:1], retry: off}\nroutes:\n  - match: /page\n    %s\n",
					c.URL, url, test.target))
				g.Do("POST", "/page", "{}")
			})
			for name, want := range test.want {
				found := c.named(name)
				if len(found) == 0 {
					t.Errorf("there is no span %q in\n%s", name, strings.Join(c.drawn(), "\n"))
				}
				for _, s := range found {
					got := attribute(s, "cardea.call") + " " + attribute(s, "cardea.upstream") + " " + attribute(s, "http.response.status_code") + " " + attribute(s, "error.type") + " "
					for _, a := range s.Attributes {
						if a.Key == "cardea.call.after" {
							for _, v := range a.Value.GetArrayValue().GetValues() {
								got += v.GetStringValue()
							}
						}
					}
					if of := attribute(s, "cardea.call.undoes"); of != "" {
						got += " undoes " + of
					}
					failed := s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR
					if got != want && !(name == "call d" && attribute(s, "cardea.call.same") == "d") || failed != (attribute(s, "error.type") != "") {
						t.Errorf("%s is %q, wanted %q; failed: %v", name, got, want, failed)
					}
				}
			}
			if name == "aggregate" {
				same := attribute(c.named("call a")[0], "cardea.call.same") + attribute(c.named("call same")[0], "cardea.call.same")
				if same != "a" && same != "same" {
					t.Errorf("%q is whose answer the other has", same)
				}
			}
		})
	}
}
