package engine

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"cardea.dev/cardea/filter"
)

// Past is what is remembered of a request, so that its id can be looked up: of those that failed, and of those whose answer was made of several calls.
type Past struct {
	RequestID string       `json:"request_id"`
	Time      time.Time    `json:"time"`
	Client    string       `json:"client"`
	Method    string       `json:"method"`
	URL       string       `json:"url"` // without query
	Route     string       `json:"route,omitempty"`
	Where     string       `json:"where,omitempty"`
	Upstream  string       `json:"upstream,omitempty"`
	Code      filter.Code  `json:"code,omitempty"` // of the failure; "": there is an answer
	Source    string       `json:"source,omitempty"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Cause     string       `json:"cause,omitempty"`
	Limit     string       `json:"limit,omitempty"`         // that refused it: "concurrency 10 per address"
	LimitKey  string       `json:"limit_key,omitempty"`     // whom that counted it for
	Cache     string       `json:"cache,omitempty"`         // what a cache did about it: "miss"
	CacheWhy  string       `json:"cache_why,omitempty"`     // why that was no hit: "uri-miss"
	Fallback  string       `json:"fallback,omitempty"`      // what stood in for its answer
	FirstMS   float64      `json:"first_byte_ms,omitempty"` // until the head of the answer
	TookMS    float64      `json:"took_ms,omitempty"`       // until the end of the answer; of requests with calls
	Aborted   bool         `json:"aborted,omitempty"`       // the answer was cut
	Calls     []CallOut    `json:"calls,omitempty"`
	LeftOut   int          `json:"attempts_left_out,omitempty"`
	Attempts  []AttemptOut `json:"attempts,omitempty"` // that belong to no call
}

// AttemptOut is an attempt as operators see it.
type AttemptOut struct {
	Upstream  string  `json:"upstream"`
	Endpoint  string  `json:"endpoint,omitempty"`
	StartMS   float64 `json:"start_ms"` // since the start of the request
	ConnectMS float64 `json:"connect_ms,omitempty"`
	FirstMS   float64 `json:"first_byte_ms,omitempty"` // since the start of the attempt
	Status    int     `json:"status,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// Past looks up a request by its id, and says which of its calls the whole has waited for.
func (e *Engine) Past(id string) (Past, bool) {
	p, ok := e.recent.find(id)
	if ok && p.Calls != nil {
		p.Calls = slices.Clone(p.Calls)
		readGraph(p.Calls)
	}
	return p, ok
}

// past is what there is to remember of the exchange by now.
func (x *exchange) past() Past {
	p := Past{
		RequestID: x.ID, Time: x.Start, Client: x.Client.String(), Method: x.Original.Method,
		URL: x.Original.Scheme + "://" + x.Original.Host + x.Original.Path, Route: x.Route.Name, Where: x.Route.Where, Upstream: x.Upstream,
		Cache: string(x.Cached.Outcome), CacheWhy: x.Cached.Why,
	}
	p.Calls = callsOut(x.Calls, x.Start)
	p.Attempts, p.LeftOut = attemptsOut(x.Attempts, x.Start, p.Calls)
	return p
}

// note counts, logs and remembers an answer that the gateway itself made, or a break in the middle of one.
func (x *exchange) note(refused *filter.Error) {
	info := refused.Info()
	if info.Status < http.StatusBadRequest {
		return // it went as it should
	}
	x.engine.metrics.errors.WithLabelValues(string(refused.Code)).Inc()
	p := x.past()
	p.Code, p.Source, p.Status, p.Detail = refused.Code, string(info.Source), refused.HTTPStatus(), refused.Detail
	if p.Aborted = x.Aborted; x.wrote {
		p.Status = x.Status // the client had it before
	}
	if refused.Cause != nil {
		p.Cause = refused.Cause.Error()
	}
	if by := &x.Limited; by.Policy != "" && !by.DryRun {
		p.Limit, p.LimitKey = by.Policy+" "+by.Limit, by.Key
	}
	x.engine.recent.add(p)
	if info.Source != filter.FromClient {
		x.engine.tell(&p, info.Level)
	}
}

// remember remembers an exchange that is over, if its answer was made of several calls.
func (x *exchange) remember() {
	if len(x.Calls) == 0 {
		return
	}
	p := x.past()
	p.Status, p.Aborted, p.TookMS, p.Fallback = x.Status, x.Aborted, ms(time.Since(x.Start)), x.Fallback.Kind
	if !x.FirstByte.IsZero() {
		p.FirstMS = ms(x.FirstByte.Sub(x.Start))
	}
	x.engine.recent.finish(p)
}

// tell logs a failure, unless there are too many.
func (e *Engine) tell(p *Past, level slog.Level) {
	ctx := context.Background()
	if !e.log.Enabled(ctx, level) {
		return
	}
	silent, ok := e.calm.admit(p.Code, time.Now())
	if !ok {
		return
	}
	fields := []any{"request_id", p.RequestID, "route", p.Route, "upstream", p.Upstream, "code", p.Code, "cause", p.Cause}
	if silent > 0 {
		fields = append(fields, "not_logged", silent)
	}
	e.log.Log(ctx, level, "request failed", fields...)
}

// maxAttempts are how many attempts are remembered of a request that belong to no call.
const maxAttempts = 100

// attemptsOut are the attempts as operators see them, without those of calls.
func attemptsOut(attempts []filter.Attempt, start time.Time, calls []CallOut) (out []AttemptOut, left int) {
	ofCalls := func(a *filter.Attempt) bool {
		for i := range calls {
			if calls[i].Tries > 0 && calls[i].Upstream == a.Upstream {
				return true
			}
		}
		return false
	}
	for i := range attempts {
		switch a := &attempts[i]; {
		case ofCalls(a):
		case len(out) == maxAttempts:
			left++
		default:
			out = append(out, attemptOut(a, start))
		}
	}
	return out, left
}

func attemptOut(a *filter.Attempt, start time.Time) AttemptOut {
	out := AttemptOut{
		Upstream: a.Upstream, Endpoint: a.Endpoint, Status: a.Status, StartMS: ms(a.Start.Sub(start)), ConnectMS: ms(a.Connect), FirstMS: ms(a.FirstByte),
	}
	if a.Err != nil {
		out.Error = filter.Brief(a.Err.Error())
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
