package cache

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

// metrics are what the policy counts on its route.
type metrics struct {
	hit, stale, revalidated, miss, shared, bypass prometheus.Counter
	cached, upstream                              prometheus.Counter // bytes
	fetches, refreshes, late, cut                 prometheus.Counter
}

func newMetrics(env *filter.Env) *metrics {
	route := env.Route.Name
	requests := env.Metrics.Counter("cache_requests_total", "Requests on routes with a cache, by route and what became of them.", "route", "outcome")
	bytes := env.Metrics.Counter("cache_bytes_total", "Bytes of bodies on routes with a cache, by route and where they came from: cache or upstream.", "route", "from")
	fetches := env.Metrics.Counter("cache_fetches_total", "Requests that caches made in nobody's name, by route and why: miss, or refresh in the background.", "route", "kind")
	waits := env.Metrics.Counter("cache_waits_total", "Requests that did not get the answer that they waited for, by route: late, or cut since they were too slow.", "route", "outcome")
	return &metrics{
		hit: requests.WithLabelValues(route, string(filter.CacheHit)), stale: requests.WithLabelValues(route, string(filter.CacheStale)),
		revalidated: requests.WithLabelValues(route, string(filter.CacheRevalidated)), miss: requests.WithLabelValues(route, string(filter.CacheMiss)),
		shared: requests.WithLabelValues(route, string(filter.CacheShared)), bypass: requests.WithLabelValues(route, string(filter.CacheBypass)),
		cached: bytes.WithLabelValues(route, "cache"), upstream: bytes.WithLabelValues(route, "upstream"),
		fetches: fetches.WithLabelValues(route, "miss"), refreshes: fetches.WithLabelValues(route, "refresh"),
		late: waits.WithLabelValues(route, "late"), cut: waits.WithLabelValues(route, "cut"),
	}
}

// outcome counts a request.
func (m *metrics) outcome(o filter.CacheOutcome) {
	switch o {
	case filter.CacheHit:
		m.hit.Inc()
	case filter.CacheStale:
		m.stale.Inc()
	case filter.CacheRevalidated:
		m.revalidated.Inc()
	case filter.CacheMiss:
		m.miss.Inc()
	case filter.CacheShared:
		m.shared.Inc()
	case filter.CacheBypass:
		m.bypass.Inc()
	}
}
