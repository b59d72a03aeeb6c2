package observe

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"cardea.dev/cardea/config"
)

// How spans are delivered.
const (
	batchSize      = 512             // spans in one delivery at most
	batchWait      = 2 * time.Second // until a delivery that is not full goes
	defaultTimeout = 10 * time.Second
	defaultQueue   = 4096
)

// exporter sends spans by OTLP over HTTP.
type exporter struct {
	sdk.SpanExporter
	transport *http.Transport
}

// newExporter makes an exporter. It connects when it has something to send.
func newExporter(c config.Tracing) (*exporter, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	headers := make(map[string]string, len(c.Headers))
	for name, value := range c.Headers {
		headers[name] = value.Reveal()
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	spans, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithTimeout(timeout(c)),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: timeout(c),
		}),
	)
	if err != nil {
		return nil, err
	}
	return &exporter{spans, transport}, nil
}

// timeout is how long one delivery may take, with its retries.
func timeout(c config.Tracing) time.Duration {
	if c.Timeout <= 0 {
		return defaultTimeout
	}
	return time.Duration(c.Timeout)
}

// Shutdown ends the exporter and its connections.
func (e *exporter) Shutdown(ctx context.Context) error {
	defer e.transport.CloseIdleConnections()
	return e.SpanExporter.Shutdown(ctx)
}

// delivery takes spans that have ended, and sends them in batches from a goroutine of its own. It never keeps a request waiting: when the
// queue is full, spans are dropped and counted.
type delivery struct {
	exporter  sdk.SpanExporter
	timeout   time.Duration
	queue     chan sdk.ReadOnlySpan
	flush     chan chan struct{}
	log       *slog.Logger
	delivered prometheus.Counter
	overflow  prometheus.Counter // dropped: the queue was full
	failed    prometheus.Counter // dropped: the collector did not take them
	late      prometheus.Counter // dropped: they ended after the shutdown

	stopped atomic.Bool
	once    sync.Once
	stop    chan struct{} // closed by Shutdown
	done    chan struct{} // closed by the goroutine
	ctx     context.Context
	cancel  context.CancelFunc // ends deliveries that are under way

	down bool // the last delivery failed; the goroutine's own
}

var _ sdk.SpanProcessor = (*delivery)(nil)

// startDelivery starts a delivery. Its Shutdown, which that of the Tracer calls, stops the goroutine.
func startDelivery(e sdk.SpanExporter, c config.Tracing, o TracerOptions) *delivery {
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	size := c.Queue
	if size <= 0 {
		size = defaultQueue
	}
	dropped := o.Metrics.Counter("tracing_dropped_total",
		"Spans that were not delivered: the queue was full, the collector did not take them, or they ended during the shutdown.", "reason")
	d := &delivery{
		exporter: e, timeout: timeout(c), log: o.Log.With("collector", c.Endpoint),
		queue: make(chan sdk.ReadOnlySpan, size), flush: make(chan chan struct{}),
		delivered: o.Metrics.Counter("tracing_delivered_total", "Spans that the collector took.").WithLabelValues(),
		overflow:  dropped.WithLabelValues("queue_full"),
		failed:    dropped.WithLabelValues("collector"),
		late:      dropped.WithLabelValues("shutdown"),
		stop:      make(chan struct{}), done: make(chan struct{}),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	go d.run()
	return d
}

// OnStart does nothing: spans are delivered when they have ended.
func (d *delivery) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd queues a span. It never blocks.
func (d *delivery) OnEnd(s sdk.ReadOnlySpan) {
	if d.stopped.Load() {
		d.late.Inc()
		return
	}
	select {
	case d.queue <- s:
	default:
		d.overflow.Inc()
	}
}

// run delivers until it is stopped, and then what is left.
func (d *delivery) run() {
	defer close(d.done)
	ticker := time.NewTicker(batchWait)
	defer ticker.Stop()
	batch := make([]sdk.ReadOnlySpan, 0, batchSize)
	for {
		select {
		case s := <-d.queue:
			if batch = append(batch, s); len(batch) == batchSize {
				batch = d.send(batch)
			}
		case <-ticker.C:
			batch = d.send(batch)
		case flushed := <-d.flush:
			d.drain(batch)
			batch = batch[:0]
			close(flushed)
		case <-d.stop:
			d.drain(batch)
			return
		}
	}
}

// drain delivers what is queued now, after what was gathered.
func (d *delivery) drain(batch []sdk.ReadOnlySpan) {
	for n := len(d.queue); n > 0; n-- {
		if batch = append(batch, <-d.queue); len(batch) == batchSize {
			batch = d.send(batch)
		}
	}
	d.send(batch)
}

// send delivers a batch, and returns it empty.
func (d *delivery) send(batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	if len(batch) == 0 {
		return batch
	}
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	err := d.exporter.ExportSpans(ctx, batch)
	if err != nil {
		d.failed.Add(float64(len(batch)))
	} else {
		d.delivered.Add(float64(len(batch)))
	}
	d.report(err)
	clear(batch)
	return batch[:0]
}

// report tells the operator when the collector begins to fail and when it takes spans again, not each time.
func (d *delivery) report(err error) {
	switch {
	case err != nil && !d.down:
		d.log.Warn("the collector of traces does not take spans; they are dropped until it does", "error", err)
	case err == nil && d.down:
		d.log.Info("the collector of traces takes spans again")
	}
	d.down = err != nil
}

// ForceFlush delivers what is queued.
func (d *delivery) ForceFlush(ctx context.Context) error {
	flushed := make(chan struct{})
	select {
	case d.flush <- flushed:
	case <-d.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown delivers what is queued until the context ends, stops the goroutine, and ends the exporter.
func (d *delivery) Shutdown(ctx context.Context) error {
	d.stopped.Store(true)
	d.once.Do(func() { close(d.stop) })
	var err error
	select {
	case <-d.done:
	case <-ctx.Done():
		err = ctx.Err()
		d.cancel()
		<-d.done
	}
	d.cancel()
	for n := len(d.queue); n > 0; n-- {
		<-d.queue // came while the goroutine ended
		d.late.Inc()
	}
	if ending := d.exporter.Shutdown(ctx); err == nil && ctx.Err() == nil {
		err = ending
	}
	return err
}
