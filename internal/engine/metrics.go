package engine

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// metrics are the engine's own.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	sent     *prometheus.CounterVec
	received *prometheus.CounterVec
	errors   *prometheus.CounterVec
	panics   prometheus.Counter
	byRoute  sync.Map // route name → routeMetrics: the same for all snapshots
}

func newMetrics(m *observe.Metrics) *metrics {
	return &metrics{
		requests: m.Counter("requests_total", "Requests that ended, by route and status.", "route", "status"),
		duration: m.Histogram("request_duration_seconds", "From the head of a request to the last byte of its answer, by route.", durations, "route"),
		sent:     m.Counter("response_bytes_total", "Body bytes sent to clients, by route.", "route"),
		received: m.Counter("request_bytes_total", "Body bytes received from clients, by route.", "route"),
		errors:   m.Counter("errors_total", "Answers that the gateway itself made, by code.", "code"),
		panics:   m.Counter("panics_total", "Panics in policies and targets, which were answered with 500.").WithLabelValues(),
	}
}

// durations are the histogram's bounds, in seconds.
var durations = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// routeMetrics are the metrics of one route, with all labels resolved.
type routeMetrics struct {
	requests *statusCounters
	duration prometheus.Observer
	sent     prometheus.Counter
	received prometheus.Counter
}

// unmatched is the route label of requests that matched no route.
const unmatched = "-"

func (m *metrics) route(name string) routeMetrics {
	if name == "" {
		name = unmatched
	}
	if r, ok := m.byRoute.Load(name); ok {
		return r.(routeMetrics)
	}
	r, _ := m.byRoute.LoadOrStore(name, routeMetrics{
		requests: &statusCounters{vec: m.requests, route: name},
		duration: m.duration.WithLabelValues(name),
		sent:     m.sent.WithLabelValues(name),
		received: m.received.WithLabelValues(name),
	})
	return r.(routeMetrics)
}

func (r *routeMetrics) observe(ex *filter.Exchange, took time.Duration) {
	status := ex.Status
	if status == 0 {
		status = filter.ClientClosed.Info().Status
	}
	r.requests.get(status).Inc()
	r.duration.Observe(took.Seconds())
	if ex.Sent > 0 {
		r.sent.Add(float64(ex.Sent))
	}
	if ex.Received > 0 {
		r.received.Add(float64(ex.Received))
	}
}

// statusCounters are a route's counters by status, each made when it is first needed. A route has a few of them, so that a list that
// is replaced when it grows is fast, and small where there are many routes.
type statusCounters struct {
	vec   *prometheus.CounterVec
	route string
	known atomic.Pointer[[]statusCounter]
}

type statusCounter struct {
	status  int
	counter prometheus.Counter
}

func (s *statusCounters) get(status int) prometheus.Counter {
	var known []statusCounter
	list := s.known.Load()
	if list != nil {
		known = *list
	}
	for i := range known {
		if known[i].status == status {
			return known[i].counter
		}
	}
	c := s.vec.WithLabelValues(s.route, strconv.Itoa(status))
	more := append(slices.Clip(known), statusCounter{status, c})
	s.known.CompareAndSwap(list, &more) // who comes second makes the list again, of the same counter, when it is next needed
	return c
}
