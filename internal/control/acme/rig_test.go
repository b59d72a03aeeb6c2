package acme_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control"
	"cardea.dev/cardea/internal/redis/redistest"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5", "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	goleak.VerifyTestMain(m, append(redistest.Ending(), goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))...)
}

// world is the Internet of a test: an authority (Pebble, Let's Encrypt's own for tests), the names that it looks up, and ports 80
// and 443, which lead to gateways.
type world struct {
	t       *testing.T
	db      *db.MemoryStore
	server  *httptest.Server
	root    string // PEM file that the authority's server is trusted by
	orders  atomic.Int64
	down    atomic.Bool
	face    atomic.Pointer[http.Handler]
	dns     string // where the authority looks names up
	records string // file of DNS records: "name value" lines
	http    *front
	https   *front
}

type worldOptions struct {
	validity uint64 // seconds
	eab      bool
	profile  string // the name of its only sort of certificates; "": "default"
}

func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, root: filepath.Join(dir, "ca.pem"), records: filepath.Join(dir, "records"), http: newFront(t), https: newFront(t)}
	w.dns = w.nameserver()
	w.found(o)
	quiet := log.New(io.Discard, "", 0)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.down.Load() {
			panic(http.ErrAbortHandler)
		}
		answer := &status{ResponseWriter: rw}
		(*w.face.Load()).ServeHTTP(answer, r)
		if r.URL.Path == "/order-plz" && answer.code == http.StatusCreated { // Pebble rejects one nonce in twenty, as authorities may
			w.orders.Add(1)
		}
	}))
	w.server.Config.ErrorLog = quiet
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	if err := os.WriteFile(w.root, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// found makes the authority, or makes it anew: it has forgotten all accounts then.
func (w *world) found(o worldOptions) {
	if o.validity == 0 {
		o.validity = 90 * 24 * 3600
	}
	quiet := log.New(io.Discard, "", 0)
	w.db = db.NewMemoryStore()
	authority := ca.New(quiet, w.db, "", "ecdsa", 0, 1, map[string]ca.Profile{cmp.Or(o.profile, "default"): {ValidityPeriod: o.validity}})
	validation := va.New(quiet, w.http.port(), w.https.port(), false, w.dns, w.db)
	face := wfe.New(quiet, w.db, validation, authority, nil, false, o.eab, 0, 0)
	handler := face.Handler()
	w.face.Store(&handler)
}

// status remembers the status of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// nameserver has every name at 127.0.0.1, and the TXT records that are in a file.
func (w *world) nameserver() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET}
		switch q.Question[0].Qtype {
		case dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)}}
		case dns.TypeTXT:
			text, _ := os.ReadFile(w.records)
			for line := range strings.Lines(string(text)) {
				if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); dns.Fqdn(name) == q.Question[0].Name {
					m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{value}})
				}
			}
		}
		_ = rw.WriteMsg(m)
	})}
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() { _ = s.ActivateAndServe() }() // ends with the test
	<-started
	w.t.Cleanup(func() { _ = s.Shutdown() })
	return l.Addr().String()
}

// front is a port that the authority asks at, in front of gateways. Connections wait until there is one, and take turns.
type front struct {
	l    net.Listener
	mu   sync.Mutex
	more *sync.Cond
	to   []string
	next int
	end  bool
	work sync.WaitGroup
}

func newFront(t *testing.T) *front {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{l: l}
	f.more = sync.NewCond(&f.mu)
	f.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.work.Go(func() { f.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		f.end = true
		f.mu.Unlock()
		f.more.Broadcast()
		f.work.Wait()
	})
	return f
}

func (f *front) port() int { return f.l.Addr().(*net.TCPAddr).Port }

// lead sets where connections go.
func (f *front) lead(to ...string) {
	f.mu.Lock()
	f.to = to
	f.mu.Unlock()
	f.more.Broadcast()
}

func (f *front) pass(c net.Conn) {
	defer c.Close()
	f.mu.Lock()
	for len(f.to) == 0 && !f.end {
		f.more.Wait()
	}
	if f.end {
		f.mu.Unlock()
		return
	}
	to := f.to[f.next%len(f.to)]
	f.next++
	f.mu.Unlock()
	up, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer up.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_ = up.SetDeadline(time.Now().Add(10 * time.Second))
	done := make(chan struct{})
	go func() { // ends with its connections
		defer close(done)
		_, _ = io.Copy(up, c)
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, up)
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetDeadline(time.Now())
	<-done
}

// gateway is a gateway with a listener for http and one for https.
type gateway struct {
	*control.Gateway
	w     *world
	log   *logged
	plain string
	tls   string
	text  atomic.Value
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// acme is the `acme` of a configuration that asks the world's authority; more keys may follow.
func (w *world) acme(domains, storage string, more ...string) string {
	return fmt.Sprintf("{domains: %s, ca: %q, ca_root: %q, storage: %q%s}", domains, w.server.URL+"/dir", w.root, storage, strings.Join(append([]string{""}, more...), ", "))
}

func whole(acme string) string {
	return `
listen:
  - {name: plain, address: "127.0.0.1:0"}
  - {name: tls, address: "127.0.0.1:0", tls: {strict_sni: true, client_certificate: required, acme: ` + acme + `}}
admin: off
log: off
routes:
  - {match: /**, respond: "from the route"}
  - {match: "routed.example/x", respond: y}
  - {match: {host: ["*.wild.example", localhost, 192.0.2.1]}, routes: [{match: "inner.example/**", respond: z}]}
`
}

// gateway starts a gateway. Retry is the pause after a failure.
func (w *world) gateway(retry time.Duration, text string) *gateway {
	w.t.Helper()
	g := &gateway{w: w, log: &logged{}}
	g.text.Store(text)
	g.Gateway = control.New(control.Options{
		Load: func() (*config.Config, error) {
			return config.Parse("cardea.yaml", []byte(g.text.Load().(string)), config.Options{})
		},
		Dir: w.t.TempDir(), Kinds: compile.Builtin(), Version: "test", Retry: retry,
		Log: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	w.t.Cleanup(func() {
		g.Close()
		if w.t.Failed() {
			w.t.Logf("log:\n%s", g.log)
		}
	})
	if _, err := g.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	for _, a := range g.Listen.Addrs() {
		switch a.Name {
		case "plain":
			g.plain = a.Actual
		case "tls":
			g.tls = a.Actual
		}
	}
	return g
}

// reach leads the world's ports to gateways.
func (w *world) reach(gateways ...*gateway) {
	var plain, secure []string
	for _, g := range gateways {
		plain, secure = append(plain, g.plain), append(secure, g.tls)
	}
	w.http.lead(plain...)
	w.https.lead(secure...)
}

// reload applies another configuration.
func (g *gateway) reload(text string) {
	g.w.t.Helper()
	g.text.Store(text)
	if _, err := g.Reload(context.Background(), "test"); err != nil {
		g.w.t.Fatal(err)
	}
}

// serial is the serial number of the certificate that a gateway has for a name, or "" where it refuses the name.
func (g *gateway) serial(name string) string {
	g.w.t.Helper()
	var serial string
	raw, err := net.DialTimeout("tcp", g.tls, 5*time.Second)
	if err != nil {
		g.w.t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	c := tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		leaf := s.PeerCertificates[0]
		if err := leaf.VerifyHostname(name); err != nil || !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
			g.w.t.Errorf("%s: got a certificate for %v by %s", name, leaf.DNSNames, leaf.Issuer.CommonName)
		}
		serial = leaf.SerialNumber.String()
		return nil
	}})
	_ = c.Handshake()
	return serial
}

// gets waits until a gateway has a certificate for a name other than one, and returns its serial number.
func (g *gateway) gets(name, other string) string {
	g.w.t.Helper()
	var serial string
	eventually(g.w.t, "a certificate for "+name, func() bool {
		serial = g.serial(name)
		return serial != "" && serial != other
	})
	return serial
}

// metric returns the value of a metric.
func (g *gateway) metric(name string) string {
	w := httptest.NewRecorder()
	g.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, "cardea_"+name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("it never came to: %s", what)
		}
	}
}
