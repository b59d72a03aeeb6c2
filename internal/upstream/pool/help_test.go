package pool

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, o Options) *Pool {
	t.Helper()
	p := New(o)
	t.Cleanup(func() { p.Close() })
	return p
}

// serve starts a server of net/http that speaks HTTP/1.1 and unencrypted HTTP/2, or TLS with both.
func serve(t testing.TB, secure bool, h http.Handler) (Target, *httptest.Server) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	to := Target{Scheme: "http"}
	if secure {
		s.EnableHTTP2 = true
		to.Scheme, to.ServerName = "https", "example.com"
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	to.Address = s.Listener.Addr().String()
	return to, s
}

// script starts a server that handles raw connections, numbered from 0.
func script(t testing.TB, handle func(n int, c net.Conn, r *bufio.Reader)) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(n, c, bufio.NewReader(c))
			}()
		}
	}()
	return Target{Scheme: "http", Address: l.Addr().String()}
}

// once is a script of one request and one raw answer, after which the connection is closed.
func once(answer string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, r *bufio.Reader) {
		readRequest(r)
		io.WriteString(c, answer)
	}
}

func readRequest(r *bufio.Reader) *http.Request {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil
	}
	io.Copy(io.Discard, req.Body)
	return req
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func request(method, target string, body io.Reader) *http.Request {
	req := httptest.NewRequest(method, target, body)
	req.GetBody = nil
	req.RemoteAddr = ""
	return req
}

// fetch makes a round trip and reads the answer.
func fetch(t testing.TB, p *Pool, to Target, req *http.Request) (*http.Response, string, *Info) {
	t.Helper()
	info := &Info{}
	resp, err := p.RoundTrip(t.Context(), req, to, info)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body), info
}

func get(t testing.TB, p *Pool, to Target) string {
	t.Helper()
	_, body, _ := fetch(t, p, to, request("GET", "/", nil))
	return body
}

// asError takes an error apart for comparison: its Err is left out.
func asError(t testing.TB, err error) Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want *Error", err, err)
	}
	t.Log(e)
	flat := *e
	flat.Err, flat.Address = nil, ""
	return flat
}

// eventually waits for what another goroutine will do soon.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within 20 seconds", what)
}

// certificate makes a server's certificate for names and the roots that trust it.
func certificate(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}

func cancelWith(t testing.TB) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}

// never is a body that never comes until it is closed.
type never struct {
	done  chan struct{}
	read  chan struct{} // closed when it is first read
	first sync.Once
}

func newNever(t testing.TB) *never {
	n := &never{done: make(chan struct{}), read: make(chan struct{})}
	t.Cleanup(func() { close(n.done) })
	return n
}

func (n *never) Read([]byte) (int, error) {
	n.first.Do(func() { close(n.read) })
	<-n.done
	return 0, io.ErrClosedPipe
}
