package engine

import (
	"cmp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// durations are the bounds of the histogram, in seconds.
var durations = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// traffic is what is counted of one route. All of it lies side by side, for where there are many routes most of what a request costs is
// memory that the processor has not at hand.
type traffic struct {
	buckets  [len(durations) + 1]atomic.Uint64 // requests by duration, not cumulated
	took     atomic.Int64                      // nanoseconds in all
	sent     atomic.Int64
	received atomic.Int64
	statuses [4]statusCount                    // the first ones that there were
	more     atomic.Pointer[[1000]statusCount] // all others, by status; nil: none
}

// statusCount is how many answers had a status. A status of 0 is a place that is free.
type statusCount struct {
	status atomic.Int32
	n      atomic.Uint64
}

// count counts an exchange that is over.
func (t *traffic) count(ex *filter.Exchange, took time.Duration) {
	status := ex.Status
	if status == 0 {
		status = filter.ClientClosed.Info().Status
	}
	t.of(status).n.Add(1)
	i, seconds := 0, took.Seconds()
	for i < len(durations) && seconds > durations[i] {
		i++
	}
	t.buckets[i].Add(1)
	t.took.Add(int64(took))
	if ex.Sent > 0 {
		t.sent.Add(ex.Sent)
	}
	if ex.Received > 0 {
		t.received.Add(ex.Received)
	}
}

// of returns the place for a status.
func (t *traffic) of(status int) *statusCount {
	for i := range t.statuses {
		s := &t.statuses[i]
		if s.status.Load() == int32(status) || s.status.CompareAndSwap(0, int32(status)) || s.status.Load() == int32(status) {
			return s
		}
	}
	more := t.more.Load()
	if more == nil {
		t.more.CompareAndSwap(nil, new([1000]statusCount))
		more = t.more.Load()
	}
	s := &more[status%len(more)]
	s.status.Store(int32(status))
	return s
}

// each calls f with all statuses that there were.
func (t *traffic) each(f func(status string, n uint64)) {
	tell := func(places []statusCount) {
		for i := range places {
			if n := places[i].n.Load(); n > 0 {
				f(strconv.Itoa(int(places[i].status.Load())), n)
			}
		}
	}
	tell(t.statuses[:])
	if more := t.more.Load(); more != nil {
		tell(more[:])
	}
}

// unmatched is the route label of requests that matched no route.
const unmatched = "-"

// routes is the traffic by route, the same for all snapshots.
type routes struct {
	mu     sync.Mutex
	byName map[string]*traffic
}

func newRoutes(m *observe.Metrics) *routes {
	r := &routes{byName: map[string]*traffic{}}
	m.Collect(r.collect,
		observe.Definition{Kind: "counter", Name: "requests_total", Help: "Requests that ended, by route and status.", Labels: []string{"route", "status"}},
		observe.Definition{
			Kind: "histogram", Name: "request_duration_seconds", Help: "From the head of a request to the last byte of its answer, by route.",
			Labels: []string{"route"},
		},
		observe.Definition{Kind: "counter", Name: "response_bytes_total", Help: "Body bytes sent to clients, by route.", Labels: []string{"route"}},
		observe.Definition{Kind: "counter", Name: "request_bytes_total", Help: "Body bytes received from clients, by route.", Labels: []string{"route"}},
	)
	return r
}

// renew gives each route of a snapshot its traffic, which goes on where a route of that name was before. That of others is forgotten.
func (r *routes) renew(s *Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]*traffic, len(s.Routes)+1)
	take := func(route *Route, name string) {
		t := next[name]
		if t == nil {
			if t = r.byName[name]; t == nil {
				t = &traffic{}
			}
			next[name] = t
		}
		route.traffic = t
	}
	for _, route := range s.Routes {
		take(route, cmp.Or(route.Name, unmatched))
	}
	take(s.Unmatched, unmatched)
	r.byName = next
}

// collect gives the metrics as they are now.
func (r *routes) collect(descs []*prometheus.Desc, out chan<- prometheus.Metric) {
	r.mu.Lock()
	byName := r.byName // is replaced, never changed
	r.mu.Unlock()
	for name, t := range byName {
		t.each(func(status string, n uint64) {
			out <- prometheus.MustNewConstMetric(descs[0], prometheus.CounterValue, float64(n), name, status)
		})
		count, buckets := uint64(0), make(map[float64]uint64, len(durations))
		for i := range t.buckets {
			if count += t.buckets[i].Load(); i < len(durations) {
				buckets[durations[i]] = count
			}
		}
		out <- prometheus.MustNewConstHistogram(descs[1], count, time.Duration(t.took.Load()).Seconds(), buckets, name)
		out <- prometheus.MustNewConstMetric(descs[2], prometheus.CounterValue, float64(t.sent.Load()), name)
		out <- prometheus.MustNewConstMetric(descs[3], prometheus.CounterValue, float64(t.received.Load()), name)
	}
}
