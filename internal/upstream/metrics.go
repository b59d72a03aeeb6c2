package upstream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// metrics are the handles of one upstream, resolved when it is built.
type metrics struct {
	requests    [6]prometheus.Counter // by class of status; 0: without an answer
	duration    prometheus.Observer
	inFlight    prometheus.Gauge
	retries     map[string]prometheus.Counter // by reason
	exhausted   prometheus.Counter
	ejections   prometheus.Counter
	breaker     prometheus.Gauge
	dialled     prometheus.Counter
	refused     map[filter.Code]prometheus.Counter
	shed        [classes]prometheus.Counter   // by class
	hedged      map[string]prometheus.Counter // by outcome
	limit       prometheus.Gauge
	waiting     prometheus.Gauge
	healthy     *prometheus.GaugeVec // by upstream and endpoint
	connections *prometheus.GaugeVec // by upstream, endpoint and state
}

// What comes of hedges: values of a metric's label.
const (
	hedgeWon        = "won"      // the second try was answered first
	hedgeLost       = "lost"     // the first was
	hedgeFailed     = "failed"   // neither was
	hedgeBudget     = "budget"   // there were enough of them
	hedgeLimit      = "limit"    // as many requests were under way as may be
	hedgeBreaker    = "breaker"  // the breaker was not closed
	hedgeNoEndpoint = "endpoint" // there was no other endpoint
)

// buckets are those of durations, in seconds.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// newMetrics returns the handles for an upstream.
func newMetrics(m *observe.Metrics, name string) metrics {
	requests := m.Counter("upstream_requests_total",
		"Tries at an upstream, by class of the status (2xx, …), or error when there was no answer.", "upstream", "code")
	retries := m.Counter("upstream_retries_total", "Tries after the first of a request, by what was wrong with the one before.", "upstream", "reason")
	refused := m.Counter("upstream_refused_total", "Requests that were not sent, by the code of the error.", "upstream", "code")
	out := metrics{
		duration: m.Histogram("upstream_request_duration_seconds",
			"Time from the begin of a try to the end of the answer's body.", buckets, "upstream").WithLabelValues(name),
		inFlight:    m.Gauge("upstream_in_flight", "Requests under way at an upstream.", "upstream").WithLabelValues(name),
		exhausted:   m.Counter("upstream_retry_budget_exhausted_total", "Retries that the budget did not allow.", "upstream").WithLabelValues(name),
		ejections:   m.Counter("upstream_ejections_total", "Endpoints ejected for failing.", "upstream").WithLabelValues(name),
		breaker:     m.Gauge("upstream_breaker_state", "The circuit breaker: 0 closed, 1 open, 2 half open.", "upstream").WithLabelValues(name),
		dialled:     m.Counter("upstream_connections_opened_total", "Connections opened for requests.", "upstream").WithLabelValues(name),
		healthy:     m.Gauge("upstream_healthy", "Whether an endpoint is used: 1, or 0 when it is unhealthy or ejected.", "upstream", "endpoint"),
		connections: m.Gauge("upstream_connections", "Connections to an endpoint, by state: active, idle.", "upstream", "endpoint", "state"),
		limit:       m.Gauge("upstream_concurrency_limit", "Requests that may be under way at an upstream now; 0: any number.", "upstream").WithLabelValues(name),
		waiting:     m.Gauge("upstream_waiting", "Requests that wait until one of an upstream's ends.", "upstream").WithLabelValues(name),
		hedged:      map[string]prometheus.Counter{},
		retries:     map[string]prometheus.Counter{},
		refused:     map[filter.Code]prometheus.Counter{},
	}
	for class, label := range [...]string{"error", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		out.requests[class] = requests.WithLabelValues(name, label)
	}
	hedged := m.Counter("upstream_hedges_total", "Requests whose answer took long, by what came of sending them once more: "+
		"won, lost, failed, or why they were not: budget, limit, breaker, endpoint.", "upstream", "outcome")
	for _, outcome := range [...]string{hedgeWon, hedgeLost, hedgeFailed, hedgeBudget, hedgeLimit, hedgeBreaker, hedgeNoEndpoint} {
		out.hedged[outcome] = hedged.WithLabelValues(name, outcome)
	}
	shed := m.Counter("upstream_shed_total", "Requests refused because an upstream had as many as it may have, by priority.", "upstream", "priority")
	for class, priority := range filter.Priorities() {
		out.shed[class] = shed.WithLabelValues(name, priority)
	}
	for _, reason := range [...]string{reasonConnect, reasonReset, reasonTimeout, reasonStatus} {
		out.retries[reason] = retries.WithLabelValues(name, reason)
	}
	for _, code := range [...]filter.Code{
		filter.UpstreamOverloaded, filter.UpstreamBreakerOpen, filter.UpstreamUnavailable, filter.UpstreamNotResolved, filter.UpstreamTimeout,
	} {
		out.refused[code] = refused.WithLabelValues(name, string(code))
	}
	return out
}

// tried counts a try. The status is 0 when there was no answer.
func (m *metrics) tried(status int, took time.Duration) {
	class := status / 100
	if class < 0 || class >= len(m.requests) {
		class = 0
	}
	m.requests[class].Inc()
	m.duration.Observe(took.Seconds())
}

// refuse counts a request that was not sent, unless that is the client's doing.
func (m *metrics) refuse(err error) {
	if e, ok := err.(*filter.Error); ok && m.refused[e.Code] != nil {
		m.refused[e.Code].Inc()
	}
}

// setHealthy shows whether an endpoint is used.
func (m *metrics) setHealthy(upstream, endpoint string, healthy bool) {
	value := 0.0
	if healthy {
		value = 1
	}
	m.healthy.WithLabelValues(upstream, endpoint).Set(value)
}

// forget shows an endpoint that is gone no more.
func (m *metrics) forget(upstream, endpoint string) {
	m.healthy.DeleteLabelValues(upstream, endpoint)
	m.connections.DeletePartialMatch(prometheus.Labels{"upstream": upstream, "endpoint": endpoint})
}

// setConnections shows how many connections to an endpoint there are.
func (m *metrics) setConnections(upstream, endpoint string, active, idle int) {
	m.connections.WithLabelValues(upstream, endpoint, "active").Set(float64(active))
	m.connections.WithLabelValues(upstream, endpoint, "idle").Set(float64(idle))
}
