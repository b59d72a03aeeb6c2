package observe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	random "math/rand/v2"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"cardea.dev/cardea/config"
)

// Tracer makes the spans of requests and sends them to a collector. A nil Tracer, and one without an endpoint, makes none. It may be used by
// several goroutines.
type Tracer struct {
	provider   *sdk.TracerProvider // nil: tracing is off
	otel       trace.Tracer
	trust      bool
	threshold  uint64 // of 63 bits; what lies below is sampled
	understood forms
	first      forms // the form that is always written

	unsampled [allForms + 1]span // of all traces that were decided against, by the forms in which something came
}

// TracerOptions is what a Tracer is made with besides its configuration.
type TracerOptions struct {
	Version string       // of the gateway
	Log     *slog.Logger // told when the collector cannot be reached, and when it can again; may be nil
	Metrics *Metrics     // for cardea_tracing_…; may be nil
}

// NewTracer makes a Tracer, and starts the goroutine that delivers its spans, which Shutdown ends. It does not wait for the collector.
func NewTracer(c config.Tracing, o TracerOptions) (*Tracer, error) {
	if c.Endpoint == "" || c.Off {
		return &Tracer{}, nil
	}
	resources, err := describe(c, o.Version)
	if err != nil {
		return nil, fmt.Errorf("cannot describe the gateway to the collector: %w", err)
	}
	exporter, err := newExporter(c)
	if err != nil {
		return nil, fmt.Errorf("cannot prepare tracing to %s: %w", c.Endpoint, err)
	}
	t := &Tracer{trust: c.Trust, threshold: threshold(float64(c.Sample))}
	t.understood, t.first = propagation(c.Propagate)
	t.provider = sdk.NewTracerProvider(
		sdk.WithResource(resources),
		sdk.WithSampler(sdk.AlwaysSample()), // Start has decided already
		sdk.WithSpanProcessor(startDelivery(exporter, c, o)),
	)
	t.otel = t.provider.Tracer("cardea.dev/cardea", trace.WithInstrumentationVersion(o.Version), trace.WithSchemaURL(semconv.SchemaURL))
	for came := range t.unsampled {
		t.unsampled[came] = span{tracer: t, carry: carry{forms: forms(came)}}
	}
	return t, nil
}

// describe says to the collector who sends.
func describe(c config.Tracing, version string) (*resource.Resource, error) {
	service := c.Service
	if service == "" {
		service = "cardea"
	}
	attributes := []attribute.KeyValue{semconv.ServiceName(service), semconv.ServiceInstanceID(rand.Text())}
	if version != "" {
		attributes = append(attributes, semconv.ServiceVersion(version))
	}
	for name, value := range c.Attributes {
		attributes = append(attributes, attribute.String(name, value))
	}
	r, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(attributes...))
	if errors.Is(err, resource.ErrPartialResource) {
		err = nil // a host without a name is no reason not to trace
	}
	return r, err
}

// propagation returns the forms that are understood and the one that is always written.
func propagation(names []string) (understood, first forms) {
	for _, name := range names {
		form, and := formW3C, formW3C
		switch name {
		case "b3":
			form, and = formB3, formAnyB3
		case "b3multi":
			form, and = formB3Multi, formAnyB3
		}
		understood |= and
		if first == 0 {
			first = form
		}
	}
	if first == 0 {
		return formW3C, formW3C
	}
	return understood, first
}

// threshold is the number below which the 63 bits lie that a decision goes by, for a share of all.
func threshold(share float64) uint64 {
	if share >= 1 {
		return math.MaxUint64
	}
	return uint64(max(0, share) * (1 << 63))
}

// On says whether the tracer traces anything.
func (t *Tracer) On() bool { return t != nil && t.provider != nil }

// Start begins the span of a request that came, or returns one that records nothing. What it decides and passes on is said in the package's
// description. It allocates nothing for a request that is not traced.
func (t *Tracer) Start(r *http.Request, name string) Span {
	if !t.On() {
		return Span{}
	}
	in := extract(r.Header, t.understood)
	if t.trust {
		switch {
		case in.decision == record, in.decision == undecided && t.samples(in.trace):
			return t.begin(&in, r.Header, name)
		case in.decision == ignore, in.trace.IsValid():
			return Span{}
		}
		return Span{&t.unsampled[in.carry.forms]}
	}
	if !t.samples(trace.TraceID{}) {
		return Span{&t.unsampled[in.carry.forms]}
	}
	return t.begin(&in, r.Header, name)
}

// samples decides whether a trace is recorded: by its id where it has one, so that others decide alike (as OpenTelemetry's
// TraceIDRatioBased does), else by chance.
func (t *Tracer) samples(id trace.TraceID) bool {
	bits := random.Uint64()
	if id.IsValid() {
		bits = binary.BigEndian.Uint64(id[8:])
	}
	return bits>>1 < t.threshold
}

// begin begins the span of a request that is traced.
func (t *Tracer) begin(in *incoming, h http.Header, name string) Span {
	ctx := context.Background()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	carry := in.carry
	if in.trace.IsValid() {
		parent := in.context(h)
		if t.trust {
			ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
		} else {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: parent}))
			carry.short, carry.debug = false, false
		}
	}
	ctx, otel := t.otel.Start(ctx, name, options...)
	return Span{&span{t, otel, ctx, carry}}
}

// Flush delivers what waits, and returns once that is done or the context has ended.
func (t *Tracer) Flush(ctx context.Context) error {
	if !t.On() {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// Shutdown delivers what waits until the context ends, and stops. Spans that end later are dropped.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if !t.On() {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("cannot deliver the last spans: %w", err)
	}
	return nil
}
