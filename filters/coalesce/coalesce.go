package coalesce

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/coalesce"
	"cardea.dev/cardea/internal/handout"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("coalesce", filter.Cache, build) }

type (
	group  = coalesce.Group[key, *answer]
	fetch  = coalesce.Fetch[key, *answer]
	reader = coalesce.Reader[key, *answer]
)

// coalescer is the policy as it runs.
type coalescer struct {
	key     *keyer
	group   group
	wait    time.Duration
	rest    func(*filter.Exchange) (*http.Response, func(), error)
	mend    func(*filter.Exchange, error) (*http.Response, func(), error)
	log     *slog.Logger
	shares  filter.Slot[share]
	metrics metrics
}

type metrics struct{ leader, shared, alone, apart, late, cut prometheus.Counter }

// share is what an exchange has of a fetch.
type share struct {
	reader *reader
	err    error  // why the answer is an error
	finish func() // of the policies that have put another answer in the place of none; nil: none was asked
}

// keptApart is for how long requests do not wait for each other after an answer that was not for others.
const keptApart = 10 * time.Second

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	k, err := newKeyer(env, c)
	if err != nil {
		return nil, err
	}
	p := &coalescer{key: k, wait: c.Wait.Std(), rest: env.Rest, mend: env.Mend, log: env.Log, shares: filter.NewSlot[share](env)}
	p.group.Options = coalesce.Options{Buffer: int(min(c.Buffer, 1<<30)), Patience: c.Patience.Std()}
	vec := env.Metrics.Counter("coalesce_requests_total", "Requests where several may become one, by route and what became of them.", "route", "outcome")
	count := func(outcome string) prometheus.Counter { return vec.WithLabelValues(env.Route.Name, outcome) }
	cut := env.Metrics.Counter("coalesce_cut_total", "Readers that were cut since they held others up, by route.", "route").WithLabelValues(env.Route.Name)
	p.metrics = metrics{count("leader"), count("shared"), count("alone"), count("apart"), count("late"), cut}
	return &filter.Filter{Request: p.request, Response: p.response, Finish: p.finish, Close: p.close, Explain: p.explain}, nil
}

// request joins the exchange with those that ask for the same, or lets it go on by itself.
func (p *coalescer) request(ex *filter.Exchange) error {
	if p.rest == nil || fit(ex.Request) != "" {
		p.metrics.alone.Inc()
		return nil
	}
	k := p.key.of(ex)
	for again := false; ; again = true {
		r, leads := p.group.Join(k, func(f *fetch) func() { return p.fetcher(f, k, ex) })
		if r == nil {
			p.metrics.apart.Inc()
			return nil
		}
		if leads {
			p.metrics.leader.Inc()
			a, err := r.Head(ex.Context(), 0)
			return p.take(ex, r, a, err, true)
		}
		a, err := r.Head(ex.Context(), p.wait)
		switch {
		case errors.Is(err, coalesce.ErrLate):
			p.metrics.late.Inc()
		case err != nil && (again || ex.Context().Err() != nil):
			return p.take(ex, r, a, err, false)
		case err != nil || !again && a.failed():
			_ = r.Close()
			continue // what has failed once may not fail again; all who have waited ask together
		case a.why != "" || !a.suits(p.key, ex.Request.Header):
			p.metrics.apart.Inc()
		default:
			p.metrics.shared.Inc()
			return p.take(ex, r, a, nil, false)
		}
		return r.Close()
	}
}

// take gives an exchange the answer.
func (p *coalescer) take(ex *filter.Exchange, r *reader, a *answer, err error, leads bool) error {
	if a != nil {
		a.Tell(ex, leads)
	}
	s := &share{reader: r}
	p.shares.Set(ex, s)
	if err != nil {
		_ = r.Close()
		if a == nil && ex.Context().Err() != nil && ex.Caller().Err() == nil && p.mend != nil { // its own time has passed, of which the fetch knows nothing
			ex.Response, s.finish, err = p.mend(ex, err)
		}
		return err
	}
	s.err = a.Err
	ex.Response = a.For(ex)
	if a.Response.Body != nil && a.Response.Body != http.NoBody {
		r.Follow(ex.Context())
		ex.Response.Body = &body{r, a, ex.Response, p.metrics.cut}
	}
	return nil
}

// body is a reader's body.
type body struct {
	*reader
	answer *answer
	resp   *http.Response
	cut    prometheus.Counter
}

// Read reads on. At the end the trailer is there.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	switch {
	case err == nil:
	case err == io.EOF && len(b.answer.Trailer) > 0:
		b.resp.Trailer = b.answer.Trailer.Clone()
	case errors.Is(err, coalesce.ErrSlow):
		b.cut.Inc()
		err = filter.Reject(filter.ClientClosed, "").Because(err)
	}
	return n, err
}

// fetcher returns what sends the exchange's request on in nobody's name. The exchange is not needed for that any more.
func (p *coalescer) fetcher(f *fetch, k key, ex *filter.Exchange) func() {
	own, loose := ex.Detach(f.Context()), p.key.loose(ex.Request.Header)
	return func() {
		defer own.Release()
		p.fetch(f, k, own, loose)
	}
}

// fetch sends a request on, and gives the answer to all who wait for it.
func (p *coalescer) fetch(f *fetch, k key, own *filter.Exchange, loose http.Header) {
	defer p.recovered(f, own)
	resp, finish, err := p.rest(own)
	defer finish()
	a := &answer{Answer: handout.Of(own, resp), loose: loose}
	if err != nil {
		f.Fail(a, err)
		return
	}
	if resp.Body != nil {
		defer resp.Body.Close()
	}
	if a.why = private(resp, own.Fallback.Common); a.why != "" {
		p.group.KeepApart(k, time.Now().Add(keptApart))
	}
	f.Answer(a)
	if resp.Body == nil || resp.Body == http.NoBody {
		return
	}
	_ = f.Copy(a.Body())
}

// recovered keeps a panic from ending the process: the readers learn that the answer has broken off.
func (p *coalescer) recovered(f *fetch, own *filter.Exchange) {
	if v := recover(); v != nil {
		p.log.Error("panic while fetching an answer for several requests", "request_id", own.ID, "route", own.Route.Name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		f.Fail(nil, fmt.Errorf("panic: %v", v))
	}
}

// response says why the answer is an error.
func (p *coalescer) response(ex *filter.Exchange) error {
	if s := p.shares.Get(ex); s != nil && s.err != nil && ex.Err == nil {
		ex.Err = s.err
	}
	return nil
}

// finish leaves the fetch, if the body was not closed.
func (p *coalescer) finish(ex *filter.Exchange) {
	if s := p.shares.Get(ex); s != nil {
		_ = s.reader.Close()
		if s.finish != nil {
			s.finish()
		}
	}
}

// close waits for the fetches that nobody reads any more.
func (p *coalescer) close() error {
	p.group.Wait()
	return nil
}

// explain says whether the request would be one of several.
func (p *coalescer) explain(ex *filter.Exchange) filter.Verdict {
	if why := fit(ex.Request); why != "" {
		return filter.Verdict{Action: filter.Passes, Note: why}
	}
	n, apart := p.group.Readers(p.key.of(ex))
	switch {
	case apart:
		return filter.Verdict{Action: filter.Passes, Note: "the answer to it was not for others lately, so it is sent by itself"}
	case n == 0:
		return filter.Verdict{Action: filter.Passes, Note: "it is sent, and others like it wait for its answer for up to " + config.Duration(p.wait).String()}
	}
	return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("it waits for the answer that %d others wait for", n)}
}
