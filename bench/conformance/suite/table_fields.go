package suite

import (
	"strings"
	"time"
)

// fields is about the fields that are stored.
func fields() []Scenario {
	var all []Scenario
	for _, line := range []string{
		"Test-Header: a", "X-Test-Header: a", "Content-Foo: a", "X-Content-Foo: a", "Content-Type: text/foo; bar=baz", "Content-Language: de", "Content-Location: /b",
		"Content-Disposition: attachment", "Content-Security-Policy: default-src 'self'", "Last-Modified: {now-24h}", `ETag: "abc"`, `Link: </a>; rel="next"`,
		"Retry-After: 10", "Strict-Transport-Security: max-age=10", "Access-Control-Allow-Origin: *", "Timing-Allow-Origin: *", "Expires: {now+1h}",
		`Warning: 299 - "foo"`, "X-Frame-Options: deny", "WWW-Authenticate: Basic", "Accept-Ranges: bytes", "Allow: GET", "Date: {now-10s}", "Vary: Foo",
		"Location: /b", "Refresh: 10", "Content-MD5: rL0Y20zC+Fzt72VPzMSk2A==", "SourceMap: /m", "Server-Timing: a",
	} {
		name, _, _ := strings.Cut(line, ":")
		all = append(all, Scenario{"field-" + strings.ToLower(name), "9111 3.1", Required, name + " is stored", steps(
			get().answered(hour, line), get().then(given(hit), field(line)))})
	}
	for _, line := range []string{
		"Connection: X-Hop", "Keep-Alive: timeout=77", "Proxy-Connection: keep-alive", `Proxy-Authenticate: Basic realm="foo"`, "Proxy-Authentication-Info: a=b", "Proxy-Authorization: Basic abc",
		"TE: trailers", "Upgrade: foo",
	} {
		name, _, _ := strings.Cut(line, ":")
		all = append(all, Scenario{"field-not-" + strings.ToLower(name), "9111 3.1", Required, name + " is not stored", steps(
			get().answered(hour, line), get().then(given(hit), hasNot(line)))})
	}
	return append(all,
		Scenario{"field-not-named-in-connection", "9111 3.1", Required, "a field that Connection names is not stored", steps(
			get().answered(hour, "Connection: X-Hop, keep-alive", "X-Hop: a", "X-Stays: b"), get().then(given(hit), absent("X-Hop"), field("X-Stays: b")))},
		Scenario{"field-not-transfer-encoding", "9111 3.1", Required, "Transfer-Encoding is not stored", steps(
			get().answered(hour).with(func(a *Answer) { a.Chunked = true }), request("HEAD").then(given(hit), absent("Transfer-Encoding")))},
		Scenario{"field-lines", "9110 5.3", Required, "several lines of a field are stored, in their order", steps(
			get().answered(hour, "Test-Header: b", "X-Other: c", "Test-Header: a"), get().then(given(hit), field("Test-Header: b, a")))},
		Scenario{"field-empty", "9111 3.1", Required, "an empty field is stored", steps(
			get().answered(hour, "Test-Header: "), get().then(given(hit), present("Test-Header")))},
		Scenario{"field-long", "9111 3.1", Recommended, "a long field is stored", steps(
			get().answered(hour, "Test-Header: "+strings.Repeat("a", 3000)), get().then(given(hit), field("Test-Header: "+strings.Repeat("a", 3000))))},
		Scenario{"field-utf8", "9110 5.5", Optional, "bytes beyond ASCII are stored", steps(
			get().answered(hour, "Test-Header: ä"), get().then(given(hit), field("Test-Header: ä")))},
		Scenario{"field-content-length", "9111 3.1", Recommended, "an answer from the cache tells its length", steps(
			get().answered(hour), get().then(given(hit), field("Content-Length: 20")))},
		Scenario{"field-surrogate-control", "9111 3.1", Optional, "Surrogate-Control says nothing to caches that are not asked to heed it", steps(
			get().answered(hour, "Surrogate-Control: no-store"), get().then(hit))},
	)
}

// targeted is about Cache-Control for certain caches.
func targeted() []Scenario {
	cdn := func(id, about string, c Check, lines ...string) Scenario {
		return twice("cdn-"+id, "9213 2.2", Optional, about, c, lines...)
	}
	return []Scenario{
		cdn("max-age", "CDN-Cache-Control makes an answer fresh", hit, "CDN-Cache-Control: max-age=3600"),
		cdn("over-no-store", "CDN-Cache-Control counts before Cache-Control", hit, "CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"),
		cdn("over-max-age-0", "CDN-Cache-Control counts before Cache-Control", hit, "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=0"),
		cdn("over-private", "CDN-Cache-Control counts before Cache-Control", hit, "CDN-Cache-Control: max-age=3600", "Cache-Control: private"),
		cdn("over-expires", "CDN-Cache-Control counts before Expires", hit, "CDN-Cache-Control: max-age=3600", "Expires: 0"),
		cdn("no-store", "CDN-Cache-Control with no-store is not stored", asked, "CDN-Cache-Control: no-store", hour),
		cdn("no-cache", "CDN-Cache-Control with no-cache is not used without asking", asked, "CDN-Cache-Control: no-cache", hour),
		cdn("private", "CDN-Cache-Control with private is not stored", asked, "CDN-Cache-Control: private", hour),
		cdn("max-age-0", "CDN-Cache-Control counts where it is shorter", asked, "CDN-Cache-Control: max-age=0", hour),
		cdn("s-maxage", "s-maxage counts in CDN-Cache-Control", hit, "CDN-Cache-Control: s-maxage=3600, max-age=0", "Cache-Control: no-store"),
		cdn("age", "Age counts with CDN-Cache-Control", asked, "CDN-Cache-Control: max-age=3600", "Age: 7200"),
		cdn("invalid", "a CDN-Cache-Control that cannot be read does not count", hit, "CDN-Cache-Control: no-store; =, &", hour),
		cdn("empty", "an empty CDN-Cache-Control does not count", hit, "CDN-Cache-Control: ", hour),
		cdn("case", "keys of a structured field are lower case: others cannot be read", hit, "CDN-Cache-Control: No-Store", hour),
		cdn("quoted", "a string is no number: it does not count as max-age", asked, `CDN-Cache-Control: max-age="3600"`, "Cache-Control: no-store"),
		cdn("parameters", "parameters do not matter", hit, "CDN-Cache-Control: max-age=3600;foo=bar", "Cache-Control: no-store"),
		cdn("last", "of several the last counts", hit, "CDN-Cache-Control: max-age=0, max-age=3600", "Cache-Control: no-store"),
		cdn("lines", "several lines are one dictionary", asked, "CDN-Cache-Control: max-age=3600", "CDN-Cache-Control: no-store", hour),
		cdn("unknown", "what is not known is ignored", hit, "CDN-Cache-Control: foo, max-age=3600, bar=(1 2)", "Cache-Control: no-store"),
		{"cdn-passed-on", "9213 2.2", Optional, "CDN-Cache-Control is passed on", steps(
			get().answered("CDN-Cache-Control: max-age=3600"), get().then(given(hit), field("CDN-Cache-Control: max-age=3600")))},
		{"cdn-cache-control-passed-on", "9213 2.2", Optional, "Cache-Control is passed on beside CDN-Cache-Control", steps(
			get().answered("CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"), get().then(given(hit), field("Cache-Control: no-store")))},
	}
}

// noVarySearch is about parts of the query that do not matter.
func noVarySearch() []Scenario {
	ask := func(id, about string, c Check, value, first, second string) Scenario {
		return Scenario{"nvs-" + id, "No-Vary-Search 5", Optional, about, steps(
			get().at(first).answered(hour, "No-Vary-Search: "+value), get().at(second).answered(hour, "No-Vary-Search: "+value).then(c))}
	}
	return []Scenario{
		ask("params", "no parameter matters", hit, "params", "?a=1", "?a=2&b=3"),
		ask("params-named", "a parameter that is named does not matter", hit, `params=("a")`, "?a=1&b=1", "?a=2&b=1"),
		ask("params-named-absent", "a parameter that is named does not matter", hit, `params=("a")`, "?a=1&b=1", "?b=1"),
		ask("params-other", "a parameter that is not named matters", asked, `params=("a")`, "?a=1&b=1", "?a=1&b=2"),
		ask("except", "a parameter that is excepted matters", asked, `params, except=("b")`, "?a=1&b=1", "?a=1&b=2"),
		ask("except-others", "parameters that are not excepted do not matter", hit, `params, except=("b")`, "?a=1&b=1", "?b=1&c=2"),
		ask("key-order", "the order of parameters does not matter", hit, "key-order", "?a=1&b=2", "?b=2&a=1"),
		ask("key-order-values", "values matter", asked, "key-order", "?a=1&b=2", "?b=1&a=2"),
		ask("invalid", "what cannot be read does not count", asked, "params=(a", "?a=1", "?a=2"),
	}
}

// keys is about which requests are the same.
func keys() []Scenario {
	ask := func(id string, kind Kind, about string, c Check, first, second string) Scenario {
		return Scenario{"key-" + id, "9111 2", kind, about, steps(get().at(first).answered(hour), get().at(second).answered(hour).then(c))}
	}
	hosts := func(id string, kind Kind, about string, c Check, first, second string) Scenario {
		return Scenario{"key-" + id, "9110 4.2.3", kind, about, steps(get("Host: "+first).answered(hour), get("Host: "+second).answered(hour).then(c))}
	}
	return []Scenario{
		ask("query", Recommended, "the same query is answered", hit, "?a=1", "?a=1"),
		ask("query-other", Required, "another query is asked for", asked, "?a=1", "?a=2"),
		ask("query-absent", Required, "a query is not the same as none", asked, "?a=1", ""),
		ask("query-order", Required, "the order of a query matters", asked, "?a=1&b=2", "?b=2&a=1"),
		ask("query-case", Required, "case in a query matters", asked, "?a=b", "?a=B"),
		ask("query-empty", Optional, "an empty query is not the same as none", asked, "?", ""),
		ask("path-case", Required, "case in a path matters", asked, "b", "B"),
		ask("path-slash", Required, "a slash at the end matters", asked, "b", "b/"),
		ask("path-encoded-same", Optional, "a letter and its code are the same", hit, "b~c", "b%7Ec"),
		ask("path-encoded-case", Optional, "case of codes does not matter", hit, "b%c3%a9", "b%C3%A9"),
		ask("path-encoded-slash", Required, "a slash and its code are not the same", asked, "b/c", "b%2Fc"),
		ask("path-encoded-question", Required, "a question mark and its code are not the same", asked, "?b", "%3Fb"),
		ask("path-long", Recommended, "a long URL is used", hit, "?"+strings.Repeat("a", 2000), "?"+strings.Repeat("a", 2000)),
		ask("path-long-other", Required, "a long URL is another one where its end differs", asked, "?"+strings.Repeat("a", 2000)+"b", "?"+strings.Repeat("a", 2000)+"c"),
		hosts("host", Required, "another host is asked for", asked, "a.example", "b.example"),
		hosts("host-same", Recommended, "the same host is answered", hit, "a.example", "a.example"),
		hosts("host-case", Recommended, "case of hosts does not matter", hit, "a.example", "A.Example"),
		hosts("host-port", Optional, "the port that goes without saying does not matter", hit, "a.example", "a.example:80"),
		hosts("host-port-other", Required, "another port is another server", asked, "a.example:8001", "a.example:8002"),
		{"key-absolute", "9112 3.2.2", Recommended, "a whole URL in a request is the same as its path", steps(
			get().answered(hour), get().target("http://{host}{path}").answered(hour).then(hit))},
	}
}

// concurrency is about requests at the same time.
func concurrency() []Scenario {
	slow := delay(400 * time.Millisecond)
	return []Scenario{
		{"together", "9111 4", Optional, "requests at the same time are asked for once", steps(
			get().together(8).answered(hour).with(slow).then(times(1, 1), status(200), whole))},
		{"together-private", "9111 5.2.2.7", Required, "requests at the same time do not share what is private", steps(
			get().together(4).answered("Cache-Control: private").with(slow).then(times(4, 4), status(200)))},
		{"together-no-store", "9111 5.2.2.5", Required, "requests at the same time do not share what is not stored", steps(
			get().together(4).answered("Cache-Control: no-store").with(slow).then(times(4, 4), status(200)))},
		{"together-stale", "9111 4", Optional, "requests at the same time for what is stale are asked for once", steps(
			get().validates(second, tag), get().after(pastSecond).together(8).validates(hour, tag).with(slow).then(times(1, 1), status(200), whole))},
		{"together-post", "9111 4", Required, "POST at the same time is each sent", steps(
			request("POST").together(4).answered(hour).with(slow).then(times(4, 4), status(200)))},
	}
}

// interim is about answers before the answer.
func interim() []Scenario {
	hints := func(a *Answer) { a.Interim = []string{"Link: </s.css>; rel=preload"} }
	return []Scenario{
		{"interim-103", "9110 15.2", Required, "an answer that comes after 103 reaches the client", steps(
			get().answered(hour).with(hints).then(status(200), whole))},
		{"interim-102", "9110 15.2", Required, "an answer that comes after 102 reaches the client, and the 102 is not stored", steps(
			get().answered(hour).with(func(a *Answer) { a.Processing = true }).then(status(200), whole), get().then(status(200), whole))},
		{"interim-103-stored", "9111 3", Recommended, "an answer that comes after 103 is stored", steps(
			get().answered(hour).with(hints), get().then(hit, status(200)))},
		{"interim-103-fields", "8297 2", Required, "fields of a 103 do not become fields of the answer", steps(
			get().answered(hour).with(hints), get().then(given(hit), absent("Link")))},
		{"interim-103-freshness", "9111 3", Required, "a 103 says nothing of freshness", steps(
			get().answered().with(func(a *Answer) { a.Interim = []string{hour} }), get().then(asked))},
		{"interim-103-revalidation", "9111 4.3", Required, "a 304 that comes after 103 validates", steps(
			get().validates(second, tag), get().after(pastSecond).validates(hour, tag).with(hints).then(given(asked), status(200), whole))},
	}
}

// cacheStatus is about what caches tell of how they answered.
func cacheStatus() []Scenario {
	told := func(id, about string, first, second Step, checks ...Check) Scenario {
		return Scenario{"cache-status-" + id, "9211 2", Optional, about, steps(first, second.then(checks...))}
	}
	return []Scenario{
		told("hit", "Cache-Status tells of a hit", get().answered(hour), get(), given(hit), has("Cache-Status: hit")),
		told("ttl", "Cache-Status tells how long an answer is fresh", get().answered(hour), get(), given(hit), has("Cache-Status: ttl=3")),
		told("stored", "Cache-Status tells of a miss", get().answered("Cache-Control: no-store"), get().answered(hour), has("Cache-Status: fwd=")),
		told("vary", "Cache-Status tells of a miss by Vary", get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered(hour, "Vary: Foo"), has("Cache-Status: fwd=vary-miss")),
		told("method", "Cache-Status tells of a method that is not answered", get().answered(hour), request("POST").answered(), has("Cache-Status: fwd=method")),
		told("stale", "Cache-Status tells of what was stale", get().validates("Cache-Control: max-age=0", tag), get().validates(hour, tag), has("Cache-Status: fwd=stale")),
		told("passed-on", "Cache-Status of caches behind comes first", get().answered(hour, "Cache-Status: inner; fwd=miss"), get(), given(hit), has("Cache-Status: inner; fwd=miss,")),
	}
}
