package observe

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span is a part of a trace being made. Its zero value records nothing, costs nothing, and all its methods may be called. A Span that is
// recording may be used by several goroutines.
type Span struct{ s *span }

// span is what a Span points to. Of a trace that was decided against it is the tracer's one, without otel.
type span struct {
	tracer *Tracer
	otel   trace.Span
	ctx    context.Context // carries otel, for children
	carry  carry
}

// Recording says whether what is told to the span is kept. Ask it before making what Set would be told.
func (s Span) Recording() bool { return s.s != nil && s.s.otel != nil }

// Child begins a span inside this one, for work in the gateway.
func (s Span) Child(name string) Span { return s.child(name, trace.SpanKindInternal) }

// Client begins a span inside this one, for a request to another service.
func (s Span) Client(name string) Span { return s.child(name, trace.SpanKindClient) }

// child begins a span inside this one. One of a trace that was decided against is that trace's too.
func (s Span) child(name string, kind trace.SpanKind) Span {
	if !s.Recording() {
		return s
	}
	ctx, otel := s.s.tracer.otel.Start(s.s.ctx, name, trace.WithSpanKind(kind))
	return Span{&span{s.s.tracer, otel, ctx, s.s.carry}}
}

// Rename gives the span another name, such as one with the route once that is known.
func (s Span) Rename(name string) {
	if s.Recording() {
		s.s.otel.SetName(name)
	}
}

// Set adds an attribute. A value that is no text, number, boolean or list of texts is written as fmt does; nil is left out.
func (s Span) Set(key string, value any) {
	if s.Recording() && value != nil {
		s.s.otel.SetAttributes(attributeOf(key, value))
	}
}

// SetString is Set for a text. It allocates nothing when the span is not recording.
func (s Span) SetString(key, value string) {
	if s.Recording() {
		s.s.otel.SetAttributes(attribute.String(key, value))
	}
}

// SetInt is Set for a number. It allocates nothing when the span is not recording.
func (s Span) SetInt(key string, value int64) {
	if s.Recording() {
		s.s.otel.SetAttributes(attribute.Int64(key, value))
	}
}

// attributeOf makes an attribute.
func attributeOf(key string, value any) attribute.KeyValue {
	switch v := value.(type) {
	case string:
		return attribute.String(key, v)
	case int:
		return attribute.Int(key, v)
	case int64:
		return attribute.Int64(key, v)
	case float64:
		return attribute.Float64(key, v)
	case bool:
		return attribute.Bool(key, v)
	case []string:
		return attribute.StringSlice(key, v)
	case time.Duration:
		return attribute.Float64(key, v.Seconds())
	}
	return attribute.String(key, fmt.Sprint(value))
}

// Fail marks the span as failed, because of an error. Nil does nothing.
func (s Span) Fail(err error) {
	if err == nil || !s.Recording() {
		return
	}
	s.s.otel.SetStatus(codes.Error, err.Error())
}

// End ends the span. A second call does nothing.
func (s Span) End() {
	if s.Recording() {
		s.s.otel.End()
	}
}

// TraceID returns the trace's id in hex, or "" where nothing is recorded.
func (s Span) TraceID() string {
	if !s.Recording() {
		return ""
	}
	return s.s.otel.SpanContext().TraceID().String()
}

// Inject puts the span into the headers of a request to an upstream, so that its spans become children. It replaces what the headers say of
// a trace. The zero Span leaves them as they are.
func (s Span) Inject(h http.Header) {
	switch {
	case s.s == nil || h == nil:
	case s.s.otel == nil:
		s.s.tracer.injectUnsampled(h, s.s.carry.forms)
	default:
		s.s.tracer.inject(h, s.s.otel.SpanContext(), s.s.carry)
	}
}
