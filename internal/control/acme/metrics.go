package acme

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/observe"
)

// metrics tell how getting certificates goes, by domain.
type metrics struct {
	orders *prometheus.CounterVec
	expiry *prometheus.GaugeVec
	failed *prometheus.GaugeVec
}

func newMetrics(m *observe.Metrics) *metrics {
	return &metrics{
		orders: m.Counter("acme_orders_total", "Certificates that an authority was asked for, by result: ok, failed.", "domain", "result"),
		expiry: m.Gauge("acme_certificate_expiry_timestamp_seconds", "When the certificate in use for a domain expires; 0: there is none.", "domain"),
		failed: m.Gauge("acme_failures", "How many times in a row no certificate could be got for a domain.", "domain"),
	}
}

// forget drops what is said of a domain.
func (m *metrics) forget(domain string) {
	of := prometheus.Labels{"domain": domain}
	m.orders.DeletePartialMatch(of)
	m.expiry.DeletePartialMatch(of)
	m.failed.DeletePartialMatch(of)
}
