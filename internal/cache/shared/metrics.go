package shared

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/observe"
)

// metrics are those of a cache's store.
type metrics struct {
	errors   map[string]prometheus.Counter
	dropped  map[string]prometheus.Counter
	duration prometheus.Observer
}

func newMetrics(m *observe.Metrics, cache string) *metrics {
	errs := m.Counter("cache_store_errors_total", "Questions that the store of a shared cache did not answer, by reason: connection, timeout, refused, busy, full or broken.", "cache", "reason")
	dropped := m.Counter("cache_store_dropped_total", "What was not sent to the store of a shared cache, for it was down or too slow: write or purge.", "cache", "what")
	all := &metrics{
		errors: map[string]prometheus.Counter{}, dropped: map[string]prometheus.Counter{},
		duration: m.Histogram("cache_store_duration_seconds", "How long requests waited for the store of a shared cache.",
			[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25}, "cache").WithLabelValues(cache),
	}
	for _, reason := range []string{"connection", "timeout", "refused", "busy", "full", "broken"} {
		all.errors[reason] = errs.WithLabelValues(cache, reason)
	}
	for _, what := range []string{"write", "purge"} {
		all.dropped[what] = dropped.WithLabelValues(cache, what)
	}
	return all
}

// failed counts a failure.
func (m *metrics) failed(reason string) { m.errors[reason].Inc() }
