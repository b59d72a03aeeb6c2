package engine

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/observe"
)

// Engine runs exchanges on its current snapshot.
type Engine struct {
	current   atomic.Pointer[Snapshot]
	log       *slog.Logger
	metrics   *metrics
	recent    *recent
	calm      *calm
	exchanges sync.Pool // of *exchange
	upgrades  upgrades
	running   atomic.Int64
	swap      sync.Mutex
}

// Options are what an engine is made with.
type Options struct {
	Log     *slog.Logger
	Metrics *observe.Metrics
	Recent  int // how many gateway-made errors are kept for explain; 0: 4096
}

// New returns an engine without a snapshot: it refuses everything until Swap.
func New(o Options) *Engine {
	if o.Recent == 0 {
		o.Recent = 4096
	}
	e := &Engine{log: o.Log, metrics: newMetrics(o.Metrics), recent: newRecent(o.Recent), calm: newCalm()}
	e.exchanges.New = func() any {
		x := &exchange{}
		x.passInterim = x.interim
		return x
	}
	return e
}

// Snapshot returns the current snapshot, or nil. It is for looking only: it may be closed at any time.
func (e *Engine) Snapshot() *Snapshot { return e.current.Load() }

// Swap makes a snapshot the current one and starts it. The one before is closed after its last exchange.
func (e *Engine) Swap(next *Snapshot) {
	e.swap.Lock()
	defer e.swap.Unlock()
	e.metrics.routes.renew(next)
	if next.Start != nil {
		next.Start()
	}
	next.users.Store(1)
	if last := e.current.Swap(next); last != nil {
		e.leave(last)
	}
}

// enter takes the current snapshot for one exchange.
func (e *Engine) enter() *Snapshot {
	for {
		s := e.current.Load()
		if s == nil {
			return nil
		}
		if s.users.Add(1) > 1 {
			return s
		}
		s.users.Add(-1) // it was closed between the two lines; another is current
	}
}

// leave gives a snapshot back, and closes it when nobody else has it.
func (e *Engine) leave(s *Snapshot) {
	if s.users.Add(-1) > 0 {
		return
	}
	if !s.users.CompareAndSwap(0, closed) {
		return
	}
	if err := s.close(); err != nil {
		e.log.Warn("cannot close what a former configuration used", "error", err)
	}
}

// closed is the count of users of a closed snapshot: so low that no entering exchange lifts it above 0.
const closed = -1 << 40

// Handler serves the requests of a listener.
func (e *Engine) Handler(edge *listen.Edge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(edge, w, r) })
}

// Running is how many exchanges there are, upgraded connections included.
func (e *Engine) Running() int64 { return e.running.Load() }

// Drain waits until no exchange runs, or until ctx ends; then it cuts upgraded connections, which nobody else does.
func (e *Engine) Drain(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for e.running.Load() > 0 {
		select {
		case <-ctx.Done():
			e.upgrades.cut()
			return
		case <-tick.C:
		}
	}
}

// Close lets go of the current snapshot. Nothing may be served after it.
func (e *Engine) Close() {
	if last := e.current.Swap(nil); last != nil {
		e.leave(last)
	}
}

// exchange is an Exchange with what the engine alone needs, kept together for reuse.
type exchange struct {
	filter.Exchange
	engine   *Engine
	snapshot *Snapshot
	edge     *listen.Edge
	writer   http.ResponseWriter
	route    *Route
	reached  int // steps whose request phase was reached
	lookup   router.Request
	params   router.Params
	body     *countedBody
	id       [1]string // of the request, as a field's value
	values   [6]string // of other fields that the gateway adds for the upstream

	passInterim func(status int, header http.Header) // the method interim, made once
	wrote       bool                                 // the head of the answer has gone
	upgraded    bool
}
