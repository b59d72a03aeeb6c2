package expr

import (
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
)

// params are the parameters of a path, for tests.
type params map[string]string

func (p params) Get(name string) (string, bool) { v, ok := p[name]; return v, ok }

func (p params) All() iter.Seq2[string, string] { return maps.All(p) }

// newExpressions returns an Expressions.
func newExpressions(t testing.TB) *Expressions {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// newExchange returns an exchange that has everything.
func newExchange() *filter.Exchange {
	return &filter.Exchange{
		Request: &http.Request{
			Method: "POST", Host: "Internal:8080", ContentLength: 12,
			URL: &url.URL{Path: "/internal/7", RawQuery: "changed=1"},
			Header: http.Header{
				"X-User": {"bob"}, "X-List": {"a", "b"}, "X-Empty": {""}, "Accept": {"text/html"},
				"Cookie": {`sid=s1; theme="dark"; bad="a`, "sid=s2"},
			},
		},
		Response: &http.Response{StatusCode: 503, Header: http.Header{"X-Cache": {"hit"}}},
		Err:      filter.Reject(filter.UpstreamReset, ""),
		Route:    &filter.Route{Name: "orders"},
		Params:   params{"id": "7/8", "rest": "a"},
		Limited:  filter.Limited{Policy: "concurrency", Limit: "1 per address", Key: "10.1.2.3"},
		Client:   netip.MustParseAddr("::ffff:10.1.2.3"),
		Identity: &filter.Identity{
			Subject: "bob", Consumer: "acme", Groups: []string{"dev", "ops"}, Method: "jwt",
			Scopes: []string{"read", "write"}, Tags: map[string]string{"plan": "gold", "cost-center": "7"},
			Claims: map[string]any{
				"sub": "bob", "n": float64(1700000000), "big": json.Number("9007199254740993"), "f": 1.5, "admin": true, "null": nil,
				"roles": []any{"r1", "r2"}, "realm": map[string]any{"tenant": "t1", "roles": []any{"x"}}, "mixed": []any{"a", map[string]any{"b": 1.0}},
				"https://e.com/x": "uri",
			},
		},
		Original: filter.Original{
			Method: "GET", Scheme: "https", Host: "api.example.com", Path: "/orders/7%2F8", Proto: "HTTP/1.1",
			Query: "q=a%20b+c&q=second&empty=&flag&bad=%zz&bad=ok&x%5B0%5D=i&semi=1;2",
		},
		ID:       "req-1",
		Start:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Upstream: "b",
		Attempts: []filter.Attempt{{Upstream: "a", Endpoint: "e1"}, {Upstream: "b", Endpoint: "e2"}},
	}
}

// result is what a value gives.
type result struct {
	Text string
	OK   bool
}

func TestValue(t *testing.T) {
	for source, want := range map[string]result{
		"address":                          {"10.1.2.3", true},
		" address ":                        {"10.1.2.3", true},
		"identity":                         {"bob", true},
		"identity.subject":                 {"bob", true},
		"identity.consumer":                {"acme", true},
		"identity.method":                  {"jwt", true},
		"identity.groups":                  {"dev,ops", true},
		"identity.scopes":                  {"read,write", true},
		"identity.tags.plan":               {"gold", true},
		"identity.tags.cost-center":        {"7", true},
		"identity.tags.none":               {"", false},
		`identity.tags["plan"]`:            {"gold", true},
		`identity.tags["none"]`:            {"", true},
		`identity.tags`:                    {`{"cost-center":"7","plan":"gold"}`, true},
		"jwt.sub":                          {"bob", true},
		"jwt.n":                            {"1700000000", true},
		"jwt.big":                          {"9007199254740993", true},
		"jwt.f":                            {"1.5", true},
		"jwt.admin":                        {"true", true},
		"jwt.roles":                        {"r1,r2", true},
		"jwt.mixed":                        {`["a",{"b":1}]`, true},
		"jwt.realm.tenant":                 {"t1", true},
		"jwt.realm":                        {`{"roles":["x"],"tenant":"t1"}`, true},
		"jwt.realm.tenant.x":               {"", false},
		"jwt.none":                         {"", false},
		"jwt.null":                         {"", false},
		`jwt["https://e.com/x"]`:           {"uri", true},
		`jwt.realm.roles[0]`:               {"x", true},
		`jwt.none.x`:                       {"", false},
		`jwt["none"]`:                      {"", false},
		`jwt.?none`:                        {"", false},
		`jwt.?sub`:                         {"bob", true},
		`jwt.?none.orValue("-")`:           {"-", true},
		"header.x-user":                    {"bob", true},
		"header.X-USER":                    {"bob", true},
		"header.x-list":                    {"a, b", true},
		"header.x-empty":                   {"", true},
		"header.host":                      {"Internal:8080", true},
		"header.none":                      {"", false},
		`header["x-user"]`:                 {"bob", true},
		`header["x-none"]`:                 {"", true},
		"query.q":                          {"a b c", true},
		"query.empty":                      {"", true},
		"query.flag":                       {"", true},
		"query.bad":                        {"ok", true},
		"query.semi":                       {"", false},
		"query.changed":                    {"", false},
		`query["x[0]"]`:                    {"i", true},
		"cookie.sid":                       {"s1", true},
		"cookie.theme":                     {"dark", true},
		"cookie.bad":                       {"", false},
		"path.id":                          {"7/8", true},
		"path.none":                        {"", false},
		"path":                             {"/orders/7%2F8", true},
		"request.path":                     {"/orders/7%2F8", true},
		"method":                           {"GET", true},
		"scheme":                           {"https", true},
		"host":                             {"api.example.com", true},
		"request_id":                       {"req-1", true},
		"request.id":                       {"req-1", true},
		"request.size":                     {"12", true},
		"request.time":                     {"2026-11-21T10:00:00Z", true},
		"route":                            {"orders", true},
		"status":                           {"503", true},
		"response.status":                  {"503", true},
		"response.header.x-cache":          {"hit", true},
		"upstream":                         {"b", true},
		"endpoint":                         {"e2", true},
		"error":                            {"upstream_reset", true},
		"limit.policy":                     {"concurrency", true},
		"limit.key":                        {"10.1.2.3", true},
		`"a" + identity`:                   {"abob", true},
		`address + "/" + header["x-user"]`: {"10.1.2.3/bob", true},
		`1 + 2`:                            {"3", true},
		`1.5 * 2.0`:                        {"3", true},
		`status >= 500`:                    {"true", true},
		`null`:                             {"", false},
		`duration("90s")`:                  {"90s", true},
		`{"a": [1, true, "x"]}`:            {`{"a":[1,true,"x"]}`, true},
		`identity.groups.filter(g, g != "dev").join("+")`: {"ops", true},
		`jwt`: {`{"admin":true,"big":9007199254740993,"f":1.5,"https://e.com/x":"uri","mixed":["a",{"b":1}],"n":1700000000,"null":null,"realm":{"roles":["x"],"tenant":"t1"},"roles":["r1","r2"],"sub":"bob"}`, true},
	} {
		t.Run(source, func(t *testing.T) {
			value, err := newExpressions(t).Value(source)
			if err != nil {
				t.Fatal(err)
			}
			text, ok := value(newExchange())
			if diff := cmp.Diff(want, result{text, ok}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConditionHolds(t *testing.T) {
	for source, want := range map[string]bool{
		`request.method == "GET" && header["x-user"] == "bob"`: true,
		`header.x == ""`:                                   true,
		`has(header.accept)`:                               true,
		`has(header.none)`:                                 false,
		`"X-USER" in header`:                               true,
		`"x-none" in header`:                               false,
		`"host" in header`:                                 true,
		`has(query.q) && !has(query.none)`:                 true,
		`has(response.header.none)`:                        false,
		`has(path.id) && path.id == "7/8"`:                 true,
		`path.none == ""`:                                  true,
		`has(jwt.none)`:                                    false,
		`has(jwt.realm.tenant)`:                            true,
		`has(jwt.role) && jwt.role == "x"`:                 false,
		`jwt.admin`:                                        true,
		`jwt.n > 1600000000 && jwt.n < 2e9`:                true,
		`jwt.big == 9007199254740993`:                      true,
		`"r1" in jwt.roles`:                                true,
		`"dev" in identity.groups`:                         true,
		`identity.claims.sub == jwt.sub`:                   true,
		`"write" in identity.scopes`:                       true,
		`"admin" in identity.scopes`:                       false,
		`identity.scopes.all(s, s in ["read", "write"])`:   true,
		`identity.tags["plan"] == "gold"`:                  true,
		`identity.tags.plan == "gold"`:                     true,
		`identity.tags.none == ""`:                         true,
		`has(identity.tags.plan)`:                          true,
		`has(identity.tags.none)`:                          false,
		`"cost-center" in identity.tags`:                   true,
		`identity.tags.exists(k, k == "plan")`:             true,
		`size(identity.tags) == 2`:                         true,
		`sets.intersects(identity.groups, ["ops"])`:        true,
		`ip_in(address, "10.0.0.0/8")`:                     true,
		`ip_in(address, "10.1.2.3")`:                       true,
		`ip_in(address, ["192.0.2.0/24", "::/0"])`:         false,
		`ip_in("", "0.0.0.0/0")`:                           false,
		`ip_in("fe80::1%eth0", "fe80::/10")`:               true,
		`request.path.startsWith("/orders/")`:              true,
		`header["x-user"].matches("^b.b$")`:                true,
		`header.exists(k, k == "x-user")`:                  true,
		`header.all(k, k == k.lowerAscii())`:               true,
		`size(header) == 5`:                                true,
		`query.exists(k, k == "flag")`:                     true,
		`cookie.exists(c, c == "sid") && size(path) == 2`:  true,
		`header == header && query != path`:                true,
		`header.?none.hasValue()`:                          false,
		`header[?"x-user"].orValue("") == "bob"`:           true,
		`request.time > timestamp("2026-01-01T00:00:00Z")`: true,
		`request.time.getHours() == 10`:                    true,
		`request.size < 1024 && status == 503`:             true,
		`response.status >= 500 && error == "upstream_reset" && upstream == "b" && endpoint == "e2"`: true,
		`scheme == "https" && request.host.endsWith(".example.com") && route == "orders"`:            true,
		`cel.bind(u, header["x-user"], u + u == "bobbob")`:                                           true,
		`jwt.none == 1 || true`: true,
		`type(header) == map`:   true,
	} {
		t.Run(source, func(t *testing.T) {
			condition, err := newExpressions(t).Condition(source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := condition(newExchange())
			if err != nil || got != want {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
}

func TestConditionFails(t *testing.T) {
	for source, want := range map[string]string{
		`jwt.role == "admin"`:              "cannot evaluate `jwt.role == \"admin\"`: no such key: role",
		`jwt.sub`:                          "cannot evaluate `jwt.sub`: the result is neither true nor false",
		`ip_in(header["x-user"], "::/0")`:  "cannot evaluate `ip_in(header[\"x-user\"], \"::/0\")`: \"bob\" is not an address",
		`ip_in(address, header["x-user"])`: "cannot evaluate `ip_in(address, header[\"x-user\"])`: \"bob\" is not an address or a range of them, such as \"10.0.0.0/8\"",
		`1 / (status - 503) == 1`:          "cannot evaluate `1 / (status - 503) == 1`: division by zero",
	} {
		condition, err := newExpressions(t).Condition(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		holds, err := condition(newExchange())
		if holds || err == nil || err.Error() != want {
			t.Errorf("%s: got %v, %v; want %s", source, holds, err, want)
		}
	}
}

// An exchange that the router asks about has no route, no identity and no response yet.
func TestBareExchange(t *testing.T) {
	e := newExpressions(t)
	bare := &filter.Exchange{Request: &http.Request{Method: "GET", Host: "API.example.com:80", URL: &url.URL{Path: "/a b", RawQuery: "q=1"}}}
	for source, want := range map[string]result{
		"host": {"api.example.com", true}, "path": {"/a%20b", true}, "query.q": {"1", true}, "scheme": {"http", true}, "method": {"GET", true},
	} {
		value, err := e.Value(source)
		if err != nil {
			t.Fatal(err)
		}
		text, ok := value(bare)
		if diff := cmp.Diff(want, result{text, ok}); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
	}
	for _, ex := range []*filter.Exchange{bare, {}} {
		for _, v := range []string{"address", "identity", "identity.tags.plan", "jwt.a.b", "header.x", "cookie.c", "path.p", "request_id", "route", "status", "response.header.x", "upstream", "endpoint", "error", "limit.policy", "limit.key"} {
			value, err := e.Value(v)
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := value(ex); ok {
				t.Errorf("%s is %q in an exchange that has none", v, text)
			}
		}
		for _, n := range celNames() {
			condition, err := e.Condition("type(" + n.name + ") == string || true")
			if err != nil {
				t.Fatal(err)
			}
			if holds, err := condition(ex); !holds || err != nil {
				t.Errorf("%s: %v, %v", n.name, holds, err)
			}
		}
	}
}

// Every variable that is documented compiles, and every name of CEL resolves.
func TestVariablesAreComplete(t *testing.T) {
	e := newExpressions(t)
	for _, v := range Variables() {
		name := v.Name
		if family, _, ok := strings.Cut(name, "<"); ok {
			name = family + "x"
		}
		if _, ok := e.variable(name); !ok {
			t.Errorf("%s is documented but is no variable", name)
		}
	}
	a := e.pool.get(newExchange(), e.addresses)
	for _, n := range celNames() {
		if _, ok := a.ResolveName(n.name); !ok {
			t.Errorf("%s does not resolve", n.name)
		}
	}
}

func TestErrorsAreStillAnError(t *testing.T) {
	_, err := newExpressions(t).Condition("adress == 1")
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T", err)
	}
	want := &Error{Source: "adress == 1", Offset: 0, Width: 6, Message: `unknown name "adress"`, Hint: `did you mean "address"?`}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

// What was compiled is shared by all exchanges, and compiling may go on meanwhile.
func TestConcurrentUse(t *testing.T) {
	e := newExpressions(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			user := strconv.Itoa(i)
			ex := newExchange()
			ex.Request.Header.Set("X-User", user)
			for range 200 {
				condition, err := e.Condition(`header["x-user"] == "` + user + `" && header.exists(k, header[k] == "` + user + `")`)
				if err != nil {
					t.Error(err)
					return
				}
				shared, err := e.Value(`header["x-user"] + "!"`)
				if err != nil {
					t.Error(err)
					return
				}
				if holds, err := condition(ex); !holds || err != nil {
					t.Errorf("got %v, %v", holds, err)
				}
				if text, _ := shared(ex); text != user+"!" {
					t.Errorf("got %q of %q", text, user)
				}
			}
		})
	}
	group.Wait()
}
