package listen

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gaissmai/bart"
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
)

// floods counts the connections of a listener by address, and how fast new ones come. It outlives changes of the limits.
//
// Memory is bounded: an address with an open connection has a place, and of those without one, remembered for their rate alone, there
// are as many as fit into most.
type floods struct {
	now  func() time.Duration // a clock that only runs forward
	most int

	mu        sync.Mutex
	arrival   time.Duration // see gate
	addresses map[netip.Addr]caller
}

// caller is what is known of an address.
type caller struct {
	open    int32
	arrival time.Duration // see gate
}

// floodLimits are what is allowed.
type floodLimits struct {
	open        int  // per address; 0: any number
	all, each   gate // rates of all addresses together, and of each
	except      *bart.Lite
	excludesAny bool
}

// mostAddresses is how many addresses are remembered.
const mostAddresses = 1 << 16

func newFloods() *floods {
	began := time.Now()
	return &floods{now: func() time.Duration { return time.Since(began) }, most: mostAddresses, addresses: map[netip.Addr]caller{}}
}

func newFloodLimits(c *config.Listener) floodLimits {
	f := floodLimits{
		open: c.Limits.ConnectionsPerAddress, all: newGate(c.Limits.ConnectionRate), each: newGate(c.Limits.ConnectionRatePerAddress),
		except: new(bart.Lite),
	}
	lists := [][]config.Peer{c.TrustedProxies, c.Limits.Except}
	if c.SendsProxyHeader() {
		lists = append(lists, c.ProxyHeaderFrom()) // their own checks come without an address
	}
	for _, peers := range lists {
		for _, p := range peers {
			for _, r := range p.Ranges {
				f.except.Insert(r)
				f.excludesAny = true
			}
		}
	}
	return f
}

// byAddress says whether anything is limited by address.
func (l *floodLimits) byAddress() bool { return l.open > 0 || l.each.on() }

// gate is a rate, as the generic cell rate algorithm has it: what comes is let in unless the arrivals before it, a step each, reach
// further into the future than the burst. The zero value lets all in.
type gate struct{ step, burst time.Duration }

func newGate(r config.Rate) gate {
	if r.IsZero() {
		return gate{}
	}
	step := max(1, r.Per/time.Duration(r.Count))
	burst := min(float64(step)*float64(cmp.Or(r.Burst, r.Count)), float64(24*time.Hour))
	return gate{step: step, burst: time.Duration(burst)}
}

func (g gate) on() bool { return g.step > 0 }

// next lets an arrival in, and returns until when arrivals reach then.
func (g gate) next(arrival, now time.Duration) (time.Duration, bool) {
	after := max(arrival, now) + g.step
	if after-now > g.burst {
		return arrival, false
	}
	return after, true
}

// reason picks the metric of a refusal.
type reason func(*counts) prometheus.Counter

// arrives counts a new connection. It returns why there are too many in all, or nil.
func (f *floods) arrives(l *floodLimits) reason {
	if !l.all.on() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	after, ok := l.all.next(f.arrival, f.now())
	if !ok {
		return func(c *counts) prometheus.Counter { return c.overRate }
	}
	f.arrival = after
	return nil
}

// admits counts a connection for its address, until leaves. It returns why the address has too many, or nil.
func (f *floods) admits(l *floodLimits, c *conn, peer net.Addr) reason {
	if !l.byAddress() {
		return nil
	}
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return nil
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if !addr.IsValid() || l.excludesAny && l.except.Contains(addr) {
		return nil
	}
	if addr.Is6() {
		p, _ := addr.Prefix(64)
		addr = p.Addr()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if why := f.enter(l, addr); why != nil {
		return why
	}
	if c.counted = addr; !c.counts.CompareAndSwap(notCounted, isCounted) {
		f.release(addr) // it was closed meanwhile
	}
	return nil
}

// What a connection counts for, by address.
const (
	notCounted int32 = iota
	isCounted
	noMore
)

// enter is admits for an address. The lock is held.
func (f *floods) enter(l *floodLimits, addr netip.Addr) reason {
	now := f.now()
	a, known := f.addresses[addr]
	if l.each.on() {
		after, ok := l.each.next(a.arrival, now)
		if !ok {
			return func(c *counts) prometheus.Counter { return c.overAddressRate }
		}
		a.arrival = after
	}
	if l.open > 0 && int(a.open) >= l.open {
		if known {
			f.addresses[addr] = a
		}
		return func(c *counts) prometheus.Counter { return c.overAddress }
	}
	if !known && len(f.addresses) >= f.most {
		f.forget(now)
	}
	a.open++
	f.addresses[addr] = a
	return nil
}

// forget makes room: of a few addresses without a connection, which the map gives at random, it forgets those that would be let in anyway, or
// else the one that comes nearest to that.
func (f *floods) forget(now time.Duration) {
	var nearest netip.Addr
	least, looked := time.Duration(-1), 0
	for addr, a := range f.addresses {
		if looked++; looked > 16 {
			break
		}
		switch {
		case a.open > 0:
		case a.arrival <= now:
			delete(f.addresses, addr)
			return
		case least < 0 || a.arrival < least:
			nearest, least = addr, a.arrival
		}
	}
	if least >= 0 {
		delete(f.addresses, nearest)
	}
}

// leaves counts a connection as closed. Where it did not count, this takes no lock.
func (f *floods) leaves(c *conn) {
	if c.counts.Swap(noMore) != isCounted {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release(c.counted)
}

// release takes a connection of an address away. The lock is held.
func (f *floods) release(addr netip.Addr) {
	a := f.addresses[addr]
	a.open--
	if a.open <= 0 && a.arrival <= f.now() {
		delete(f.addresses, addr)
		return
	}
	f.addresses[addr] = a
}
