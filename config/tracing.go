package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Tracing sends a span of each sampled request, and of what the gateway did for it, to an OpenTelemetry collector by OTLP over
// HTTP. Without an endpoint nothing is traced, and the trace fields of requests are passed on as they came.
//
// A collector that is slow or down never delays a request: spans wait in a bounded queue, and what does not fit is dropped and
// counted in `cardea_tracing_dropped_total`.
type Tracing struct {
	// Endpoint is where the collector takes OTLP over HTTP: "http://collector:4318". Without a path it is "/v1/traces". By
	// default there is none, and tracing is off.
	Endpoint string `yaml:"endpoint,short,required"`

	// Sample is the share of requests that are traced, of those that come without a decision of their own: "10%". By default
	// "100%". 0 traces only the requests whose caller asks for it, where the caller is trusted.
	Sample Share `yaml:"sample"`

	// Trust says whether the trace of the caller is carried on: its ids, and its decision whether to record. Say `false` where
	// strangers call, who could otherwise have every request recorded; each request then begins a trace of its own, which links to
	// the caller's. By default true.
	Trust bool `yaml:"trust"`

	// Propagate are the forms of trace context that are understood and passed on: "w3c" (traceparent and tracestate), "b3" (one
	// field) and "b3multi" (the X-B3 fields); either B3 form is understood when one of them is named. Upstreams get the first form
	// always, and the others when the request came with them. By default [w3c, b3].
	Propagate []string `yaml:"propagate" enum:"w3c,b3,b3multi"`

	// Service is the name under which the gateway appears in traces. By default "cardea".
	Service string `yaml:"service"`

	// Attributes are said about the gateway with each span, such as "deployment.environment.name". By default none.
	Attributes map[string]string `yaml:"attributes"`

	// Headers are fields sent to the collector, such as keys that it wants. By default none.
	Headers map[string]Secret `yaml:"headers"`

	// Timeout is how long one delivery to the collector may take. By default 10s. 0 is the default too.
	Timeout Duration `yaml:"timeout"`

	// Queue is how many spans may wait for delivery; more are dropped. By default 4096.
	Queue int `yaml:"queue" min:"1" max:"1000000"`

	// Off is true when `tracing: off` was written.
	Off bool `yaml:",off"`
}

// Default sets the defaults.
func (t *Tracing) Default() {
	t.Sample, t.Trust, t.Propagate = 1, true, []string{"w3c", "b3"}
	t.Service, t.Timeout, t.Queue = "cardea", Duration(10*time.Second), 4096
}

// Validate checks what the tags do not.
func (t *Tracing) Validate() error {
	var errs []error
	if t.Endpoint != "" {
		errs = append(errs, validCollector(t.Endpoint))
	}
	if t.Sample < 0 || t.Sample > 1 {
		errs = append(errs, FieldErrorf("sample", "%v is no share of requests: it goes from 0%% to 100%%", float64(t.Sample)))
	}
	if len(t.Propagate) == 0 && t.Endpoint != "" {
		errs = append(errs, FieldErrorf("propagate", "no form of trace context is named; leave the key out for [w3c, b3]"))
	}
	for i, form := range t.Propagate {
		if slices.Contains(t.Propagate[:i], form) {
			errs = append(errs, FieldErrorf("propagate", "%q is named twice", form))
		}
	}
	for name := range t.Headers {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
			errs = append(errs, FieldErrorf("headers", "%q is no name of a header field", name))
		}
	}
	return errors.Join(errs...)
}

// validCollector checks a collector's address.
func validCollector(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return FieldErrorf("endpoint", `a collector's address begins with http:// or https://, as "http://collector:4318" does`)
	case u.Port() == "4317":
		return FieldErrorf("endpoint", "port 4317 is OTLP over gRPC; the gateway speaks OTLP over HTTP, which is port 4318")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return FieldErrorf("endpoint", "a collector's address has no user, query or fragment; keys go into headers")
	}
	return nil
}
