package listen

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/observe"
)

// metrics are the listeners' metrics, by the name of the listener.
type metrics struct {
	open, expiry                                                    *prometheus.GaugeVec
	accepted, rejected, cut, failedAccepts, failedHandshakes, loads *prometheus.CounterVec
}

func newMetrics(m *observe.Metrics) *metrics {
	if m == nil {
		m = observe.NewMetrics()
	}
	return &metrics{
		open:             m.Gauge("listener_connections", "Connections that clients have open.", "listener"),
		accepted:         m.Counter("listener_connections_accepted_total", "Connections that were accepted.", "listener"),
		rejected:         m.Counter("listener_connections_rejected_total", "Connections that were closed at once, by reason: limit, rate, address, address_rate, handshakes, proxy_protocol.", "listener", "reason"),
		cut:              m.Counter("listener_connections_cut_total", "Connections that were closed for what was done on them, by reason: resets.", "listener", "reason"),
		failedAccepts:    m.Counter("listener_accept_failures_total", "Failures to accept a connection, as when the process has too many open files.", "listener"),
		failedHandshakes: m.Counter("listener_tls_handshake_failures_total", "TLS handshakes that failed.", "listener"),
		loads:            m.Counter("tls_certificate_loads_total", "Loads of certificates that changed while the gateway ran, by result: ok, failed.", "listener", "result"),
		expiry:           m.Gauge("tls_certificate_expiry_timestamp_seconds", "When a certificate in use expires.", "listener", "certificate"),
	}
}

// counts are the metrics of one listener.
type counts struct {
	open                                                                            prometheus.Gauge
	accepted, overLimit, badProxy, failedAccepts, failedHandshakes, loads, badLoads prometheus.Counter
	overRate, overAddress, overAddressRate, handshakes, resets                      prometheus.Counter
}

func (m *metrics) of(listener string) *counts {
	return &counts{
		open:             m.open.WithLabelValues(listener),
		accepted:         m.accepted.WithLabelValues(listener),
		overLimit:        m.rejected.WithLabelValues(listener, "limit"),
		overRate:         m.rejected.WithLabelValues(listener, "rate"),
		overAddress:      m.rejected.WithLabelValues(listener, "address"),
		overAddressRate:  m.rejected.WithLabelValues(listener, "address_rate"),
		handshakes:       m.rejected.WithLabelValues(listener, "handshakes"),
		resets:           m.cut.WithLabelValues(listener, "resets"),
		badProxy:         m.rejected.WithLabelValues(listener, "proxy_protocol"),
		failedAccepts:    m.failedAccepts.WithLabelValues(listener),
		failedHandshakes: m.failedHandshakes.WithLabelValues(listener),
		loads:            m.loads.WithLabelValues(listener, "ok"),
		badLoads:         m.loads.WithLabelValues(listener, "failed"),
	}
}

// expires sets when the certificates of a listener expire, and forgets those that it no longer has.
func (m *metrics) expires(listener string, at map[string]time.Time) {
	m.expiry.DeletePartialMatch(prometheus.Labels{"listener": listener})
	for file, t := range at {
		m.expiry.WithLabelValues(listener, file).Set(float64(t.Unix()))
	}
}
