package upstream

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/internal/upstream/health"
)

// checks reports whether the health of endpoints is checked.
func (c *Cluster) checks() bool { return c.config.Health != nil && !c.config.Health.Off }

// startCheck begins to check an endpoint, if its kind is checked at all. The lock is held.
func (c *Cluster) startCheck(e *endpoint) {
	if !c.checks() || e.check != nil || e.weight == 0 {
		return
	}
	id := e.id
	e.check = health.New(c.healthOptions(), c.healthTarget(e), func(healthy bool, reason string) { c.checked(id, healthy, reason) })
	e.check.Start()
}

// healthOptions are how endpoints are checked.
func (c *Cluster) healthOptions() health.Options {
	h := c.config.Health
	o := health.Options{
		Kind: health.Kind(h.Kind), Method: h.Method, Path: h.Path, Host: h.Host, Header: http.Header{}, Body: h.Body, Service: h.Service,
		Interval: or(h.Interval, 5*time.Second), Timeout: or(h.Timeout, time.Second), Healthy: h.Healthy, Unhealthy: h.Unhealthy,
		TLS: c.tls, Protocol: protocol(c.config),
	}
	for name, value := range h.Headers {
		o.Header.Set(name, value)
	}
	for _, r := range h.Status {
		o.Status = append(o.Status, health.Range{From: r.From, To: r.To})
	}
	return o
}

// healthTarget is where an endpoint is checked.
func (c *Cluster) healthTarget(e *endpoint) health.Target {
	to := health.Target{Scheme: e.target.Scheme, Address: e.target.Address, ServerName: e.target.ServerName}
	if port := c.config.Health.Port; port > 0 && !strings.HasPrefix(to.Address, "unix:") {
		if host, _, err := net.SplitHostPort(to.Address); err == nil {
			to.Address = net.JoinHostPort(host, strconv.Itoa(port))
		}
	}
	return to
}

// checked is told how an endpoint is: first, and when that changes.
func (c *Cluster) checked(id string, healthy bool, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[id]
	if e == nil || c.closed {
		return
	}
	e.reason.Store(&reason)
	e.state.sick.Store(!healthy)
	if e.sick.Swap(!healthy) == !healthy {
		return
	}
	level := slog.LevelInfo
	if !healthy {
		level = slog.LevelWarn
	}
	c.log.Log(c.ctx, level, "endpoint health", "endpoint", e.name, "healthy", healthy, "reason", reason)
	if c.table.Load() != nil {
		c.rebuild()
	}
}

// countInterval is how often connections are counted for their metric.
const countInterval = 5 * time.Second

// countConnections shows how many connections there are, how many requests wait, and what the limit is now.
func (c *Cluster) countConnections() {
	every(c.ctx, countInterval, func() {
		if c.gate != nil {
			_, waiting := c.gate.counts()
			c.metrics.waiting.Set(float64(waiting))
			c.metrics.limit.Set(float64(c.gate.limitNow()))
		}
		stats := c.pool.Stats()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range c.endpoints {
			s := stats[e.target.Address]
			c.metrics.setConnections(c.name, e.name, s.Open-s.Idle, s.Idle)
		}
	})
}
