package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/observe"
)

// reloadMetrics tell how loads of the configuration went.
type reloadMetrics struct {
	total   *prometheus.CounterVec
	ok      prometheus.Gauge
	success prometheus.Gauge
	routes  prometheus.Gauge
	left    prometheus.Gauge
}

func newReloadMetrics(m *observe.Metrics) reloadMetrics {
	return reloadMetrics{
		total:   m.Counter("config_loads_total", "Loads of the configuration, by result.", "result"),
		ok:      m.Gauge("config_last_load_ok", "Whether the last load of the configuration succeeded (1) or failed (0).").WithLabelValues(),
		success: m.Gauge("config_last_success_timestamp_seconds", "When a configuration was last loaded with success.").WithLabelValues(),
		routes:  m.Gauge("config_routes", "Routes of the configuration that runs.").WithLabelValues(),
		left:    m.Gauge("config_routes_left_out", "Routes that quarantine left out of the configuration that runs.").WithLabelValues(),
	}
}

func (m reloadMetrics) observe(r Report) {
	if !r.OK {
		m.total.WithLabelValues("failed").Inc()
		m.ok.Set(0)
		return
	}
	m.total.WithLabelValues("ok").Inc()
	m.ok.Set(1)
	m.success.Set(float64(r.Time.Unix()))
	m.routes.Set(float64(r.Routes))
	m.left.Set(float64(len(r.LeftOut)))
}
