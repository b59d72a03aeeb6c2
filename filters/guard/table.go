package guard

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// maxAddresses is how many addresses are remembered.
const maxAddresses = 65536

// table counts the failures of addresses. Only addresses that fail are in it, so one lock serves.
type table struct {
	limit      int           // failures that may be had
	per, block time.Duration // in which time; for how long an address is turned away

	size   atomic.Int64
	mu     sync.Mutex
	found  map[netip.Addr]*list.Element // of *record
	recent list.List                    // the one that failed last comes first
}

// record is what is known of an address.
type record struct {
	addr     netip.Addr
	failures int
	since    time.Time // when counting began
	until    time.Time // turned away until then
}

func newTable(limit int, per, block time.Duration) *table {
	return &table{limit: limit, per: per, block: block, found: map[netip.Addr]*list.Element{}}
}

// empty says that no address has failed.
func (t *table) empty() bool { return t.size.Load() == 0 }

// look says how long an address is still turned away, and else how many failures it has.
func (t *table) look(addr netip.Addr, now time.Time) (left time.Duration, failures int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.found[addr]
	if e == nil {
		return 0, 0
	}
	r := e.Value.(*record)
	switch {
	case now.Before(r.until):
		return r.until.Sub(now), r.failures
	case now.Sub(r.since) >= t.per:
		t.forget(e)
		return 0, 0
	}
	return 0, r.failures
}

// fail counts a failure. It says whether the address is turned away from now on.
func (t *table) fail(addr netip.Addr, now time.Time) (blocked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.found[addr]
	if e == nil {
		if len(t.found) >= maxAddresses {
			t.forget(t.recent.Back())
		}
		e = t.recent.PushFront(&record{addr: addr, since: now})
		t.found[addr] = e
		t.size.Add(1)
	}
	t.recent.MoveToFront(e)
	r := e.Value.(*record)
	if now.Before(r.until) {
		return false // it was under way when the address was turned away
	}
	if now.Sub(r.since) >= t.per {
		r.failures, r.since = 0, now
	}
	r.failures++
	if r.failures < t.limit {
		return false
	}
	r.until, r.failures, r.since = now.Add(t.block), 0, now.Add(t.block)
	return true
}

// forget forgets an address.
func (t *table) forget(e *list.Element) {
	delete(t.found, e.Value.(*record).addr)
	t.recent.Remove(e)
	t.size.Add(-1)
}
