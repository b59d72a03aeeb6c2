package gatewaytest_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

// shown answers with the name on the certificate that the client showed.
func shown() filter.Kind {
	type config struct{}
	return filter.Define("shown", filter.Guard, func(*filter.Env, *config) (*filter.Filter, error) {
		return &filter.Filter{Request: func(ex *filter.Exchange) error {
			name := "nobody"
			if state := ex.Request.TLS; state != nil && len(state.PeerCertificates) > 0 {
				name = state.PeerCertificates[0].Subject.CommonName
			}
			return &filter.Error{Code: "seen", Status: 403, Detail: fmt.Sprintf("%s %s.", ex.Request.Proto, name)}
		}}, nil
	})
}

// selfSigned makes a certificate that nobody vouches for.
func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// inFile writes a certificate with its key to a file.
func inFile(t *testing.T, c tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// seen says what the gateway saw of a client, and whether its session was resumed.
func seen(t *testing.T, addr string, config *tls.Config) string {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, config)
	if err != nil {
		return "no connection"
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		return "no connection"
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "no connection"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return detail(string(body)) + map[bool]string{true: " resumed", false: ""}[conn.ConnectionState().DidResume]
}

// detail is what the policy said.
func detail(body string) string {
	_, after, _ := strings.Cut(body, `"detail":"`)
	said, _, _ := strings.Cut(after, `."`)
	return said
}

func TestClientCertificatesReachFilters(t *testing.T) {
	server, alice := inFile(t, selfSigned(t, "server")), selfSigned(t, "alice")
	start := func(asked string) (*gatewaytest.Gateway, string) {
		g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", tls: {cert: `+server+`, client_certificate: `+asked+`}}
shown: {}
routes: [{match: /**, respond: x}]`, shown())
		return g, strings.TrimPrefix(g.URL, "https://")
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for asked, want := range map[string][]string{ // of alice, of alice again in the same session, and of nobody, twice
			"off":      {"HTTP/1.1 nobody", "HTTP/1.1 nobody resumed", "HTTP/1.1 nobody", "HTTP/1.1 nobody resumed"},
			"optional": {"HTTP/1.1 alice", "HTTP/1.1 alice resumed", "HTTP/1.1 nobody", "HTTP/1.1 nobody resumed"},
			"required": {"HTTP/1.1 alice", "HTTP/1.1 alice resumed", "no connection", "no connection"},
		} {
			_, addr := start(asked)
			var got []string
			for _, certs := range [][]tls.Certificate{{alice}, nil} {
				config := &tls.Config{
					InsecureSkipVerify: true, Certificates: certs, MaxVersion: version, ServerName: "server",
					ClientSessionCache: tls.NewLRUClientSessionCache(1),
				}
				got = append(got, seen(t, addr, config), seen(t, addr, config))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: (-want +got)\n%s", tls.VersionName(version), asked, diff)
			}
		}
	}
}

func TestClientCertificatesOverHTTP2(t *testing.T) {
	server, alice := inFile(t, selfSigned(t, "server")), selfSigned(t, "alice")
	g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", tls: {cert: `+server+`, client_certificate: required}}
shown: {}
routes: [{match: /**, respond: x}]`, shown())
	var resumed []bool
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{alice}, ServerName: "server", ClientSessionCache: tls.NewLRUClientSessionCache(1),
		VerifyConnection: func(s tls.ConnectionState) error { resumed = append(resumed, s.DidResume); return nil },
	}}
	g.Client.CloseIdleConnections()
	g.Client.Transport = tr
	for range 2 {
		_, body := g.Get("/")
		if got := detail(body); got != "HTTP/2.0 alice" {
			t.Errorf("got %q in %s", got, body)
		}
		tr.CloseIdleConnections()
	}
	if diff := cmp.Diff([]bool{false, true}, resumed); diff != "" {
		t.Error(diff)
	}
}

// TestClientCertificatesAfterReload has a listener ask for certificates that did not: sessions from before must not pass by it.
func TestClientCertificatesAfterReload(t *testing.T) {
	server := inFile(t, selfSigned(t, "server"))
	text := func(asked string) string {
		return `
listen: {name: l, address: "127.0.0.1:0", tls: {cert: ` + server + `, client_certificate: ` + asked + `}}
shown: {}
routes: [{match: /**, respond: x}]`
	}
	g := gatewaytest.New(t, text("off"), shown())
	addr := strings.TrimPrefix(g.URL, "https://")
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "server", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	got := []string{seen(t, addr, config)}
	for _, asked := range []string{"optional", "required"} {
		if err := g.SetConfig(text(asked)); err != nil {
			t.Fatal(err)
		}
		got = append(got, seen(t, addr, config))
	}
	if diff := cmp.Diff([]string{"HTTP/1.1 nobody", "HTTP/1.1 nobody", "no connection"}, got); diff != "" {
		t.Error(diff)
	}
}
