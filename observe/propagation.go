package observe

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// The canonical names of the fields that carry traces.
const (
	fieldTraceparent = "Traceparent"
	fieldTracestate  = "Tracestate"
	fieldB3          = "B3"
	fieldB3Trace     = "X-B3-Traceid"
	fieldB3Span      = "X-B3-Spanid"
	fieldB3Parent    = "X-B3-Parentspanid"
	fieldB3Sampled   = "X-B3-Sampled"
	fieldB3Flags     = "X-B3-Flags"
)

// forms are forms of trace context, as a set.
type forms uint8

const (
	formW3C forms = 1 << iota
	formB3
	formB3Multi

	formAnyB3 = formB3 | formB3Multi
	allForms  = formW3C | formAnyB3
)

// decision is what a caller says about recording.
type decision uint8

const (
	undecided decision = iota
	record
	ignore
)

// carry is how a trace is carried on.
type carry struct {
	forms forms // to write
	short bool  // the trace's id came as 64 bits, and is passed on so in B3
	debug bool  // B3's stronger word for record
}

// incoming is the trace context of a request.
type incoming struct {
	carry    carry
	decision decision
	trace    trace.TraceID // zero: there is none
	span     trace.SpanID
	w3c      bool // it is from a traceparent, and so tracestate counts
}

// extract reads the trace context of a request, in the forms that are understood. W3C goes before B3, and B3 in one field before several.
func extract(h http.Header, understood forms) incoming {
	var in incoming
	if understood&formW3C != 0 {
		if values := h[fieldTraceparent]; len(values) > 0 {
			in.carry.forms |= formW3C
			in.w3c = len(values) == 1 && in.readTraceparent(values[0])
		}
	}
	if understood&formAnyB3 == 0 {
		return in
	}
	if values := h[fieldB3]; len(values) > 0 {
		in.carry.forms |= formB3
		if in.trace == (trace.TraceID{}) && len(values) == 1 {
			in.readB3(values[0])
		}
	}
	if h[fieldB3Trace] != nil || h[fieldB3Sampled] != nil || h[fieldB3Flags] != nil {
		in.carry.forms |= formB3Multi
		if in.trace == (trace.TraceID{}) && in.decision == undecided {
			in.readB3Multi(h)
		}
	}
	return in
}

// readTraceparent reads "00-<trace>-<span>-<flags>" (W3C Trace Context, 3.2). Later versions may append to it.
func (in *incoming) readTraceparent(s string) bool {
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	var version, flags [1]byte
	var id trace.TraceID
	var span trace.SpanID
	if !unhex(version[:], s[:2]) || !unhex(id[:], s[3:35]) || !unhex(span[:], s[36:52]) || !unhex(flags[:], s[53:55]) {
		return false
	}
	if version[0] == 0xff || version[0] == 0 && len(s) != 55 || len(s) > 55 && s[55] != '-' || !id.IsValid() || !span.IsValid() {
		return false
	}
	in.trace, in.span, in.decision = id, span, ignore
	if flags[0]&1 != 0 {
		in.decision = record
	}
	return true
}

// readB3 reads "<trace>-<span>[-<decision>[-<parent>]]", or a decision alone.
func (in *incoming) readB3(s string) {
	id, rest, ids := strings.Cut(s, "-")
	if !ids {
		in.decide(s)
		return
	}
	span, rest, _ := strings.Cut(rest, "-")
	word, _, _ := strings.Cut(rest, "-")
	if in.readB3IDs(id, span) {
		in.decide(word)
	}
}

// readB3Multi reads the X-B3 fields.
func (in *incoming) readB3Multi(h http.Header) {
	id, span := h.Get(fieldB3Trace), h.Get(fieldB3Span)
	if id != "" && !in.readB3IDs(id, span) {
		return
	}
	if h.Get(fieldB3Flags) == "1" {
		in.decide("d")
		return
	}
	in.decide(h.Get(fieldB3Sampled))
}

// readB3IDs reads ids. That of the trace may have 64 bits.
func (in *incoming) readB3IDs(id, span string) bool {
	var traceID trace.TraceID
	var spanID trace.SpanID
	short := len(id) == 16
	target := traceID[:]
	if short {
		target = traceID[8:]
	}
	if !unhex(target, id) || !unhex(spanID[:], span) || !traceID.IsValid() || !spanID.IsValid() {
		return false
	}
	in.trace, in.span, in.carry.short = traceID, spanID, short
	return true
}

// decide reads B3's word for a decision. Others leave it open.
func (in *incoming) decide(word string) {
	switch word {
	case "1", "true":
		in.decision = record
	case "0", "false":
		in.decision = ignore
	case "d":
		in.decision, in.carry.debug = record, true
	}
}

// unhex reads lower-case hex digits, as many as fill the target.
func unhex(target []byte, s string) bool {
	if len(s) != 2*len(target) {
		return false
	}
	for i := range target {
		hi, lo := nibble(s[2*i]), nibble(s[2*i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		target[i] = hi<<4 | lo
	}
	return true
}

// nibble is the value of a lower-case hex digit, or more than 15.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// context makes OpenTelemetry's form of a trace context that came.
func (in *incoming) context(h http.Header) trace.SpanContext {
	c := trace.SpanContextConfig{TraceID: in.trace, SpanID: in.span, Remote: true}
	if in.decision != ignore {
		c.TraceFlags = trace.FlagsSampled
	}
	if in.w3c {
		c.TraceState, _ = trace.ParseTraceState(strings.Join(h[fieldTracestate], ",")) // one that is malformed is dropped
	}
	return trace.NewSpanContext(c)
}

// inject writes a trace context, in the first form and in those that came.
func (t *Tracer) inject(h http.Header, sc trace.SpanContext, c carry) {
	id, span := sc.TraceID().String(), sc.SpanID().String()
	b3 := id
	if c.short {
		b3 = id[16:]
	}
	out := c.forms | t.first
	t.clear(h)
	if out&formW3C != 0 {
		h[fieldTraceparent] = []string{"00-" + id + "-" + span + "-01"}
		if state := sc.TraceState(); state.Len() > 0 {
			h[fieldTracestate] = []string{state.String()}
		}
	}
	if out&formB3 != 0 {
		word := "1"
		if c.debug {
			word = "d"
		}
		h[fieldB3] = []string{b3 + "-" + span + "-" + word}
	}
	if out&formB3Multi != 0 {
		h[fieldB3Trace], h[fieldB3Span] = []string{b3}, []string{span}
		if c.debug {
			h[fieldB3Flags] = []string{"1"}
		} else {
			h[fieldB3Sampled] = []string{"1"}
		}
	}
}

// injectUnsampled writes that a trace was decided against, in the first form and in those that came. Its ids are made here, since nothing else
// knows them.
func (t *Tracer) injectUnsampled(h http.Header, came forms) {
	out := came | t.first
	if came != 0 {
		t.clear(h)
	}
	if out&formW3C != 0 {
		h[fieldTraceparent] = []string{unsampledTraceparent()}
		delete(h, fieldTracestate)
	}
	if out&formB3 != 0 {
		h[fieldB3] = []string{"0"}
	}
	if out&formB3Multi != 0 {
		h[fieldB3Sampled] = []string{"0"}
	}
}

// clear removes the trace context in all forms that are understood.
func (t *Tracer) clear(h http.Header) {
	if t.understood&formW3C != 0 {
		delete(h, fieldTraceparent)
		delete(h, fieldTracestate)
	}
	if t.understood&formAnyB3 != 0 {
		for _, name := range [...]string{fieldB3, fieldB3Trace, fieldB3Span, fieldB3Parent, fieldB3Sampled, fieldB3Flags} {
			delete(h, name)
		}
	}
}

// unsampledTraceparent makes a traceparent with ids of its own that says: do not record.
func unsampledTraceparent() string {
	var ids [24]byte
	for i := 0; i < len(ids); i += 8 {
		binary.NativeEndian.PutUint64(ids[i:], rand.Uint64())
	}
	ids[0] |= 1 // neither id may be zero
	ids[16] |= 1
	var text [55]byte
	copy(text[:], "00-")
	hex.Encode(text[3:], ids[:16])
	text[35] = '-'
	hex.Encode(text[36:], ids[16:])
	copy(text[52:], "-00")
	return string(text[:])
}
