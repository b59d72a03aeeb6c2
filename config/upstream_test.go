package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// upstreamOf decodes an upstream from its text.
func upstreamOf(t *testing.T, text string) (Upstream, error) {
	t.Helper()
	node, err := ParseTree("test.yaml", []byte("upstream: "+strings.ReplaceAll(text, "\n", "\n  ")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var u Upstream
	err = node.Field("upstream").Decode(&u)
	return u, err
}

// defaultUpstream is an upstream with one endpoint, changed.
func defaultUpstream(change func(*Upstream)) Upstream {
	var u Upstream
	u.Default()
	u.Endpoints = []Endpoint{{URL: "http://orders:8080", Weight: 1}}
	if change != nil {
		change(&u)
	}
	return u
}

func TestUpstreamForms(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Upstream
	}{
		{"a URL", "http://orders:8080", defaultUpstream(nil)},
		{"URLs", "[http://10.0.0.1:8080, unix:///run/x.sock]", defaultUpstream(func(u *Upstream) {
			u.Endpoints = []Endpoint{{URL: "http://10.0.0.1:8080", Weight: 1}, {URL: "unix:///run/x.sock", Weight: 1}}
		})},
		{"endpoints", "{endpoints: [http://a, {url: http://b, weight: 3, priority: 1}]}", defaultUpstream(func(u *Upstream) {
			u.Endpoints = []Endpoint{{URL: "http://a", Weight: 1}, {URL: "http://b", Weight: 3, Priority: 1}}
		})},
		{
			"short forms", "{endpoints: http://orders:8080, balance: ewma, health: /healthz, eject: 3, retry: 1, timeout: 10s, breaker: 30%}",
			defaultUpstream(func(u *Upstream) {
				u.Balance.By, u.Eject.Consecutive, u.Retry.Times, u.Timeout.Request = "ewma", 3, 1, Duration(10*time.Second)
				u.Health = &HealthCheck{
					Kind: "http", Path: "/healthz", Method: "GET", Status: []StatusRange{{200, 399}},
					Interval: seconds(5), Timeout: seconds(1), Healthy: 2, Unhealthy: 3,
				}
				u.Breaker = &Breaker{
					ErrorRate: 0.3, MinRequests: 20, Window: seconds(10), OpenFor: seconds(5), Probes: 3, Status: []StatusRange{{500, 599}},
				}
			}),
		},
		{"off", "{endpoints: http://orders:8080, health: off, eject: off, retry: off, breaker: off}", defaultUpstream(func(u *Upstream) {
			u.Eject.Off, u.Retry.Off = true, true
			u.Health, u.Breaker = new(HealthCheck), new(Breaker)
			u.Health.Default()
			u.Breaker.Default()
			u.Health.Off, u.Breaker.Off = true, true
		})},
		{"on", "{endpoints: http://orders:8080, health: {}, breaker: on}", defaultUpstream(func(u *Upstream) {
			u.Health, u.Breaker = new(HealthCheck), new(Breaker)
			u.Health.Default()
			u.Breaker.Default()
			u.Health.Kind = "tcp"
		})},
		{"adaptive", "{endpoints: http://orders:8080, limits: {adaptive: on, pending: 5}}", defaultUpstream(func(u *Upstream) {
			u.Limits.Adaptive, u.Limits.Pending = &AdaptiveLimit{Start: 20}, 5
		})},
		{"hedge", "{endpoints: http://orders:8080, hedge: {after: 200ms, max: 10%}}", defaultUpstream(func(u *Upstream) {
			u.Hedge = &Hedge{After: HedgeAfter{Time: Duration(200 * time.Millisecond)}, AtLeast: Duration(5 * time.Millisecond), Max: 0.1, Methods: []string{"GET", "HEAD"}}
		})},
		{"hedge short", "{endpoints: http://orders:8080, hedge: p99}", defaultUpstream(func(u *Upstream) {
			u.Hedge = &Hedge{After: HedgeAfter{Percentile: 99}, AtLeast: Duration(5 * time.Millisecond), Max: 0.05, Methods: []string{"GET", "HEAD"}}
		})},
		{"hedge on", "{endpoints: http://orders:8080, hedge: on}", defaultUpstream(func(u *Upstream) {
			u.Hedge = new(Hedge)
			u.Hedge.Default()
		})},
		{"retry", "{endpoints: http://orders:8080, retry: {on: [reset, 5xx], budget: off, max_body: 1MiB}}", defaultUpstream(func(u *Upstream) {
			u.Retry.On = []RetryOn{{Failure: "reset"}, {Status: StatusRange{500, 599}}}
			u.Retry.Budget.Off, u.Retry.MaxBody = true, 1<<20
		})},
		{"hash", "{endpoints: http://orders:8080, balance: {by: hash, key: cookie.sid, bound: 2}}", defaultUpstream(func(u *Upstream) {
			u.Balance.By, u.Balance.Key, u.Balance.Bound = "hash", "cookie.sid", 2
		})},
		{"SRV", "dns+srv://_http._tcp.orders.example.com", defaultUpstream(func(u *Upstream) {
			u.Endpoints = []Endpoint{{URL: "dns+srv://_http._tcp.orders.example.com", Weight: 1}}
		})},
	} {
		got, err := upstreamOf(t, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
}

func TestUpstreamMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{balance: random}", `the key "endpoints" is missing`},
		{"orders:8080", `it begins with http://`},
		{"10.0.0.1:8080", `did you mean "http://10.0.0.1:8080"?`},
		{"http://orders:8080/api", "has a path"},
		{"http://orders:8080?x=1", "has a query"},
		{"http://user:secret@orders", "holds no user or password"},
		{"http://orders:99999", "no usable host"},
		{"ftp://orders", "no URL of an endpoint"},
		{"unix://run/x.sock", "write its whole path"},
		{"dns+srv://_http._tcp.orders:80", "SRV says the ports itself"},
		{"[http://a, http://a]", "is endpoint 1 already"},
		{"{endpoints: https://a, protocol: h2c}", "is over TLS and h2c is not"},
		{"{endpoints: http://a, protocol: http2}", "use the protocol h2c"},
		{"{endpoints: http://a, balance: fastest}", `expected one of: round_robin`},
		{"{endpoints: http://a, balance: {by: hash, bound: 0.5}}", "at least 1"},
		{"{endpoints: http://a, host: 'a b'}", "neither keep nor rewrite"},
		{"{endpoints: http://a, retry: {on: [conect_failure]}}", `did you mean "connect_failure"?`},
		{"{endpoints: http://a, retry: {on: [200]}}", "only statuses from 400 on"},
		{"{endpoints: http://a, retry: {methods: [get]}}", "written in capitals"},
		{"{endpoints: http://a, eject: {status: [99]}}", `"99" is no status`},
		{"{endpoints: http://a, eject: {for: 10m}}", "longer than max_for"},
		{"{endpoints: http://a, timeout: {request: 1s, try: 2s}}", "the whole request only 1s"},
		{"{endpoints: http://a, limits: {pending: 5}}", "set `requests` or `adaptive`, too"},
		{"{endpoints: http://a, limits: {requests: 10, adaptive: {min: 20}}}", "more than `requests`"},
		{"{endpoints: http://a, hedge: p101}", "no percentile to hedge after"},
		{"{endpoints: http://a, hedge: {after: 0s}}", "every request would be sent twice"},
		{"{endpoints: http://a, hedge: {max: 0%}}", "hedge: off"},
		{"{endpoints: http://a, hedge: {methods: [get]}}", "written in capitals"},
		{"{endpoints: http://a, breaker: 0%}", "breaker: off"},
		{"{endpoints: http://a, health: healthz}", "does not begin with a slash"},
		{"{endpoints: http://a, health: {kind: tcp, path: /x}}", "belong to http"},
		{"{endpoints: http://a, tls: {cert: a.pem}}", "needs its key"},
		{"{endpoints: http://a, dns: {servers: [ns1]}}", "no address of a name server"},
		{"{endpoints: http://a, dns: {min_ttl: 10m}}", "longer than max_ttl"},
	} {
		_, err := upstreamOf(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %q", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", c.text, err)
		}
	}
}

func TestStatusRange(t *testing.T) {
	for _, c := range []struct {
		text string
		want StatusRange
		back string
	}{
		{"503", StatusRange{503, 503}, "503"},
		{"5xx", StatusRange{500, 599}, "5xx"},
		{"4XX", StatusRange{400, 499}, "4xx"},
		{"502-504", StatusRange{502, 504}, "502-504"},
		{"200-399", StatusRange{200, 399}, "200-399"},
	} {
		got, err := ParseStatusRange(c.text)
		if err != nil || got != c.want || got.String() != c.back {
			t.Errorf("%q is %v (%s), %v", c.text, got, got, err)
		}
	}
	for _, text := range []string{"", "6xx", "xx", "99", "600", "504-502", "5x", "-", "502-", "1xxx"} {
		if got, err := ParseStatusRange(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
