package aggregate

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

// metrics count calls and answers.
type metrics struct {
	calls   [][3]prometheus.Counter // of each call, by its state
	seconds []prometheus.Observer
	partial prometheus.Counter
}

func newMetrics(env *filter.Env, steps []*step) *metrics {
	route := env.Route.Name
	calls := env.Metrics.Counter("aggregate_calls_total", "Calls of aggregated answers, by what came of them.", "route", "call", "result")
	seconds := env.Metrics.Histogram("aggregate_call_duration_seconds", "Time from the start of a call until its answer was there, or began to be passed on.",
		prometheus.DefBuckets, "route", "call")
	m := &metrics{
		partial: env.Metrics.Counter("aggregate_partial_total", "Aggregated answers of which something was missing.", "route").WithLabelValues(route),
	}
	for _, s := range steps {
		m.calls = append(m.calls, [3]prometheus.Counter{
			answered: calls.WithLabelValues(route, s.name, "ok"), skipped: calls.WithLabelValues(route, s.name, "skipped"),
			broken: calls.WithLabelValues(route, s.name, "failed"),
		})
		m.seconds = append(m.seconds, seconds.WithLabelValues(route, s.name))
	}
	return m
}

// of counts what came of a call.
func (m *metrics) of(i int, res *result) {
	m.calls[i][res.state].Inc()
	if res.state != skipped {
		m.seconds[i].Observe(res.took.Seconds())
	}
}

// namesOf are the names of some calls.
func (a *aggregate) namesOf(calls []int) []string {
	names := make([]string, len(calls))
	for k, i := range calls {
		names[k] = a.steps[i].name
	}
	return names
}
