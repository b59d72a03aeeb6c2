package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/pace"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("fault", filter.Dispatch, build) }

// Mark is the field of answers that says what was done.
const Mark = "Cardea-Fault"

// injector is the policy as it runs.
type injector struct {
	rules   []rule
	delayed *atomic.Int64 // how many are held up
	most    int64
	done    filter.Slot[injected]
	metrics metrics
	random  func() float64 // from 0 to 1
}

type metrics struct{ delay, skipped, abort, reset, bandwidth, truncate prometheus.Counter }

// injected is what was done to an exchange.
type injected struct {
	rule *rule
	what string // "delay, abort"
	err  error  // of a grpc-status, which is an answer
}

// add says that something was done.
func (d *injected) add(what string) {
	if d.what != "" {
		d.what += ", "
	}
	d.what += what
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	f, err := newPolicy(env, c)
	if err != nil {
		return nil, err
	}
	return &filter.Filter{Request: f.request, Response: f.response, Explain: f.explain}, nil
}

func newPolicy(env *filter.Env, c *Config) (*injector, error) {
	f := &injector{most: int64(c.MaxDelayed), done: filter.NewSlot[injected](env), random: rand.Float64}
	vec := env.Metrics.Counter("fault_injected_total", "Faults made on purpose, by route and what was done; skipped: requests that were not delayed, as too many were.", "route", "fault")
	count := func(what string) prometheus.Counter { return vec.WithLabelValues(env.Route.Name, what) }
	f.metrics = metrics{count("delay"), count("skipped"), count("abort"), count("reset"), count("bandwidth"), count("truncate")}
	var err error
	if f.delayed, err = filter.Keep(env, "fault:"+env.Scope, func() (*atomic.Int64, error) { return new(atomic.Int64), nil }); err != nil {
		return nil, err
	}
	rules, prefix := c.Rules, "rules[%d]."
	if len(rules) == 0 {
		rules, prefix = []Rule{c.Rule}, ""
	}
	var errs []error
	for i := range rules {
		at := prefix
		if prefix != "" {
			at = fmt.Sprintf(prefix, i)
		}
		r, err := newRule(env, &rules[i], at)
		errs = append(errs, err)
		f.rules = append(f.rules, r)
		if err == nil && !rules[i].conditional() {
			env.Log.Warn("a fault is injected into every request", "route", env.Route.Name, "fault", r.text, "where", rules[i].Self.Pos().String())
		}
	}
	return f, errors.Join(errs...)
}

// request does what the first rule says that the request fits.
func (f *injector) request(ex *filter.Exchange) error {
	r := f.choose(ex)
	if r == nil {
		return nil
	}
	d := &injected{rule: r}
	f.done.Set(ex, d)
	if r.delay.Most > 0 {
		if err := f.hold(ex, d); err != nil {
			return err
		}
	}
	if r.abort == nil {
		return nil
	}
	return f.abort(ex, d)
}

// choose returns the rule that holds, or nil.
func (f *injector) choose(ex *filter.Exchange) *rule {
	for i := range f.rules {
		if r := &f.rules[i]; r.fits(ex) && (r.share >= 1 || f.random() < r.share) {
			return r
		}
	}
	return nil
}

// hold holds the exchange up.
func (f *injector) hold(ex *filter.Exchange, d *injected) error {
	if f.delayed.Add(1) > f.most {
		f.delayed.Add(-1)
		f.metrics.skipped.Inc()
		return nil
	}
	defer f.delayed.Add(-1)
	f.metrics.delay.Inc()
	d.add("delay")
	f.tell(ex, d)
	least, most := d.rule.delay.Least, d.rule.delay.Most
	timer := time.NewTimer(least + time.Duration(f.random()*float64(most-least)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ex.Context().Done():
		return context.Cause(ex.Context())
	}
}

// tell puts what was done where the access log and the trace have it.
func (f *injector) tell(ex *filter.Exchange, d *injected) {
	ex.Fault = d.what
	ex.Span.SetString("cardea.fault", d.what)
}

// reset is a cause that cuts the connection.
type reset struct{ error }

// Is says that there is to be no answer.
func (reset) Is(target error) bool { return target == http.ErrAbortHandler }

// abort is the end of the exchange.
func (f *injector) abort(ex *filter.Exchange, d *injected) error {
	a := d.rule.abort
	refused := filter.Reject(filter.FaultInjected, "").Because(errors.New("the policy fault does so: " + d.rule.text))
	refused.Status = a.Status
	if a.Reset {
		f.metrics.reset.Inc()
		d.add("reset")
		f.tell(ex, d)
		return refused.Because(reset{refused.Cause})
	}
	f.metrics.abort.Inc()
	d.add("abort")
	f.tell(ex, d)
	refused = refused.With(Mark, d.what) // under coalesce the error does not come back through response
	if a.GRPCStatus == 0 || !isGRPC(ex.Request) {
		return refused
	}
	d.err = refused
	ex.Response = &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: ex.Request, Body: http.NoBody,
		Header: http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {strconv.Itoa(a.GRPCStatus)}, "Grpc-Message": {"This failure was made on purpose, for a test. (fault_injected)"}},
	}
	return nil
}

func isGRPC(r *http.Request) bool {
	ct := r.Header.Get("Content-Type")
	return strings.HasPrefix(ct, "application/grpc") && !strings.HasPrefix(ct, "application/grpc-web")
}

// response does to the answer what is to be done, and says what was done.
func (f *injector) response(ex *filter.Exchange) error {
	d := f.done.Get(ex)
	if d == nil {
		return nil
	}
	resp := ex.Response
	if d.err != nil {
		ex.Err = d.err
	}
	if resp.Body != nil && resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols && ex.Err == nil {
		f.spoil(ex, d)
	}
	if d.what == "" {
		return nil
	}
	f.tell(ex, d)
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Header[Mark] = []string{d.what}
	return nil
}

// spoil makes the body slow or short.
func (f *injector) spoil(ex *filter.Exchange, d *injected) {
	r := d.rule
	if r.truncate >= 0 {
		f.metrics.truncate.Inc()
		d.add("truncate")
		ex.Response.Body = &cut{ex.Response.Body, r.truncate, r.text}
	}
	if r.bandwidth.PerSecond > 0 {
		f.metrics.bandwidth.Inc()
		d.add("bandwidth")
		ex.Response.Body = pace.Reader(ex.Context(), ex.Response.Body, pace.NewTransfer(pace.NewBucket(r.bandwidth), nil))
	}
}

// cut is a body that breaks off.
type cut struct {
	io.ReadCloser
	left int64
	why  string
}

// Read reads up to where it breaks off.
func (c *cut) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	if len(p) > 0 {
		n, err := c.ReadCloser.Read(p)
		c.left -= int64(n)
		return n, err
	}
	var more [1]byte
	n, err := c.ReadCloser.Read(more[:])
	if n == 0 {
		return 0, err
	}
	return 0, filter.Reject(filter.FaultInjected, "").Because(errors.New("the policy fault does so: " + c.why))
}

// explain says what rule the request fits.
func (f *injector) explain(ex *filter.Exchange) filter.Verdict {
	var notes []string
	for i := range f.rules {
		r := &f.rules[i]
		switch {
		case !r.fits(ex) || r.share <= 0:
			continue
		case r.share < 1:
			notes = append(notes, fmt.Sprintf("%s of the requests: %s", config.Share(r.share), r.text))
			continue
		}
		note := strings.Join(append(notes, r.text), "; else ")
		if len(notes) == 0 && r.always {
			note += ", for every request of the route"
		}
		return r.verdict(note, len(notes) == 0)
	}
	if len(notes) == 0 {
		return filter.Verdict{Action: filter.Passes, Note: "the request fits no rule"}
	}
	return filter.Verdict{Action: filter.Passes, Note: strings.Join(notes, "; else ")}
}

// verdict is what the rule does to a request. Sure: no other rule may come before it.
func (r *rule) verdict(note string, sure bool) filter.Verdict {
	switch {
	case !sure:
		return filter.Verdict{Action: filter.Unknown, Note: note}
	case r.abort != nil:
		return filter.Verdict{Action: filter.Rejects, Note: note}
	}
	return filter.Verdict{Action: filter.Changes, Note: note}
}
