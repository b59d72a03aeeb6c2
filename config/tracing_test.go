package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTracing(t *testing.T) {
	base := func(change func(*Tracing)) Tracing {
		x := Tracing{Sample: 1, Trust: true, Propagate: []string{"w3c", "b3"}, Service: "cardea", Timeout: Duration(10 * time.Second), Queue: 4096}
		change(&x)
		return x
	}
	for text, want := range map[string]Tracing{
		"http://collector:4318": base(func(x *Tracing) { x.Endpoint = "http://collector:4318" }),
		"off":                   base(func(x *Tracing) { x.Off = true }),
		"{endpoint: 'https://c/otlp/v1/traces', sample: 10%, trust: false, propagate: b3multi, service: edge, headers: {x-key: k}, timeout: 5s, queue: 10, attributes: {a: b}}": {
			Endpoint: "https://c/otlp/v1/traces", Sample: 0.1, Propagate: []string{"b3multi"}, Service: "edge", Headers: map[string]Secret{"x-key": "k"},
			Timeout: Duration(5 * time.Second), Queue: 10, Attributes: map[string]string{"a": "b"},
		},
	} {
		var got Tracing
		if err := decodeInto(t, text, &got); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestTracingErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                   `the key "endpoint" is missing`,
		"collector:4318":                       "begins with http:// or https://",
		"http://c:4317":                        "port 4317 is OTLP over gRPC",
		"http://u:p@c:4318":                    "has no user, query or fragment",
		"http://c:4318/?a=b":                   "has no user, query or fragment",
		"{endpoint: 'http://c', sample: 110%}": "from 0% to 100%",
		"{endpoint: 'http://c', propagate: [jaeger]}":   "jaeger",
		"{endpoint: 'http://c', propagate: [w3c, w3c]}": "named twice",
		"{endpoint: 'http://c', propagate: []}":         "no form of trace context",
		"{endpoint: 'http://c', headers: {'a b': x}}":   "no name of a header field",
		"{endpoint: 'http://c', queue: 0}":              "queue",
	} {
		err := decodeInto(t, text, &Tracing{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
