package upstream

import (
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/balance"
)

// Status is what operators see of an upstream.
type Status struct {
	Name      string           `json:"name"`
	Balance   string           `json:"balance"`
	Protocol  string           `json:"protocol"`
	InFlight  int64            `json:"in_flight"`
	Pending   int              `json:"pending"`
	Available int              `json:"available"`         // endpoints that are healthy and not ejected
	InUse     int              `json:"in_use"`            // endpoints that requests are sent to
	Panic     bool             `json:"panic,omitempty"`   // too few are available, so all are used
	Problem   string           `json:"problem,omitempty"` // of looking up names
	Limit     *LimitStatus     `json:"limit,omitempty"`
	Breaker   *BreakerStatus   `json:"breaker,omitempty"`
	Retries   *RetryStatus     `json:"retries,omitempty"`
	Hedges    *HedgeStatus     `json:"hedges,omitempty"`
	Endpoints []EndpointStatus `json:"endpoints"`
}

// EndpointStatus is what operators see of an endpoint.
type EndpointStatus struct {
	Address      string     `json:"address"`
	Name         string     `json:"name,omitempty"` // that it was found by
	Weight       int        `json:"weight"`
	Priority     int        `json:"priority,omitempty"`
	Healthy      bool       `json:"healthy"`
	Reason       string     `json:"reason,omitempty"` // why it is not
	EjectedUntil *time.Time `json:"ejected_until,omitempty"`
	InUse        bool       `json:"in_use"`
	Failures     int64      `json:"failures_in_a_row"`
	InFlight     int64      `json:"in_flight"`
	LatencyMS    float64    `json:"latency_ms"` // lately, slow ones counting more
	Connections  int        `json:"connections"`
	Idle         int        `json:"idle_connections"`
}

// LimitStatus is what operators see of the limit of requests.
type LimitStatus struct {
	Requests   int     `json:"requests"` // that may be under way now
	Adaptive   bool    `json:"adaptive"`
	InFlight   int     `json:"in_flight"`
	Waiting    int     `json:"waiting"`
	BaselineMS float64 `json:"baseline_ms,omitempty"` // how long an answer takes when nothing queues, where the limit is adaptive and it is known
}

// limitStatus returns what is seen of the limit of requests.
func (c *Cluster) limitStatus() *LimitStatus {
	active, waiting := c.gate.counts()
	s := &LimitStatus{Requests: c.gate.limitNow(), InFlight: active, Waiting: waiting}
	if a := c.gate.adaptive; a != nil {
		s.Adaptive, s.BaselineMS = true, float64(a.Baseline().Microseconds())/1000
	}
	return s
}

// BreakerStatus is what operators see of a breaker.
type BreakerStatus struct {
	State     string  `json:"state"`
	ErrorRate float64 `json:"error_rate"` // within its window
	Requests  int64   `json:"requests"`   // within its window
	OpenForMS int64   `json:"open_for_ms,omitempty"`
}

// RetryStatus is what operators see of the retry budget.
type RetryStatus struct {
	Left int64 `json:"left"` // how many retries there may be right now
}

// HedgeStatus is what operators see of hedging.
type HedgeStatus struct {
	AfterMS float64 `json:"after_ms"` // how long an answer may take now before the request is sent once more; 0: too little was seen to say
	Sent    int64   `json:"sent"`     // requests that were sent once more
	Won     int64   `json:"won"`      // of these, where the second try was answered first
	Left    int64   `json:"left"`     // how many may be right now
}

// Status returns what operators see of the upstream.
func (c *Cluster) Status() Status {
	now := c.now()
	s := Status{
		Name: c.name, Balance: c.config.Balance.By, Protocol: protocol(c.config),
		InFlight: c.memory.group.Active(), Endpoints: []EndpointStatus{},
	}
	if c.gate != nil {
		s.Limit = c.limitStatus()
		s.Pending = s.Limit.Waiting
	}
	if c.breaker != nil {
		b := c.breaker.Status(now)
		s.Breaker = &BreakerStatus{b.State.String(), b.ErrorRate, b.Requests, b.OpenFor.Milliseconds()}
	}
	if c.retry != nil && c.budget != nil {
		s.Retries = &RetryStatus{c.budget.left(now)}
	}
	if h := c.hedge; h != nil {
		s.Hedges = &HedgeStatus{float64(h.wait(now).Microseconds()) / 1000, h.sent.Load(), h.won.Load(), h.budget.left(now)}
	}
	if err := c.resolveError(); err != nil {
		s.Problem = err.Error()
	}
	t := c.table.Load()
	if t == nil {
		return s
	}
	s.Available, s.InUse, s.Panic = t.available, t.inUse, t.panic
	connections := c.pool.Stats()
	for i, e := range t.endpoints {
		es := c.endpointStatus(e, now)
		es.InUse = t.usable[i]
		n := connections[e.target.Address]
		es.Connections, es.Idle = n.Open, n.Idle
		s.Endpoints = append(s.Endpoints, es)
	}
	return s
}

// endpointStatus returns what is seen of an endpoint itself.
func (c *Cluster) endpointStatus(e *endpoint, now int64) EndpointStatus {
	es := EndpointStatus{
		Address: e.name, Weight: e.weight, Priority: e.priority, Healthy: !e.sick.Load(), Failures: e.state.record.Streak(),
		InFlight: e.state.load.Active(), LatencyMS: float64(e.state.load.Latency(now, c.decay()).Microseconds()) / 1000,
	}
	if e.host != e.name {
		es.Name = e.host
	}
	if !es.Healthy {
		if reason := e.reason.Load(); reason != nil {
			es.Reason = *reason
		}
	}
	if c.outliers != nil {
		if until := e.state.record.Until(now); until != 0 {
			at := c.memory.epoch.Add(time.Duration(until)).Round(time.Millisecond)
			es.EjectedUntil = &at
		}
	}
	return es
}

// Explain says how the endpoint for a request would be chosen, and which may be. It sends and changes nothing.
func (c *Cluster) Explain(ex *filter.Exchange) string {
	t := c.table.Load()
	if t == nil || len(t.endpoints) == 0 {
		if err := c.resolveError(); err != nil {
			return fmt.Sprintf("upstream %s: no endpoint is known: %v", c.name, err)
		}
		return fmt.Sprintf("upstream %s: its names are not looked up yet: %s", c.name, c.urls())
	}
	now := c.now()
	var b strings.Builder
	fmt.Fprintf(&b, "upstream %s: %s among %d of %d endpoints", c.name, c.how(ex, t, now), t.inUse, len(t.endpoints))
	if t.panic {
		b.WriteString(" (so few are available that all are used)")
	}
	for i, e := range t.endpoints {
		fmt.Fprintf(&b, "\n  %s: %s", e.name, c.standing(e, t.usable[i], now))
	}
	if c.gate != nil {
		s := c.limitStatus()
		kind := "fixed"
		if s.Adaptive {
			kind = "adaptive"
		}
		fmt.Fprintf(&b, "\n  %s limit: %d of %d requests are under way, %d wait; this one has the priority %s", kind, s.InFlight, s.Requests, s.Waiting, ex.Priority)
	}
	if c.hedge != nil {
		if after := c.hedge.wait(now); after > 0 {
			fmt.Fprintf(&b, "\n  a request that may be is sent once more when its answer takes longer than %s", after)
		}
	}
	if c.breaker != nil {
		if s := c.breaker.Status(now); s.OpenFor > 0 {
			fmt.Fprintf(&b, "\n  the breaker is open for another %s: nothing is sent", s.OpenFor.Round(time.Millisecond))
		}
	}
	return b.String()
}

// urls are the endpoints as configured.
func (c *Cluster) urls() string {
	urls := make([]string, len(c.config.Endpoints))
	for i, e := range c.config.Endpoints {
		urls[i] = e.URL
	}
	return strings.Join(urls, ", ")
}

// how says by what the endpoint is chosen.
func (c *Cluster) how(ex *filter.Exchange, t *table, now int64) string {
	if c.config.Balance.By != string(balance.Hash) {
		return c.config.Balance.By
	}
	key, ok := "", false
	if c.key != nil {
		key, ok = c.key(ex)
	}
	if !ok || key == "" {
		return fmt.Sprintf("hash of %s, which the request lacks, so at random", c.config.Balance.Key)
	}
	choice := ""
	if i := t.picker.Pick(balance.Query{Hash: balance.HashKey(key), Now: now}); i >= 0 {
		choice = ", which now gives " + t.endpoints[i].name + ","
	}
	return fmt.Sprintf("hash of %s%s", c.config.Balance.Key, choice)
}

// standing says whether an endpoint may be chosen, and why not.
func (c *Cluster) standing(e *endpoint, usable bool, now int64) string {
	var notes []string
	if e.sick.Load() {
		note := "unhealthy"
		if reason := e.reason.Load(); reason != nil && *reason != "" {
			note += " (" + *reason + ")"
		}
		notes = append(notes, note)
	}
	if c.isEjected(e, now) {
		left := time.Duration(e.state.record.Until(now) - now).Round(time.Second)
		notes = append(notes, fmt.Sprintf("ejected for another %s", left))
	}
	switch {
	case e.weight == 0:
		notes = append(notes, "weight 0")
	case !usable && len(notes) == 0:
		notes = append(notes, fmt.Sprintf("priority %d is not needed", e.priority))
	case usable:
		notes = append(notes, fmt.Sprintf("may be chosen, weight %d, %d in flight", e.weight, e.state.load.Active()))
	}
	return strings.Join(notes, ", ")
}
