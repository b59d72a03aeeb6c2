package engine

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

// Failure is what is remembered of an answer that the gateway itself made, so that its id can be looked up.
type Failure struct {
	RequestID string       `json:"request_id"`
	Time      time.Time    `json:"time"`
	Client    string       `json:"client"`
	Method    string       `json:"method"`
	URL       string       `json:"url"` // without query
	Route     string       `json:"route,omitempty"`
	Where     string       `json:"where,omitempty"`
	Upstream  string       `json:"upstream,omitempty"`
	Code      filter.Code  `json:"code"`
	Source    string       `json:"source"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Cause     string       `json:"cause,omitempty"`
	Limit     string       `json:"limit,omitempty"`     // that refused it: "concurrency 10 per address"
	LimitKey  string       `json:"limit_key,omitempty"` // whom that counted it for
	Cache     string       `json:"cache,omitempty"`     // what a cache did about it: "miss"
	CacheWhy  string       `json:"cache_why,omitempty"` // why that was no hit: "uri-miss"
	Attempts  []AttemptOut `json:"attempts,omitempty"`
}

// AttemptOut is an attempt as operators see it.
type AttemptOut struct {
	Upstream  string  `json:"upstream"`
	Endpoint  string  `json:"endpoint,omitempty"`
	ConnectMS float64 `json:"connect_ms,omitempty"`
	FirstMS   float64 `json:"first_byte_ms,omitempty"`
	Status    int     `json:"status,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// recent remembers the last failures in a ring.
type recent struct {
	mu   sync.Mutex
	ring []Failure
	next int
	byID map[string]int
}

func newRecent(size int) *recent {
	return &recent{ring: make([]Failure, 0, size), byID: make(map[string]int, size)}
}

func (r *recent) add(f Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, f)
	} else {
		if old := r.ring[r.next].RequestID; r.byID[old] == r.next {
			delete(r.byID, old)
		}
		r.ring[r.next] = f
	}
	r.byID[f.RequestID] = r.next
	r.next = (r.next + 1) % cap(r.ring)
}

func (r *recent) find(id string) (Failure, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.byID[id]
	if !ok {
		return Failure{}, false
	}
	return r.ring[i], true
}

// Failure looks up a gateway-made answer by its request id.
func (e *Engine) Failure(id string) (Failure, bool) { return e.recent.find(id) }

// note counts, logs and remembers an answer that the gateway itself made, or a break in the middle of one.
func (x *exchange) note(refused *filter.Error) {
	info := refused.Info()
	if info.Status < http.StatusBadRequest {
		return // it went as it should
	}
	x.engine.metrics.errors.WithLabelValues(string(refused.Code)).Inc()
	f := Failure{
		RequestID: x.ID, Time: x.Start, Client: x.Client.String(), Method: x.Original.Method,
		URL: x.Original.Scheme + "://" + x.Original.Host + x.Original.Path, Route: x.Route.Name, Where: x.Route.Where,
		Code: refused.Code, Source: string(info.Source), Status: refused.HTTPStatus(), Detail: refused.Detail,
		Upstream: x.Upstream, Attempts: attemptsOut(x.Attempts), Cache: string(x.Cached.Outcome), CacheWhy: x.Cached.Why,
	}
	if refused.Cause != nil {
		f.Cause = refused.Cause.Error()
	}
	if by := &x.Limited; by.Policy != "" && !by.DryRun {
		f.Limit, f.LimitKey = by.Policy+" "+by.Limit, by.Key
	}
	x.engine.recent.add(f)
	if info.Source != filter.FromClient {
		x.engine.tell(f, info.Level)
	}
}

// tell logs a failure, unless there are too many.
func (e *Engine) tell(f Failure, level slog.Level) {
	ctx := context.Background()
	if !e.log.Enabled(ctx, level) {
		return
	}
	silent, ok := e.calm.admit(f.Code, time.Now())
	if !ok {
		return
	}
	fields := []any{"request_id", f.RequestID, "route", f.Route, "upstream", f.Upstream, "code", f.Code, "cause", f.Cause}
	if silent > 0 {
		fields = append(fields, "not_logged", silent)
	}
	e.log.Log(ctx, level, "request failed", fields...)
}

func attemptsOut(attempts []filter.Attempt) []AttemptOut {
	out := make([]AttemptOut, len(attempts))
	for i, a := range attempts {
		out[i] = AttemptOut{Upstream: a.Upstream, Endpoint: a.Endpoint, Status: a.Status, ConnectMS: ms(a.Connect), FirstMS: ms(a.FirstByte)}
		if a.Err != nil {
			out[i].Error = a.Err.Error()
		}
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
