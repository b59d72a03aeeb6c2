package upstream

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/upstream/balance"
	"cardea.dev/cardea/internal/upstream/health"
	"cardea.dev/cardea/internal/upstream/outlier"
	"cardea.dev/cardea/internal/upstream/pool"
)

// found is an endpoint as the configuration or a look-up gives it.
type found struct {
	target   pool.Target
	host     string // as the endpoint's own Host field
	weight   int
	priority int
}

// id tells endpoints apart: what is known of one is known by it.
func (f found) id() string {
	return f.target.Scheme + "://" + f.target.Address + " " + f.target.ServerName
}

// endpoint is one address of the upstream. But for its health it is immutable.
type endpoint struct {
	found
	id     string
	name   string // as operators see it: the address
	member *balance.Member
	state  *state
	check  *health.Checker // nil: its health is not checked; guarded by the cluster's lock

	sick   atomic.Bool
	reason atomic.Pointer[string] // why it is sick
	up     bool                   // in the last table it was healthy and not ejected; guarded by the cluster's lock
	shown  bool                   // metrics know it; guarded by the cluster's lock
}

// table is which endpoints there are and which of them may be used. It is immutable.
type table struct {
	endpoints []*endpoint
	usable    []bool
	picker    balance.Picker
	available int  // how many are healthy and not ejected
	inUse     int  // how many may be chosen
	tier      int  // the priority of those
	panic     bool // health and ejection are ignored
}

// update takes over what the sources have found.
func (c *Cluster) update() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	known := map[string]found{}
	complete := true
	for _, s := range c.sources {
		list, ok, _ := s.endpoints()
		complete = complete && ok
		for _, f := range list {
			merge(known, f)
		}
	}
	c.reconcile(known)
	if !complete && len(known) == 0 {
		return // nothing to choose from yet: requests wait, or hear why
	}
	c.rebuild()
}

// merge adds an endpoint. One that is found twice has both weights, and the better priority.
func merge(known map[string]found, f found) {
	id := f.id()
	if old, ok := known[id]; ok {
		f.weight += old.weight
		f.priority = min(f.priority, old.priority)
	}
	known[id] = f
}

// reconcile brings the endpoints in line with what is known. The lock is held.
func (c *Cluster) reconcile(known map[string]found) {
	for id, e := range c.endpoints {
		if f, ok := known[id]; !ok || f != e.found {
			if !ok {
				delete(c.endpoints, id)
				c.drop(e)
				continue
			}
			c.endpoints[id] = e.with(f)
		}
	}
	for id, f := range known {
		if c.endpoints[id] == nil {
			c.endpoints[id] = c.newEndpoint(id, f)
		}
	}
}

// newEndpoint makes an endpoint with what is known of it from before. The lock is held.
func (c *Cluster) newEndpoint(id string, f found) *endpoint {
	e := &endpoint{found: f, id: id, name: f.target.Address, state: c.memory.holdState(id)}
	e.member = &balance.Member{Name: id, Weight: f.weight, Load: e.state.load}
	if c.checks() {
		e.sick.Store(e.state.sick.Load())
	}
	if c.started {
		c.startCheck(e)
	}
	return e
}

// with returns the endpoint with another weight or priority.
func (e *endpoint) with(f found) *endpoint {
	changed := &endpoint{found: f, id: e.id, name: e.name, state: e.state, check: e.check, up: e.up, shown: e.shown}
	changed.member = &balance.Member{Name: e.id, Weight: f.weight, Load: e.state.load}
	changed.sick.Store(e.sick.Load())
	changed.reason.Store(e.reason.Load())
	return changed
}

// drop ends what runs for an endpoint. The lock is held, and a check that is just ending may want it: it is waited for elsewhere.
func (c *Cluster) drop(e *endpoint) {
	if e.check != nil {
		c.tasks.Go(e.check.Close)
	}
	if c.memory.give(endpointKey(e.id)) {
		c.metrics.forget(c.name, e.name)
	}
}

// refresh makes a new table after something about the endpoints has changed.
func (c *Cluster) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.table.Load() != nil {
		c.rebuild()
	}
}

// rebuild makes a new table. The lock is held.
func (c *Cluster) rebuild() {
	now := c.now()
	t := &table{endpoints: make([]*endpoint, 0, len(c.endpoints))}
	for _, e := range c.endpoints {
		t.endpoints = append(t.endpoints, e)
	}
	slices.SortFunc(t.endpoints, func(a, b *endpoint) int { return strings.Compare(a.id, b.id) })
	c.choose(t, now)
	members := make([]*balance.Member, len(t.endpoints))
	for i, e := range t.endpoints {
		members[i] = e.member
	}
	t.picker = c.balancer.Build(members, t.usable)
	c.noteChanges(t, now)
	first := c.table.Swap(t) == nil
	if first {
		close(c.resolved)
	}
	c.setWake(t, now)
}

// choose says which endpoints may be used: of those that are healthy and not ejected, the tier with the lowest priority. The lock is held.
func (c *Cluster) choose(t *table, now int64) {
	available := c.available(t, now)
	total, good := map[int]int{}, map[int]int{}
	tiers := []int{}
	for i, e := range t.endpoints {
		if e.weight == 0 {
			continue
		}
		if total[e.priority] == 0 {
			tiers = append(tiers, e.priority)
		}
		total[e.priority]++
		if available[i] {
			good[e.priority]++
			t.available++
		}
	}
	slices.Sort(tiers)
	t.tier, t.panic = pickTier(tiers, total, good, float64(c.config.Panic))
	t.usable = make([]bool, len(t.endpoints))
	for i, e := range t.endpoints {
		t.usable[i] = e.weight > 0 && e.priority == t.tier && (available[i] || t.panic)
		if t.usable[i] {
			t.inUse++
		}
	}
}

// available says which endpoints are healthy and not ejected. When that leaves none, ejections are not heeded: an endpoint that
// fails often is better than none.
func (c *Cluster) available(t *table, now int64) []bool {
	out, any := make([]bool, len(t.endpoints)), false
	for i, e := range t.endpoints {
		out[i] = e.weight > 0 && !e.sick.Load() && !c.isEjected(e, now)
		any = any || out[i]
	}
	if any {
		return out
	}
	for i, e := range t.endpoints {
		out[i] = e.weight > 0 && !e.sick.Load()
	}
	return out
}

// isEjected reports whether an endpoint is ejected.
func (c *Cluster) isEjected(e *endpoint, now int64) bool {
	return c.outliers != nil && e.state.record.Until(now) != 0
}

// pickTier returns the first tier of which enough is available. Where none is, it is the first with anything available, or with
// panic the first of all, whole.
func pickTier(tiers []int, total, good map[int]int, panicShare float64) (tier int, panics bool) {
	for _, t := range tiers {
		if good[t] > 0 && float64(good[t]) >= panicShare*float64(total[t]) {
			return t, false
		}
	}
	if len(tiers) > 0 && panicShare > 0 {
		return tiers[0], true
	}
	return 0, false
}

// noteChanges begins the slow start of endpoints that came up, and shows which are. The lock is held.
func (c *Cluster) noteChanges(t *table, now int64) {
	first := c.table.Load() == nil
	for _, e := range t.endpoints {
		up := !e.sick.Load() && !c.isEjected(e, now)
		if up && !e.up && !first {
			e.state.load.WarmUp(now)
		}
		if up != e.up || !e.shown {
			c.metrics.setHealthy(c.name, e.name, up)
		}
		e.up, e.shown = up, true
	}
	if c.outliers == nil {
		return
	}
	records := make([]*outlier.Record, 0, len(t.endpoints))
	for _, e := range t.endpoints {
		if e.weight > 0 {
			records = append(records, &e.state.record)
		}
	}
	c.outliers.Watch(records)
}

// setWake sees to a new table when the next ejection ends. The lock is held.
func (c *Cluster) setWake(t *table, now int64) {
	var next int64
	if c.outliers != nil {
		for _, e := range t.endpoints {
			if until := e.state.record.Until(now); until != 0 && (next == 0 || until < next) {
				next = until
			}
		}
	}
	switch {
	case next == 0 && c.wake != nil:
		c.wake.Stop()
	case next == 0:
	case c.wake == nil:
		c.wake = time.AfterFunc(time.Duration(next-now), c.refresh)
	default:
		c.wake.Reset(time.Duration(next - now))
	}
}
