package router

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"testing"
)

func TestConflicts(t *testing.T) {
	regex := regexp.MustCompile("^1$")
	yes := func(*Request) bool { return true }
	with := func(change func(*Rule), lines ...string) []Rule {
		rules := rulesOf(t, lines...)
		if change != nil {
			for i := range rules {
				change(&rules[i])
			}
		}
		return rules
	}
	for name, c := range map[string]struct {
		rules []Rule
		want  string
	}{
		"same":             {with(nil, "/a/{x}", "/a/{y}", "/a/*"), "[{0 1 duplicate} {0 2 duplicate}]"},
		"same, any path":   {append(with(nil, "/**"), Rule{Value: 1, Name: "z"}), "[{0 1 duplicate}]"},
		"other host":       {with(nil, "a/x", "b/x", "*.b/x", "/x"), "[]"},
		"same hosts":       {with(nil, "a,b/x", "b,a/x"), "[{0 1 duplicate}]"},
		"all hosts lost":   {with(nil, "a,b/x", "b/x"), "[{0 1 shadowed}]"},
		"a host left":      {with(nil, "a/x", "a,b/x"), "[]"},
		"all methods lost": {with(nil, "GET,POST /x", "POST /x"), "[{0 1 shadowed}]"},
		"HEAD left":        {with(nil, "GET /x", "GET,HEAD /x"), "[]"},
		"HEAD of GET":      {with(nil, "GET /x", "HEAD /x", "POST /x", "/x"), "[]"},
		"by two":           {with(nil, "a/x", "b/x", "b,a/x"), "[{0 2 shadowed}]"},
		"slash":            {with(nil, "/x", "/x/", "/x/**"), "[]"},
		"spelling":         {with(nil, "/café", "/caf%c3%a9"), "[{0 1 duplicate}]"},
		"regex":            {with(nil, "~^/a$", "~^/a$", "~^/a"), "[{0 1 duplicate}]"},
		"regex for all":    {with(nil, "~^/u/.*$", "/u/{id}", "/u/me", "/u/**", "/u/{id}/x", "/u/v{n}", "~/u/.*", "~/u/[0-9]+"), "[{0 1 shadowed} {0 4 shadowed} {0 6 shadowed}]"},
		"regex for GET":    {with(nil, "GET ~^/u/.*$", "/u/{id}"), "[]"},
		"same conditions": {with(func(r *Rule) {
			r.Headers = []ValueRule{{Name: "x-a", Is: "1"}, {Name: "X-B", Matches: regex}}
			r.Queries = []ValueRule{{Name: "q", Present: 1}}
			r.Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			r.When, r.WhenText = yes, "true"
		}, "/x", "/x"), "[{0 1 duplicate}]"},
		"other conditions": {with(func(r *Rule) { r.Headers = []ValueRule{{Name: "x", Is: r.Name}} }, "/x", "/{x}", "/x", "GET /x"), "[{0 2 duplicate}]"},
		"unknown when":     {with(func(r *Rule) { r.When = yes }, "/x", "/x"), "[]"},
	} {
		for i := range c.rules {
			c.rules[i].Value, c.rules[i].Name = i, fmt.Sprintf("r%d", i)
		}
		_, conflicts := New(c.rules)
		got := []string{}
		for _, x := range conflicts {
			got = append(got, fmt.Sprintf("{%d %d %s}", x.A, x.B, x.Kind))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
	_, conflicts := New(with(nil, "GET a/x", "GET a/x", "GET,POST a/y", "POST a/y"))
	want := []Conflict{
		{0, 1, Duplicate, `routes "GET a/x" and "GET a/x" both match GET a/x`},
		{2, 3, Shadowed, `route "POST a/y" can never match: all of POST a/y goes to route "GET,POST a/y", which matches GET,POST a/y`},
	}
	if !reflect.DeepEqual(conflicts, want) {
		t.Errorf("got %v, want %v", conflicts, want)
	}
}

func TestExplain(t *testing.T) {
	rules := rulesOf(t, "GET api.x/users/{id}", "POST api.x/users/{id}", "api.x/users/{id}/orders", "other.x/users/{id}", "/**", "/users/")
	rules[0].Headers = []ValueRule{{Name: "x-a", Is: "1"}}
	table, _ := New(rules)
	info := func(i int, match string) RuleInfo {
		return RuleInfo{Rule: i, Value: i, Name: rules[i].Name, Match: match}
	}
	got := table.Explain(requestOf("GET api.x/users/7"), 10)
	want := Explanation{
		Matched: true,
		Winner:  info(4, "/**"),
		Nearer: []Candidate{
			{info(0, `GET api.x/users/{id} with header X-A = "1"`), Failure{Kind: "header", Name: "X-A", Wanted: `= "1"`}},
			{info(1, "POST api.x/users/{id}"), Failure{Kind: "method", Wanted: "POST", Got: "GET"}},
			{info(2, "api.x/users/{id}/orders"), Failure{Kind: "path", Wanted: "/users/{id}/orders", Got: "/users/7"}},
			{info(5, "/users/"), Failure{Kind: "path", Wanted: "/users/", Got: "/users/7"}},
			{info(3, "other.x/users/{id}"), Failure{Kind: "host", Wanted: "other.x", Got: "api.x"}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if got := table.Explain(requestOf("GET api.x/users/7"), 1); !reflect.DeepEqual(got.Nearer, want.Nearer[:1]) {
		t.Errorf("got %+v", got)
	}
}

func TestExplainNoMatch(t *testing.T) {
	yes := func(r *Request) bool { return r.RawQuery == "" }
	for name, c := range map[string]struct {
		line    string
		request string
		change  func(*Rule)
		want    Failure
	}{
		"slash":   {"/a/b", "GET x/a/b/", nil, Failure{Kind: "path", Wanted: "/a/b", Got: "/a/b/", Hint: "the pattern has no slash at the end"}},
		"noslash": {"/a/b/", "GET x/a/b", nil, Failure{Kind: "path", Wanted: "/a/b/", Got: "/a/b", Hint: "the pattern has a slash at the end"}},
		"case":    {"/A/{b}", "GET x/a/B", nil, Failure{Kind: "path", Wanted: "/A/{b}", Got: "/a/B", Hint: "upper and lower case differ"}},
		"method":  {"GET,PUT /a", "POST x/a", nil, Failure{Kind: "method", Wanted: "GET or PUT", Got: "POST"}},
		"header": {
			"/a", "GET x/a", func(r *Rule) { r.Headers = []ValueRule{{Name: "authorization", Matches: regexp.MustCompile("^B")}} },
			Failure{Kind: "header", Name: "Authorization", Wanted: `matching "^B"`, Got: "(not shown)"},
		},
		"query": {
			"/a", "GET x/a?q=1&q=%32", func(r *Rule) { r.Queries = []ValueRule{{Name: "q", Present: -1}} },
			Failure{Kind: "query", Name: "q", Wanted: "absent", Got: "1, 2"},
		},
		"cookie": {
			"/a", "GET x/a", func(r *Rule) { r.Cookies = []ValueRule{{Name: "c", Is: "1"}} },
			Failure{Kind: "cookie", Name: "c", Wanted: `= "1"`, Got: "(not shown)"},
		},
		"address": {"/a", "GET x/a", func(r *Rule) {
			r.Addresses = []netip.Prefix{netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("10.1.2.3/8")}
		}, Failure{Kind: "address", Wanted: "10.0.0.0/8 or fd00::/8", Got: "192.0.2.1"}},
		"when": {
			"/a", "GET x/a?q", func(r *Rule) { r.When, r.WhenText = yes, "no query" },
			Failure{Kind: "when", Wanted: "no query", Got: "false"},
		},
	} {
		rules := rulesOf(t, c.line)
		if c.change != nil {
			c.change(&rules[0])
		}
		table, _ := New(rules)
		r := requestOf(c.request)
		r.Header = http.Header{"Authorization": {"secret"}, "Cookie": {"c=2"}}
		r.Client = netip.MustParseAddr("192.0.2.1")
		e := table.Explain(r, 3)
		if e.Matched || len(e.Nearer) != 1 || e.Nearer[0].Failed != c.want {
			t.Errorf("%s: got %+v, want %+v", name, e, c.want)
		}
		if (e.Methods != nil) != (name == "method") {
			t.Errorf("%s: methods %v", name, e.Methods)
		}
	}
}
