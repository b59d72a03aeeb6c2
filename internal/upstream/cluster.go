package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/adaptive"
	"cardea.dev/cardea/internal/upstream/balance"
	"cardea.dev/cardea/internal/upstream/breaker"
	"cardea.dev/cardea/internal/upstream/outlier"
	"cardea.dev/cardea/internal/upstream/pool"
	"cardea.dev/cardea/observe"
)

// Env is what a Cluster is built with.
type Env struct {
	Log     *slog.Logger // nil: none
	Metrics *observe.Metrics
	Expr    filter.Expressions // compiles keys; needed for balancing by hash
	Keeper  filter.Keeper      // Kept asks it
	Dir     string             // where relative file names start
}

// Cluster is an upstream. It implements filter.Upstream. Its methods may be called by many goroutines.
type Cluster struct {
	name   string
	config *config.Upstream
	log    *slog.Logger
	memory *memory
	clock  func() time.Time

	key      filter.Value // of a request, for balancing by hash; else nil
	balancer *balance.Balancer
	retry    *retryPolicy // nil: off
	budget   *budget      // nil: without bounds
	gate     *gate        // nil: any number of requests
	hedge    *hedger      // nil: off
	breaker  *breaker.Breaker
	tripping statuses // failures for the breaker
	outliers *outlier.Detector
	ejecting statuses // failures of an endpoint
	pool     *pool.Pool
	tls      *tls.Config
	metrics  metrics
	spanName string

	table    atomic.Pointer[table] // nil until all endpoints were found once
	resolved chan struct{}         // closed then
	parts    []string              // keys of what is held of the memory; endpoints hold theirs

	mu        sync.Mutex // guards what follows, and the making of tables
	sources   []*source
	endpoints map[string]*endpoint // by id
	wake      *time.Timer          // when the next ejection ends
	started   bool
	closed    bool

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// New builds a cluster, which knows nothing yet of endpoints that are names, and starts nothing. Errors about the configuration
// are config.FieldErrorf's.
func New(name string, c *config.Upstream, env Env) (*Cluster, error) {
	return build(name, c, env, newMemory())
}

// build is New with what is known already.
func build(name string, c *config.Upstream, env Env, m *memory) (*Cluster, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Metrics == nil {
		env.Metrics = observe.NewMetrics()
	}
	cl := &Cluster{
		name: name, config: c, log: env.Log.With("upstream", name), memory: m, clock: m.clock,
		retry:   newRetryPolicy(c.Retry),
		metrics: newMetrics(env.Metrics, name), spanName: "upstream " + name,
		resolved: make(chan struct{}), endpoints: map[string]*endpoint{},
	}
	cl.ctx, cl.cancel = context.WithCancel(context.Background())
	cl.balancer = balance.New(balance.Options{
		By: balance.Algorithm(c.Balance.By), Bound: c.Balance.Bound, Decay: cl.decay(), SlowStart: time.Duration(c.SlowStart),
	}, &m.group)
	if err := cl.buildKey(env); err != nil {
		return nil, err
	}
	if err := cl.buildPool(env); err != nil {
		return nil, err
	}
	cl.buildBudget()
	cl.buildGate()
	cl.buildHedge()
	cl.buildBreaker()
	cl.buildOutliers()
	if err := cl.buildSources(); err != nil {
		cl.release()
		return nil, err
	}
	return cl, nil
}

// now reads the clock that everything of the upstream goes by.
func (c *Cluster) now() int64 { return c.memory.at(c.clock()) }

// decay is how long latencies are remembered.
func (c *Cluster) decay() time.Duration { return or(c.config.Balance.Decay, 10*time.Second) }

// or is a configured duration, or another where that is 0.
func or(d config.Duration, other time.Duration) time.Duration {
	if d > 0 {
		return time.Duration(d)
	}
	return other
}

// buildKey compiles the key that endpoints are chosen by.
func (c *Cluster) buildKey(env Env) (err error) {
	if c.config.Balance.By != string(balance.Hash) || env.Expr == nil {
		return nil
	}
	if c.key, err = env.Expr.Value(c.config.Balance.Key); err != nil {
		return config.FieldErrorf("balance.key", "%w", err)
	}
	return nil
}

// buildPool takes over or makes the connections.
func (c *Cluster) buildPool(env Env) error {
	var err error
	if c.tls, err = newTLS(c.config.TLS, env.Dir, c.log); err != nil {
		return err
	}
	t, l := c.config.Timeout, c.config.Limits
	o := pool.Options{
		Protocol: protocol(c.config), Connect: or(t.Connect, 5*time.Second), FirstByte: time.Duration(t.FirstByte),
		Idle: time.Duration(t.Idle), KeepAlive: or(t.KeepAlive, time.Minute),
		MaxIdle: cmp.Or(l.IdleConnections, 256), MaxConns: l.Connections, MaxHeader: cmp.Or(int64(l.Header), 64<<10),
	}
	key := "pool " + digest(o, c.config.TLS, fileContents(c.config.TLS, env.Dir))
	o.TLS = c.tls
	c.pool = hold(c.memory, key, func() *pool.Pool { return pool.New(o) })
	c.parts = append(c.parts, key)
	return nil
}

// buildBudget takes over or makes the budget of retries, so that reloads do not refill it.
func (c *Cluster) buildBudget() {
	b := c.config.Retry.Budget
	if c.retry == nil || b.Off {
		return
	}
	key := "budget " + digest(b)
	c.budget = hold(c.memory, key, func() *budget { return newBudget(b) })
	c.parts = append(c.parts, key)
}

// What bounds a limit that is adaptive where the settings do not.
const (
	leastAdaptive = 5
	mostAdaptive  = 1000
)

// buildGate takes over or makes the gate, and with it what it has learned.
func (c *Cluster) buildGate() {
	l := c.config.Limits
	adapts := l.Adaptive != nil && !l.Adaptive.Off
	if l.Requests == 0 && !adapts {
		c.metrics.limit.Set(0)
		return
	}
	key, gauge := "gate "+digest(l.Requests, l.Pending, l.PendingWait, l.Adaptive), c.metrics.limit
	c.gate = hold(c.memory, key, func() *gate {
		g := &gate{limit: l.Requests, pending: l.Pending, wait: time.Duration(l.PendingWait), ended: breaker.NewWindow(endedWindow)}
		if adapts {
			most := cmp.Or(l.Requests, mostAdaptive)
			g.adaptive = adaptive.New(adaptive.Options{Min: cmp.Or(l.Adaptive.Min, min(leastAdaptive, most)), Max: most, Start: l.Adaptive.Start})
		}
		gauge.Set(float64(g.limitNow()))
		return g
	})
	c.parts = append(c.parts, key)
}

// buildBreaker takes over or makes the breaker.
func (c *Cluster) buildBreaker() {
	b := c.config.Breaker
	if b == nil || b.Off {
		c.metrics.breaker.Set(0)
		return
	}
	c.tripping = newStatuses(b.Status)
	key, gauge, log := "breaker "+digest(b), c.metrics.breaker, c.log
	c.breaker = hold(c.memory, key, func() *breaker.Breaker {
		gauge.Set(0)
		return breaker.New(breaker.Options{
			ErrorRate: float64(b.ErrorRate), MinRequests: b.MinRequests, Window: or(b.Window, 10*time.Second),
			OpenFor: or(b.OpenFor, 5*time.Second), Probes: b.Probes,
			OnChange: func(s breaker.State) { // it may outlive this cluster
				gauge.Set(float64(s))
				log.Warn("circuit breaker", "state", s.String())
			},
		})
	})
	c.parts = append(c.parts, key)
}

// buildOutliers makes what ejects endpoints.
func (c *Cluster) buildOutliers() {
	e := c.config.Eject
	c.ejecting = newStatuses(e.Status)
	if e.Off || e.Consecutive == 0 && e.ErrorRate == 0 {
		return
	}
	c.outliers = outlier.New(outlier.Options{
		Consecutive: e.Consecutive, ErrorRate: float64(e.ErrorRate), MinRequests: e.MinRequests,
		For: or(e.For, 30*time.Second), MaxFor: or(e.MaxFor, 5*time.Minute), Max: float64(e.Max),
	})
}

// Name is the upstream's name in the configuration.
func (c *Cluster) Name() string { return c.name }

// Start begins to look up names, to check health and to watch for endpoints that fail. Once is enough; more do nothing. Close
// ends it.
func (c *Cluster) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.closed {
		return
	}
	c.started = true
	for _, s := range c.sources {
		s.start(c.ctx)
	}
	for _, e := range c.endpoints {
		c.startCheck(e)
	}
	if c.outliers != nil && c.config.Eject.ErrorRate > 0 {
		c.tasks.Go(c.sweep) // ends with ctx
	}
	c.tasks.Go(c.countConnections) // ends with ctx
}

// sweep ends the intervals of ejection.
func (c *Cluster) sweep() {
	every(c.ctx, or(c.config.Eject.Interval, 10*time.Second), c.endInterval)
}

// endInterval ejects the endpoints that failed too often within an interval.
func (c *Cluster) endInterval() {
	ejected := c.outliers.Sweep(c.now())
	if len(ejected) == 0 {
		return
	}
	c.mu.Lock()
	for _, e := range c.endpoints {
		if slices.Contains(ejected, &e.state.record) {
			c.log.Warn("endpoint ejected", "endpoint", e.name, "error", "too many of its requests fail")
		}
	}
	c.mu.Unlock()
	c.ejected(len(ejected))
}

// every calls f in intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// ejected counts ejections and has them heeded.
func (c *Cluster) ejected(n int) {
	c.metrics.ejections.Add(float64(n))
	c.refresh()
}

// Close ends all that Start began, and lets go of connections that no other Cluster uses. Nothing may be sent any more.
func (c *Cluster) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	if c.wake != nil {
		c.wake.Stop()
	}
	c.mu.Unlock()
	c.cancel()
	for _, s := range c.sources {
		s.stop()
	}
	c.release()
	c.tasks.Wait()
	return nil
}

// release gives back what is held of the memory.
func (c *Cluster) release() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, e := range c.endpoints {
		delete(c.endpoints, id)
		c.drop(e)
	}
	for _, key := range c.parts {
		c.memory.give(key)
	}
	c.parts = nil
}
