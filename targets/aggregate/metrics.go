package aggregate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

// metrics count calls and answers.
type metrics struct {
	calls   []map[string]prometheus.Counter // of each call, by what came of it
	seconds []prometheus.Observer
	partial prometheus.Counter
}

func newMetrics(env *filter.Env, steps []*step) *metrics {
	route := env.Route.Name
	calls := env.Metrics.Counter("aggregate_calls_total", "Calls made for aggregated answers, by what came of them.", "route", "call", "result")
	seconds := env.Metrics.Histogram("aggregate_call_duration_seconds", "Time from the start of a call until its answer was there, or began to be passed on.",
		prometheus.DefBuckets, "route", "call")
	m := &metrics{
		partial: env.Metrics.Counter("aggregate_partial_total", "Aggregated answers of which something was missing.", "route").WithLabelValues(route),
	}
	for _, s := range steps {
		m.calls = append(m.calls, map[string]prometheus.Counter{
			"ok": calls.WithLabelValues(route, s.name, "ok"), "failed": calls.WithLabelValues(route, s.name, "failed"),
		})
		m.seconds = append(m.seconds, seconds.WithLabelValues(route, s.name))
	}
	return m
}

// of counts what came of a call.
func (m *metrics) of(i int, result string, took time.Duration) {
	m.calls[i][result].Inc()
	m.seconds[i].Observe(took.Seconds())
}

// trace tells the spans of a call what came of it, and what it had waited for.
func (r *run) trace(s *step, res *result) {
	for _, child := range res.children {
		if res.err != nil {
			child.Span.Fail(res.err)
		}
		if child.Span.Recording() && len(s.after) > 0 {
			child.Span.Set("cardea.call.after", r.of.namesOf(s.after))
		}
		child.Span.End()
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
