package router

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// rulesOf makes rules of lines such as "GET,POST api.example.com/users/{id}", with the line as name.
func rulesOf(t testing.TB, lines ...string) []Rule {
	t.Helper()
	rules := make([]Rule, len(lines))
	for i, line := range lines {
		rules[i] = Rule{Value: i, Name: line}
		if methods, rest, ok := strings.Cut(line, " "); ok {
			rules[i].Methods, line = strings.Split(methods, ","), rest
		}
		at := strings.IndexAny(line, "/~")
		if at > 0 {
			rules[i].Hosts = strings.Split(line[:at], ",")
		}
		rules[i].Path = mustPath(t, line[at:])
	}
	return rules
}

// requestOf makes a request of "GET api.example.com/users/7?a=b".
func requestOf(line string) *Request {
	method, rest, _ := strings.Cut(line, " ")
	rest, query, _ := strings.Cut(rest, "?")
	at := strings.IndexByte(rest, '/')
	return &Request{Method: method, Host: rest[:at], Path: rest[at:], RawQuery: query, Header: http.Header{}, Params: &Params{}}
}

// found returns the name of the route that wins and its parameters, as "name a=1 b=2".
func found(table *Table, rules []Rule, r *Request) string {
	value, ok := table.Match(r)
	if !ok {
		return "none"
	}
	text := rules[value].Name
	for i := range r.Params.Len() {
		name, value := r.Params.At(i)
		text += fmt.Sprintf(" %s=%s", name, value)
	}
	return text
}

func TestMatch(t *testing.T) {
	rules := rulesOf(t,
		"/health", "/**", "GET /users/{id}", "POST /users/{id}", "/users/me", "/users/{id}/orders/{order}", "/users/v{n}",
		"~^/users/[0-9]+$", "~^/users/(?P<letter>[a-z])/(?P<rest>.*)$", "/files/{name}.json", "/files/{rest...}", "/a/b/**", "/{x}/c",
		"api.example.com/health", "*.example.com/health", "*.eu.example.com/**", "GET,HEAD /both", "HEAD /users/{id}", "/café/{x}",
		"HEAD,PURGE /purge", "GET /purge", "/any", // the last is replaced below
	)
	rules[len(rules)-1] = Rule{Name: "any", Methods: []string{"TRACE"}, Value: len(rules) - 1}
	table, conflicts := New(rules)
	if conflicts != nil {
		t.Fatalf("conflicts: %v", conflicts)
	}
	for line, want := range map[string]string{
		"GET x/health":                   "/health",
		"GET x/health/":                  "/**",
		"GET x/Health":                   "/**",
		"GET x/":                         "/**",
		"GET x/users/me":                 "/users/me",
		"GET x/users/bob":                "GET /users/{id} id=bob",
		"HEAD x/users/bob":               "HEAD /users/{id} id=bob",
		"POST x/users/bob":               "POST /users/{id} id=bob",
		"PUT x/users/bob":                "/**",
		"GET x/users/":                   "/**",
		"GET x/users/b%C3%A9%2Fx":        "GET /users/{id} id=bé/x",
		"GET x/users/42":                 "~^/users/[0-9]+$",
		"GET x/users/v42":                "/users/v{n} n=42",
		"GET x/users/v":                  "GET /users/{id} id=v",
		"GET x/users/u/x/y":              "~^/users/(?P<letter>[a-z])/(?P<rest>.*)$ letter=u rest=x/y",
		"GET x/users/bob/orders/7":       "/users/{id}/orders/{order} id=bob order=7",
		"GET x/users/bob/orders/7/":      "/**",
		"GET x/files/a.json":             "/files/{name}.json name=a",
		"GET x/files/.json":              "/files/{rest...} rest=.json",
		"GET x/files/a/b.json":           "/files/{rest...} rest=a/b.json",
		"GET x/files/":                   "/files/{rest...} rest=",
		"GET x/files":                    "/files/{rest...} rest=",
		"GET x/filesystem":               "/**",
		"GET x/a/b":                      "/a/b/**",
		"GET x/a/b/":                     "/a/b/**",
		"GET x/a/b/c":                    "/a/b/**",
		"GET x/a/c":                      "/{x}/c x=a",
		"GET api.example.com/health":     "api.example.com/health",
		"GET api.example.com/users/me":   "/users/me",
		"GET a.b.example.com/health":     "*.example.com/health",
		"GET example.com/health":         "/health",
		"GET a.eu.example.com/health":    "*.eu.example.com/**",
		"GET eu.example.com/health":      "*.example.com/health",
		"GET .example.com/health":        "/health",
		"HEAD x/both":                    "GET,HEAD /both",
		"GET x/caf%C3%A9/1":              "/café/{x} x=1",
		"HEAD x/purge":                   "HEAD,PURGE /purge",
		"GET x/purge":                    "GET /purge",
		"PURGE x/purge":                  "HEAD,PURGE /purge",
		"TRACE x/users/me/x":             "any",
		"TRACE a.eu.example.com/x/y/z/1": "*.eu.example.com/**",
	} {
		if got := found(table, rules, requestOf(line)); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	// OPTIONS * has no path: only rules for any path can match it.
	star := &Request{Method: "OPTIONS", Path: "*", Params: &Params{}}
	if got := found(table, rules, star); got != "/**" {
		t.Errorf("*: got %s", got)
	}
}

func TestPrecedenceOfConditions(t *testing.T) {
	is := func(name, value string) ValueRule { return ValueRule{Name: name, Is: value} }
	like := func(name string) ValueRule { return ValueRule{Name: name, Matches: regexp.MustCompile("^.*$")} }
	nets := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	yes := func(*Request) bool { return true }
	ordered := []Rule{ // most specific first
		{Methods: []string{"GET"}},
		{Headers: []ValueRule{is("a", "1"), is("b", "1")}},
		{Headers: []ValueRule{is("a", "1")}, Queries: []ValueRule{is("q", "1")}},
		{Headers: []ValueRule{is("a", "1")}},
		{Headers: []ValueRule{like("a")}},
		{Queries: []ValueRule{is("q", "1"), is("r", "1")}},
		{Queries: []ValueRule{is("q", "1")}, Cookies: []ValueRule{is("c", "1")}},
		{Queries: []ValueRule{is("q", "1")}},
		{Cookies: []ValueRule{is("c", "1")}, Addresses: nets("10.0.0.0/8")},
		{Cookies: []ValueRule{is("c", "1")}},
		{Addresses: nets("10.1.2.3/32")},
		{Addresses: nets("::ffff:10.1.2.0/120")},
		{Addresses: nets("10.1.2.3/32", "10.1.0.0/16")},
		{Addresses: nets("10.0.0.0/8"), When: yes, WhenText: "yes"},
		{Addresses: nets("10.0.0.0/8")},
		{When: yes, WhenText: "yes"},
		{Name: "a"},
	}
	r := requestOf("GET x/?q=1&r=1")
	r.Header = http.Header{"A": {"1"}, "B": {"1"}, "Cookie": {"c=1"}}
	r.Client = netip.MustParseAddr("::ffff:10.1.2.3")
	for first := range ordered {
		// Defined last to first, so that the order of definition cannot help.
		var rules []Rule
		for i := len(ordered) - 1; i >= first; i-- {
			rule := ordered[i]
			rule.Value = i
			rules = append(rules, rule)
		}
		table, conflicts := New(rules)
		if got, ok := table.Match(r); got != first || !ok || conflicts != nil {
			t.Errorf("got rule %d, %v, want %d; conflicts %v", got, ok, first, conflicts)
		}
	}
}

func TestConditionsFallBack(t *testing.T) {
	rules := rulesOf(t, "/a/b", "/a/{x}", "h/**", "/**")
	rules[0].Headers = []ValueRule{{Name: "x-tenant", Is: "1"}}
	rules[1].When = func(r *Request) bool { x, _ := r.Params.Get("x"); return x == "b" && r.RawQuery == "yes" }
	rules[2].Cookies = []ValueRule{{Name: "beta", Present: 1}}
	table, _ := New(rules)
	for line, want := range map[string]string{"GET x/a/b?yes": "/a/{x} x=b", "GET x/a/b": "/**", "GET h/a/b": "/**"} {
		if got := found(table, rules, requestOf(line)); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	r := requestOf("GET h/a/b")
	r.Header.Set("X-Tenant", "1")
	r.Header.Set("Cookie", "beta")
	if got := found(table, rules, r); got != "/a/b" {
		t.Errorf("got %s", got)
	}
	r = requestOf("GET h/z")
	r.Header.Add("Cookie", "alpha=1;beta=2")
	if got := found(table, rules, r); got != "h/**" {
		t.Errorf("got %s", got)
	}
}

func TestHeaderIndex(t *testing.T) {
	var rules []Rule
	for i := range 1000 {
		rules = append(rules, Rule{Value: i, Headers: []ValueRule{{Name: "X-Tenant", Is: fmt.Sprint(i)}}})
	}
	rules = append(rules, Rule{Value: 1000, Headers: []ValueRule{{Name: "X-Tenant", Is: "7"}, {Name: "X-Beta", Present: 1}}},
		Rule{Value: 1001}, Rule{Value: 1002, Headers: []ValueRule{{Name: "X-Beta", Is: "only"}}},
		Rule{Value: 1003, Headers: []ValueRule{{Name: "X-Beta", Present: 1}, {Name: "X-Gamma", Present: 1}}})
	table, conflicts := New(rules)
	if conflicts != nil {
		t.Fatal(conflicts)
	}
	for _, c := range []struct {
		header http.Header
		want   int
	}{
		{http.Header{"X-Tenant": {"7"}}, 7},
		{http.Header{"X-Tenant": {"9", "7"}}, 7},
		{http.Header{"X-Tenant": {"9", "7"}, "X-Beta": {"1"}}, 1000},
		{http.Header{"X-Tenant": {"none"}}, 1001},
		{http.Header{"X-Beta": {"only"}}, 1002},
		{http.Header{"X-Tenant": {"8"}, "X-Beta": {"only"}}, 8}, // a full tie: definition order
		{http.Header{"X-Tenant": {"8"}, "X-Beta": {"1"}, "X-Gamma": {"1"}}, 1003},
		{nil, 1001},
	} {
		if got, ok := table.Match(&Request{Path: "/", Header: c.header}); got != c.want || !ok {
			t.Errorf("%v: got %d, want %d", c.header, got, c.want)
		}
	}
}

func TestMethods(t *testing.T) {
	table, _ := New(rulesOf(t, "GET /a", "POST,PURGE /{x}", "h/b", "DELETE /**"))
	for line, want := range map[string][]string{
		"PUT x/a":   {"DELETE", "GET", "HEAD", "POST", "PURGE"},
		"PUT x/b/c": {"DELETE"},
		"PUT h/b":   {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PURGE", "PUT"},
	} {
		if got := table.Methods(requestOf(line)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
	if got := table.Methods(&Request{Path: "*"}); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestParams(t *testing.T) {
	pattern, path := "", ""
	for i := range 12 {
		pattern, path = pattern+fmt.Sprintf("/{p%d}", i), path+fmt.Sprintf("/%d%%20", i)
	}
	table, _ := New(rulesOf(t, pattern))
	var params Params
	for range 2 {
		if _, ok := table.Match(&Request{Path: path, Params: &params}); !ok || params.Len() != 12 {
			t.Fatalf("got %v, %d params", ok, params.Len())
		}
		for i := range 12 {
			if name, value := params.At(i); name != fmt.Sprintf("p%d", i) || value != fmt.Sprintf("%d ", i) {
				t.Errorf("param %d is %s=%q", i, name, value)
			}
		}
	}
	if _, ok := table.Match(&Request{Path: "/", Params: &params}); ok || params.Len() != 0 {
		t.Errorf("params are left over: %d", params.Len())
	}
}
