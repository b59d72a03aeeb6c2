package aggregate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// services are upstreams by name: each answers by its function.
func services(t *testing.T, by map[string]http.HandlerFunc) (upstreams string) {
	t.Helper()
	for name, answer := range by {
		s := httptest.NewServer(answer)
		t.Cleanup(s.Close)
		upstreams += fmt.Sprintf("  %s: {endpoints: [%s], retry: off}\n", name, s.URL)
	}
	return "upstreams:\n" + upstreams
}

// says answers with JSON.
func says(text string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, text)
	}
}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	b, _ = json.Marshal(map[string]string{"asked": r.Method + " " + r.URL.RequestURI(), "body": string(b), "user": r.Header.Get("X-User")})
	_, _ = w.Write(b)
}

// TestAnswers asks for /home/{user} and compares the whole answer.
func TestAnswers(t *testing.T) {
	long := `["` + strings.Repeat("x", 300_000) + `"]`
	upstreams := services(t, map[string]http.HandlerFunc{
		"users":  says(`{"id": 12345678901234567890123, "name": "Ada", "segment": "a/b", "friends": ["bob", "eve"]}`, "Cache-Control: max-age=60", "Set-Cookie: a=1"),
		"orders": says(`[{"id":1,"total":1.10},{"id":2,"total":2e400}]`, "Cache-Control: private, max-age=30"),
		"head":   says(`{"a":1}`, "Content-Length: 7"),
		"echo":   echo,
		"long":   says(long),
		"none":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"bad":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
	})
	for name, test := range map[string]struct{ aggregate, want string }{
		"an object":           {`{profile: "GET users/u/{user}", orders: "orders/o?user={user}"}`, `{"profile":{"id": 12345678901234567890123, "name": "Ada", "segment": "a/b", "friends": ["bob", "eve"]},"orders":[{"id":1,"total":1.10},{"id":2,"total":2e400}]}`},
		"an earlier answer":   {`{p: {call: users/x, hide: true}, e: "GET echo/s/{p.segment}/{p.id}?n={p.name}&u={user}"}`, `{"e":{"asked":"GET /s/a%2Fb/12345678901234567890123?n=Ada\u0026u=ada","body":"","user":""}}`},
		"declared later":      {`{e: "echo/{p.name}", p: {call: users, pick: [name]}}`, `{"e":{"asked":"GET /Ada","body":"","user":""},"p":{"name":"Ada"}}`},
		"a body":              {`{p: {call: users, hide: true}, e: {call: POST echo/x, body: {id: "{p.id}", who: "Dr {p.name}", list: "{p.friends}", n: 1, none: "{p.none}"}, pick: [asked, body]}}`, `{"e":{"asked":"POST /x","body":"{\"id\":12345678901234567890123,\"list\":[\"bob\",\"eve\"],\"n\":1,\"none\":null,\"who\":\"Dr Ada\"}"}}`},
		"fields":              {`{p: users, e: {call: echo, headers: {x-user: "{p.name}"}, pick: [user]}}`, `{"p":{"id": 12345678901234567890123, "name": "Ada", "segment": "a/b", "friends": ["bob", "eve"]},"e":{"user":"Ada"}}`},
		"a loop":              {`{p: {call: users, hide: true}, f: {each: p.friends, call: "echo/{item}", pick: [asked]}}`, `{"f":[{"asked":"GET /bob"},{"asked":"GET /eve"}]}`},
		"conditions":          {`{p: {call: users, pick: [name]}, a: {call: echo, when: 'p.name == "Bob"'}, b: {call: echo/b, when: 'size(p.friends) > 1', pick: [asked]}, c: {call: echo, when: p.none, default: [1]}}`, `{"p":{"name":"Ada"},"c":[1]}`},
		"optional ones":       {`{p: {call: users, pick: [name]}, x: {call: bad, optional: true}, y: {call: bad, optional: true, default: {}}}`, `{"p":{"name":"Ada"},"x":null,"y":{}}`},
		"errors":              {`{p: {call: users, pick: [name]}, x: {call: bad, optional: true}, errors: true}`, `{"p":{"name":"Ada"},"x":null,"errors":[{"call":"x","code":"call_failed","status":500}]}`},
		"no body":             {`{x: HEAD head}`, `{"x":null}`},
		"nothing":             {`{x: none}`, `{"x":null}`},
		"a long answer":       {`{a: long, p: {call: users, pick: [name]}, b: long}`, `{"a":` + long + `,"p":{"name":"Ada"},"b":` + long + `}`},
		"a long one edited":   {`{a: {call: long, select: "[0]", mask: {}}, b: {call: users, pick: [name]}}`, `{"a":"` + strings.Repeat("x", 300_000) + `","b":{"name":"Ada"}}`},
		"merged":              {`{p: {call: users, pick: [name]}, e: {call: echo, pick: [asked]}, compose: merge}`, `{"name":"Ada","asked":"GET /"}`},
		"merged lists":        {`{a: orders, b: orders/x, compose: merge}`, `[{"id":1,"total":1.10},{"id":2,"total":2e400},{"id":1,"total":1.10},{"id":2,"total":2e400}]`},
		"merged, the last":    {`{p: {call: users, pick: [name, id]}, q: {call: users, set: {name: Eve}, pick: [name]}, compose: {merge: true, collisions: last}}`, `{"id":12345678901234567890123,"name":"Eve"}`},
		"one is merged":       {`{p: {call: users, pick: [name], merge: true}, e: {call: echo, pick: [asked]}}`, `{"name":"Ada","e":{"asked":"GET /"}}`},
		"jq":                  {`{p: users, o: orders, compose: '{n: .p.name, ids: [.o[].id], big: .p.id}'}`, `{"big":12345678901234567890123,"ids":[1,2],"n":"Ada"}`},
		"CEL":                 {`{p: users, o: orders, compose: {cel: '{"n": p.name, "orders": size(o)}'}}`, `{"n":"Ada","orders":2}`},
		"another key":         {`{p: {call: users, pick: [name], as: "the profile"}}`, `{"the profile":{"name":"Ada"}}`},
		"a name of a setting": {`{calls: {timeout: {call: users, pick: [name]}}, timeout: 3s}`, `{"timeout":{"name":"Ada"}}`},
		"ndjson":              {`{p: {call: users, pick: [name]}, e: {call: "echo/{p.name}", pick: [asked]}, format: ndjson}`, "{\"p\":{\"name\":\"Ada\"}}\n{\"e\":{\"asked\":\"GET /Ada\"}}\n"},
		"sse":                 {`{p: {call: users, pick: [name]}, e: {call: "echo/{p.name}", pick: [asked]}, format: sse}`, "event: p\ndata: {\"name\":\"Ada\"}\n\nevent: e\ndata: {\"asked\":\"GET /Ada\"}\n\n"},
		"the client's fields": {`{e: {call: echo, pick: [user]}}`, `{"e":{"user":"x"}}`},
		"none of them":        {`{e: {call: echo, pick: [user], forward: []}}`, `{"e":{"user":""}}`},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstreams+"routes:\n  - match: /home/{user}\n    aggregate: "+test.aggregate+"\n")
			var fields []string
			if strings.Contains(name, "client's") || strings.Contains(name, "none of") {
				fields = []string{"X-User: x"}
			}
			resp, got := g.Get("/home/ada", fields...)
			if resp.StatusCode != 200 || strings.TrimSpace(got) != strings.TrimSpace(test.want) {
				t.Errorf("%d %.400s\nwanted %.400s", resp.StatusCode, got, test.want)
			}
		})
	}
}

func TestIdenticalCallsAreMadeOnce(t *testing.T) {
	var asked atomic.Int64
	upstreams := services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		says(`{"a":1,"b":2}`)(w, r)
	}})
	g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: {x: {call: u/x, pick: [a]}, y: {call: u/x, pick: [b]}, z: u/x}\n")
	resp, got := g.Get("/")
	if want := `{"x":{"a":1},"y":{"b":2},"z":{"a":1,"b":2}}`; resp.StatusCode != 200 || got != want || asked.Load() != 1 {
		t.Errorf("%d %s, after %d requests", resp.StatusCode, got, asked.Load())
	}
}

// TestIdenticalLongCallsAreMadeOnce: those that are held, and those that others wait for, up to max_part.
func TestIdenticalLongCallsAreMadeOnce(t *testing.T) {
	var asked atomic.Int64
	element := `"` + strings.Repeat("x", 1000) + `"`
	long := "[" + strings.Repeat(element+",", 299) + element + "]"
	upstreams := services(t, map[string]http.HandlerFunc{
		"u":    func(w http.ResponseWriter, r *http.Request) { asked.Add(1); says(long)(w, r) },
		"echo": echo,
	})
	for name, test := range map[string]struct {
		aggregate, want string
		times           int64
	}{
		"all are held":            {`{x: u/x, y: u/x, n: {call: 'echo/{size(x)}/{size(y)}', pick: [asked]}}`, `{"x":L,"y":L,"n":{"asked":"GET /300/300"}}`, 1},
		"one later":               {`{x: u/x, y: {call: u/x, when: size(x) > 0}}`, `{"x":L,"y":L}`, 1},
		"one is edited":           {`{x: {call: u/x, hide: true}, y: {call: u/x, pick: ['[0]']}, n: {call: 'echo/{size(x)}', pick: [asked]}}`, `{"y":[` + element + `],"n":{"asked":"GET /300"}}`, 1},
		"they pass through":       {`{x: u/x, y: u/x, z: u/x}`, `{"x":L,"y":L,"z":L}`, 1},
		"longer than is held":     {`{x: u/x, y: u/x, max_part: 100KiB}`, `{"x":L,"y":L}`, 2},
		"more than memory":        {`{x: u/x, y: u/x, max_memory: 256KiB}`, `{"x":L,"y":L}`, 2},
		"the turns of a loop":     {`{x: {each: '[1, 1, 1, 1]', call: 'u/x'}}`, `{"x":[L,L,L,L]}`, 1},
		"others are not the same": {`{x: u/x, y: u/y, z: {call: u/x, headers: {x-other: "1"}}}`, `{"x":L,"y":L,"z":L}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: "+test.aggregate+"\n")
			asked.Store(0)
			resp, got := g.Get("/")
			if want := strings.ReplaceAll(test.want, "L", long); resp.StatusCode != 200 || got != want || asked.Load() != test.times {
				t.Errorf("%d %.300s, after %d requests", resp.StatusCode, got, asked.Load())
			}
		})
	}
}
