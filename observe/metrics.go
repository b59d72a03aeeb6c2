package observe

import (
	"cmp"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// prefix begins the name of each metric of the gateway.
const prefix = "cardea"

// Metrics is a registry of metrics. The same name may be asked for again, as after a reload, and gives the same metric. It may be used by
// several goroutines.
type Metrics struct {
	registry *prometheus.Registry

	mu    sync.Mutex
	known map[string]*metric // by full name
}

// metric is a metric that was asked for.
type metric struct {
	def       Definition
	collector prometheus.Collector
	forget    func(prometheus.Labels) int // nil for what has no labels
}

// NewMetrics returns an empty registry.
func NewMetrics() *Metrics {
	return &Metrics{registry: prometheus.NewRegistry(), known: map[string]*metric{}}
}

// Counter returns a counter. Its name is without the prefix "cardea_" and ends in "_total".
func (m *Metrics) Counter(name, help string, labels ...string) *prometheus.CounterVec {
	d := definition("counter", name, help, labels)
	return register(m, d, func() *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: help}, labels)
	})
}

// Gauge returns a gauge. Its name is without the prefix "cardea_".
func (m *Metrics) Gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	d := definition("gauge", name, help, labels)
	return register(m, d, func() *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: help}, labels)
	})
}

// Histogram returns a histogram. Its name is without the prefix "cardea_" and ends in a unit, as "_seconds". Without buckets it has those of
// Prometheus, from 5 ms to 10 s; those of the first who asked for it hold.
func (m *Metrics) Histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	d := definition("histogram", name, help, labels)
	return register(m, d, func() *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: help, Buckets: buckets}, labels)
	})
}

// Collect adds metrics whose values somebody else keeps. Names are as for Counter, Gauge and Histogram; collect gives all values there are
// each time that the metrics are read, by the descriptions that it is handed, in the order of the definitions.
func (m *Metrics) Collect(collect func(descs []*prometheus.Desc, out chan<- prometheus.Metric), definitions ...Definition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &kept{collect: collect}
	for _, d := range definitions {
		d = definition(d.Kind, d.Name, d.Help, d.Labels)
		c.descs = append(c.descs, prometheus.NewDesc(d.Name, d.Help, d.Labels, nil))
		m.known[d.Name] = &metric{def: d, collector: c, forget: func(prometheus.Labels) int { return 0 }}
	}
	m.registry.MustRegister(c)
}

// kept is a collector of values that somebody else keeps.
type kept struct {
	descs   []*prometheus.Desc
	collect func([]*prometheus.Desc, chan<- prometheus.Metric)
}

// Describe tells what there is.
func (k *kept) Describe(out chan<- *prometheus.Desc) {
	for _, d := range k.descs {
		out <- d
	}
}

// Collect tells the values.
func (k *kept) Collect(out chan<- prometheus.Metric) { k.collect(k.descs, out) }

// Process adds what is known of the process: the Go runtime (go_…), the operating system's view (process_…), and cardea_build_info with the
// version. The gateway calls it once; a second call changes nothing.
func (m *Metrics) Process(version string) {
	m.Gauge("build_info", "What runs: always 1, with the version of the gateway and of Go.", "version", "go").
		WithLabelValues(version, runtime.Version()).Set(1)
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		_ = m.registry.Register(c) // an error means that it is there already
	}
}

// Forget removes the series that have a value for a label, of all metrics, such as those of a route that is gone. It returns how many there
// were. Handles to them that are still in use go on counting, unseen. Those of Collect are their keeper's to forget.
func (m *Metrics) Forget(label, value string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, known := range m.known {
		if slices.Contains(known.def.Labels, label) {
			n += known.forget(prometheus.Labels{label: value})
		}
	}
	return n
}

// Definitions lists the metrics that were asked for so far, by name.
func (m *Metrics) Definitions() []Definition {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Definition, 0, len(m.known))
	for _, known := range m.known {
		all = append(all, known.def)
	}
	slices.SortFunc(all, func(a, b Definition) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Gatherer gives the metrics to those who read them in the process.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Handler serves the metrics in the formats of Prometheus. A metric that cannot be read is left out, and does not hide the others.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError})
}

// vector is what metrics with labels have in common.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

// register returns the metric of a name, or makes it. It panics when the name is another metric's: that is a mistake in the program, which
// the test of whoever asks for it shows.
func register[T vector](m *Metrics, d Definition, make func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.known[d.Name]; known != nil {
		c, ok := known.collector.(T)
		if !ok || !slices.Equal(known.def.Labels, d.Labels) {
			panic(fmt.Sprintf("observe: %s is a %s by %v already, and cannot be a %s by %v", d.Name, known.def.Kind, known.def.Labels, d.Kind, d.Labels))
		}
		return c
	}
	c := make()
	m.registry.MustRegister(c)
	m.known[d.Name] = &metric{def: d, collector: c, forget: c.DeletePartialMatch}
	return c
}
