package transform

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

// meter counts what became of the bodies of one route, in one direction.
type meter struct {
	transformed, failed, passed prometheus.Counter
	in, out                     prometheus.Counter
}

func newMeter(env *filter.Env, message string) meter {
	results := env.Metrics.Counter("transform_total", "Bodies that were to be transformed, by route, message (request, response) and result (transformed, failed, passed).", "route", "message", "result")
	bytes := env.Metrics.Counter("transform_bytes_total", "Bytes of bodies before (in) and after (out) their transformation, by route and message.", "route", "message", "direction")
	route := env.Route.Name
	return meter{
		transformed: results.WithLabelValues(route, message, "transformed"), failed: results.WithLabelValues(route, message, "failed"),
		passed: results.WithLabelValues(route, message, "passed"), in: bytes.WithLabelValues(route, message, "in"), out: bytes.WithLabelValues(route, message, "out"),
	}
}

// done counts a body that was transformed.
func (m *meter) done(in, out int) {
	m.transformed.Inc()
	m.in.Add(float64(in))
	m.out.Add(float64(out))
}
