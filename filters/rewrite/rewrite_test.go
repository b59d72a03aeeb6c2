package rewrite

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

type params = filtertest.Params

// newFilter builds the policy from its configuration as a user writes it, for a route with a match.
func newFilter(t testing.TB, match, text string) (*filter.Filter, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Route.Match = match
	return Kind().Build(env, filtertest.Parse(t, text))
}

// result is what a request becomes.
type result struct {
	Path, RawPath, Query string
	Host, Method         string
	Error                string
}

// run takes a request for http://old/… through the policy.
func run(f *filter.Filter, target string, ex *filter.Exchange) result {
	ex.Request = httptest.NewRequest("GET", "http://old"+target, nil)
	ex.Original.Path = ex.Request.URL.EscapedPath()
	err := f.Request(ex)
	u := ex.Request.URL
	got := result{Path: u.Path, RawPath: u.RawPath, Query: u.RawQuery, Host: ex.Request.Host, Method: ex.Request.Method}
	if err != nil {
		got.Error = string(filter.AsError(err).Code)
	}
	return got
}

func TestPath(t *testing.T) {
	const bad = "bad_path"
	for _, test := range []struct {
		config string
		target string
		values params // of the path
		want   string // the path escaped, and the query; or the code of an error
	}{
		// The whole path.
		{"/new", "/old?a=b", nil, "/new?a=b"},
		{"{path: /new}", "/new", nil, "/new"},
		{"/new?", "/old?a=b", nil, "/new"},
		{"/new?c=d", "/old?a=b", nil, "/new?c=d"},
		{"'/users/{path.id}/orders'", "/x", params{"id": "7"}, "/users/7/orders"},
		{"'/users/{path.id}.json'", "/x", params{"id": "a b"}, "/users/a%20b.json"},
		{"'/users/{path.id}'", "/x", params{"id": "a/b?c#d%2F;e"}, "/users/a%2Fb%3Fc%23d%252F%3Be"},
		{"'/users/{path.id}'", "/x", params{"id": "é"}, "/users/%C3%A9"},
		{"'/users/{path.id}'", "/x", params{"id": "a@b:c,d!$&'()*+="}, "/users/a@b:c,d!$&'()*+="},
		{"'/users/{path.id}/x'", "/x", params{"id": ".."}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "."}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "../admin"}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "..\\admin"}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "..;admin"}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "%2e%2e/admin"}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "..."}, "/users/.../x"},
		{"'/users/.{path.id}/x'", "/x", params{"id": "a"}, "/users/.a/x"},
		{"'/users/{path.a}{path.b}/x'", "/x", params{"a": "a", "b": "."}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": ""}, bad},
		{"'/users/{path.id}/x'", "/x", params{}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "a\x00"}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "a\r\nb"}, bad},
		{"'/users/{path.id}/x'", "/x", params{"id": "\xc0\xae\xc0\xae"}, bad},
		{"'/users/{jwt.sub}/x'", "/x", nil, bad},
		{"'/new/{path.rest...}'", "/x", params{"rest": "a/b c/d"}, "/new/a/b%20c/d"},
		{"'/new/{path.rest...}'", "/x", params{"rest": ""}, "/new/"},
		{"'/new/{path.rest...}'", "/x", params{"rest": "a/../b"}, bad},
		{"'/new/{path.rest...}'", "/x", params{"rest": "a?b=c"}, "/new/a%3Fb=c"},
		{"'/{path.rest...}'", "/x", params{"rest": "/evil.com/x"}, "/evil.com/x"},
		{"'/new/{path.tail}'", "/x", params{"tail": "a/b"}, "/new/a/b"}, // the match has {tail...}
		{"'/new?id={path.id}&x=y'", "/x?a=b", params{"id": "a&b=c d/?é"}, "/new?id=a%26b%3Dc+d%2F%3F%C3%A9&x=y"},
		{"'/new?id={path.id}'", "/x?a=b", nil, "/new?id="},
		{"'/v2{path}'", "/a%2Fb/c%20d?e", nil, "/v2/a%2Fb/c%20d?e"},
		{"'/new?from={path}'", "/a%2Fb", nil, "/new?from=%2Fa%252Fb"},
		{"'/a b/é'", "/x", nil, "/a%20b/%C3%A9"},
		{"'/a%2fb/%41'", "/x", nil, "/a%2Fb/A"},
		{"'/{{a}}'", "/x", nil, "/%7Ba%7D"},
		{`'/{"it''s }"}/x'`, "/x", nil, "/it's%20%7D/x"},
		// Prefixes.
		{"{strip_prefix: /api}", "/api/users?a=b", nil, "/users?a=b"},
		{"{strip_prefix: /api}", "/api", nil, "/"},
		{"{strip_prefix: /api}", "/api/", nil, "/"},
		{"{strip_prefix: /api}", "/apix/users", nil, "/apix/users"},
		{"{strip_prefix: /api}", "/x/api/users", nil, "/x/api/users"},
		{"{strip_prefix: /api/}", "/api/a%2Fb", nil, "/a%2Fb"},
		{"{strip_prefix: /api}", "/api//evil.com/x", nil, "/evil.com/x"},
		{"{strip_prefix: /a b/é}", "/a%20b/%C3%A9/c", nil, "/c"},
		{"{strip_prefix: /a%2Fb}", "/a%2Fb/c", nil, "/c"},
		{"{strip_prefix: /a}", "/a%2Fb/c", nil, "/a%2Fb/c"},
		{"{strip_prefix: '/tenants/{id}'}", "/tenants/7/x", nil, "/x"},
		{"{strip_prefix: /tenants/*}", "/tenants/7", nil, "/"},
		{"{strip_prefix: /tenants/*}", "/tenants/", nil, "/tenants/"},
		{"{strip_prefix: /}", "/a", nil, "/a"},
		{"{add_prefix: /v2}", "/users", nil, "/v2/users"},
		{"{add_prefix: /v2/}", "/", nil, "/v2/"},
		{"{add_prefix: '/t/{path.id}'}", "/a%2Fb", params{"id": "x/y"}, "/t/x%2Fy/a%2Fb"},
		{"{add_prefix: '/t/{path.id}'}", "/a", params{"id": ".."}, bad},
		{"{strip_prefix: /api, add_prefix: /v2}", "/api/users", nil, "/v2/users"},
		{"{strip_prefix: /api, add_prefix: /v2}", "/api", nil, "/v2"},
		{"{strip_prefix: /api, add_prefix: /v2}", "/users", nil, "/v2/users"},
		{"{replace_prefix: {from: /api, to: /v2}}", "/api/users", nil, "/v2/users"},
		{"{replace_prefix: {from: /api, to: /v2}}", "/api", nil, "/v2"},
		{"{replace_prefix: {from: /api, to: /v2}}", "/users", nil, "/users"},
		{"{replace_prefix: {from: /api, to: /}}", "/api/users", nil, "/users"},
		{"{replace_prefix: {from: /api, to: /}}", "/api", nil, "/"},
		{"{replace_prefix: {from: /, to: /v2}}", "/users", nil, "/v2/users"},
		// Regular expressions.
		{"{regex: '^/old', to: ''}", "/old/a", nil, "/a"},
		{"{regex: '^/old/(.*)$', to: /new/$1}", "/old/a%2Fb/c?d=e", nil, "/new/a%2Fb/c?d=e"},
		{"{regex: '^/old/(.*)$', to: /new/$1}", "/other", nil, "/other"},
		{"{regex: '^/old', to: /new}", "/old/a", nil, "/new/a"},
		{"{regex: '^/(?P<user>[^/]+)/(\\d+)$', to: /$2/$user}", "/ann/7", nil, "/7/ann"},
		{"{regex: '^/(a)?(b)$', to: /x$1$2$$}", "/b", nil, "/xb$"},
		{"{regex: '/x/', to: '/y/'}", "/x/a/x/b", nil, "/y/a/y/b"},
		{"{regex: '^/old/', to: '/{path.id}/'}", "/old/a", params{"id": "x/y"}, "/x%2Fy/a"},
		{"{regex: '^/old/', to: '/{path.id}/'}", "/old/a", params{"id": ".."}, bad},
		{"{regex: '^/old/(.*)$', to: $1}", "/old/a", nil, bad},
		{"{regex: '^/old/(.*)$', to: /$1}", "/old//evil.com", nil, "/evil.com"},
		{"{regex: x, to: ''}", "/a/.x./b", nil, bad},
		{"{regex: '^.*$', to: ''}", "/a", nil, "/"},
	} {
		t.Run(test.config+" "+test.target, func(t *testing.T) {
			f, err := newFilter(t, "/x/{tail...}", test.config)
			if err != nil {
				t.Fatal(err)
			}
			got := run(f, test.target, &filter.Exchange{Params: test.values})
			old, err := url.Parse(test.target)
			if err != nil {
				t.Fatal(err)
			}
			want := result{Path: old.Path, RawPath: old.RawPath, Query: old.RawQuery, Host: "old", Method: "GET"}
			if strings.HasPrefix(test.want, "/") {
				u, err := url.Parse("http://x" + test.want) // the oracle for Path and RawPath
				if err != nil {
					t.Fatal(err)
				}
				want.Path, want.RawPath, want.Query = u.Path, u.RawPath, u.RawQuery
			} else {
				want.Error = test.want
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	for _, test := range []struct{ config, query, want string }{
		{"set: {user: '{jwt.sub}'}", "", "user=ann+%26+bob"},
		{"set: {user: '{jwt.sub}'}", "user=eve&a=b", "a=b&user=ann+%26+bob"},
		{"set: {user: x}", "a=1&us%65r=eve&user=eve&user&b=2", "a=1&b=2&user=x"},
		{"set: {user: x}", "a=1;user=eve&b=2;c", "a=1&b=2;c&user=x"},
		{"set: {user: x}", "user=eve;user=eve", "user=x"},
		{"set: {'a b': 'é='}", "a+b=1&a%20b=2&c", "c&a+b=%C3%A9%3D"},
		{"set: {user: [x, y]}", "", "user=x&user=y"},
		{"set: {user: '{path.none}'}", "user=eve&a", "a"},
		{"set: {user: []}", "user=eve&a", "a"},
		{"add: {tag: [a, b]}", "tag=z", "tag=z&tag=a&tag=b"},
		{"add: {tag: '{path.none}'}", "tag=z", "tag=z"},
		{"remove: [a, 'utm_*']", "a=1&utm_source=x&b=%zz&utm%5Fx&c=+%20&&d", "b=%zz&c=+%20&d"},
		{"remove: ['*']", "a=1&b", ""},
		{"remove: a", "%zz=1&a=2", "%zz=1"},
		{"remove: a, set: {b: c}, add: {a: d}", "a=1&b=2", "b=c&a=d"},
		{"remove: z", "a=%41&b=a b", "a=%41&b=a b"},
	} {
		f, err := newFilter(t, "/x", "{query: {"+test.config+"}}")
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Params: params{}, Identity: &filter.Identity{Claims: map[string]any{"sub": "ann & bob"}}}
		ex.Request = httptest.NewRequest("GET", "/x", nil)
		ex.Request.URL.RawQuery = test.query
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
		if got := ex.Request.URL.RawQuery; got != test.want || ex.Request.URL.Path != "/x" {
			t.Errorf("%s: %q became %q, want %q", test.config, test.query, got, test.want)
		}
	}
}

func TestHostAndMethod(t *testing.T) {
	for _, test := range []struct {
		config, tenant string
		want           result
	}{
		{"{host: api.internal}", "", result{Path: "/x", Host: "api.internal", Method: "GET"}},
		{"{host: 'api.internal:8080', method: POST}", "", result{Path: "/x", Host: "api.internal:8080", Method: "POST"}},
		{"{path: /y, host: '{path.tenant}.internal', method: QUERY, query: {set: {a: b}}}", "t", result{Path: "/y", Query: "a=b", Host: "t.internal", Method: "QUERY"}},
		{"{path: /y, host: '{path.tenant}.internal', method: POST, query: {set: {a: b}}}", "evil.com/", result{Path: "/x", Host: "old", Method: "GET", Error: "bad_request"}},
		{"{host: '{path.tenant}'}", "", result{Path: "/x", Host: "old", Method: "GET", Error: "bad_request"}},
		{"{path: '/{path.none}', host: b, method: POST}", "", result{Path: "/x", Host: "old", Method: "GET", Error: "bad_path"}},
	} {
		f, err := newFilter(t, "/x", test.config)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, run(f, "/x", &filter.Exchange{Params: params{"tenant": test.tenant}})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config, diff)
		}
	}
}

func TestAsteriskForm(t *testing.T) {
	f, err := newFilter(t, "/x", "{path: /new, host: b}")
	if err != nil {
		t.Fatal(err)
	}
	ex := &filter.Exchange{Request: httptest.NewRequest("OPTIONS", "*", nil)}
	if err := f.Request(ex); err != nil || ex.Request.URL.Path != "*" || ex.Request.Host != "b" {
		t.Errorf("%v, path %q, host %q", err, ex.Request.URL.Path, ex.Request.Host)
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		config string
		want   filter.Verdict
	}{
		{"/new?key=secret", filter.Verdict{Action: filter.Changes, Note: "path /a%2Fb → /new"}},
		{"{strip_prefix: /x}", filter.Verdict{Action: filter.Passes, Note: "there is nothing to rewrite"}},
		{
			"{add_prefix: /v2, host: b, method: PUT, query: {set: {key: secret}, add: {x: y}, remove: [z]}}",
			filter.Verdict{Action: filter.Changes, Note: "path /a%2Fb → /v2/a%2Fb; host old → b; method GET → PUT; query: removes z, sets key, adds x"},
		},
		{"'/{jwt.sub}'", filter.Verdict{Action: filter.Rejects, Note: "bad_path: A part of the request cannot stand in the path that it is meant for.: jwt.sub is missing or empty"}},
	} {
		f, err := newFilter(t, "/x", test.config)
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "http://old/a%2Fb", nil), Dry: true}
		if diff := cmp.Diff(test.want, f.Explain(ex)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config, diff)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                  "nothing is rewritten",
		"new":                                 "does not begin with a slash",
		"'{path.id}'":                         "does not begin with a slash",
		"https://example.com/x":               "does not begin with a slash",
		"/a/../b":                             "segment `.` or `..`",
		"/a/%2e%2E/b":                         "segment `.` or `..`",
		"/a%zz":                               "%25",
		"/a%00":                               "control character",
		`"/a\nb"`:                             "control character",
		"/a#b":                                "%23",
		"'/{unknown}'":                        `unknown variable "unknown"`,
		"'/{path.id'":                         "never closed",
		"'/{ unknown... }/x'":                 "| /{ unknown... }/x\n      |    ^^^^^^^",
		"'/path.id}'":                         "without an opening one",
		"{path: /a, strip_prefix: /b}":        "both change the path",
		"{regex: a, to: b, add_prefix: /b}":   "both change the path",
		"{to: /a}":                            "there is no `regex`",
		"{regex: a}":                          "there is no `to`",
		"{regex: '(', to: /a}":                "missing closing",
		"{regex: a, to: /$1}":                 "there is no group $1",
		"{regex: a, to: /$name}":              "there is no group $name",
		"{regex: a, to: '/$'}":                "must be followed",
		"{regex: a, to: '/a?b'}":              "cannot have a `?`",
		"{strip_prefix: api}":                 "does not begin with a slash",
		"{strip_prefix: /a*}":                 "whole segments",
		"{strip_prefix: /a//b}":               "empty segment",
		"{add_prefix: '/a?b'}":                "more than a path",
		"{add_prefix: /..}":                   "segment `.` or `..`",
		"{replace_prefix: {from: /a}}":        "to",
		"{replace_prefix: {from: a, to: /b}}": "does not begin with a slash",
		"{host: a/b}":                         "not a host",
		"{host: '{unknown}'}":                 `unknown variable "unknown"`,
		"{method: CONNECT}":                   "CONNECT",
		"{method: post}":                      "write POST",
		"{method: 'a b'}":                     "cannot be a method",
		"{query: {set: {a: '{unknown}'}}}":    `unknown variable "unknown"`,
		"{query: {drop: [a]}}":                "unknown key",
	} {
		if _, err := newFilter(t, "/x", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want … %s …", text, err, want)
		}
	}
}

// Whatever a parameter is, it stays where the template has it.
func FuzzParameter(f *testing.F) {
	for _, s := range []string{"7", "..", "../x", "a/b", "a?b", "%2e%2e", "..;x", "\x00", "é", "a b", "..%5Cx", "//x", "\xc0\xae", "a#b"} {
		f.Add(s)
	}
	policy, err := newFilter(f, "/x", "'/users/{path.id}/orders?id={path.id}&all=1'")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		ex := &filter.Exchange{Params: params{"id": id}, Request: httptest.NewRequest("GET", "/x?q=1", nil)}
		if policy.Request(ex) != nil {
			if ex.Request.URL.String() != "/x?q=1" {
				t.Fatalf("refused, but changed to %s", ex.Request.URL)
			}
			return
		}
		u, err := url.ParseRequestURI(ex.Request.URL.RequestURI())
		if err != nil {
			t.Fatal(err)
		}
		segments := strings.Split(u.EscapedPath(), "/")
		if len(segments) != 4 || segments[1] != "users" || segments[3] != "orders" {
			t.Fatalf("%q made the path %s", id, u.EscapedPath())
		}
		if got, _ := url.PathUnescape(segments[2]); got != id {
			t.Fatalf("%q became %q", id, got)
		}
		if joined := u.JoinPath().Path; joined != u.Path {
			t.Fatalf("%q made %s, which is cleaned to %s", id, u.Path, joined)
		}
		if q, err := url.ParseQuery(u.RawQuery); err != nil || len(q) != 2 || q.Get("id") != id || q.Get("all") != "1" {
			t.Fatalf("%q made the query %s (%v)", id, u.RawQuery, err)
		}
	})
}

func TestAllocations(t *testing.T) {
	for _, text := range []string{"{strip_prefix: /api}", "{replace_prefix: {from: /other, to: /v2}}", "/new", "{host: b, method: PUT}"} {
		f, err := newFilter(t, "/x", text)
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "http://old/api/users?a=b", nil)}
		u := *ex.Request.URL
		if n := testing.AllocsPerRun(100, func() { *ex.Request.URL = u; _ = f.Request(ex) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{
		"strip prefix": "{strip_prefix: /api}", "replace prefix": "{replace_prefix: {from: /api, to: /v2}}", "path": "'/users/{path.id}/orders'",
		"regex": "{regex: '^/api/(.*)$', to: /v2/$1}", "query": "{query: {set: {user: x}}}",
	} {
		b.Run(name, func(b *testing.B) {
			f, err := newFilter(b, "/x", text)
			if err != nil {
				b.Fatal(err)
			}
			ex := &filter.Exchange{Request: httptest.NewRequest("GET", "http://old/api/users?a=b", nil), Params: params{"id": "7"}}
			u := *ex.Request.URL
			b.ReportAllocs()
			for b.Loop() {
				*ex.Request.URL = u
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
