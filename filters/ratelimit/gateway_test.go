package ratelimit_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

// caller authenticates whoever says a name in X-User: "ann" is in the group staff, and every consumer has a tag.
func caller() filter.Kind {
	return filter.Define("test_caller", filter.Authenticate, func(env *filter.Env, _ *struct {
		On bool `yaml:"on,short"`
	},
	) (*filter.Filter, error) {
		return env.Join("test_caller", filter.Authenticator{Authenticate: func(ex *filter.Exchange) (*filter.Identity, error) {
			name := ex.Request.Header.Get("X-User")
			if name == "" {
				return nil, filter.Reject(filter.CredentialsMissing, "")
			}
			id := &filter.Identity{Subject: name, Consumer: name, Tags: map[string]string{"plan": "free"}}
			if name == "ann" {
				id.Groups = []string{"staff"}
			}
			return id, nil
		}}), nil
	})
}

// statuses sends a request so many times and says what came.
func statuses(g *gatewaytest.Gateway, n int, path string, fields ...string) string {
	var got []string
	for range n {
		resp, _ := g.Get(path, fields...)
		got = append(got, fmt.Sprint(resp.StatusCode))
	}
	return strings.Join(got, " ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

// untimed takes the times out of RateLimit, which depend on how fast the test is.
func untimed(field string) string {
	return regexp.MustCompile(`;t=\d+`).ReplaceAllString(field, ";t=…")
}

// soon checks that Retry-After says at most so many seconds, and not much less.
func soon(t *testing.T, resp *http.Response, most int) {
	t.Helper()
	if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || wait > most || wait < most/2 {
		t.Errorf("Retry-After: %q, want about %d", resp.Header.Get("Retry-After"), most)
	}
}

func TestByIdentity(t *testing.T) {
	g := gatewaytest.New(t, `
test_caller: true
rate_limit: 2/h
routes: [{match: /**, respond: ok}]
`, caller())
	want(t, "bob", statuses(g, 3, "/", "X-User: bob"), "200 200 429")
	want(t, "eve", statuses(g, 3, "/", "X-User: eve"), "200 200 429")
	want(t, "nobody", statuses(g, 3, "/"), "401 401 401")
	resp, body := g.Get("/", "X-User: bob")
	for name, text := range map[string]string{
		"RateLimit": `"default";r=0;t=…`, "RateLimit-Policy": `"default";q=2;w=3600`, "Content-Type": "application/problem+json",
	} {
		if got := untimed(resp.Header.Get(name)); got != text {
			t.Errorf("%s: %s", name, got)
		}
	}
	soon(t, resp, 1800)
	again := fmt.Sprintf("The limit of 2/h is reached. Try again in %s seconds.", resp.Header.Get("Retry-After"))
	if !strings.Contains(body, `"code":"rate_limited"`) || !strings.Contains(body, again) || strings.Contains(body, "bob") {
		t.Errorf("got %s", body)
	}
}

// TestByAddressBeforeAuthentication: what is refused by authentication and what no route matches counts, too.
func TestByAddressBeforeAuthentication(t *testing.T) {
	g := gatewaytest.New(t, `
rate_limit: 4/h per address
routes: [{match: /a, respond: ok, test_caller: true}]
`, caller())
	want(t, "without credentials", statuses(g, 2, "/a"), "401 401")
	want(t, "nowhere", statuses(g, 2, "/nowhere"), "404 404")
	want(t, "then", statuses(g, 1, "/a", "X-User: bob")+" "+statuses(g, 1, "/nowhere"), "429 429")
}

func TestAReloadKeepsCounts(t *testing.T) {
	text := "rate_limit: {limits: 3/h, headers: %s}\nroutes: [{match: /**, respond: %s}]"
	g := gatewaytest.New(t, fmt.Sprintf(text, "draft", "one"))
	want(t, "before", statuses(g, 2, "/"), "200 200")
	if err := g.SetConfig(fmt.Sprintf(text, "off", "two")); err != nil {
		t.Fatal(err)
	}
	want(t, "after", statuses(g, 2, "/"), "200 429")
	if err := g.SetConfig(strings.Replace(fmt.Sprintf(text, "off", "two"), "3/h", "5/h", 1)); err != nil {
		t.Fatal(err)
	}
	want(t, "another limit", statuses(g, 6, "/"), "200 200 200 200 200 429")
}

// TestWhereItIsWritten: routes that inherit a limit share it; names are shared wherever they stand.
func TestWhereItIsWritten(t *testing.T) {
	g := gatewaytest.New(t, `
routes:
  - match: /a/**
    rate_limit: 2/h
    routes: [{match: /x, respond: x}, {match: /y, respond: y}, {match: /own, respond: own, rate_limit: 2/h}, {match: /free, respond: free, rate_limit: off}]
  - {match: /b, respond: b, rate_limit: {limits: {rate: 2/h, name: both}}}
  - {match: /c, respond: c, rate_limit: {limits: {rate: 2/h, name: both}}}
`)
	want(t, "x and y", statuses(g, 1, "/a/x")+" "+statuses(g, 2, "/a/y")+" "+statuses(g, 1, "/a/x"), "200 200 429 429")
	want(t, "own", statuses(g, 3, "/a/own"), "200 200 429")
	want(t, "free", statuses(g, 3, "/a/free"), "200 200 200")
	want(t, "b and c", statuses(g, 1, "/b")+" "+statuses(g, 2, "/c")+" "+statuses(g, 1, "/b"), "200 200 429 429")
	resp, body := g.Get("/b")
	if resp.Header.Get("RateLimit-Policy") != `"both";q=2;w=3600` || !strings.Contains(body, `The limit \"both\" of 2/h is reached`) {
		t.Errorf("%v %s", resp.Header, body)
	}
}

func TestNamesAreTheSameLimit(t *testing.T) {
	text := `
routes:
  - {match: /b, respond: b, rate_limit: {limits: {rate: 2/h, name: both}}}
  - {match: /c, respond: c, rate_limit: {limits: {rate: %s, name: both}}}
`
	_, err := gatewaytest.Start(t, fmt.Sprintf(text, "3/h"))
	if err == nil || !strings.Contains(err.Error(), `another limit is called "both"`) {
		t.Errorf("got %v", err)
	}
	g := gatewaytest.New(t, fmt.Sprintf(text, "2/h"))
	if err := g.SetConfig(strings.ReplaceAll(fmt.Sprintf(text, "2/h"), "2/h", "1/h")); err != nil {
		t.Fatalf("another rate after a reload: %v", err)
	}
	want(t, "then", statuses(g, 1, "/b")+" "+statuses(g, 1, "/c"), "200 429")
}

// TestWhatIsAnsweredEarlierIsNotCounted: preflights are not.
func TestWhatIsAnsweredEarlierIsNotCounted(t *testing.T) {
	g := gatewaytest.New(t, `
cors: ["https://app.example.com"]
rate_limit: 1/h
routes: [{match: /**, respond: ok}]
`)
	for range 5 {
		if resp, _ := g.Do("OPTIONS", "/", "", "Origin: https://app.example.com", "Access-Control-Request-Method: GET"); resp.StatusCode != http.StatusNoContent {
			t.Fatalf("preflight: %d", resp.StatusCode)
		}
	}
	want(t, "then", statuses(g, 2, "/"), "200 429")
}

func TestOverrides(t *testing.T) {
	g := gatewaytest.New(t, `
consumers: {bob: {}, joe: {}, eve: {}}
test_caller: true
rate_limit:
  limits: 1/h
  overrides:
    - {groups: [staff, admins], limits: off}
    - {consumers: [bob, joe], tags: {plan: free}, limits: [3/h, 2/h per path]}
    - {consumers: [eve], tags: {plan: gold}, limits: off}
routes: [{match: /**, respond: ok}]
`, caller())
	want(t, "staff", statuses(g, 5, "/", "X-User: ann"), "200 200 200 200 200")
	want(t, "bob", statuses(g, 4, "/", "X-User: bob"), "200 200 429 429")
	want(t, "bob elsewhere", statuses(g, 2, "/x", "X-User: bob"), "200 429")
	want(t, "joe: a counter by path is shared", statuses(g, 2, "/x", "X-User: joe"), "200 429")
	want(t, "eve", statuses(g, 2, "/", "X-User: eve"), "200 429")
	resp, _ := g.Get("/y", "X-User: joe")
	if got := resp.Header.Get("RateLimit-Policy"); got != `"3/h";q=3;w=3600, "2/h";q=2;w=3600` {
		t.Errorf("got %s", got)
	}
}

// TestOverridesCountForThemselves: though they are written like others.
func TestOverridesCountForThemselves(t *testing.T) {
	g := gatewaytest.New(t, `
consumers: {ann: {}, joe: {}}
test_caller: true
rate_limit:
  limits: 1/h per header.x-team
  overrides: [{consumers: [ann], limits: 1/h per header.x-team}, {consumers: [joe], limits: 1/h per header.x-team}]
routes: [{match: /**, respond: ok}]
`, caller())
	for _, name := range []string{"ann", "joe", "bob"} {
		want(t, name, statuses(g, 2, "/", "X-Team: a", "X-User: "+name), "200 429")
	}
	want(t, "eve, with bob", statuses(g, 1, "/", "X-Team: a", "X-User: eve"), "429")
}

func TestGRPC(t *testing.T) {
	g := gatewaytest.New(t, "rate_limit: 1/h\nroutes: [{match: /**, respond: ok}]")
	g.Get("/")
	resp, _ := g.Do("POST", "/pkg.Service/Call", "", "Content-Type: application/grpc", "TE: trailers")
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "8" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}

func TestDryRun(t *testing.T) {
	g := gatewaytest.New(t, "rate_limit: {limits: 1/h, dry_run: true}\nroutes: [{match: /**, respond: ok, name: r}]")
	want(t, "dry", statuses(g, 3, "/"), "200 200 200")
	if resp, _ := g.Get("/"); resp.Header.Get("RateLimit") != "" {
		t.Errorf("clients are told: %v", resp.Header)
	}
	if err := g.SetConfig("rate_limit: 1/h\nroutes: [{match: /**, respond: ok, name: r}]"); err != nil {
		t.Fatal(err)
	}
	want(t, "for earnest", statuses(g, 1, "/"), "429")
}

// TestCostOfTheAnswer: it is counted afterwards, and the field that says it can be hidden.
func TestCostOfTheAnswer(t *testing.T) {
	g := gatewaytest.New(t, `
routes:
  - match: /tokens
    respond: {body: ok, headers: {X-Tokens: "80"}}
    rate_limit: {limits: 100/h, cost_response: {value: response.header.x-tokens, hide: true}}
  - match: /bytes
    respond: "0123456789"
    rate_limit: {limits: 15/h, cost_response: bytes}
  - match: /strange
    respond: {body: ok, headers: {X-Tokens: "-80"}}
    rate_limit: {limits: 2/h, cost_response: response.header.x-tokens}
`)
	want(t, "tokens", statuses(g, 3, "/tokens"), "200 200 429")
	want(t, "bytes", statuses(g, 3, "/bytes"), "200 200 429")
	want(t, "strange", statuses(g, 3, "/strange"), "200 200 429")
	resp, _ := g.Get("/tokens")
	soon(t, resp, 2196)
	if err := g.SetConfig(`routes: [{match: /tokens, respond: {body: ok, headers: {X-Tokens: "80"}}, rate_limit: {limits: 100/h, cost_response: {value: response.header.x-tokens, hide: true}}}]`); err != nil {
		t.Fatal(err)
	}
	if err := g.SetConfig(`routes: [{match: /tokens, respond: {body: ok, headers: {X-Tokens: "80"}}, rate_limit: {limits: 101/h, cost_response: {value: response.header.x-tokens, hide: true}}}]`); err != nil {
		t.Fatal(err)
	}
	if resp, _ := g.Get("/tokens"); resp.StatusCode != 200 || resp.Header.Get("X-Tokens") != "" {
		t.Errorf("the field is not hidden: %v", resp.Header)
	}
}

func TestFieldsOfTheService(t *testing.T) {
	service := `respond: {body: ok, headers: {RateLimit: '"own";r=7;t=1', X-RateLimit-Limit: "7"}}`
	g := gatewaytest.New(t, "rate_limit: {limits: 5/h, headers: both}\nroutes: [{match: /**, "+service+"}]")
	resp, _ := g.Get("/")
	if got := strings.Join(resp.Header.Values("RateLimit"), ", "); got != `"own";r=7;t=1, "default";r=4;t=720` {
		t.Errorf("RateLimit: %s", got)
	}
	if got := strings.Join(resp.Header.Values("X-RateLimit-Limit"), ", ") + " " + resp.Header.Get("X-RateLimit-Remaining") + " " + resp.Header.Get("X-RateLimit-Reset"); got != "5 4 720" {
		t.Errorf("X-RateLimit: %s", got)
	}
}

// TestBeforeAndAfterAuthentication: both kinds of limits hold, and both are told.
func TestBeforeAndAfterAuthentication(t *testing.T) {
	g := gatewaytest.New(t, `
test_caller: true
rate_limit: {limits: [6/h per address, 2/h, {rate: 100/h per identity, name: long}], headers: both}
routes: [{match: /**, respond: ok}]
`, caller())
	resp, _ := g.Get("/", "X-User: bob")
	if got := untimed(resp.Header.Get("RateLimit")); got != `"6/h";r=5;t=…, "2/h";r=1;t=…, "long";r=99;t=…` {
		t.Errorf("RateLimit: %s", got)
	}
	if got := resp.Header.Get("RateLimit-Policy"); got != `"6/h";q=6;w=3600, "2/h";q=2;w=3600, "long";q=100;w=3600` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := resp.Header.Get("X-RateLimit-Limit") + " " + resp.Header.Get("X-RateLimit-Remaining"); got != "2 1" {
		t.Errorf("X-RateLimit: %s", got)
	}
	resp, _ = g.Get("/")
	if got := untimed(resp.Header.Get("RateLimit")); resp.StatusCode != 401 || got != `"6/h";r=4;t=…` {
		t.Errorf("without credentials: %d, %s", resp.StatusCode, got)
	}
	want(t, "then", statuses(g, 5, "/", "X-User: bob"), "200 429 429 429 429")
	if resp, body := g.Get("/", "X-User: eve"); resp.StatusCode != 429 || !strings.Contains(body, "6/h") {
		t.Errorf("the address: %d %s", resp.StatusCode, body)
	}
}

// TestReloadsUnderLoad: exactly the limit passes, whatever is reloaded meanwhile.
func TestReloadsUnderLoad(t *testing.T) {
	text := "rate_limit: 100/d\nroutes: [{match: /**, respond: %q}]"
	g := gatewaytest.New(t, fmt.Sprintf(text, "0"))
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 75 {
				if resp, _ := g.Get("/"); resp.StatusCode == 200 {
					passed.Add(1)
				}
			}
		})
	}
	for i := range 5 {
		if err := g.SetConfig(fmt.Sprintf(text, fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d passed", passed.Load())
	}
}
