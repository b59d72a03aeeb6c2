package router

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"testing"
)

func TestMatchAllocatesNothing(t *testing.T) {
	rules := rulesOf(t, "/health", "GET /users/{id}/orders/{order}", "*.example.com/**", "/v{n}/{rest...}", "~^/re/[a-z]+/[0-9]+$", "/conditions", "/when/{x}")
	rules[5].Headers = []ValueRule{{Name: "X-A", Is: "1"}, {Name: "X-B", Matches: regexp.MustCompile("^b+$")}}
	rules[5].Queries = []ValueRule{{Name: "q q", Is: "1 2"}, {Name: "r", Present: 1}, {Name: "s", Matches: regexp.MustCompile("^s$")}}
	rules[5].Cookies = []ValueRule{{Name: "sid", Matches: regexp.MustCompile("^[0-9]+$")}}
	rules[5].Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	rules[6].When = func(r *Request) bool { x, _ := r.Params.Get("x"); return x == "1" }
	for i := range 100 {
		rules = append(rules, Rule{Value: len(rules), Path: mustPath(t, "/tenants"), Headers: []ValueRule{{Name: "X-Tenant", Is: fmt.Sprint(i)}}})
	}
	table, _ := New(rules)
	for line, want := range map[string]int{
		"GET x/health": 0, "GET x/users/7/orders/8": 1, "HEAD x/users/7/orders/8": 1, "GET a.b.example.com/x/y": 2, "GET x/v1/a/b": 3,
		"GET x/re/abc/123": 4, "GET x/conditions?q+q=1%202&r&s=s": 5, "GET x/when/1": 6, "GET x/tenants": 106, "GET x/none/at/all": -1,
	} {
		r := requestOf(line)
		r.Header = http.Header{"X-A": {"1"}, "X-B": {"bb"}, "Cookie": {"a=b; sid=42"}, "X-Tenant": {"99"}}
		r.Client = netip.MustParseAddr("10.1.2.3")
		if got, ok := table.Match(r); ok != (want >= 0) || ok && got != want {
			t.Errorf("%s: got %d, %v, want %d", line, got, ok, want)
		}
		if n := testing.AllocsPerRun(100, func() { table.Match(r) }); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// shapes are the patterns of a benchmark and the path that route i is asked for.
var shapes = []struct{ name, pattern, path string }{
	{"static", "/api/v1/service%d/items", "/api/v1/service%d/items"},
	{"param", "/api/v1/service%d/items/{id}/parts/{part}", "/api/v1/service%d/items/42/parts/7"},
}

func benchmarkRules(b *testing.B, shape, routes int) (rules []Rule, requests []Request) {
	params := &Params{}
	for i := range routes {
		s := shapes[i%len(shapes)]
		if shape < len(shapes) {
			s = shapes[shape]
		}
		rule := Rule{Value: i, Path: mustPath(b, fmt.Sprintf(s.pattern, i)), Methods: []string{"GET"}}
		r := Request{Method: "GET", Host: "api.example.com", Path: fmt.Sprintf(s.path, i), Params: params}
		if shape == len(shapes) { // mixed: hosts, methods, a prefix
			rule.Hosts = [][]string{nil, {"api.example.com"}, {"*.example.com"}, {fmt.Sprintf("h%d.example.com", i)}}[i/2%4]
			if i/2%4 == 3 {
				r.Host = rule.Hosts[0]
			}
			if i%10 == 9 {
				rule.Path = mustPath(b, fmt.Sprintf("/files%d/**", i))
				r.Path = fmt.Sprintf("/files%d/a/b/c", i)
			}
		}
		rules, requests = append(rules, rule), append(requests, r)
	}
	return rules, requests
}

func BenchmarkMatch(b *testing.B) {
	for shape, name := range []string{"static", "param", "mixed"} {
		for _, routes := range []int{10, 1000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", name, routes), func(b *testing.B) {
				rules, requests := benchmarkRules(b, shape, routes)
				table, _ := New(rules)
				requests = spread(requests, 1000)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, ok := table.Match(&requests[i]); !ok {
						b.Fatal(requests[i].Path)
					}
					if i++; i == len(requests) {
						i = 0
					}
				}
			})
		}
	}
}

// spread returns up to n requests from all over the table, so that not all of it stays in the processor's cache.
func spread(requests []Request, n int) (some []Request) {
	n = min(n, len(requests))
	for i := range n {
		some = append(some, requests[(i*len(requests)/n+i)%len(requests)])
	}
	return some
}

func BenchmarkNew(b *testing.B) {
	rules, _ := benchmarkRules(b, 2, 10_000)
	for b.Loop() {
		New(rules)
	}
}

func BenchmarkNormalize(b *testing.B) {
	for b.Loop() {
		Normalize("/api/v1/users/42/orders")
	}
}
