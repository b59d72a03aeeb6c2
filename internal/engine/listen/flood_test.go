package listen

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/porttest"
)

// floodRig is floods with a clock of its own.
type floodRig struct {
	*floods
	limits floodLimits
	counts *counts
	at     time.Duration
}

func newFloodRig(t testing.TB, limits string) *floodRig {
	f := &floodRig{floods: newFloods(), counts: newMetrics(nil).of("l")}
	f.limits = newFloodLimits(&listeners(t, "{address: ':0', "+limits+"}")[0])
	f.now = func() time.Duration { return f.at }
	return f
}

// open opens a connection; nil says that it was refused.
func (f *floodRig) open(addr string) *conn {
	c := &conn{}
	if f.admits(&f.limits, c, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1))) != nil {
		return nil
	}
	return c
}

func (f *floodRig) close(c *conn) {
	c.closed.Store(true)
	f.leaves(c)
}

func TestConnectionsAreCountedByAddress(t *testing.T) {
	f := newFloodRig(t, "limits: {connections_per_address: 2, except: [192.0.2.128/25]}, trusted_proxies: [198.51.100.7]")
	first, second := f.open("192.0.2.1"), f.open("::ffff:192.0.2.1")
	if first == nil || second == nil || f.open("192.0.2.1") != nil {
		t.Fatal("of one address, not two are let in")
	}
	if f.open("192.0.2.2") == nil {
		t.Error("another address is refused")
	}
	f.close(first)
	f.close(first)
	if f.open("192.0.2.1") == nil || f.open("192.0.2.1") != nil {
		t.Error("when one has left, not one more is let in")
	}
	if f.open("2001:db8::1") == nil || f.open("2001:db8::2") == nil || f.open("2001:db8::ffff:0:0:3") != nil {
		t.Error("IPv6 does not count by /64")
	}
	if f.open("2001:db8:0:1::1") == nil {
		t.Error("another /64 is refused")
	}
	for _, addr := range []string{"192.0.2.200", "198.51.100.7"} {
		for range 5 {
			if f.open(addr) == nil {
				t.Fatalf("%s is refused", addr)
			}
		}
	}
	f.close(second)
	if n := len(f.addresses); n != 4 {
		t.Errorf("%d addresses are remembered", n)
	}
}

func TestNewConnectionsHaveARate(t *testing.T) {
	f := newFloodRig(t, `limits: {connection_rate_per_address: "10/s burst 3", connection_rate: 2/s}`)
	opened := func(addr string, tries int) (n int) {
		for range tries {
			if c := f.open(addr); c != nil {
				n++
				f.close(c)
			}
		}
		return n
	}
	if a, b := opened("192.0.2.1", 10), opened("192.0.2.2", 10); a != 3 || b != 3 {
		t.Errorf("at once %d and %d", a, b)
	}
	f.at += 100 * time.Millisecond
	if n := opened("192.0.2.1", 10); n != 1 {
		t.Errorf("100ms later %d", n)
	}
	f.at += time.Hour
	if n := opened("192.0.2.1", 10); n != 3 {
		t.Errorf("an hour later %d", n)
	}
	all := 0
	for range 10 {
		if f.arrives(&f.limits) == nil {
			all++
		}
	}
	if all != 2 {
		t.Errorf("of all addresses %d at once", all)
	}
}

func TestAddressesAreForgotten(t *testing.T) {
	f := newFloodRig(t, `limits: {connection_rate_per_address: 1/min burst 2}`)
	f.most = 100
	busy := f.open("192.0.2.1")
	for i := range 5000 {
		f.close(f.open(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()))
	}
	if n := len(f.addresses); n > 101 {
		t.Errorf("%d addresses are remembered", n)
	}
	if f.open("192.0.2.1") == nil || f.open("192.0.2.1") != nil {
		t.Error("an address with a connection was forgotten")
	}
	f.at += time.Hour
	f.close(busy)
	for i := range 5000 {
		f.close(f.open(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String()))
	}
	if n := len(f.addresses); n > 101 {
		t.Errorf("an hour later %d", n)
	}
}

func TestAConnectionThatClosesEarlyDoesNotStayCounted(t *testing.T) {
	f := newFloodRig(t, "limits: {connections_per_address: 1}")
	c := &conn{}
	f.close(c) // before it was counted
	f.admits(&f.limits, c, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
	if len(f.addresses) != 0 {
		t.Error("it is still counted")
	}
}

// from opens a connection from an address of the loopback network.
func from(t *testing.T, local, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil // the reset came at once
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

const plainGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// isServed says whether a connection is.
func isServed(c net.Conn) bool { return c != nil && strings.HasPrefix(ask(c, plainGet), "HTTP/1.1") }

func TestLimitsByAddressFollowReloads(t *testing.T) {
	r := newRig(t, nil)
	at := porttest.Address(t)
	apply := func(limits string) { r.apply(fmt.Sprintf(`{name: a, address: %q, limits: {%s}}`, at, limits)) }
	apply("connections_per_address: 1")
	first := from(t, "127.0.0.2", at)
	if !isServed(first) || isServed(from(t, "127.0.0.2", at)) {
		t.Fatal("not one of two is served")
	}
	if !isServed(from(t, "127.0.0.3", at)) {
		t.Error("another address is not served")
	}
	want := `cardea_listener_connections_rejected_total{listener="a",reason="address"} 1`
	if got := r.metric(`listener_connections_rejected_total{listener="a",reason="address"}`); got != want {
		t.Error(got)
	}
	apply("connections_per_address: 2")
	second := from(t, "127.0.0.2", at)
	if !isServed(second) || isServed(from(t, "127.0.0.2", at)) {
		t.Error("after the limit was raised, not one more is served")
	}
	apply("connections_per_address: 2, except: [127.0.0.2]")
	if !isServed(from(t, "127.0.0.2", at)) {
		t.Error("an exception is not served")
	}
	apply("connection_rate: 1/h")
	if !isServed(from(t, "127.0.0.4", at)) || isServed(from(t, "127.0.0.4", at)) || isServed(from(t, "127.0.0.5", at)) {
		t.Error("not one of three is served where one may come in an hour")
	}
	apply("")
	if !isServed(from(t, "127.0.0.4", at)) || !isServed(first) || !isServed(second) {
		t.Error("without limits somebody is not served")
	}
}

func TestTheAddressOfAProxyHeaderCounts(t *testing.T) {
	r := newRig(t, nil)
	addr := r.apply(`{name: a, address: "127.0.0.1:0", proxy_protocol: required, trusted_proxies: [127.0.0.1], limits: {connections_per_address: 1}}`)[0]
	as := func(client string) bool {
		c := dial(t, "tcp", addr)
		if _, err := io.WriteString(c, "PROXY TCP4 "+client+" 192.0.2.9 1 80\r\n"); err != nil {
			return false
		}
		return isServed(c)
	}
	if !as("192.0.2.1") || as("192.0.2.1") || !as("192.0.2.2") {
		t.Error("not one of each address is served")
	}
	for range 3 { // as the proxy's own checks are
		c := dial(t, "tcp", addr)
		_, _ = io.WriteString(c, "PROXY UNKNOWN\r\n")
		if !isServed(c) {
			t.Fatal("the proxy itself is not served")
		}
	}
	if got := r.metric(`listener_connections{`); got != `cardea_listener_connections{listener="a"} 5` {
		t.Error(got)
	}
}

func TestHandshakesAreBounded(t *testing.T) {
	r := newRig(t, nil)
	a := newAuthority(t)
	a.pair(r.dir, "h", false, "localhost")
	for _, protocols := range []string{"[http1, http2]", "[http2]"} {
		addr := r.apply(`{name: a, address: "127.0.0.1:0", protocols: ` + protocols + `, tls: {cert: h.pem, key: h.key}, limits: {handshakes: 1}}`)[0]
		waiting := dial(t, "tcp", addr) // says nothing
		l := r.listeners[0]
		eventually(t, "a handshake is under way", func() bool { return l.shaking.Load() == 1 })
		c := client(t, a.roots, "http2")
		if got, err := get(c, "https://localhost:"+port(addr)); err == nil {
			t.Errorf("%s: a second handshake was made: %s", protocols, got)
		}
		waiting.Close()
		eventually(t, "the handshake is over", func() bool { return l.shaking.Load() == 0 })
		if got, err := get(c, "https://localhost:"+port(addr)); err != nil || !strings.HasPrefix(got, "HTTP/2.0") {
			t.Errorf("%s: afterwards: %s, %v", protocols, got, err)
		}
	}
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func TestFloodLimitsCostNothingWhereTheyAreOff(t *testing.T) {
	f := newFloodRig(t, "name: l")
	peer := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}
	n := testing.AllocsPerRun(100, func() {
		f.arrives(&f.limits)
		c := conn{}
		f.admits(&f.limits, &c, peer)
		f.leaves(&c)
	})
	if n > 1 || len(f.addresses) != 0 { // the connection itself
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFloods(b *testing.B) {
	for name, limits := range map[string]string{
		"off": "name: l", "on": `limits: {connections_per_address: 10, connection_rate: 1000000000/s, connection_rate_per_address: 1000000000/s}`,
		"refused": `limits: {connection_rate_per_address: 1/h}`,
	} {
		b.Run(name, func(b *testing.B) {
			f := newFloodRig(b, limits)
			peer := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}
			began := time.Now()
			f.now = func() time.Duration { return time.Since(began) }
			c := &conn{}
			b.ReportAllocs()
			for b.Loop() {
				c.counts.Store(notCounted)
				f.arrives(&f.limits)
				f.admits(&f.limits, c, peer)
				f.leaves(c)
			}
		})
	}
	b.Run("a flood of addresses", func(b *testing.B) {
		f := newFloodRig(b, `limits: {connection_rate_per_address: 1/h}`)
		began := time.Now()
		f.now = func() time.Duration { return time.Since(began) }
		peer := &net.TCPAddr{IP: make(net.IP, 4)}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c := conn{}
			peer.IP[0], peer.IP[1], peer.IP[2], peer.IP[3] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
			f.admits(&f.limits, &c, peer)
			f.leaves(&c)
		}
	})
}
