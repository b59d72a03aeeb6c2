package observe

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
)

const (
	traceA = "0af7651916cd43dd8448eb211c80319c"
	spanA  = "b7ad6b7169203331"
)

// What goes to the upstream, for what came. In want, SPAN stands for a new span's id and TRACE for a new trace's; what is not in want must
// not be there. Sampling of requests without a decision is off in "unsampled", and on else.
func TestPropagation(t *testing.T) {
	for _, c := range []struct {
		name      string
		propagate []string
		unsampled bool
		came      http.Header
		records   bool
		want      http.Header
	}{
		{
			name: "nothing came", records: true,
			want: http.Header{"Traceparent": {"00-TRACE-SPAN-01"}},
		}, {
			name: "nothing came, not sampled", unsampled: true,
			want: http.Header{"Traceparent": {"00-TRACE-SPAN-00"}},
		}, {
			name: "w3c sampled", unsampled: true, records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-01"}, "Tracestate": {"a=1", "b=2"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-SPAN-01"}, "Tracestate": {"a=1,b=2"}},
		}, {
			name: "w3c with other flags", unsampled: true, records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-ff"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "w3c not sampled passes untouched",
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-02"}, "Tracestate": {"a=1"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-02"}, "Tracestate": {"a=1"}},
		}, {
			name: "w3c of a later version", unsampled: true, records: true,
			came: http.Header{"Traceparent": {"cc-" + traceA + "-" + spanA + "-01-more"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "malformed tracestate is dropped", unsampled: true, records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-01"}, "Tracestate": {"a b"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "malformed traceparent is none, and so is its state", records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-01"}, "Tracestate": {"a=1"}},
			want: http.Header{"Traceparent": {"00-TRACE-SPAN-01"}},
		}, {
			name: "malformed traceparent, not sampled", unsampled: true,
			came: http.Header{"Traceparent": {"garbage"}, "Tracestate": {"a=1"}},
			want: http.Header{"Traceparent": {"00-TRACE-SPAN-00"}},
		}, {
			name: "two traceparents are none", records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-01", "00-" + traceA + "-" + spanA + "-01"}},
			want: http.Header{"Traceparent": {"00-TRACE-SPAN-01"}},
		}, {
			name: "b3 in one field", unsampled: true, records: true,
			came: http.Header{"B3": {traceA + "-" + spanA + "-1-05e3ac9a4f6e3b90"}},
			want: http.Header{"B3": {traceA + "-SPAN-1"}, "Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "b3 debug", unsampled: true, records: true,
			came: http.Header{"B3": {traceA + "-" + spanA + "-d"}},
			want: http.Header{"B3": {traceA + "-SPAN-d"}, "Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "b3 of 64 bits", unsampled: true, records: true,
			came: http.Header{"B3": {"8448eb211c80319c-" + spanA + "-1"}},
			want: http.Header{"B3": {"8448eb211c80319c-SPAN-1"}, "Traceparent": {"00-00000000000000008448eb211c80319c-SPAN-01"}},
		}, {
			name: "b3 not sampled passes untouched",
			came: http.Header{"B3": {"0"}},
			want: http.Header{"B3": {"0"}},
		}, {
			name: "b3 sampled alone", unsampled: true, records: true,
			came: http.Header{"B3": {"1"}},
			want: http.Header{"B3": {"TRACE-SPAN-1"}, "Traceparent": {"00-TRACE-SPAN-01"}},
		}, {
			name: "b3 undecided, sampled here", records: true,
			came: http.Header{"B3": {traceA + "-" + spanA}},
			want: http.Header{"B3": {traceA + "-SPAN-1"}, "Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "b3 undecided, not sampled, stays undecided", unsampled: true,
			came: http.Header{"B3": {traceA + "-" + spanA}},
			want: http.Header{"B3": {traceA + "-" + spanA}},
		}, {
			name: "malformed b3, not sampled", unsampled: true,
			came: http.Header{"B3": {"xyz"}},
			want: http.Header{"B3": {"0"}, "Traceparent": {"00-TRACE-SPAN-00"}},
		}, {
			name: "b3 in several fields", unsampled: true, records: true,
			came: http.Header{"X-B3-Traceid": {traceA}, "X-B3-Spanid": {spanA}, "X-B3-Parentspanid": {"05e3ac9a4f6e3b90"}, "X-B3-Sampled": {"1"}},
			want: http.Header{"X-B3-Traceid": {traceA}, "X-B3-Spanid": {"SPAN"}, "X-B3-Sampled": {"1"}, "Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "b3 in several fields, debug", unsampled: true, records: true,
			came: http.Header{"X-B3-Traceid": {traceA}, "X-B3-Spanid": {spanA}, "X-B3-Flags": {"1"}},
			want: http.Header{"X-B3-Traceid": {traceA}, "X-B3-Spanid": {"SPAN"}, "X-B3-Flags": {"1"}, "Traceparent": {"00-" + traceA + "-SPAN-01"}},
		}, {
			name: "b3 in several fields, not sampled",
			came: http.Header{"X-B3-Sampled": {"false"}},
			want: http.Header{"X-B3-Sampled": {"false"}},
		}, {
			name: "w3c goes before b3", unsampled: true, records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-01"}, "B3": {"11111111111111111111111111111111-" + spanA + "-0"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-SPAN-01"}, "B3": {traceA + "-SPAN-1"}},
		}, {
			name: "w3c alone leaves b3 as it is", propagate: []string{"w3c"}, records: true,
			came: http.Header{"B3": {"0"}},
			want: http.Header{"B3": {"0"}, "Traceparent": {"00-TRACE-SPAN-01"}},
		}, {
			name: "b3 alone", propagate: []string{"b3"}, records: true,
			came: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-00"}},
			want: http.Header{"Traceparent": {"00-" + traceA + "-" + spanA + "-00"}, "B3": {"TRACE-SPAN-1"}},
		}, {
			name: "b3 alone, not sampled", propagate: []string{"b3"}, unsampled: true,
			want: http.Header{"B3": {"0"}},
		}, {
			name: "b3multi first", propagate: []string{"b3multi", "w3c"}, records: true,
			want: http.Header{"X-B3-Traceid": {"TRACE"}, "X-B3-Spanid": {"SPAN"}, "X-B3-Sampled": {"1"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tracer := newTracer(t, "http://127.0.0.1:1", nil, func(cfg *config.Tracing) {
				if c.unsampled {
					cfg.Sample = 0
				}
				if c.propagate != nil {
					cfg.Propagate = c.propagate
				}
			})
			r := request()
			for name, values := range c.came {
				r.Header[name] = values
			}
			s := tracer.Start(r, "s")
			s.Inject(r.Header)
			if s.Recording() != c.records {
				t.Errorf("recording is %v", s.Recording())
			}
			if diff := cmp.Diff(c.want, masked(r.Header, c.came)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// masked replaces ids that did not come by what they are.
func masked(h, came http.Header) http.Header {
	known := map[string]bool{"05e3ac9a4f6e3b90": true, "8448eb211c80319c": true, "00000000000000008448eb211c80319c": true}
	for _, values := range came {
		for _, v := range values {
			for _, id := range regexp.MustCompile(`[0-9a-f]{16,32}`).FindAllString(v, -1) {
				known[id] = true
			}
		}
	}
	out := http.Header{}
	for name, values := range h {
		for _, v := range values {
			v = regexp.MustCompile(`[0-9a-f]{16,32}`).ReplaceAllStringFunc(v, func(id string) string {
				switch {
				case known[id]:
					return id
				case len(id) == 32:
					return "TRACE"
				}
				return "SPAN"
			})
			out.Add(name, v)
		}
	}
	return out
}

func TestMalformedTraceparents(t *testing.T) {
	for _, s := range []string{
		"", "00", "00-" + traceA + "-" + spanA, "00-" + traceA + "-" + spanA + "-1", "00-" + traceA + "-" + spanA + "-01-", "00-" + traceA + "-" + spanA + "-01x",
		"ff-" + traceA + "-" + spanA + "-01", "cc-" + traceA + "-" + spanA + "-01x", "0g-" + traceA + "-" + spanA + "-01", "00-" + traceA + "-" + spanA + "-0G",
		"00-00000000000000000000000000000000-" + spanA + "-01", "00-" + traceA + "-0000000000000000-01", "00-0AF7651916CD43DD8448EB211C80319C-" + spanA + "-01",
		"00_" + traceA + "-" + spanA + "-01", "00-" + traceA + "_" + spanA + "-01", " 00-" + traceA + "-" + spanA + "-01",
	} {
		var in incoming
		if in.readTraceparent(s) || in != (incoming{}) {
			t.Errorf("%q was taken for %+v", s, in)
		}
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("00-"+traceA+"-"+spanA+"-01", traceA+"-"+spanA+"-1", traceA, spanA)
	f.Add("cc-"+traceA+"-"+spanA+"-01-x", "d", "8448eb211c80319c", "")
	f.Fuzz(func(t *testing.T, traceparent, b3, id, span string) {
		for _, h := range []http.Header{{fieldTraceparent: {traceparent}}, {fieldB3: {b3}}, {fieldB3Trace: {id}, fieldB3Span: {span}}} {
			in := extract(h, formW3C|formAnyB3)
			if in.trace.IsValid() != in.span.IsValid() {
				t.Fatalf("%v: half an id: %+v", h, in)
			}
		}
	})
}
