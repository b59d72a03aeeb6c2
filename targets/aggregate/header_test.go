package aggregate_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestCacheControlIsTheStrictest compares the field with those of two parts.
func TestCacheControlIsTheStrictest(t *testing.T) {
	for _, test := range []struct{ a, b, want, fields string }{
		{"max-age=60", "max-age=30", "max-age=30", ""},
		{"max-age=60, private", "max-age=90", "private, max-age=60", ""},
		{"no-store", "max-age=90", "no-store", ""},
		{"max-age=60", "no-cache", "no-cache, max-age=60", ""},
		{"max-age=60", "", "no-cache", ""},
		{"", "", "", ""},
		{"max-age=60, s-maxage=10", "max-age=30", "max-age=30, s-maxage=10", ""},
		{"max-age=60, must-revalidate", "max-age=60", "max-age=60, must-revalidate", ""},
		{"max-age=60, must-revalidate", "max-age=60", "private, max-age=60, must-revalidate", "Authorization: Bearer x"},
		{"max-age=60, s-maxage=10", "max-age=30", "private, max-age=30", "Authorization: Bearer x"},
		{"max-age=60, public", "max-age=30, public", "max-age=30", "Authorization: Bearer x"},
	} {
		field := func(v string) []string {
			if v == "" {
				return nil
			}
			return []string{"Cache-Control: " + v}
		}
		g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"a": says(`1`, field(test.a)...), "b": says(`2`, field(test.b)...)})+
			"routes:\n  - {match: /, aggregate: {a: a, b: b}}\n")
		var fields []string
		if test.fields != "" {
			fields = []string{test.fields}
		}
		if resp, _ := g.Get("/", fields...); resp.Header.Get("Cache-Control") != test.want {
			t.Errorf("%q and %q are %q, wanted %q", test.a, test.b, resp.Header.Get("Cache-Control"), test.want)
		}
	}
}

func TestFieldsOfTheAnswer(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{
		"a":    says(`{"version": 12345678901234567890, "name": "x\ny"}`, "Set-Cookie: a=1"),
		"b":    says(`2`, "Set-Cookie: b=2", "Cache-Control: max-age=5"),
		"echo": echo,
	})+`
routes:
  - {match: /set, aggregate: {a: a, b: b, headers: {x-version: "v{a.version}", x-name: "{a.name}", content-type: application/vnd.page+json, vary: "", x-none: "{a.none}"}}}
  - {match: /dropped, aggregate: {a: a, b: b}}
  - {match: /passed, aggregate: {a: a, b: b, cookies: pass}}
  - {match: /timed, aggregate: {a: a, _b: b, server_timing: true}}
  - {match: /lines, aggregate: {b: b, a: {call: a, optional: true}, format: ndjson, headers: {x-version: "v{a.version}"}}}
  - {match: /body, aggregate: {a: {call: POST echo, body: "{body.x}", pick: [body]}, headers: {x-of: "{body.y}"}}}
  - {match: "/at/{x}", aggregate: {e: "echo/{x}/{query.to}"}}
  - {match: /of, aggregate: {a: a, e: "echo/{a.none}"}}
  - {match: /each, aggregate: {e: {each: {in: body.list, max: 3}, call: "echo/{item}"}}}
  - {match: /cel, aggregate: {a: {call: a, hide: true}, compose: {cel: '{"y": body.y, "n": a.name}'}}}
`)
	if resp, _ := g.Get("/set"); resp.Header.Get("X-Version") != "v12345678901234567890" || resp.Header.Get("X-Name") != "x y" || resp.Header.Get("Content-Type") != "application/vnd.page+json" || resp.Header["X-None"] != nil {
		t.Errorf("%v", resp.Header)
	}
	if resp, _ := g.Get("/dropped"); resp.Header["Set-Cookie"] != nil || resp.Header["Server-Timing"] != nil {
		t.Errorf("%v", resp.Header)
	}
	if resp, _ := g.Get("/passed"); strings.Join(resp.Header["Set-Cookie"], " ") != "a=1 b=2" {
		t.Errorf("%v", resp.Header)
	}
	resp, _ := g.Get("/timed")
	if got := resp.Header.Get("Server-Timing"); !regexp.MustCompile(`^a;dur=\d+\.\d;start=\d+\.\d, _b;dur=\d+\.\d;start=\d+\.\d$`).MatchString(got) {
		t.Errorf("Server-Timing is %q", got)
	}
	if resp, _ := g.Get("/lines"); resp.Header.Get("X-Version") != "v12345678901234567890" || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%v", resp.Header)
	}
	if resp, body := g.Do("POST", "/body", `{"x": {"n": 1.10}, "y": "z"}`); resp.Header.Get("X-Of") != "z" || body != `{"a":{"body":"{\"n\":1.10}"}}` {
		t.Errorf("%v %s", resp.Header, body)
	}
	if _, body := g.Do("POST", "/cel", `{"y": "z"}`); body != `{"n":"x\ny","y":"z"}` {
		t.Errorf("%s", body)
	}
	for path, want := range map[string]int{"/at/x?to=a": 200, "/at/x?to=": 400, "/at/x": 400, "/at/x?to=..": 400, "/at/x?to=%00": 400, "/at/%01?to=a": 400, "/of": 502} {
		if resp, text := g.Get(path); resp.StatusCode != want || want > 200 && !strings.Contains(text, `call \"e\"`) && !strings.Contains(path, "%01") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
	for body, want := range map[string]int{`{"list": [1]}`: 200, `{"list": 1}`: 400, `{}`: 400, `{"list": [1,2,3,4]}`: 400, `{"list": ["x", ".."]}`: 400} {
		if resp, text := g.Do("POST", "/each", body); resp.StatusCode != want {
			t.Errorf("%s: %d %s", body, resp.StatusCode, text)
		}
	}
	for body, want := range map[string]int{`{"x":`: 400, `{"x":1,"x":2}`: 400, `"` + strings.Repeat("x", 2<<20) + `"`: 413} {
		if resp, text := g.Do("POST", "/body", body); resp.StatusCode != want {
			t.Errorf("%.20s: %d %s", body, resp.StatusCode, text)
		}
	}
}

// TestAnOpenBreaker answers without a call.
func TestAnOpenBreaker(t *testing.T) {
	bad := map[string]http.HandlerFunc{"bad": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }}
	upstreams := strings.Replace(services(t, bad), "retry: off", "retry: off, eject: off, breaker: {error_rate: 50%, min_requests: 2, open_for: 1h}", 1)
	g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /, aggregate: {a: bad}}\n  - {match: /optional, aggregate: {a: {call: bad, optional: true}}}\n")
	for range 6 {
		g.Get("/")
	}
	if resp, body := g.Get("/"); resp.StatusCode != 503 || !strings.Contains(body, `call \"a\"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, body := g.Get("/optional")
	if told := resp.Header.Get("Cardea-Partial") + resp.Trailer.Get("Cardea-Partial"); resp.StatusCode != 200 || body != `{"a":null}` || !strings.HasPrefix(told, "a;reason=") {
		t.Errorf("%d %s, partial %q", resp.StatusCode, body, told)
	}
}

// TestWhatTheAnswerIsMadeOf: an answer that is stored, here or by caches between, goes to nobody for whom another one would have been made.
func TestWhatTheAnswerIsMadeOf(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, s-maxage=60")
		echo(w, r)
	}, "silent": echo, "list": says(`[1]`, "Cache-Control: max-age=60")})+`
listen: {address: "127.0.0.1:0", trusted_proxies: [loopback]}
routes:
  - {match: /field, cache: {}, aggregate: {a: "u/{header.x-tenant}"}}
  - {match: /cel, cache: {}, aggregate: {a: 'u/{header["x-tenant"] + "!"}'}}
  - {match: /set, cache: {}, aggregate: {a: {call: u, headers: {x-user: "{header.x-tenant}"}}}}
  - {match: /when, cache: {}, aggregate: {a: u/x, b: {call: u/y, when: 'header["x-tenant"] == "eve"'}}}
  - {match: /shaped, cache: {}, aggregate: {a: {call: u/x, set: {of: "{header.x-tenant}"}}}}
  - {match: /head, cache: {}, aggregate: {a: u/x, headers: {x-of: "{header.x-tenant}"}}}
  - {match: /any, cache: {}, aggregate: {a: {call: u/x, when: '"x-tenant" in header'}}}
  - {match: /composed, cache: {}, aggregate: {a: u/x, compose: {cel: '{"of": header["x-tenant"], "a": a}'}}}
  - {match: /loop, cache: {}, aggregate: {l: {call: list, hide: true}, a: {each: 'l.filter(x, header["x-tenant"] == "ada")', call: u/x}}}
  - {match: /cookie, cache: {}, aggregate: {a: "u/{cookie.tenant}"}}
  - {match: /address, cache: {}, aggregate: {a: "u/{address}"}}
  - {match: /silent, cache: {ttl: 60s}, aggregate: {a: "silent/{address}"}}
  - {match: /plain, cache: {}, aggregate: {a: "u/x/{query.q}"}}
  - {match: /body, aggregate: {a: {call: "u/{body.x}"}}}
`)
	for _, path := range []string{"/field", "/cel", "/set", "/when", "/shaped", "/head", "/any", "/composed", "/loop", "/cookie", "/address", "/silent"} {
		of := func(who string) []string {
			address := map[string]string{"ada": "192.0.2.1", "eve": "192.0.2.2"}[who]
			return []string{"X-Tenant: " + who, "Cookie: tenant=" + who, "X-Forwarded-For: " + address}
		}
		ada, first := g.Get(path, of("ada")...)
		eve, second := g.Get(path, of("eve")...)
		if ada.StatusCode != 200 || eve.StatusCode != 200 || strings.Contains(eve.Header.Get("Cache-Status"), "hit") {
			t.Errorf("%s: %d %d, %s %v", path, ada.StatusCode, eve.StatusCode, second, eve.Header)
		}
		if strings.Contains(second, "ada") || strings.Contains(second, "192.0.2.1") || path != "/any" && path != "/set" && path != "/head" && first == second {
			t.Errorf("%s: eve got %s", path, second)
		}
	}
	if resp, _ := g.Get("/plain?q=1"); resp.StatusCode == 200 {
		if resp, _ := g.Get("/plain?q=1"); !strings.Contains(resp.Header.Get("Cache-Status"), "hit") || resp.Header.Get("Vary") != "" {
			t.Errorf("%v", resp.Header)
		}
	}
	if resp, _ := g.Do("GET", "/body", `{"x": "eve"}`); resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
}

// TestAFieldThatIsSetHoldsForTheWhole: what misses something is not stored, whatever the field says.
func TestAFieldThatIsSetHoldsForTheWhole(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"good": says(`{"list":[1,2]}`), "bad": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }})+`
routes:
  - {match: /whole, aggregate: {a: good, headers: {cache-control: max-age=5}}}
  - {match: /partial, aggregate: {a: good, b: {call: bad, optional: true}, begin: all, headers: {cache-control: max-age=5}}}
  - {match: /gaps, aggregate: {a: good, b: {each: a.list, call: bad, optional: true}, headers: {cache-control: max-age=5}}}
  - {match: /lines, aggregate: {a: good, b: "bad/{a.list[0]}", format: ndjson, headers: {cache-control: max-age=5}}}
`)
	for path, want := range map[string]string{"/whole": "max-age=5", "/partial": "no-store", "/gaps": "no-store", "/lines": "no-store"} {
		if resp, body := g.Get(path); resp.Header.Get("Cache-Control") != want {
			t.Errorf("%s: %q, %s", path, resp.Header.Get("Cache-Control"), body)
		}
	}
}

// TestATagThatIsTakenAway: an empty value takes ETag away, as it does other fields, and then nothing is compared.
func TestATagThatIsTakenAway(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"a": says(`{}`)})+`
routes:
  - {match: /none, aggregate: {a: a, headers: {etag: "{a.none}"}}}
  - {match: /own, aggregate: {a: a, headers: {etag: '"x"'}}}
  - {match: /made, aggregate: {a: a}}
`)
	for path, status := range map[string]int{"/none": 200, "/own": 200, "/made": 304} {
		resp, _ := g.Get(path, "If-None-Match: *")
		if tag := resp.Header.Get("Etag"); resp.StatusCode != status || (tag == "") != (path == "/none") {
			t.Errorf("%s: %d %q", path, resp.StatusCode, tag)
		}
	}
}

// TestAServiceThatVariesByEverything is taken at its word, without a list of it all.
func TestAServiceThatVariesByEverything(t *testing.T) {
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprintf("x-%d", i))
	}
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{
		"all": says(`1`, "Vary: "+strings.Join(names, ",")), "some": says(`1`, "Vary: x-a, accept, X-B"), "other": says(`2`, "Vary: X-a,,x-c"), "star": says(`1`, "Vary: *"),
	})+`
routes:
  - {match: /all, aggregate: {a: all, b: some}}
  - {match: /some, aggregate: {a: some, b: other}}
  - {match: /star, aggregate: {a: some, b: star}}
`)
	for path, want := range map[string]string{"/all": "*", "/some": "X-A, X-B, X-C", "/star": "*"} {
		if resp, _ := g.Get(path); strings.Join(resp.Header["Vary"], "|") != want {
			t.Errorf("%s: %.200q", path, resp.Header["Vary"])
		}
	}
}
