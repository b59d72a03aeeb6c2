package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
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

// collectCaches tells, each time that the metrics are read, what the caches of responses hold. Those with one name are counted together: after a reload
// there may be two for a while.
func (g *Gateway) collectCaches() {
	held := func(kind, name, help string) observe.Definition {
		return observe.Definition{Kind: kind, Name: name, Help: help, Labels: []string{"cache", "in"}}
	}
	g.Metrics.Collect(func(descs []*prometheus.Desc, out chan<- prometheus.Metric) {
		sums, up := cacheSums(g.Caches())
		for at, sum := range sums {
			for i, value := range sum {
				kind := prometheus.GaugeValue
				if i == evicted {
					kind = prometheus.CounterValue
				}
				out <- prometheus.MustNewConstMetric(descs[i], kind, float64(value), at.cache, at.in)
			}
		}
		for cache, value := range up {
			out <- prometheus.MustNewConstMetric(descs[len(descs)-1], prometheus.GaugeValue, value, cache)
		}
	},
		held("gauge", "cache_objects", "Answers that a cache holds, and what finds their variants, by cache and where they are: memory or disk."),
		held("gauge", "cache_stored_bytes", "Bytes that a cache takes, with all that finds what it holds, by cache and where they are: memory or disk."),
		held("gauge", "cache_limit_bytes", "Bytes that a cache may take, by cache and where they are: memory or disk."),
		held("counter", "cache_evictions_total", "Answers that a cache has let go to make room, by cache and where they were: memory or disk."),
		observe.Definition{
			Kind: "gauge", Name: "cache_store_up", Help: "1 where a cache uses the disk or the store behind its memory, 0 while that is down.", Labels: []string{"cache"},
		},
	)
}

// held says what of a cache a number is about.
type held struct{ cache, in string }

// The numbers that are told of each place.
const (
	objects = iota
	bytes
	limit
	evicted
	numbers
)

// cacheSums sums what caches hold, and says of those with something behind their memory whether that is up. What is in a store only the store knows.
func cacheSums(caches []filter.ResponseCache) (sums map[held][numbers]int64, up map[string]float64) {
	sums, up = map[held][numbers]int64{}, map[string]float64{}
	add := func(at held, of [numbers]int64) {
		sum := sums[at]
		for i := range sum {
			sum[i] += of[i]
		}
		sums[at] = sum
	}
	for _, c := range caches {
		info := c.ResponseCache()
		add(held{info.Name, "memory"}, [numbers]int64{objects: info.Objects, bytes: info.Bytes, limit: info.Limit, evicted: info.Evicted})
		below := info.Below
		if below == nil {
			continue
		}
		if below.Limit > 0 {
			add(held{info.Name, below.Kind}, [numbers]int64{objects: below.Objects, bytes: below.Bytes, limit: below.Limit, evicted: below.Evicted})
		}
		if _, known := up[info.Name]; !known {
			up[info.Name] = 1
		}
		if below.Down {
			up[info.Name] = 0
		}
	}
	return sums, up
}
