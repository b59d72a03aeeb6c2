package proxy

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/target"
)

// named are upstreams that answer with their names.
func named(names ...string) []filter.Upstream {
	var all []filter.Upstream
	for _, name := range names {
		all = append(all, filtertest.Upstream(name, func(*filter.Exchange, *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"X-Upstream": {name}}, Body: http.NoBody}, nil
		}))
	}
	return all
}

func newTarget(t testing.TB, env *filter.Env, text string) (target.Target, error) {
	t.Helper()
	return Kind().Build(env, filtertest.Parse(t, text).Field("to"))
}

func abc(t testing.TB, text string) target.Target {
	t.Helper()
	tg, err := newTarget(t, filtertest.NewEnv(t, "orders", named("a", "b", "c")...), text)
	if err != nil {
		t.Fatal(err)
	}
	return tg
}

// exchange is a request with fields.
func exchange(scheme string, fields ...string) *filter.Exchange {
	r := httptest.NewRequest("GET", scheme+"://api.example.com/", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return &filter.Exchange{Request: r, Original: filter.Original{Scheme: scheme}}
}

// serve returns the upstream that answered, and the cookies that were set.
func serve(t testing.TB, tg target.Target, ex *filter.Exchange) (upstream string, cookies []string) {
	t.Helper()
	resp, err := tg.Serve(ex)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("X-Upstream"), resp.Header["Set-Cookie"]
}

func TestThroughARealServer(t *testing.T) {
	env := filtertest.NewEnv(t, "orders", filtertest.Server(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String())
	}))
	tg, err := newTarget(t, env, "to: a")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tg.Serve(&filter.Exchange{Request: httptest.NewRequest("GET", "/orders/7?x=1", nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "GET /orders/7?x=1" {
		t.Errorf("got %q", body)
	}
}

func TestErrorsOfTheUpstreamAreTheTargets(t *testing.T) {
	refused := filter.Reject(filter.UpstreamUnavailable, "")
	refuse := func(*filter.Exchange, *http.Request) (*http.Response, error) { return nil, refused }
	env := filtertest.NewEnv(t, "orders", filtertest.Upstream("a", refuse), filtertest.Upstream("b", refuse))
	for _, text := range []string{"to: a", "to: [a, b]", "to: {upstream: [a, b], sticky: {cookie: {}}}"} {
		tg, err := newTarget(t, env, text)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := tg.Serve(exchange("http")); resp != nil || err != error(refused) {
			t.Errorf("%s: %v, %v", text, resp, err)
		}
	}
}

// shares counts which upstream requests go to.
func shares(t *testing.T, tg target.Target, n int, ex func(i int) *filter.Exchange) map[string]float64 {
	got := map[string]float64{}
	for i := range n {
		up, _ := serve(t, tg, ex(i))
		got[up] += 1 / float64(n)
	}
	return got
}

func near(got, want map[string]float64) bool {
	for _, name := range []string{"a", "b", "c"} {
		if math.Abs(got[name]-want[name]) > 0.02 || (got[name] == 0) != (want[name] == 0) {
			return false
		}
	}
	return true
}

func TestShares(t *testing.T) {
	byUser := func(i int) *filter.Exchange { return exchange("http", "X-User", fmt.Sprint("user-", i)) }
	atRandom := func(int) *filter.Exchange { return exchange("http") }
	for _, tt := range []struct {
		text string
		ex   func(int) *filter.Exchange
		want map[string]float64
	}{
		{"to: a", atRandom, map[string]float64{"a": 1}},
		{"to: {upstream: {upstream: a}}", atRandom, map[string]float64{"a": 1}},
		{"to: [a, b]", atRandom, map[string]float64{"a": 0.5, "b": 0.5}},
		{"to: [{upstream: a, weight: 9}, b]", atRandom, map[string]float64{"a": 0.9, "b": 0.1}},
		{"to: [{upstream: a, weight: 0}, b]", atRandom, map[string]float64{"b": 1}},
		{"to: {upstream: [{upstream: a, weight: 9}, b], sticky: header.x-user}", byUser, map[string]float64{"a": 0.9, "b": 0.1}},
		{"to: {upstream: [{upstream: a, weight: 9}, b], sticky: header.x-user}", atRandom, map[string]float64{"a": 0.9, "b": 0.1}},
		{
			"to: {upstream: [{upstream: a, weight: 5}, {upstream: b, weight: 3}, {upstream: c, weight: 2}], sticky: header.x-user}", byUser,
			map[string]float64{"a": 0.5, "b": 0.3, "c": 0.2},
		},
		{"to: {upstream: [{upstream: a, weight: 0}, b], sticky: header.x-user}", byUser, map[string]float64{"b": 1}},
	} {
		if got := shares(t, abc(t, tt.text), 20000, tt.ex); !near(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestChangedWeightsMoveAsFewAsMust(t *testing.T) {
	before := abc(t, "to: {upstream: [{upstream: a, weight: 90}, {upstream: b, weight: 10}], sticky: header.x-user}")
	after := abc(t, "to: {upstream: [{upstream: b, weight: 30}, {upstream: a, weight: 90}, {upstream: c, weight: 0}], sticky: header.x-user}")
	moved := map[string]int{}
	for i := range 10000 {
		user := fmt.Sprint("user-", i)
		was, _ := serve(t, before, exchange("http", "X-User", user))
		is, _ := serve(t, after, exchange("http", "X-User", user))
		if was != is {
			moved[was+is]++
		}
	}
	// b's part grows from 10% to 25%: 15% of all move to it, and none elsewhere.
	if n := moved["ab"]; len(moved) != 1 || n < 1300 || n > 1700 {
		t.Errorf("moved: %v", moved)
	}
}

func TestCookie(t *testing.T) {
	tg := abc(t, "to: {upstream: [a, b], sticky: {by: header.x-user, cookie: {name: arm, max_age: 7d, domain: example.com}}}")
	for range 20 {
		up, cookies := serve(t, tg, exchange("https"))
		if len(cookies) != 1 {
			t.Fatalf("cookies: %q", cookies)
		}
		pair, attributes, _ := strings.Cut(cookies[0], "; ")
		if want := "Path=/; Domain=example.com; Max-Age=604800; HttpOnly; SameSite=Lax; Secure"; attributes != want {
			t.Errorf("got %q, want %q", attributes, want)
		}
		if _, err := http.ParseSetCookie(cookies[0]); err != nil {
			t.Error(err)
		}
		for range 20 {
			again, cookies := serve(t, tg, exchange("https", "Cookie", "x=y; "+pair+";z"))
			if again != up || cookies != nil {
				t.Fatalf("with %s: %s, %q, before %s", pair, again, cookies, up)
			}
		}
		gone := abc(t, "to: {upstream: [c, {upstream: "+up+", weight: 0}], sticky: {cookie: arm}}")
		if now, cookies := serve(t, gone, exchange("http", "Cookie", pair)); now != "c" || len(cookies) != 1 || strings.Contains(cookies[0], "Secure") {
			t.Errorf("with weight 0: %s, %q", now, cookies)
		}
	}
	if _, cookies := serve(t, tg, exchange("https", "X-User", "ann")); cookies != nil {
		t.Errorf("a known user gets %q", cookies)
	}
	if _, cookies := serve(t, tg, exchange("https", "Cookie", "arm=forged")); len(cookies) != 1 {
		t.Errorf("for a forged cookie: %q", cookies)
	}
}

func TestExplain(t *testing.T) {
	tg := abc(t, "to: {upstream: [{upstream: a, weight: 0}, b], sticky: {by: header.x-user, cookie: {}}}")
	_, cookies := serve(t, tg, exchange("http"))
	for _, tt := range []struct{ got, want string }{
		{abc(t, "to: a").Explain(exchange("http")), "upstream a"},
		{abc(t, "to: [{upstream: a, weight: 2}, b]").Explain(exchange("http")), "one of the upstreams, at random: a 66.67%, b 33.33%"},
		{tg.Explain(exchange("http", "X-User", "ann")), "by header.x-user, of a 0%, b 100%: upstream b"},
		{tg.Explain(exchange("http", "Cookie", strings.Split(cookies[0], ";")[0])), "by cookie cardea_split, of a 0%, b 100%: upstream b"},
		{tg.Explain(exchange("http")), "one of the upstreams, at random: a 0%, b 100%"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	if Kind().Name() != "to" {
		t.Error(Kind().Name())
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"to: nowhere":         `there is no upstream "nowhere"`,
		"to:\n- a\n- nowhere": "test.yaml:3:3",
		"to:\n  upstream:\n  - {weight: 3, upstream: x}\n  - a": "test.yaml:3:27",
		"to: [x, y]":                                               `there is no upstream "y"`,
		"to: {}":                                                   `the key "upstream" is missing`,
		"to: []":                                                   "there is no upstream",
		"to: [a, a]":                                               "a stands there twice",
		"to: [{upstream: a, weight: 0}]":                           "all weights are 0",
		"to: [{upstream: a, weight: -1}, b]":                       "weight",
		"to: {upstream: a, sticky: header.x}":                      "only one upstream",
		"to: {upstream: [a, b], sticky: {}}":                       "name what a user is known by",
		"to: {upstream: [a, b], sticky: nonsense}":                 `unknown variable "nonsense"`,
		`to: {upstream: [a, b], sticky: {cookie: "a b"}}`:          `"a b" cannot be the name of a cookie`,
		`to: {upstream: [a, b], sticky: {cookie: {path: "x;"}}}`:   "cannot be the path",
		`to: {upstream: [a, b], sticky: {cookie: {domain: "x;"}}}`: "cannot be the domain",
		"to: {a: 90, b: 10}":                                       `unknown key "a"`,
	} {
		_, err := newTarget(t, filtertest.NewEnv(t, "orders", named("a", "b")...), text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

// quiet are targets and requests that have nothing to allocate for.
func quiet(t testing.TB) map[string]func() {
	nothing := func(*filter.Exchange, *http.Request) (*http.Response, error) { return nil, nil }
	env := filtertest.NewEnv(t, "orders", filtertest.Upstream("a", nothing), filtertest.Upstream("b", nothing))
	all := map[string]func(){}
	for name, text := range map[string]string{
		"one": "to: a", "split": "to: [a, b]", "sticky": "to: {upstream: [a, b], sticky: header.x-user}",
		"cookie": "to: {upstream: [a, {upstream: b, weight: 0}], sticky: {cookie: {}}}",
	} {
		tg, err := newTarget(t, env, text)
		if err != nil {
			t.Fatal(err)
		}
		ex := exchange("http", "X-User", "ann", "Cookie", fmt.Sprintf("cardea_split=%012x", hash("a", 0)>>16))
		all[name] = func() { _, _ = tg.Serve(ex) }
	}
	return all
}

func TestServeDoesNotAllocate(t *testing.T) {
	for name, run := range quiet(t) {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkServe(b *testing.B) {
	for name, run := range quiet(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
