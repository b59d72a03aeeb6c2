package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Set under test, with all that it says.
type rig struct {
	*Set
	t       *testing.T
	metrics *observe.Metrics
	log     *logged
	dir     string
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRig makes a set whose handler answers with what it sees.
func newRig(t *testing.T, handler func(*Edge) http.Handler) *rig {
	t.Helper()
	r := &rig{t: t, metrics: observe.NewMetrics(), log: &logged{}, dir: t.TempDir()}
	if handler == nil {
		handler = echo
	}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.Set = New(Options{Handler: handler, Log: log, Metrics: r.metrics})
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// echo answers with protocol, client, scheme and the listener's name.
func echo(e *Edge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := e.Forward.Apply(r, nil)
		fmt.Fprintf(w, "%s %v %s %s %s", r.Proto, c.Client, c.Scheme, c.Host, e.Name)
	})
}

// listeners decodes a configuration of listeners.
func listeners(t testing.TB, text string) []config.Listener {
	t.Helper()
	root, err := config.ParseTree("test.yaml", []byte("listen: "+text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Listen []config.Listener `yaml:"listen"`
	}
	if err := root.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c.Listen
}

// apply applies a configuration that must be right, and returns the addresses.
func (r *rig) apply(text string) []string {
	r.t.Helper()
	if err := r.Apply(r.t.Context(), listeners(r.t, text), r.dir); err != nil {
		r.t.Fatal(err)
	}
	var addrs []string
	for _, a := range r.Addrs() {
		addrs = append(addrs, a.Actual)
	}
	return addrs
}

// metric returns the lines of a metric.
func (r *rig) metric(name string) string {
	w := &recorder{header: http.Header{}}
	r.metrics.Handler().ServeHTTP(w, &http.Request{Method: "GET", Header: http.Header{}})
	var lines []string
	for line := range strings.Lines(w.String()) {
		if strings.HasPrefix(line, "cardea_"+name) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

type recorder struct {
	bytes.Buffer
	header http.Header
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to: %s", what)
		}
	}
}

// client makes an HTTP client with connections of its own.
func client(t *testing.T, roots *x509.CertPool, protocols ...string) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: &http.Protocols{}}
	for _, p := range protocols {
		switch p {
		case "http1":
			tr.Protocols.SetHTTP1(true)
		case "http2":
			tr.Protocols.SetHTTP2(true)
		case "h2c":
			tr.Protocols.SetUnencryptedHTTP2(true)
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func get(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// dial opens a connection that ends with the test.
func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// ask sends a request over a connection and returns the body of the answer, or why there is none.
func ask(c net.Conn, head string) string {
	if _, err := io.WriteString(c, head); err != nil {
		return "write: " + err.Error()
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "closed"
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// authority makes certificates.
type authority struct {
	t     testing.TB
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	roots *x509.CertPool
	count int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, roots: x509.NewCertPool(), count: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(a.cert)
	return a
}

// issue makes a certificate and its key, as PEM. The serial number counts up.
func (a *authority) issue(useRSA bool, names ...string) (cert, key []byte) {
	a.t.Helper()
	a.count++
	var private any
	var public any
	if useRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			a.t.Fatal(err)
		}
		private, public = k, &k.PublicKey
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			a.t.Fatal(err)
		}
		private, public = k, &k.PublicKey
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.count), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Unix(4102444800, 0),
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// pair writes a certificate and its key to NAME.pem and NAME.key.
func (a *authority) pair(dir, name string, useRSA bool, names ...string) {
	cert, key := a.issue(useRSA, names...)
	write(a.t, filepath.Join(dir, name+".key"), key)
	write(a.t, filepath.Join(dir, name+".pem"), cert)
}

func write(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// within makes a context that ends.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
