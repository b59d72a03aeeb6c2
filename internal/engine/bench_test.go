package engine_test

import (
	"net/http"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/router"
)

// BenchmarkExchange is what an exchange costs without sockets and without the upstream.
func BenchmarkExchange(b *testing.B) {
	ok := &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody}
	forwarding := config.Forwarded{}
	forwarding.Default()
	e, _ := newEngine(b)
	e.Swap(snapshot(func(*filter.Exchange) (*http.Response, error) { return ok, nil }, engine.Step{}))
	h := e.Handler(&listen.Edge{Forward: listen.NewForwarding(forwarding, nil), Paths: router.DefaultOptions()})
	w := &discard{http.Header{}}
	r := &http.Request{
		Method: "GET", URL: mustURL("/a/b"), RequestURI: "/a/b", Host: "example.com", Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1,
		Proto: "HTTP/1.1", RemoteAddr: "192.0.2.1:1234",
	}
	header := http.Header{"User-Agent": {"x"}, "Accept": {"*/*"}}
	b.ReportAllocs()
	for b.Loop() {
		r.Header = make(http.Header, 8)
		for name, values := range header {
			r.Header[name] = values
		}
		h.ServeHTTP(w, r)
	}
}
