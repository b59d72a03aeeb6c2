package sequence

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

// metrics count sequences and their steps.
type metrics struct {
	done, undoneAll, left, again prometheus.Counter
	replayed, unsure             prometheus.Counter
	steps                        []map[state]prometheus.Counter
	seconds                      []prometheus.Observer
	undone, stuck                []prometheus.Counter // of each step
}

func newMetrics(env *filter.Env, steps []*step) *metrics {
	route := env.Route.Name
	all := env.Metrics.Counter("sequence_requests_total", "Sequences of calls, by how they ended.", "route", "result")
	calls := env.Metrics.Counter("sequence_steps_total", "Steps of sequences, by what came of them.", "route", "step", "result")
	undone := env.Metrics.Counter("sequence_undone_total", "Steps of sequences that were to be undone, by what came of that.", "route", "step", "result")
	seconds := env.Metrics.Histogram("sequence_step_duration_seconds", "Time until the answer of a step was there.", prometheus.DefBuckets, "route", "step")
	m := &metrics{
		done: all.WithLabelValues(route, "done"), undoneAll: all.WithLabelValues(route, "undone"), left: all.WithLabelValues(route, "stuck"),
		again: all.WithLabelValues(route, "failed"), replayed: all.WithLabelValues(route, "replayed"), unsure: all.WithLabelValues(route, "unsure"),
	}
	for _, s := range steps {
		results := map[state]prometheus.Counter{}
		for _, state := range []state{done, failed, unknown, skipped} {
			results[state] = calls.WithLabelValues(route, s.name, state.String())
		}
		m.steps = append(m.steps, results)
		m.seconds = append(m.seconds, seconds.WithLabelValues(route, s.name))
		m.undone = append(m.undone, undone.WithLabelValues(route, s.name, "undone"))
		m.stuck = append(m.stuck, undone.WithLabelValues(route, s.name, "stuck"))
	}
	return m
}
