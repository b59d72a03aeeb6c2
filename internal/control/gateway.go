package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control/acme"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// Options are what a gateway is made with.
type Options struct {
	Load       func() (*config.Config, error) // reads the configuration anew; what could be read comes with the errors
	Dir        string                         // where relative file names in it start
	Kinds      compile.Kinds
	Log        *slog.Logger
	Version    string
	Quarantine bool // leave out routes that are wrong instead of refusing the whole configuration

	// Retry is how long after a certificate could not be got it is tried again, at first; 0: a minute.
	Retry time.Duration
}

// Gateway is a running gateway.
type Gateway struct {
	o        Options
	Metrics  *observe.Metrics
	Engine   *engine.Engine
	Keeper   *keep.Keeper
	Listen   *listen.Set
	issued   *acme.Manager
	reloads  sync.Mutex // one at a time
	last     atomic.Pointer[Report]
	metrics  reloadMetrics
	admin    adminServer // guarded by reloads
	serving  atomic.Bool // all listeners have been opened once
	draining atomic.Bool
	running  used // guarded by reloads
	used     atomic.Pointer[used]
	started  time.Time
}

// Report tells how a load of the configuration went.
type Report struct {
	Time     time.Time        `json:"time"`
	Trigger  string           `json:"trigger"` // "start", "SIGHUP", "file change", "admin"
	OK       bool             `json:"ok"`
	Error    string           `json:"error,omitempty"`
	Errors   config.Errors    `json:"errors,omitempty"`
	Warnings config.Errors    `json:"warnings,omitempty"`
	LeftOut  []engine.LeftOut `json:"left_out,omitempty"`
	Routes   int              `json:"routes"`
	Took     config.Duration  `json:"took"`
}

// New returns a gateway that does not run yet.
func New(o Options) *Gateway {
	m := observe.NewMetrics()
	m.Process(o.Version)
	g := &Gateway{o: o, Metrics: m, Keeper: keep.New(), metrics: newReloadMetrics(m), started: time.Now()}
	g.collectCaches()
	g.Engine = engine.New(engine.Options{Log: o.Log, Metrics: m})
	g.issued = acme.New(acme.Options{Log: o.Log, Metrics: m, Retry: o.Retry})
	g.Listen = listen.New(listen.Options{Handler: g.Engine.Handler, Refuse: g.Engine.Refuse, Log: o.Log, Metrics: m, Issued: g.issued})
	return g
}

// Start loads the configuration and begins to serve. An error is all that is wrong; nothing runs then.
func (g *Gateway) Start(ctx context.Context) (Report, error) { return g.load(ctx, "start") }

// Reload loads the configuration anew. An error changes nothing; it is in the report too.
func (g *Gateway) Reload(ctx context.Context, trigger string) (Report, error) {
	return g.load(ctx, trigger)
}

// Last reports the last load; before the first has ended, it is empty.
func (g *Gateway) Last() Report {
	if last := g.last.Load(); last != nil {
		return *last
	}
	return Report{}
}

// Ready says whether requests are welcome, and why not.
func (g *Gateway) Ready() error {
	switch {
	case g.draining.Load():
		return errors.New("draining")
	case !g.serving.Load():
		return errors.New("it does not listen yet")
	}
	return nil
}

func (g *Gateway) load(ctx context.Context, trigger string) (Report, error) {
	g.reloads.Lock()
	defer g.reloads.Unlock()
	began := time.Now()
	report := Report{Time: began, Trigger: trigger}
	err := g.apply(ctx, &report)
	g.serving.CompareAndSwap(false, err == nil)
	report.OK, report.Took = err == nil, config.Duration(time.Since(began).Round(100*time.Microsecond))
	if err != nil {
		report.Error = err.Error()
		_ = errors.As(err, &report.Errors)
	}
	g.metrics.observe(report)
	g.last.Store(&report)
	g.tell(report)
	return report, err
}

// apply takes a configuration from its source to its work: load, compile, open listeners, swap.
func (g *Gateway) apply(ctx context.Context, report *Report) (failed error) {
	if g.draining.Load() {
		return errors.New("the gateway is shutting down")
	}
	cfg, found := g.o.Load()
	files := newUsed(cfg, g.o.Dir)
	defer func() { g.keepUsed(files, failed == nil) }()
	snapshot, warnings, err := compile.Build(cfg, compile.Options{
		Kinds: g.o.Kinds, Keeper: g.Keeper, Metrics: g.Metrics, Log: g.o.Log,
		Version: g.o.Version, Quarantine: g.o.Quarantine, Dir: g.o.Dir, Found: found, Watch: files.note,
	})
	report.Warnings = warnings
	if err != nil {
		return err
	}
	report.LeftOut, report.Routes = snapshot.Left, snapshot.RouteCount()
	if g.Engine.Snapshot() == nil {
		g.Engine.Swap(snapshot) // there must be something to serve before the first connection
		return g.listen(ctx, cfg)
	}
	if err := g.listen(ctx, cfg); err != nil {
		_ = snapshot.Discard()
		return err
	}
	g.Engine.Swap(snapshot)
	return nil
}

// listen opens what the configuration says and is not open yet, and closes what it does not say any more.
func (g *Gateway) listen(ctx context.Context, cfg *config.Config) error {
	admin, err := g.admin.open(ctx, g, cfg.Admin)
	if err != nil {
		return cfg.Self.Field("admin").Locate(err).Err()
	}
	certificates, err := g.issued.Prepare(ctx, cfg, g.o.Dir)
	if err == nil {
		certificates.Publish() // those that are stored serve the first connection already
		if err = g.Listen.Apply(ctx, cfg.Listen, g.o.Dir); err != nil {
			certificates.Discard()
		}
	}
	if err != nil {
		if admin != nil {
			_ = admin.Close()
		}
		return cfg.Self.Field("listen").Locate(err).Err()
	}
	g.admin.apply(g, cfg.Admin, admin)
	certificates.Commit() // what an authority asks can be answered now
	return nil
}

// tell logs how a load went.
func (g *Gateway) tell(r Report) {
	for _, left := range r.LeftOut {
		g.o.Log.Error("left out", left.Kind, left.Name, "where", left.Where, "error", left.Text)
	}
	for _, w := range r.Warnings {
		g.o.Log.Warn("configuration", "where", w.Pos.String(), "warning", w.Message)
	}
	switch {
	case r.Trigger == "start" && r.OK:
		g.o.Log.Info("the gateway runs", "routes", r.Routes, "listen", fmt.Sprint(g.Listen.Addrs()), "admin", cmp.Or(g.admin.addr(), "off"))
	case r.OK:
		g.o.Log.Info("reloaded", "trigger", r.Trigger, "routes", r.Routes, "took", r.Took.String())
	case r.Trigger != "start":
		g.tellErrors(r)
		g.o.Log.Error("cannot reload: what ran goes on running", "trigger", r.Trigger, "errors", max(1, len(r.Errors)))
	}
}

// tellErrors logs what is wrong with a configuration, a line each.
func (g *Gateway) tellErrors(r Report) {
	for _, e := range r.Errors {
		fields := []any{"where", e.Pos.String(), "error", strings.TrimPrefix(e.Path+": "+e.Message, ": ")}
		if e.Expected != "" {
			fields = append(fields, "expected", e.Expected)
		}
		if e.Hint != "" {
			fields = append(fields, "hint", e.Hint)
		}
		g.o.Log.Error("configuration", fields...)
	}
	if len(r.Errors) == 0 {
		g.o.Log.Error("configuration", "error", r.Error)
	}
}

// Shutdown ends the gateway: it says that it is not ready, waits as configured, accepts no more, lets what runs end, and cuts
// what remains at the limit. A second call's context may cut it short.
func (g *Gateway) Shutdown(ctx context.Context) {
	g.draining.Store(true)
	delay, drain := g.shutdownTimes()
	g.o.Log.Info("draining", "delay", delay.String(), "drain", drain.String(), "running", g.Engine.Running())
	sleep(ctx, delay)
	limit, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	var running atomic.Int64 // when the limit passed
	end, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(limit, func() { running.Store(g.Engine.Running()); cut() })()
	err := g.Listen.Shutdown(end)
	g.Engine.Drain(end)
	if n := running.Load(); err != nil || n > 0 {
		g.o.Log.Warn("the drain limit passed; what still ran was cut", "running", n)
	}
	g.Close()
	g.o.Log.Info("stopped")
}

// Close ends the gateway at once.
func (g *Gateway) Close() {
	g.reloads.Lock()
	defer g.reloads.Unlock()
	g.issued.Close()
	_ = g.Listen.Close()
	g.settle()
	g.Engine.Close()
	g.admin.close()
}

// ReopenLogs has log files opened anew, after they were rotated.
func (g *Gateway) ReopenLogs() {
	g.Keeper.Each(func(v any) {
		if r, ok := v.(interface{ Reopen() }); ok {
			r.Reopen()
		}
	})
}

// settle waits for what must come to its end though its time is over: calls that undo what others did. It has bounds of its own.
func (g *Gateway) settle() {
	g.Keeper.Each(func(v any) {
		if s, ok := v.(interface{ Settle() }); ok {
			s.Settle()
		}
	})
}

func (g *Gateway) shutdownTimes() (delay, drain time.Duration) {
	s := g.Engine.Snapshot()
	if s == nil {
		return 0, 0
	}
	return time.Duration(s.Config.Shutdown.Delay), time.Duration(s.Config.Shutdown.Drain)
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
