package engine

import (
	"errors"
	"io"
	"sync/atomic"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/observe"
	"cardea.dev/cardea/target"
)

// Snapshot is a configuration made runnable. Nothing in it changes but its count of users. An exchange that began on a
// snapshot ends on it; when the last has ended after the swap to another, the snapshot is closed.
type Snapshot struct {
	Config    *config.Config
	Table     *router.Table
	Routes    []*Route        // what the table's values are indexes of
	Unmatched *Route          // serves what no route matches, under the root's policies up to guard
	Answers   *Answers        // how errors look
	Tracer    *observe.Tracer // nil: no spans
	Upstreams []Upstream      // by name
	Left      []LeftOut       // routes that quarantine left out
	Start     func()          // begins what runs by itself: health checks, name look-ups; called once, before the first exchange
	Held      io.Closer       // what the snapshot holds of what outlives it
	users     atomic.Int64    // exchanges, and one while it is current
}

// Route is a route made runnable.
type Route struct {
	filter.Route
	Steps           []Step // in the order of their request phases
	Target          target.Target
	TargetKind      string
	Slots           int  // of its policies, in each exchange
	ExplicitOPTIONS bool // its match names the method OPTIONS
	StandIn         bool // it refuses in the place of a route that quarantine left out, and is none itself
	traffic         *traffic
}

// Step is a policy on a route.
type Step struct {
	filter.Filter
	Kind  string
	Stage filter.Stage
	Where string // file:line:column of what configures it
}

// Upstream is what operators may ask of an upstream.
type Upstream interface {
	filter.Upstream
	Status() any
}

// LeftOut is a route or an upstream that quarantine left out, and why.
type LeftOut struct {
	Kind  string `json:"kind"` // "route" or "upstream"
	Name  string `json:"name"`
	Where string `json:"where"`
	Error error  `json:"-"`
	Text  string `json:"error"`
}

// RouteCount is how many routes there are, without stand-ins.
func (s *Snapshot) RouteCount() (n int) {
	for _, r := range s.Routes {
		if !r.StandIn {
			n++
		}
	}
	return n
}

// close ends a snapshot that no exchange uses any more.
func (s *Snapshot) close() error {
	var errs []error
	for _, r := range s.Routes {
		errs = append(errs, r.close())
	}
	if s.Unmatched != nil {
		errs = append(errs, s.Unmatched.close())
	}
	if s.Held != nil {
		errs = append(errs, s.Held.Close())
	}
	return errors.Join(errs...)
}

// Discard closes a snapshot that never ran.
func (s *Snapshot) Discard() error { return s.close() }

func (r *Route) close() error {
	var errs []error
	for _, step := range r.Steps {
		if step.Close != nil {
			errs = append(errs, step.Close())
		}
	}
	if c, ok := r.Target.(io.Closer); ok {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
