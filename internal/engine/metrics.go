package engine

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/observe"
)

// metrics are the engine's own.
type metrics struct {
	routes *routes
	errors *prometheus.CounterVec
	panics prometheus.Counter
}

func newMetrics(m *observe.Metrics) *metrics {
	return &metrics{
		routes: newRoutes(m),
		errors: m.Counter("errors_total", "Answers that the gateway itself made, by code.", "code"),
		panics: m.Counter("panics_total", "Panics in policies and targets, which were answered with 500.").WithLabelValues(),
	}
}
