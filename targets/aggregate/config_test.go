package aggregate

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "aggregate", 7) }

// made builds a target of a configuration.
func made(t testing.TB, text string, answer func(*filter.Exchange, *http.Request) (*http.Response, error)) (*aggregate, *filter.Env, error) {
	t.Helper()
	users := filtertest.Upstream("users", answer)
	env := filtertest.NewEnv(t, "r", users, filtertest.Upstream("orders", answer))
	built, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		return nil, nil, err
	}
	return built.(*aggregate), env, nil
}

// TestWrongConfigurations: each error says what is wrong, and stands where it is.
func TestWrongConfigurations(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{}`, `there is no call`},
		{`{a: usrs}`, `a.call: there is no upstream "usrs"`},
		{`{a: get users}`, `a.call: "get" is no method`},
		{`{a: CONNECT users}`, `a.call: CONNECT cannot be called`},
		{`{a: "GET {user}/x"}`, `a.call: the upstream must be a name`},
		{`{a: "users/{b.x}"}`, `a.call: unknown variable "b.x"`},
		{`{a: "users/{b.x}", b: "users/{c.x}", c: {call: users, when: a.ok}}`, `a: a waits for itself: a → b → c → a`},
		{`{a: "users/{a.x}"}`, `a: a waits for itself: a → a`},
		{`{a: {call: users, set: {x: "{a.y}"}}}`, `a: a waits for itself`},
		{`{b: users, query: users}`, `query: "query" means something else in expressions already`},
		{`{body: users}`, "body: `body` is the client's body"},
		{`{a-b: users}`, `a-b: "a-b" cannot be a name in expressions`},
		{`{a: {call: users, wen: x}}`, `a.wen: unknown key "wen"`},
		{`{a: {call: users, when: "1 + 1"}}`, `a.when: a condition must be true or false`},
		{`{a: {each: address, call: users}}`, `a.each.in: address is one value`},
		{`{a: {each: b.x, call: users}, b: "users/{item.id}"}`, `b: item is an element of the loop of a`},
		{`{a: {each: {in: b.x, as: b}, call: users}, b: users}`, `a.each: "b" is the element of the loop`},
		{`{a: {each: {in: b.x, as: query}, call: users}, b: users}`, `a.each: "query" means something else`},
		{`{a: {each: b.x, call: users, when: item.ok}, b: users}`, `a.when: it is asked once, before the loop`},
		{`{a: {each: b.x, call: users}, b: users, headers: {x: "{item.y}"}}`, `headers["x"]: item is an element of the loop of a`},
		{`{a: {each: b.x, call: users}, b: users, compose: {cel: item}}`, `compose.cel: item is an element of the loop of a`},
		{`{a: users, compose: ".a |"}`, `compose.jq: `},
		{`{a: users, compose: ., errors: true}`, "errors: what `compose` computes has no place for them"},
		{`{a: users, compose: {cel: "a +"}}`, `compose.cel: the expression ends too early`},
		{`{a: users, compose: {jq: ., merge: true}}`, "compose: one of `jq`, `cel` and `merge`"},
		{`{a: users, b: {call: users, as: a}}`, `b: the answer of b has the key "a", as has that of a`},
		{`{a: users, errors: true, b: {call: users, as: errors}}`, `b: the answer of b has the key "errors"`},
		{`{calls: {a: users}, a: users}`, `calls["a"]: there is a call "a" beside`},
		{`{a: users, format: ndjson, compose: .}`, `compose: ndjson gives each call's answer by itself`},
		{`{a: users, format: sse, begin: required}`, `begin: sse begins with the first answer`},
		{`{a: {call: users, merge: true}, format: sse}`, "format: sse gives each call's answer by itself"},
		{`{a: {call: users, as: "x\ny"}, format: sse}`, `a: "x\ny" cannot be the name of a part`},
		{`{a: users, headers: {content-length: "5"}}`, `headers["content-length"]: content-length is the gateway's own business`},
		{`{a: users, headers: {"x y": b}}`, `headers["x y"]: "x y" cannot be the name of a field`},
		{`{a: {call: users, headers: {content-length: "3"}}}`, `a.headers["content-length"]: content-length is the gateway's own business`},
		{`{a: {call: POST users, content_type: "text/plain\r\nx: y", body: a}}`, `cannot be the type of a body`},
		{`{a: {call: POST users, content_type: text/plain, body: {a: 1}}}`, `a.body: a body of type text/plain is a text`},
		{`{a: {call: users, pick: ["["]}}`, `a.pick[0]: `},
		{`{a: {call: users, default: 1}}`, `a.default: it is never used`},
		{`{a: "users/../x"}`, `a.call: the path has a segment`},
	} {
		_, _, err := made(t, test.text, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\ngives %v\nwanted %s", test.text, err, test.want)
		}
	}
}

// TestExplainTellsThePlan: what is made at once, and what waits for what.
func TestExplainTellsThePlan(t *testing.T) {
	a, _, err := made(t, `{c: {each: b.x, call: "orders/{item}", optional: true}, a: users/a, b: {call: "POST users/{a.id}", when: a.ok}, d: orders, compose: .}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "calls a (GET users/a), d (GET orders); then b (POST users/{a.id}, after a, when a.ok); then c (GET orders/{item}, for each of b.x, after b, optional); composed by jq"
	if got := a.Explain(nil); got != want {
		t.Errorf("%s\nwanted %s", got, want)
	}
}

// TestManyDependencies: a plan in which each call needs all before it is read in no time.
func TestManyDependencies(t *testing.T) {
	text := "c00: users\n"
	for i := 1; i < 40; i++ {
		text += "c" + number(i) + ": users/x?"
		for j := range i {
			text += "&p=" + "{c" + number(j) + ".v}"
		}
		text += "\n"
	}
	a, _, err := made(t, text, nil)
	if err != nil || len(levels(a.steps)) != 40 {
		t.Errorf("%v", err)
	}
}

func number(i int) string { return string([]byte{byte('0' + i/10), byte('0' + i%10)}) }

// BenchmarkServe is a page of three calls, two of which are made at once, without the network.
func BenchmarkServe(b *testing.B) {
	text := `{"id": 7, "name": "Ada", "orders": [` + strings.Repeat(`{"id":1,"total":12.50},`, 20) + `{}]}`
	a, env, err := made(b, `{profile: "users/{header.user-agent}", orders: "orders/o?user={header.user-agent}", more: "orders/{profile.id}"}`,
		func(*filter.Exchange, *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: int64(len(text)), Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
		})
	if err != nil {
		b.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "http://gateway/home", nil)
	r.Header.Set("User-Agent", "benchmark")
	b.ReportAllocs()
	for b.Loop() {
		ex := &filter.Exchange{Request: r, Route: env.Route, ID: "1"}
		ex.Prepare(env.Slots())
		resp, err := a.Serve(ex)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		ex.Release()
	}
}
