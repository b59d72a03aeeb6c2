package cache_test

import (
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// TestNoVarySearchBehind: what a response has said of the query is known after a restart, and to gateways that share a store.
func TestNoVarySearchBehind(t *testing.T) {
	routes := func(s *service) string {
		return "overload: off\nupstreams: {a: " + s.URL + "}\nroutes: [{match: /**, to: a, cache: {}}]\n"
	}
	fields := []string{"Cache-Control: max-age=600", `No-Vary-Search: params=("a")`}
	t.Run("disk", func(t *testing.T) {
		s := newService(t, page(fields...))
		text := routes(s) + "caches: {default: {memory: 1MiB, disk: {path: " + t.TempDir() + ", size: 16MiB}}}\n"
		g := gatewaytest.New(t, text)
		expect(t, g, "/x?a=1&b=2", 200, "hello, world", "fwd=uri-miss", "Host: h.example")
		expect(t, g, "/x?a=2&b=2", 200, "hello, world", "hit", "Host: h.example")
		g.Shutdown(t.Context())
		g = gatewaytest.New(t, text)
		expect(t, g, "/x?a=3&b=2", 200, "hello, world", "hit", "Host: h.example")
		expect(t, g, "/x?a=3&b=3", 200, "hello, world", "fwd=uri-miss", "Host: h.example")
	})
	t.Run("redis", func(t *testing.T) {
		s := newService(t, page(fields...))
		r := redistest.Start(t)
		text := routes(s) + "store: redis://" + r.Addr + "\ncaches: {default: {memory: 1MiB, shared: true}}\n"
		one, two := gatewaytest.New(t, text), gatewaytest.New(t, text)
		sent := func(n int) { // what is stored is sent to the store a moment later
			until(t, "it is in the store", func() bool { return strings.Count(strings.ReplaceAll(r.Must("KEYS", "*"), "{purges}", ""), ":{") == n })
		}
		expect(t, one, "/x?a=1&b=2", 200, "hello, world", "fwd=uri-miss", "Host: h.example")
		sent(2) // the response, and what it has said
		expect(t, two, "/x?b=2", 200, "hello, world", "hit", "Host: h.example")
		expect(t, two, "/x?a=1&b=3", 200, "hello, world", "fwd=uri-miss", "Host: h.example") // now it knows that there is such a thing
		sent(3)
		expect(t, two, "/x?a=2&b=2", 200, "hello, world", "hit", "Host: h.example")
		expect(t, one, "/x?a=4&b=3", 200, "hello, world", "hit", "Host: h.example")
	})
}
