// Package observe is the vocabulary of what operators see: metrics and spans. It holds the handles that the request path uses;
// where they are shown and sent is said in the configuration. Everyone may import it.
//
// # Traces
//
// A Tracer decides for each request whether it is traced, before anything is made for it. The caller's decision holds where callers are
// trusted; a request without one is sampled. What follows for the fields that carry traces (traceparent, tracestate, b3, X-B3-…):
//
//	tracing off                    they pass untouched, well-formed or not
//	the caller says: do not trace  they pass untouched
//	the caller leaves it open, and the request is not sampled (B3 alone can say so)   they pass untouched
//	no valid trace came, and the request is not sampled   Inject writes a traceparent that says so, with ids of its own, so that
//	                               services do not begin traces that the gateway decided against; it costs nothing until then
//	traced                         Inject writes the gateway's span as the parent
//	the caller is not trusted      as if no trace had come; a span links to the caller's
//
// A traceparent that is malformed is none, and its tracestate goes with it (W3C Trace Context, 4.3).
package observe
