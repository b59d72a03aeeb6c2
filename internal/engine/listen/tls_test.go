package listen

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served asks a listener for a name, and returns the serial number of the certificate that it gets, or why it gets none.
func served(t *testing.T, addr string, c *tls.Config) string {
	t.Helper()
	c.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestCertificateBySNI(t *testing.T) {
	r := newRig(t, nil)
	ca := newAuthority(t) // serial numbers count up from 2
	ca.pair(r.dir, "first", false, "a.example", "www.a.example")
	ca.pair(r.dir, "wild", false, "*.a.example")
	ca.pair(r.dir, "rsa", true, "a.example", "B.example")
	certs := `[{cert: first.pem, key: first.key}, {cert: wild.pem, key: wild.key}, {cert: rsa.pem, key: rsa.key}]`
	addrs := r.apply(`
- {name: lax, address: "127.0.0.1:0", tls: {certificates: ` + certs + `}}
- {name: strict, address: "127.0.0.1:0", tls: {strict_sni: true, certificates: ` + certs + `}}
- {name: modern, address: "127.0.0.1:0", tls: {policy: modern, certificates: ` + certs + `}}
`)
	onlyRSA := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	cbc := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	const unknown, failed, version = "remote error: tls: unrecognized name", "remote error: tls: handshake failure", "remote error: tls: protocol version not supported"
	for _, c := range []struct {
		listener int
		config   *tls.Config
		want     string
	}{
		{0, &tls.Config{ServerName: "a.example"}, "2"},
		{0, &tls.Config{ServerName: "WWW.A.Example"}, "2"},
		{0, &tls.Config{ServerName: "x.a.example"}, "3"},
		{0, &tls.Config{ServerName: "x.y.a.example"}, "2"},
		{0, &tls.Config{ServerName: "b.example"}, "4"},
		{0, &tls.Config{ServerName: "other.example"}, "2"},
		{0, &tls.Config{ServerName: ""}, "2"},
		{0, &tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, "4"},
		{0, &tls.Config{ServerName: "", MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, "4"},
		{0, &tls.Config{ServerName: "x.a.example", MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, failed},
		{0, &tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12, CipherSuites: cbc}, failed},
		{0, &tls.Config{ServerName: "a.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, version},
		{1, &tls.Config{ServerName: "a.example"}, "2"},
		{1, &tls.Config{ServerName: "other.example"}, unknown},
		{1, &tls.Config{ServerName: ""}, unknown},
		{2, &tls.Config{ServerName: "a.example"}, "2"},
		{2, &tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12}, version},
	} {
		if got := served(t, addrs[c.listener], c.config); got != c.want {
			t.Errorf("%d %q: got %s, want %s", c.listener, c.config.ServerName, got, c.want)
		}
	}
	eventually(t, "failed handshakes are counted", func() bool {
		return r.metric(`listener_tls_handshake_failures_total{listener="strict"}`) == `cardea_listener_tls_handshake_failures_total{listener="strict"} 2`
	})
	want := `cardea_tls_certificate_expiry_timestamp_seconds{certificate="first.pem",listener="lax"} 4.1024448e+09`
	if got := r.metric(`tls_certificate_expiry_timestamp_seconds{certificate="first.pem",listener="lax"`); got != want {
		t.Error(got)
	}
	r.apply(`{name: lax, address: "127.0.0.1:0"}`)
	eventually(t, "no certificates", func() bool { return r.metric("tls_certificate_expiry") == "" })
}

func TestPlainRequestToTLS(t *testing.T) {
	r := newRig(t, nil)
	newAuthority(t).pair(r.dir, "a", false, "a.example")
	addr := r.apply(`{address: "127.0.0.1:0", tls: {cert: a.pem, key: a.key}}`)[0]
	if got := ask(dial(t, "tcp", addr), "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.Contains(got, "This port speaks https.") {
		t.Error(got)
	}
}

// TestCertificatesFollowTheirFiles changes certificates as editors, certbot and Kubernetes do.
func TestCertificatesFollowTheirFiles(t *testing.T) {
	r := newRig(t, nil)
	ca := newAuthority(t)
	mount := filepath.Join(r.dir, "mount")
	version := func(n int) string {
		dir := filepath.Join(mount, fmt.Sprintf("..%d", n))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		ca.pair(dir, "tls", false, "k.example")
		return filepath.Base(dir)
	}
	link := func(to, at string) {
		t.Helper()
		at = filepath.Join(mount, at)
		if err := os.Symlink(to, at+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(at+".new", at); err != nil {
			t.Fatal(err)
		}
	}
	link(version(1), "..data") // serial number 2
	link("..data/tls.pem", "tls.pem")
	link("..data/tls.key", "tls.key")
	ca.pair(r.dir, "a", false, "a.example") // 3
	cert, key := ca.issue(false, "one.example")
	write(t, r.dir+"/one.pem", append(cert, key...)) // 4
	addr := r.apply(`{name: l, address: "127.0.0.1:0", tls: {certificates: [{cert: a.pem, key: a.key}, one.pem, {cert: mount/tls.pem, key: mount/tls.key}]}}`)[0]
	serves := func(name, serial string) {
		t.Helper()
		eventually(t, name+" has serial number "+serial, func() bool { return served(t, addr, &tls.Config{ServerName: name}) == serial })
	}
	serves("a.example", "3")
	serves("one.example", "4")
	serves("k.example", "2")

	ca.pair(r.dir, "a", false, "a.example") // 5: written in place, the key before the certificate
	serves("a.example", "5")
	link(version(2), "..data") // 6
	serves("k.example", "6")
	cert, key = ca.issue(false, "one.example", "two.example") // 7: replaced, with another name
	write(t, r.dir+"/one.tmp", append(cert, key...))
	if err := os.Rename(r.dir+"/one.tmp", r.dir+"/one.pem"); err != nil {
		t.Fatal(err)
	}
	serves("two.example", "7")

	write(t, r.dir+"/one.pem", []byte("broken"))
	eventually(t, "the broken one is counted", func() bool {
		return strings.HasSuffix(r.metric(`tls_certificate_loads_total{listener="l",result="failed"}`), " 1")
	})
	serves("two.example", "7")
	if n := strings.Count(r.log.String(), "the one before goes on serving"); n != 1 || !strings.Contains(r.log.String(), "one.pem") {
		t.Errorf("said %d times:\n%s", n, r.log)
	}
	r.refresh() // what is still broken is not said again
	if n := strings.Count(r.log.String(), "the one before goes on serving"); n != 1 {
		t.Errorf("said %d times", n)
	}
	write(t, r.dir+"/one.pem", append(cert, key...))
	r.refresh()
	serves("two.example", "7")
	if err := os.Remove(r.dir + "/one.pem"); err != nil {
		t.Fatal(err)
	}
	r.refresh()
	serves("two.example", "7")
	if got := r.metric(`tls_certificate_loads_total{listener="l"`); got != `cardea_tls_certificate_loads_total{listener="l",result="failed"} 2`+"\n"+`cardea_tls_certificate_loads_total{listener="l",result="ok"} 4` {
		t.Error(got)
	}
	if err := r.Apply(t.Context(), listeners(t, `{name: l, address: "127.0.0.1:0", tls: one.pem}`), r.dir); err == nil {
		t.Error("a configuration with a certificate that is not there was applied")
	}
	serves("two.example", "7")
}

func TestRotationUnderTraffic(t *testing.T) {
	r := newRig(t, nil)
	ca := newAuthority(t)
	ca.pair(r.dir, "a", false, "a.example")
	text := `{address: "127.0.0.1:0", tls: {cert: a.pem, key: a.key}}`
	addr := r.apply(text)[0]
	var done atomic.Bool
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			c := client(t, ca.roots, []string{"http1", "http2"}[i%2])
			for n := 0; !done.Load(); n++ {
				if n%3 == 2 {
					c.CloseIdleConnections()
				}
				if _, err := get(c, "https://"+addr); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 10 {
		ca.pair(r.dir, "a", false, "a.example")
		if i%2 == 0 {
			r.refresh()
		} else {
			r.apply(text)
		}
	}
	eventually(t, "the last certificate", func() bool { return served(t, addr, &tls.Config{ServerName: "a.example"}) == "12" })
	done.Store(true)
	clients.Wait()
}

func TestSessionsOutliveReloads(t *testing.T) {
	r := newRig(t, nil)
	ca := newAuthority(t)
	ca.pair(r.dir, "a", false, "a.example")
	text := `{address: "127.0.0.1:0", protocols: http1, tls: {cert: a.pem, key: a.key}}`
	addr := r.apply(text)[0]
	config := &tls.Config{RootCAs: ca.roots, ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	var resumed []bool
	for range 2 {
		raw, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, config)
		if got := ask(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1") {
			t.Fatal(got)
		}
		resumed = append(resumed, c.ConnectionState().DidResume)
		c.Close()
		r.apply(text)
	}
	if diff := cmp.Diff([]bool{false, true}, resumed); diff != "" {
		t.Error(diff)
	}
}
