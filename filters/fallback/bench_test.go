package fallback

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// exchanges returns what runs an exchange through the policy, with an answer of a status.
func exchanges(b *testing.B, policy string) func(status int) *http.Response {
	b.Helper()
	env := filtertest.NewEnv(b, "r", filtertest.Upstream("b", func(*filter.Exchange, *http.Request) (*http.Response, error) {
		return nil, filter.Reject(filter.UpstreamBreakerOpen, "")
	}))
	f, err := Kind().Build(env, filtertest.Parse(b, policy).Field("fallback"))
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/x", nil)
	header := http.Header{"Content-Type": {"text/plain"}}
	buf := make([]byte, 4096)
	return func(status int) *http.Response {
		ex := &filter.Exchange{Request: r, Route: env.Route, Original: filter.Original{Method: "GET", Scheme: "http", Host: "example.com", Path: "/x"}}
		ex.Prepare(env.Slots())
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
		ex.Response = &http.Response{StatusCode: status, Header: header, ContentLength: 11, Body: io.NopCloser(strings.NewReader("hello world"))}
		if err := f.Response(ex); err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := ex.Response.Body.Read(buf); err != nil {
				break
			}
		}
		f.Finish(ex)
		return ex.Response
	}
}

// BenchmarkExchange is what a route with a fallback costs while the service is well, and while it fails.
func BenchmarkExchange(b *testing.B) {
	for name, policy := range map[string]string{
		"fixed": "fallback: {json: {items: []}}", "last good": "fallback: last_good", "another": "fallback: [b, {json: {items: []}}]",
	} {
		run := exchanges(b, policy)
		run(200)
		for _, status := range []int{200, 503} {
			b.Run(name+"/"+http.StatusText(status), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if got := run(status); got.StatusCode != 200 {
						b.Fatalf("%d", got.StatusCode)
					}
				}
			})
		}
	}
}
