package discover

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a DNS server on loopback whose records can be changed.
type zone struct {
	t       testing.TB
	address string

	mu       sync.Mutex
	records  []dns.RR
	rcode    int // for all, if not 0
	truncate bool
	silent   bool
	queries  []string

	servers []*dns.Server
}

func newZone(t testing.TB, records ...string) *zone {
	z := &zone{t: t}
	z.set(records...)
	z.start("127.0.0.1:0")
	t.Cleanup(z.stop)
	return z
}

func (z *zone) start(address string) {
	pc, l := listen(z.t, address)
	z.address = pc.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: l, Handler: z}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go s.ActivateAndServe()
		<-up
		z.servers = append(z.servers, s)
	}
}

// listen opens the same port for UDP and TCP. A free port of the one may be taken of the other.
func listen(t testing.TB, address string) (net.PacketConn, net.Listener) {
	for range 100 {
		pc, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		pc.Close()
	}
	t.Fatalf("cannot listen on %s", address)
	return nil, nil
}

func (z *zone) stop() {
	for _, s := range z.servers {
		s.Shutdown()
	}
	z.servers = nil
}

func (z *zone) set(records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = nil
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			z.t.Fatal(err)
		}
		z.records = append(z.records, rr)
	}
}

func (z *zone) with(change func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	change()
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	question := q.Question[0]
	z.queries = append(z.queries, dns.TypeToString[question.Qtype]+" "+question.Name)
	if z.silent {
		return
	}
	m := new(dns.Msg).SetReply(q)
	if m.Rcode = z.rcode; m.Rcode == 0 {
		z.fill(m, question)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && z.truncate {
		m.Truncated, m.Answer = true, nil
	}
	w.WriteMsg(m)
}

// fill answers as a recursive server does: along CNAMEs, with the addresses of SRV targets, and NXDOMAIN for names it has not.
func (z *zone) fill(m *dns.Msg, q dns.Question) {
	name, known := q.Name, false
	for _, rr := range z.records {
		if !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		known = true
		if rr.Header().Rrtype == q.Qtype {
			m.Answer = append(m.Answer, rr)
		}
		if c, ok := rr.(*dns.CNAME); ok {
			m.Answer = append(m.Answer, rr)
			name = c.Target
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		soa, _ := dns.NewRR("example. 60 IN SOA ns. root. 1 2 3 4 7")
		m.Ns = append(m.Ns, soa)
	}
}

// clock hands out the waits that a resolver asks for, and ends them on demand.
type clock struct{ waits chan wait }

type wait struct {
	d   time.Duration
	end chan time.Time
}

func newClock() *clock { return &clock{make(chan wait, 100)} }

func (c *clock) After(d time.Duration) <-chan time.Time {
	w := wait{d, make(chan time.Time, 1)}
	c.waits <- w
	return w.end
}

// next waits until a look-up is done, makes a change, and ends the wait for the next, whose length it returns.
func (c *clock) next(change ...func()) time.Duration {
	w := <-c.waits
	for _, f := range change {
		f()
	}
	w.end <- time.Time{}
	return w.d
}

// report is one call of onChange.
type report struct {
	Endpoints []Endpoint
	Err       string // "", "not found" or "failed"
}

func reports(ch chan<- report) func([]Endpoint, error) {
	return func(e []Endpoint, err error) {
		r := report{Endpoints: e}
		var dnsErr *Error
		if errors.As(err, &dnsErr) {
			r.Err = "failed"
			if dnsErr.NotFound {
				r.Err = "not found"
			}
		}
		ch <- r
	}
}

func spec(t testing.TB, text string) Spec {
	s, err := ParseSpec(text, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func plain(host string, addresses ...string) []Endpoint {
	var list []Endpoint
	for _, a := range addresses {
		list = append(list, Endpoint{Scheme: "http", Address: a, Host: host, Weight: 1})
	}
	return list
}

// start starts a resolver over a zone.
func start(t testing.TB, o Options, z *zone, specs ...string) (*clock, chan report, *Resolver) {
	t.Helper()
	c := newClock()
	o.After = c.After
	if z != nil {
		o.Servers = []string{z.address}
	}
	if o.resolvConf == "" {
		o.resolvConf = "/nowhere"
	}
	if o.hostsFile == "" {
		o.hostsFile = "/nowhere"
	}
	o.routable = func(a netip.Addr) bool { return a != netip.MustParseAddr("2001:db8::dead") }
	var list []Spec
	for _, s := range specs {
		list = append(list, spec(t, s))
	}
	r := New(list, o)
	ch := make(chan report, 100)
	r.Start(t.Context(), reports(ch))
	t.Cleanup(r.Close)
	return c, ch, r
}

func expect(t testing.TB, ch <-chan report, want report) {
	t.Helper()
	select {
	case got := <-ch:
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("no report, want %+v", want)
	}
}

func TestLiterals(t *testing.T) {
	_, ch, _ := start(t, Options{}, nil, "http://10.0.0.1:8080", "https://[2001:db8::1]", "unix:///run/a.sock", "h2c://10.0.0.2")
	if len(ch) != 1 {
		t.Fatalf("%d reports before Start returned", len(ch))
	}
	expect(t, ch, report{Endpoints: []Endpoint{
		{"http", "10.0.0.1:8080", "10.0.0.1", 1, 0},
		{"https", "[2001:db8::1]:443", "2001:db8::1", 1, 0},
		{"http", "unix:/run/a.sock", "localhost", 1, 0},
		{"h2c", "10.0.0.2:80", "10.0.0.2", 1, 0},
	}})
}

func TestRecordsAndTTL(t *testing.T) {
	z := newZone(t,
		"orders.example. 40 IN CNAME lb.example.",
		"lb.example. 20 IN A 10.0.0.2", "lb.example. 30 IN A 10.0.0.1",
		"lb.example. 25 IN AAAA 2001:db8::1", "lb.example. 25 IN AAAA 2001:db8::dead", // to the last there is no way
		"other.example. 1 IN A 10.9.9.9")
	c, ch, _ := start(t, Options{}, z, "http://orders.example:8080", "http://10.0.0.9:1")
	if len(ch) != 1 {
		t.Fatalf("%d reports before Start returned", len(ch))
	}
	fixed := Endpoint{"http", "10.0.0.9:1", "10.0.0.9", 1, 0}
	expect(t, ch, report{Endpoints: append(plain("orders.example", "10.0.0.1:8080", "10.0.0.2:8080", "[2001:db8::1]:8080"), fixed)})

	if got := c.next(); got != 20*time.Second {
		t.Errorf("looked up again after %v, want the least TTL", got)
	}
	// Nothing has changed: no report.
	if got := c.next(func() { z.set("orders.example. 0 IN A 10.0.0.3") }); got != 20*time.Second {
		t.Errorf("got %v", got)
	}
	expect(t, ch, report{Endpoints: append(plain("orders.example", "10.0.0.3:8080"), fixed)})
	if got := c.next(func() { z.set("orders.example. 99999 IN A 10.0.0.3") }); got != time.Second {
		t.Errorf("a TTL of 0 gives %v, want MinTTL", got)
	}
	if got := c.next(); got != 5*time.Minute {
		t.Errorf("a TTL of a day gives %v, want MaxTTL", got)
	}
	if len(ch) != 0 {
		t.Errorf("reported without a change: %+v", <-ch)
	}
}

func TestServerDiesAndReturns(t *testing.T) {
	z := newZone(t, "orders.example. 60 IN A 10.0.0.1")
	c, ch, _ := start(t, Options{Timeout: 300 * time.Millisecond}, z, "http://orders.example:80")
	good := plain("orders.example", "10.0.0.1:80")
	expect(t, ch, report{Endpoints: good})

	c.next(z.stop)
	expect(t, ch, report{Endpoints: good, Err: "failed"})
	for i, want := range []time.Duration{1, 2, 4} {
		if got := c.next(); got != want*time.Second {
			t.Errorf("failure %d: looked up again after %v", i+1, got)
		}
	}
	w := <-c.waits // so that no look-up is under way
	if len(ch) != 0 {
		t.Errorf("the same failure was reported again: %+v", <-ch)
	}
	z.start(z.address)
	z.set("orders.example. 60 IN A 10.0.0.2")
	w.end <- time.Time{}
	expect(t, ch, report{Endpoints: plain("orders.example", "10.0.0.2:80")})
	if got := c.next(); got != time.Minute {
		t.Errorf("then %v", got)
	}
}

func TestNotFoundAndFailed(t *testing.T) {
	z := newZone(t, "empty.example. 60 IN TXT x")
	for name, want := range map[string]report{"http://missing.example": {Err: "not found"}, "http://empty.example": {Err: "not found"}} {
		c, ch, _ := start(t, Options{}, z, name)
		expect(t, ch, want)
		if got := c.next(); got != 7*time.Second {
			t.Errorf("%s: looked up again after %v, want the zone's negative TTL", name, got)
		}
	}
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused} {
		z.with(func() { z.rcode = rcode })
		c, ch, _ := start(t, Options{}, z, "http://orders.example")
		expect(t, ch, report{Err: "failed"})
		if got := c.next(); got != time.Second {
			t.Errorf("looked up again after %v", got)
		}
	}
}

// A name that is gone keeps its last endpoints too; the error says that it is gone.
func TestNameVanishes(t *testing.T) {
	z := newZone(t, "orders.example. 60 IN A 10.0.0.1")
	c, ch, _ := start(t, Options{}, z, "http://orders.example")
	good := plain("orders.example", "10.0.0.1:80")
	expect(t, ch, report{Endpoints: good})
	c.next(func() { z.set() })
	expect(t, ch, report{Endpoints: good, Err: "not found"})
	c.next(func() { z.with(func() { z.rcode = dns.RcodeServerFailure }) })
	expect(t, ch, report{Endpoints: good, Err: "failed"})
}

func TestOneFamilyFails(t *testing.T) {
	z := newZone(t, "orders.example. 60 IN AAAA 2001:db8::1")
	_, ch, _ := start(t, Options{}, z, "http://orders.example")
	expect(t, ch, report{Endpoints: plain("orders.example", "[2001:db8::1]:80")})
}

func TestSilentServer(t *testing.T) {
	z := newZone(t)
	z.with(func() { z.silent = true })
	began := time.Now()
	_, ch, _ := start(t, Options{Timeout: 300 * time.Millisecond}, z, "http://10.0.0.1", "http://orders.example")
	expect(t, ch, report{Endpoints: plain("10.0.0.1", "10.0.0.1:80"), Err: "failed"})
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("Start took %v", d)
	}
}

func TestNextServer(t *testing.T) {
	dead, failing := newZone(t), newZone(t)
	dead.stop()
	failing.with(func() { failing.rcode = dns.RcodeServerFailure })
	z := newZone(t, "orders.example. 60 IN A 10.0.0.1")
	_, ch, _ := start(t, Options{Servers: []string{dead.address, failing.address, z.address}}, nil, "http://orders.example")
	expect(t, ch, report{Endpoints: plain("orders.example", "10.0.0.1:80")})
}

func TestTruncated(t *testing.T) {
	z := newZone(t, "orders.example. 60 IN A 10.0.0.1")
	z.with(func() { z.truncate = true })
	_, ch, _ := start(t, Options{}, z, "http://orders.example")
	expect(t, ch, report{Endpoints: plain("orders.example", "10.0.0.1:80")})
}

func TestSRV(t *testing.T) {
	z := newZone(t,
		"_http._tcp.orders.example. 60 IN SRV 10 0 8082 b.example.",
		"_http._tcp.orders.example. 60 IN SRV 5 70 8080 a.example.",
		"_http._tcp.orders.example. 60 IN SRV 5 30 8081 a.example.",
		"a.example. 30 IN A 10.0.0.1",
		"b.example. 15 IN A 10.0.0.2", "b.example. 15 IN A 10.0.0.3")
	c, ch, _ := start(t, Options{}, z, "https+srv://_http._tcp.orders.example")
	all := []Endpoint{
		{"https", "10.0.0.1:8080", "a.example", 70, 5},
		{"https", "10.0.0.1:8081", "a.example", 30, 5},
		{"https", "10.0.0.2:8082", "b.example", 1, 10},
		{"https", "10.0.0.3:8082", "b.example", 1, 10},
	}
	expect(t, ch, report{Endpoints: all})
	// A target that cannot be had is a failure, which keeps what was.
	got := c.next(func() {
		z.set("_http._tcp.orders.example. 60 IN SRV 5 70 8080 a.example.", "_http._tcp.orders.example. 60 IN SRV 5 70 8080 c.example.",
			"a.example. 30 IN A 10.0.0.1")
	})
	if got != 15*time.Second {
		t.Errorf("looked up again after %v", got)
	}
	expect(t, ch, report{Endpoints: all, Err: "not found"})
	c.next(func() {
		z.set("_http._tcp.orders.example. 60 IN SRV 0 0 0 .")
		z.with(func() { z.queries = nil })
	})
	c.next()
	z.with(func() {
		for _, q := range z.queries {
			if !strings.HasPrefix(q, "SRV ") {
				t.Errorf("asked for %s", q)
			}
		}
	})
}

func TestSRVFirstPart(t *testing.T) {
	z := newZone(t, "_a._tcp.x. 60 IN SRV 5 1 8080 a.example.", "_a._tcp.x. 60 IN SRV 5 1 8080 c.example.", "a.example. 30 IN A 10.0.0.1")
	_, ch, _ := start(t, Options{}, z, "dns+srv://_a._tcp.x")
	expect(t, ch, report{Endpoints: []Endpoint{{"http", "10.0.0.1:8080", "a.example", 1, 5}}, Err: "not found"}) // better than nothing
}

func TestSearchDomainsAndHosts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	z := newZone(t, "orders.ns.svc. 60 IN A 10.0.0.1", "a.b.svc. 60 IN A 10.0.0.2", "a.b. 60 IN A 10.0.0.3", "both.ns. 60 IN A 10.0.0.4")
	o := Options{
		resolvConf: write("resolv.conf", "search ns.svc svc\noptions ndots:2\n"),
		hostsFile: write("hosts", "# comment\n127.0.0.1 localhost\n::1 localhost\n10.1.1.1 Db db.example # the database\n10.1.1.2 db\n"+
			"127.0.0.1 only4\nnonsense\n"),
	}
	for name, want := range map[string][]Endpoint{
		"http://orders":      plain("orders", "10.0.0.1:80"),
		"http://a.b":         plain("a.b", "10.0.0.2:80"), // one dot is less than two: the search domains go first
		"http://a.b.":        plain("a.b", "10.0.0.3:80"),
		"http://DB:1":        plain("DB", "10.1.1.1:1", "10.1.1.2:1"),
		"http://localhost:1": plain("localhost", "localhost:1"), // one server, of whichever family
		"http://x.localhost": plain("x.localhost", "localhost:80"),
		"http://only4":       plain("only4", "127.0.0.1:80"),
	} {
		_, ch, _ := start(t, o, z, name)
		t.Log(name)
		expect(t, ch, report{Endpoints: want})
	}
}

func TestNoConfiguration(t *testing.T) {
	_, ch, _ := start(t, Options{Timeout: 300 * time.Millisecond}, nil, "http://nowhere.invalid")
	if got := <-ch; got.Err == "" || got.Endpoints != nil {
		t.Errorf("got %+v", got)
	}
}

func TestCloseEnds(t *testing.T) {
	z := newZone(t, "orders.example. 60 IN A 10.0.0.1")
	z.with(func() { z.silent = true })
	var calls atomic.Int32
	r := New([]Spec{spec(t, "http://orders.example")}, Options{Servers: []string{z.address}, Timeout: time.Minute, hostsFile: "/nowhere"})
	started := make(chan struct{})
	go func() {
		r.Start(t.Context(), func([]Endpoint, error) { calls.Add(1) })
		close(started)
	}()
	for {
		var asked bool
		if z.with(func() { asked = len(z.queries) > 0 }); asked {
			break
		}
		time.Sleep(time.Millisecond)
	}
	r.Close()
	<-started
	if calls.Load() != 0 {
		t.Errorf("%d calls after Close", calls.Load())
	}
}
