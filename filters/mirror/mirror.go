package mirror

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// Config says where copies of requests go. The short form is To.
type Config struct {
	// To is the upstream that gets the copies.
	To string `yaml:"to,short,required"`

	// Share is the share of requests that is mirrored, chosen at random. By default 100%; 0 mirrors none.
	Share config.Share `yaml:"share"`

	// Timeout is how long a copy may take, its answer included. By default 5s.
	Timeout config.Duration `yaml:"timeout" min:"1ms"`

	// MaxBody is the size up to which bodies are copied; requests with larger ones are not mirrored. By default 1MiB; 0 mirrors only
	// requests without a body.
	MaxBody config.Size `yaml:"max_body"`

	// MaxInFlight is how many copies may be under way at once on a route. Together with MaxBody it bounds the memory that copies
	// take. By default 100.
	MaxInFlight int `yaml:"max_in_flight" min:"1"`
}

// Default sets all requests, 5s, 1MiB and 100 at once.
func (c *Config) Default() {
	c.Share = 1
	c.Timeout = config.Duration(5 * time.Second)
	c.MaxBody = 1 << 20
	c.MaxInFlight = 100
}

// Mark is the field that tells a mirrored request from a real one.
const Mark = "X-Cardea-Mirror"

// Kind is the policy `mirror`.
func Kind() filter.Kind { return filter.Define("mirror", filter.Dispatch, build) }

// mirror is one configured policy on one route.
type mirror struct {
	to       filter.Upstream
	share    float64
	timeout  time.Duration
	maxBody  int64
	max      int64
	inFlight atomic.Int64
	copies   filter.Slot[tee] // of requests whose body is still being read
	metrics  *metrics
	note     string

	ctx     context.Context // of all copies; Close ends it
	cancel  context.CancelFunc
	running sync.WaitGroup
	log     *slog.Logger
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	to, err := env.Upstream(c.To)
	if err != nil {
		return nil, config.FieldErrorf("to", "%w", err)
	}
	m := &mirror{
		to: to, share: float64(c.Share), timeout: time.Duration(c.Timeout), maxBody: int64(c.MaxBody), max: int64(c.MaxInFlight),
		copies: filter.NewSlot[tee](env), metrics: newMetrics(env, to.Name()), log: env.Log,
		note: fmt.Sprintf("a copy of %s%% of the requests goes to %s", strconv.FormatFloat(float64(c.Share)*100, 'g', 6, 64), to.Name()),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return &filter.Filter{Request: m.request, Finish: m.finish, Close: m.close, Explain: m.explain}, nil
}

// metrics count what becomes of the requests that were chosen.
type metrics struct {
	answered                                          [6]prometheus.Counter // by hundreds of the status
	failed, timeout, canceled, tooLarge, unread, busy prometheus.Counter
	duration                                          prometheus.Observer
}

func newMetrics(env *filter.Env, upstream string) *metrics {
	route := env.Route.Name
	vec := env.Metrics.Counter("mirror_requests_total", "Requests chosen to be mirrored, by what became of the copy.", "route", "upstream", "result")
	result := func(name string) prometheus.Counter { return vec.WithLabelValues(route, upstream, name) }
	m := &metrics{
		failed: result("failed"), timeout: result("timeout"), canceled: result("canceled"),
		tooLarge: result("body_too_large"), unread: result("body_unread"), busy: result("busy"),
		duration: env.Metrics.Histogram("mirror_duration_seconds", "Time until the end of the answer to a mirrored request.",
			prometheus.DefBuckets, "route", "upstream").WithLabelValues(route, upstream),
	}
	for class := 1; class < len(m.answered); class++ {
		m.answered[class] = result(strconv.Itoa(class) + "xx")
	}
	return m
}

// request copies the request, or begins to copy its body.
func (m *mirror) request(ex *filter.Exchange) error {
	if !m.chosen(ex) {
		return nil
	}
	r := ex.Request
	hasBody := r.Body != nil && r.Body != http.NoBody
	if hasBody && r.ContentLength > m.maxBody {
		m.metrics.tooLarge.Inc()
		return nil
	}
	if !m.reserve() {
		m.metrics.busy.Inc()
		return nil
	}
	child := m.copyOf(ex)
	if !hasBody {
		m.send(child, nil)
		return nil
	}
	t := &tee{ReadCloser: r.Body, m: m, child: child, length: r.ContentLength}
	r.Body = t
	m.copies.Set(ex, t)
	return nil
}

// reserve takes a place among the copies under way, from before the body is read.
func (m *mirror) reserve() bool {
	if m.inFlight.Add(1) > m.max {
		m.inFlight.Add(-1)
		return false
	}
	m.running.Add(1)
	return true
}

// release gives the place back.
func (m *mirror) release() {
	m.inFlight.Add(-1)
	m.running.Done()
}

// chosen says whether the request is one that is mirrored.
func (m *mirror) chosen(ex *filter.Exchange) bool {
	h := ex.Request.Header
	return !ex.Dry && h[Mark] == nil && h["Upgrade"] == nil && (m.share >= 1 || rand.Float64() < m.share)
}

// copyOf returns an exchange for a copy of the request, without its body. It holds nothing that belongs to ex.
func (m *mirror) copyOf(ex *filter.Exchange) *filter.Exchange {
	child := ex.Detach(m.ctx)
	r := child.Request
	r.Header[Mark] = []string{"true"}
	delete(r.Header, "Content-Length")
	delete(r.Header, "Trailer")
	delete(r.Header, "Expect")
	child.Span = observe.Span{}
	child.Interim = nil
	return child
}

// finish gives up a copy whose body the target did not read to its end.
func (m *mirror) finish(ex *filter.Exchange) {
	if t := m.copies.Get(ex); t != nil && t.take() {
		m.metrics.unread.Inc()
		m.release()
	}
}

// close cuts the copies under way, and waits for them.
func (m *mirror) close() error {
	m.cancel()
	m.running.Wait()
	return nil
}

func (m *mirror) explain(ex *filter.Exchange) filter.Verdict {
	switch h := ex.Request.Header; {
	case h[Mark] != nil:
		return filter.Verdict{Action: filter.Passes, Note: "not mirrored: it is a copy already"}
	case h["Upgrade"] != nil:
		return filter.Verdict{Action: filter.Passes, Note: "not mirrored: it changes the protocol"}
	}
	return filter.Verdict{Action: filter.Passes, Note: m.note}
}
