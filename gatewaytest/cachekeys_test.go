package gatewaytest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// mirrored is a service that answers with all that it could be told by, but for what its clients have in common.
func mirrored(t *testing.T) string {
	t.Helper()
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, name := range []string{"User-Agent", "X-Request-Id", "Traceparent", "Tracestate", "Accept-Encoding", "Via", "Cache-Control"} {
			r.Header.Del(name)
		}
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, "%s %s %s %q %v", r.Method, r.Host, r.RequestURI, body, r.Header)
	}).URL
}

// sent sends requests as they are, each on a connection of its own, and returns what the last one gets.
func sent(t *testing.T, g *gatewaytest.Gateway, requests ...string) (status int, body, cached string) {
	t.Helper()
	for _, request := range requests {
		conn, r := dial(t, g)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		method, _, _ := strings.Cut(request, " ")
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		_ = conn.Close()
		status, body, cached = resp.StatusCode, string(text), resp.Header.Get("Cache-Status")
	}
	return status, body, cached
}

// TestOneRequestDoesNotPoisonTheNext sends what an attacker would, and then what everybody does. Everybody gets what he gets where nobody attacks.
func TestOneRequestDoesNotPoisonTheNext(t *testing.T) {
	g := gatewaytest.New(t, `
upstreams: {u: `+mirrored(t)+`}
headers: {request: {remove: [X-Original-URL, X-Rewrite-URL, X-HTTP-Method-Override, X-Host]}}
routes: [{match: /**, to: u, cache: {}}]`)
	const plain = "GET /PATH HTTP/1.1\r\nHost: h\r\n\r\n"
	with := func(field string) string { return "GET /PATH HTTP/1.1\r\nHost: h\r\n" + field + "\r\n\r\n" }
	attacks := map[string]string{
		"a GET with a body":            with("Content-Length: 4") + "evil",
		"a GET with chunks":            with("Transfer-Encoding: chunked") + "4\r\nevil\r\n0\r\n\r\n",
		"a form in a GET":              with("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6") + "q=evil",
		"a HEAD":                       "HEAD /PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"a HEAD with a body":           "HEAD /PATH HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nevil",
		"a POST":                       "POST /PATH HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nevil",
		"a method in small letters":    "get /PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"another host":                 "GET /PATH HTTP/1.1\r\nHost: evil\r\n\r\n",
		"another port":                 "GET /PATH HTTP/1.1\r\nHost: h:1337\r\n\r\n",
		"a port with a zero":           "GET /PATH HTTP/1.1\r\nHost: h:080\r\n\r\n",
		"a dot behind the host":        "GET /PATH HTTP/1.1\r\nHost: h.\r\n\r\n",
		"a URL in the request line":    "GET http://evil/PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"an https URL":                 "GET https://h/PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"HTTP/1.0":                     "GET /PATH HTTP/1.0\r\nHost: evil\r\n\r\n",
		"an empty query":               "GET /PATH? HTTP/1.1\r\nHost: h\r\n\r\n",
		"a query":                      "GET /PATH?evil HTTP/1.1\r\nHost: h\r\n\r\n",
		"a fragment":                   "GET /PATH#evil HTTP/1.1\r\nHost: h\r\n\r\n",
		"an encoded question mark":     "GET /PATH%3Fevil HTTP/1.1\r\nHost: h\r\n\r\n",
		"X-Forwarded-Host":             with("X-Forwarded-Host: evil"),
		"X_Forwarded_Host":             with("X_Forwarded_Host: evil"),
		"X-Forwarded-Proto":            with("X-Forwarded-Proto: evil"),
		"X-Forwarded-Scheme":           with("X-Forwarded-Scheme: evil"),
		"X-Forwarded-Port":             with("X-Forwarded-Port: 1337"),
		"X-Forwarded-Prefix":           with("X-Forwarded-Prefix: /evil"),
		"X-Forwarded-Server":           with("X-Forwarded-Server: evil"),
		"X-Forwarded-For":              with("X-Forwarded-For: 6.6.6.6"),
		"X-Forwarded-SSL":              with("X-Forwarded-Ssl: on"),
		"X-Real-IP":                    with("X-Real-Ip: 6.6.6.6"),
		"Forwarded":                    with("Forwarded: for=6.6.6.6;host=evil"),
		"X-Original-URL":               with("X-Original-Url: /evil"),
		"X-Rewrite-URL":                with("X-Rewrite-Url: /evil"),
		"a method override":            with("X-HTTP-Method-Override: POST"),
		"X-Host":                       with("X-Host: evil"),
		"a part":                       with("Range: bytes=0-1"),
		"parts":                        with("Range: bytes=0-1,3-4"),
		"hundreds of parts":            with("Range: bytes=" + strings.Repeat("0-0,", 900) + "1-1"),
		"a part of another unit":       with("Range: evil=0-1"),
		"a tag that nothing has":       with(`If-None-Match: "evil"`),
		"a tag of 30 KB":               with(`If-None-Match: "` + strings.Repeat("e", 30<<10) + `"`),
		"thousands of tags":            with(`If-None-Match: ` + strings.Repeat(`"e",`, 5000)),
		"tags that are not closed":     with(`If-None-Match: ` + strings.Repeat(`",`, 5001)),
		"a date in the future":         with("If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"),
		"If-Match":                     with(`If-Match: "evil"`),
		"If-Unmodified-Since":          with("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
		"If-Range":                     with("Range: bytes=0-1\r\nIf-Range: \"evil\""),
		"Expect":                       with("Expect: evil"),
		"a field of the connection":    with("Connection: X-Evil\r\nX-Evil: 1"),
		"an upgrade":                   with("Connection: Upgrade\r\nUpgrade: evil"),
		"no-store":                     with("Cache-Control: no-store"),
		"no-cache":                     with("Cache-Control: no-cache"),
		"only-if-cached":               with("Cache-Control: only-if-cached"),
		"credentials":                  with("Authorization: Basic YTpi"),
		"a purge":                      "PURGE /PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"a ban":                        "BAN /PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS":                      "OPTIONS /PATH HTTP/1.1\r\nHost: h\r\n\r\n",
		"a line break in a field":      with("X-A: b\r\n Evil: 1"),
		"two hosts":                    "GET /PATH HTTP/1.1\r\nHost: h\r\nHost: evil\r\n\r\n",
		"a host in the request line's": "GET http://evil@h/PATH HTTP/1.1\r\nHost: h\r\n\r\n",
	}
	_, want, _ := sent(t, g, strings.ReplaceAll(plain, "PATH", "none"))
	n := 0
	for name, attack := range attacks {
		n++
		path := fmt.Sprintf("p%d", n)
		at := func(text string) string { return strings.ReplaceAll(text, "PATH", path) }
		status, got, _ := sent(t, g, at(attack), at(plain))
		if want := strings.Replace(want, "/none", "/"+path, 1); status != 200 || got != want {
			t.Errorf("%s: everybody gets %d %q, wanted %q", name, status, got, want)
		}
		if _, got, cached := sent(t, g, at(attack), at(plain)); got != strings.Replace(want, "/none", "/"+path, 1) || strings.HasPrefix(attack, "GET") && !strings.Contains(cached, "hit") {
			t.Errorf("%s, once more: everybody gets %q, %s", name, got, cached)
		}
	}
}

// TestOddURLsAreToldApart asks a gateway with a cache and one without for the same URLs, each of them twice: both say the same.
func TestOddURLsAreToldApart(t *testing.T) {
	up := mirrored(t)
	with := gatewaytest.New(t, "upstreams: {u: "+up+"}\nroutes: [{match: /**, to: u, cache: {}}]")
	without := gatewaytest.New(t, "upstreams: {u: "+up+"}\nroutes: [{match: /**, to: u}]")
	targets := []string{
		"/account", "/account/", "//account", "/./account", "/x/../account", "/x/%2e%2e/account", "/account/.", "/account/x.css", "/account;x.css", "/account;/x.css", "/account%3bx.css",
		"/account%2fx.css", "/account%2Fx.css", "/account/%2e%2e%2fx", "/account%3fx.css", "/account%23x.css", "/account.", "/account..", "/account%20", "/account%00", "/account%0a",
		"/account\\x.css", "/account%5cx.css", "/ACCOUNT", "/%61ccount", "/%2561ccount", "/account%25", "/account%", "/account/..%2f", "/account..;/x", "/account~", "/accoun%c3%a9",
	}
	for _, query := range []string{
		"", "a=1", "a=1&a=2", "a=2&a=1", "A=1", "a=1&", "&a=1", "a=1&&b", "a=1;b=2", "a=1%26b=2", "a=1&b=2", "b=2&a=1", "a=%31", "%61=1", "a=1+2", "a=1%202", "a=1%2b2", "a", "a=", "a[]=1", "a%5b%5d=1",
		"a=1?b=2", "a=1%00", "a=1%0d%0aX-Evil:1", "a=1#b", "?", "??", "a=\x80", "a=%zz", "a=1/../b", "a==1",
	} {
		targets = append(targets, "/q?"+query)
	}
	const form = "GET %s HTTP/1.1\r\nHost: h\r\n\r\n"
	for round := range 2 {
		hits := 0
		for _, target := range targets {
			request := fmt.Sprintf(form, target)
			status, got, cached := sent(t, with, request)
			wantStatus, want, _ := sent(t, without, request)
			if status != wantStatus || status == 200 && got != want {
				t.Errorf("%q: %d %q, wanted %d %q", target, status, got, wantStatus, want)
			}
			if strings.Contains(cached, "hit") {
				hits++
			}
		}
		if round == 1 && hits < len(targets)/2 {
			t.Errorf("only %d of %d are kept", hits, len(targets))
		}
	}
}

// TestQueriesByPostAreKeptByTheirBodies as the manual says.
func TestQueriesByPostAreKeptByTheirBodies(t *testing.T) {
	g := gatewaytest.New(t, `
upstreams: {search: `+mirrored(t)+`}
routes:
  - match: POST /graphql
    to: search
    cache: {ttl: 10s, methods: [POST], max_body: 1KiB, bypass: 'header["x-mutation"] == "1"'}`)
	post := func(want, body string, fields ...string) {
		t.Helper()
		resp, got := g.Do("POST", "/graphql", body, fields...)
		if status := resp.Header.Get("Cache-Status"); resp.StatusCode != 200 || !strings.HasPrefix(status, "Cardea; "+want) || !strings.Contains(got, fmt.Sprintf("%q", body)) {
			t.Errorf("%q %v: %d %q, %s, wanted %s", body, fields, resp.StatusCode, got, status, want)
		}
	}
	post("fwd=uri-miss", `{"query":"a"}`)
	post("hit", `{"query":"a"}`)
	post("fwd=uri-miss", `{"query":"b"}`)
	post("hit", `{"query":"b"}`)
	post("hit", `{"query":"a"}`)
	post("fwd=uri-miss", `{"query":"a"}`, "Content-Type: application/graphql")
	post("fwd=uri-miss", `{"query":"a"}`, "Content-Encoding: x")
	post("hit", `{"query":"a"}`, "Content-Encoding: x")
	post("fwd=uri-miss", "")
	post("hit", "")
	post("fwd=bypass", strings.Repeat("x", 1025))
	post("hit", `{"query":"a"}`)
	// The same body in chunks is the same query, and one that is cut short is none.
	const head = "POST /graphql HTTP/1.1\r\nHost: "
	host := strings.TrimPrefix(g.URL, "http://")
	if status, _, cached := sent(t, g, head+host+"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"q\r\na\r\nuery\":\"a\"}\r\n0\r\n\r\n"); status != 200 || !strings.Contains(cached, "hit") {
		t.Errorf("in chunks: %d %s", status, cached)
	}
	if status, _, _ := sent(t, g, head+host+"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"q\r\nzz\r\n"); status < 400 || status > 499 {
		t.Errorf("broken chunks: %d", status)
	}
	// What changes something has all be asked for anew.
	post("fwd=bypass", `{"mutation":"c"}`, "X-Mutation: 1")
	post("fwd=uri-miss", `{"query":"a"}`)
	post("hit", `{"query":"a"}`)
}

// TestChangesHoldForOddURLs: what a POST makes invalid is found in whatever way the URL is written.
func TestChangesHoldForOddURLs(t *testing.T) {
	g := gatewaytest.New(t, "upstreams: {u: "+mirrored(t)+"}\nroutes: [{match: /**, to: u, cache: {}}]")
	for _, host := range []string{"h", "H", "h:80", "h:8080", "h.", "[::1]", "[::1]:8080", "[2001:DB8::1]", "127.0.0.1:1"} {
		for _, target := range []string{
			"/x", "/x?", "/x?a=1&a=2", "/x?a=%zz", "/x?a=\x80", "/x?a=1/../b", "/x?a=|", "/x?a=\"", "/x?{}", "/x?a=?", "/a|b", "/a%7cb", "/a%7Cb", "/a;b", "/a,b", "/a%2fb", "/a%3fb", "/a%25b",
			"/a{b}", "/a[b]", "/a'b", "/a\"b", "/a^b", "/a`b", "/%c3%a9", "/a%20b", "/a:b", "/a@b", "/a!b", "/a~b", "/a*b", "/a(b)", "/a+b", "/a=b", "/a$b", "/a%41",
		} {
			request := func(method string) (int, string) {
				status, _, cached := sent(t, g, method+" "+target+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				return status, cached
			}
			status, first := request("GET")
			if status == 400 {
				continue // it has no form that all read alike
			}
			_, second := request("GET")
			post, _ := request("POST")
			_, third := request("GET")
			if status != 200 || post != 200 || !strings.Contains(second, "hit") && !strings.Contains(second, "collapsed") || strings.Contains(third, "hit") {
				t.Errorf("%s%s: %d, %s, %s, POST %d, %s", host, target, status, first, second, post, third)
			}
		}
	}
}
