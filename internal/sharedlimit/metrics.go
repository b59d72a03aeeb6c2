package sharedlimit

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/observe"
)

// metrics are those of a server.
type metrics struct {
	errors    map[string]prometheus.Counter
	fallbacks map[OnFailure]prometheus.Counter
	duration  prometheus.Observer
	dropped   prometheus.Counter
	up        prometheus.Gauge
}

func newMetrics(m *observe.Metrics, store string) *metrics {
	errs := m.Counter("limit_store_errors_total", "Questions about limits that a shared store did not answer, by reason: connection, timeout, refused or busy.", "store", "reason")
	fallbacks := m.Counter("limit_store_fallbacks_total", "Decisions about limits that were made without the shared store, by what was made of them: allow, deny or local.", "store", "action")
	all := &metrics{
		errors:    map[string]prometheus.Counter{},
		fallbacks: map[OnFailure]prometheus.Counter{},
		duration: m.Histogram("limit_store_duration_seconds", "How long decisions about limits waited for the shared store.",
			[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25}, "store").WithLabelValues(store),
		dropped: m.Counter("limit_store_dropped_total", "Charges and returns of leases that were not sent to the shared store, for it was down or too slow.", "store").WithLabelValues(store),
		up:      m.Gauge("limit_store_up", "1 where limits are counted in the shared store, 0 while it is down.", "store").WithLabelValues(store),
	}
	for _, reason := range []string{"connection", "timeout", "refused", "busy"} {
		all.errors[reason] = errs.WithLabelValues(store, reason)
	}
	for _, action := range []OnFailure{Allow, Deny, Local} {
		all.fallbacks[action] = fallbacks.WithLabelValues(store, string(action))
	}
	return all
}

// failed counts a failure.
func (m *metrics) failed(reason string) { m.errors[reason].Inc() }
