package fault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "fault", 4) }

// policy is the policy under test.
type policy struct {
	*injector
	env *filter.Env
}

func newTestPolicy(t testing.TB, text string) *policy {
	t.Helper()
	c := new(Config)
	if err := filtertest.Parse(t, text).Decode(c); err != nil {
		t.Fatal(err)
	}
	env := filtertest.NewEnv(t, "orders")
	f, err := newPolicy(env, c)
	if err != nil {
		t.Fatal(err)
	}
	return &policy{f, env}
}

// exchange makes an exchange with some fields.
func (p *policy) exchange(ctx context.Context, fields ...string) *filter.Exchange {
	r, _ := http.NewRequestWithContext(ctx, "GET", "/x", nil)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	ex := &filter.Exchange{Request: r, Start: time.Now()}
	ex.Prepare(p.env.Slots())
	return ex
}

// run takes an exchange through the policy, with an answer of the service's. It returns what the client gets of the body.
func (p *policy) run(ex *filter.Exchange, answer string) (string, error) {
	err := p.request(ex)
	if ex.Response == nil {
		ex.Response = &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}
	}
	if ex.Err = err; err != nil {
		ex.Response.Body = http.NoBody
	}
	if again := p.response(ex); again != nil {
		return "", again
	}
	text, broken := io.ReadAll(ex.Response.Body)
	return string(text), errors.Join(err, broken)
}

// counted returns the counters that are not 0.
func (p *policy) counted(what string) float64 {
	var m dto.Metric
	_ = p.env.Metrics.Counter("fault_injected_total", "Faults made on purpose, by route and what was done; skipped: requests that were not delayed, as too many were.", "route", "fault").WithLabelValues("orders", what).Write(&m)
	return m.GetCounter().GetValue()
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, test := range map[string]struct {
			random float64
			want   time.Duration
		}{"{delay: 2s}": {0.5, 2 * time.Second}, "{delay: 100ms..300ms}": {0.5, 200 * time.Millisecond}, "{delay: 1s..2s}": {0, time.Second}} {
			p := newTestPolicy(t, text)
			p.random = func() float64 { return test.random }
			ex := p.exchange(t.Context())
			if body, err := p.run(ex, "hello"); body != "hello" || err != nil || time.Since(ex.Start) != test.want {
				t.Errorf("%s: %q, %v after %s", text, body, err, time.Since(ex.Start))
			}
			if mark := ex.Response.Header.Get(Mark); mark != "delay" || ex.Fault != "delay" || p.counted("delay") != 1 {
				t.Errorf("%s: marked as %q and %q, counted %v", text, mark, ex.Fault, p.counted("delay"))
			}
		}
	})
}

func TestADelayEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{delay: 5m}")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ex := p.exchange(ctx)
		if _, err := p.run(ex, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(ex.Start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(ex.Start))
		}
		if p.delayed.Load() != 0 {
			t.Error("it still counts as held up")
		}
	})
}

func TestDelaysAreBoundedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{rules: [{delay: 1m}], max_delayed: 2}")
		took := make(chan time.Duration, 5)
		for range 5 {
			go func() {
				ex := p.exchange(t.Context())
				_, _ = p.run(ex, "")
				took <- time.Since(ex.Start)
			}()
		}
		var at []time.Duration
		for range 5 {
			at = append(at, <-took)
		}
		if at[2] != 0 || at[3] != time.Minute || p.counted("skipped") != 3 || p.delayed.Load() != 0 {
			t.Errorf("%v, %v skipped", at, p.counted("skipped"))
		}
	})
}

func TestAborts(t *testing.T) {
	p := newTestPolicy(t, "{abort: 429}")
	ex := p.exchange(t.Context())
	_, err := p.run(ex, "hello")
	if e := filter.AsError(err); e.Code != filter.FaultInjected || e.HTTPStatus() != 429 || errors.Is(err, http.ErrAbortHandler) || ex.Response.Header.Get(Mark) != "abort" {
		t.Errorf("%v, marked as %q", err, ex.Response.Header.Get(Mark))
	}
	p = newTestPolicy(t, "{abort: reset}")
	ex = p.exchange(t.Context())
	if _, err := p.run(ex, "hello"); !errors.Is(err, http.ErrAbortHandler) || filter.AsError(err).Code != filter.FaultInjected || ex.Fault != "reset" {
		t.Errorf("%v, marked as %q", err, ex.Fault)
	}
	p = newTestPolicy(t, "{abort: {status: 400, grpc_status: 9}}")
	ex = p.exchange(t.Context(), "Content-Type", "application/grpc+proto")
	if _, err := p.run(ex, ""); err != nil || ex.Response.StatusCode != 200 || ex.Response.Header.Get("Grpc-Status") != "9" || filter.AsError(ex.Err).Code != filter.FaultInjected {
		t.Errorf("%v, %+v, %v", err, ex.Response, ex.Err)
	}
	ex = p.exchange(t.Context())
	if _, err := p.run(ex, ""); filter.AsError(err).HTTPStatus() != 400 {
		t.Errorf("no caller of gRPC: %v", err)
	}
}

func TestTruncated(t *testing.T) {
	for text, test := range map[string]struct {
		answer, want string
		broken       bool
	}{
		"{truncate: 3B}":  {"hello", "hel", true},
		"{truncate: 5B}":  {"hello", "hello", false},
		"{truncate: 10B}": {"hello", "hello", false},
		"{truncate: 0B}":  {"hello", "", true},
	} {
		p := newTestPolicy(t, text)
		ex := p.exchange(t.Context())
		body, err := p.run(ex, test.answer)
		if body != test.want || (err != nil) != test.broken || err != nil && filter.AsError(err).Code != filter.FaultInjected {
			t.Errorf("%s: %q, %v", text, body, err)
		}
		if ex.Fault != "truncate" {
			t.Errorf("%s: marked as %q", text, ex.Fault)
		}
	}
}

func TestSlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{bandwidth: 1KiB/s, delay: 1s}")
		ex := p.exchange(t.Context())
		body, err := p.run(ex, strings.Repeat("x", 10<<10))
		if took := time.Since(ex.Start); len(body) != 10<<10 || err != nil || took < 10*time.Second || took > 11*time.Second || ex.Fault != "delay, bandwidth" {
			t.Errorf("%d bytes, %v after %s, marked as %q", len(body), err, took, ex.Fault)
		}
	})
}

func TestWhichRule(t *testing.T) {
	p := newTestPolicy(t, `[{header: {x-fault: slow}, delay: 0s, abort: 500}, {header: {x-fault: "~a.*"}, abort: 501}, {when: 'header["x-when"] == "1"', abort: 502},
  {header: {x-there: true}, share: 50%, abort: 503}, {header: {x-there: true}, abort: 504}, {when: 'int(header["x-bad"]) > 1', abort: 505}]`)
	p.random = func() float64 { return 0.4 }
	for want, fields := range map[int][]string{500: {"X-Fault", "slow"}, 501: {"X-Fault", "abc"}, 502: {"X-When", "1"}, 503: {"X-There", ""}, 200: {"X-Bad", "many"}} {
		ex := p.exchange(t.Context(), fields...)
		_, err := p.run(ex, "")
		got := 200
		if err != nil {
			got = filter.AsError(err).HTTPStatus()
		}
		if got != want {
			t.Errorf("%v: %d, want %d", fields, got, want)
		}
		if got == 200 && (ex.Fault != "" || ex.Response.Header.Get(Mark) != "") {
			t.Errorf("%v: it is marked", fields)
		}
	}
	p.random = func() float64 { return 0.5 }
	if _, err := p.run(p.exchange(t.Context(), "X-There", "y"), ""); filter.AsError(err).HTTPStatus() != 504 {
		t.Errorf("not chosen: %v", err)
	}
}

func TestShare(t *testing.T) {
	p := newTestPolicy(t, "{abort: 503, share: 25%}")
	n, i := 0, 0
	p.random = func() float64 { i++; return float64(i%100) / 100 }
	for range 1000 {
		if _, err := p.run(p.exchange(t.Context()), ""); err != nil {
			n++
		}
	}
	if n != 250 {
		t.Errorf("%d of 1000", n)
	}
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]string{
		"{abort: 503}":           "reject: status 503, for every request of the route",
		"{delay: 2s, share: 5%}": "pass: 5% of the requests: a delay of 2s",
		"[{share: 5%, abort: reset}, {header: {a: true}, delay: 1s}, {when: 'true', truncate: 1KiB}]": "unknown: 5% of the requests: the connection is cut; else an answer cut after 1KiB",
		"{header: {a: b}, abort: 503}":      "pass: the request fits no rule",
		"{bandwidth: 1KiB/s, when: 'true'}": "change: an answer at 1KiB/s",
	} {
		p := newTestPolicy(t, text)
		v := p.explain(p.exchange(t.Context()))
		if got := string(v.Action) + ": " + v.Note; got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "nothing is done", "{share: 5%}": "nothing is done", "[{delay: 1s}, {share: 5%}]": "rules[1]", "{delay: 2s..1s}": "ends before", "{delay: 1h}": "longer than 10m",
		"{delay: soon}": "", "{abort: 200}": "400 to 599", "{abort: {status: 200}}": "400", "{abort: 503, truncate: 1KiB}": "never comes", "{abort: {reset: true, status: 500}}": "no status",
		"{delay: 1s, rules: [{delay: 2s}]}": "not both", "{delay: 1s, when: 'nothing == 1'}": "when", "[{delay: 1s, when: 'nothing == 1'}]": "rules[0].when", "{delay: 1s, header: {a b: c}}": "name of a field",
		"{delay: 1s, max_delayed: 0}": "max_delayed", "{delay: 1s, header: {a: '~['}}": "",
	} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func BenchmarkNoFault(b *testing.B) {
	p := newTestPolicy(b, "{abort: 503, header: {x-fault: abort}}")
	ex := p.exchange(b.Context())
	ex.Response = &http.Response{Header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		if p.request(ex) != nil || p.response(ex) != nil {
			b.Fatal("a fault")
		}
	}
}
