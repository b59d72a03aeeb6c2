package upstream

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// nameServer is a DNS server for tests.
type nameServer struct {
	mu      sync.Mutex
	records map[string][]string // by "A name." and the like
	address string
}

// newNameServer starts a name server.
func newNameServer(t *testing.T) *nameServer {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{records: map[string][]string{}, address: conn.LocalAddr().String()}
	srv := &dns.Server{PacketConn: conn, Handler: n}
	go func() { _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { _ = srv.Shutdown() })
	return n
}

// set changes the records of a name. Each has a time to live of one second.
func (n *nameServer) set(question string, records ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records[question] = records
}

// ServeDNS answers a query.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	kind := dns.TypeToString[q.Question[0].Qtype]
	records := n.records[kind+" "+q.Question[0].Name]
	if len(records) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	for _, r := range records {
		rr, err := dns.NewRR(q.Question[0].Name + " 1 IN " + kind + " " + r)
		if err == nil {
			m.Answer = append(m.Answer, rr)
		}
	}
	_ = w.WriteMsg(m)
}

func TestNamesAreLookedUp(t *testing.T) {
	ns := newNameServer(t)
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	_, port, _ := net.SplitHostPort(b.address())
	ns.set("A orders.test.", "127.0.0.1")
	c := newCluster(t, func(u *config.Upstream) {
		u.DNS.Servers, u.DNS.MinTTL, u.Host = []string{ns.address}, config.Duration(10*time.Millisecond), "rewrite"
	}, "http://orders.test.:"+port)
	if got, want := do(c, get()), (result{200, "orders.test:" + port, "", 1}); got != want {
		t.Errorf("right after the start: %+v, want %+v", got, want)
	}
	ns.set("A orders.test.", "127.0.0.1", "127.0.0.2")
	waitFor(t, func() bool { return len(c.Status().Endpoints) == 2 })
	if s := c.Status().Endpoints[0]; s.Address != "127.0.0.1:"+port || s.Name != "orders.test:"+port {
		t.Errorf("%+v", s)
	}
	ns.set("A orders.test.", "127.0.0.1")
	waitFor(t, func() bool { return len(c.Status().Endpoints) == 1 })
	ns.set("A orders.test.") // what was found is kept
	waitFor(t, func() bool { return c.Status().Problem != "" })
	if got := do(c, get()); got.Status != 200 {
		t.Errorf("when the name is gone: %+v", got)
	}
}

func TestNameThatIsNot(t *testing.T) {
	ns := newNameServer(t)
	c := newCluster(t, func(u *config.Upstream) { u.DNS.Servers = []string{ns.address} }, "http://nothing.test.")
	ex := &filter.Exchange{Request: get()}
	_, err := c.Do(ex, ex.Request)
	if e := filter.AsError(err); e.Code != filter.UpstreamNotResolved || !strings.Contains(err.Error(), "nothing.test") {
		t.Errorf("%v", err)
	}
	if text := c.Explain(ex); !strings.Contains(text, "no endpoint is known") {
		t.Errorf("explain says: %s", text)
	}
}

// Requests wait for the first look-up; a client that leaves does not.
func TestRequestsWaitForTheFirstLookUp(t *testing.T) {
	c, err := New("x", settings(nil, "http://orders.test."), Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if got := do(c, get().WithContext(ctx)); got.Code != filter.UpstreamTimeout || got.Tries != 0 {
		t.Errorf("%+v", got)
	}
}

func TestServiceRecords(t *testing.T) {
	ns := newNameServer(t)
	first, second := newBackend(t, says(200, "first")), newBackend(t, says(200, "second"))
	srv := func(priority, weight int, b *backend) string {
		_, port, _ := net.SplitHostPort(b.address())
		return fmt.Sprintf("%d %d %s host.test.", priority, weight, port)
	}
	ns.set("A host.test.", "127.0.0.1")
	ns.set("SRV _http._tcp.orders.test.", srv(10, 5, first), srv(20, 1, second))
	c := newCluster(t, func(u *config.Upstream) { u.DNS.Servers = []string{ns.address} }, "dns+srv://_http._tcp.orders.test.")
	for range 5 {
		if got := do(c, get()); got.Body != "first" {
			t.Errorf("%+v", got)
		}
	}
	c.setSick(first.address(), true)
	if got := do(c, get()); got.Body != "second" {
		t.Errorf("with the first sick: %+v", got)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.TLS.ServerName)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	trusted := func(change func(*config.UpstreamTLS)) func(*config.Upstream) {
		return func(u *config.Upstream) {
			u.TLS.CA, u.TLS.ServerName = filepath.Base(ca), "example.com"
			change(&u.TLS)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*config.Upstream)
		want   result
	}{
		{"not trusted", nil, result{Code: filter.UpstreamTLSFailed, Tries: 3}},
		{"trusted", trusted(func(*config.UpstreamTLS) {}), result{200, "HTTP/2.0 example.com", "", 1}},
		{"another name", trusted(func(c *config.UpstreamTLS) { c.ServerName = "other.net" }), result{Code: filter.UpstreamTLSFailed, Tries: 3}},
		{"not asked", func(u *config.Upstream) { u.TLS.InsecureSkipVerify, u.Protocol = true, "http1" }, result{200, "HTTP/1.1 ", "", 1}},
	} {
		cl, err := New("x", settings(c.change, srv.URL), Env{Dir: filepath.Dir(ca)})
		if err != nil {
			t.Fatal(err)
		}
		if got := do(cl, get()); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		cl.Close()
	}
	for _, bad := range []config.UpstreamTLS{{CA: "nothing.pem"}, {Cert: "nothing.pem", Key: "nothing.pem"}} {
		if _, err := New("x", settings(func(u *config.Upstream) { u.TLS = bad }, srv.URL), Env{Dir: filepath.Dir(ca)}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
