package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/porttest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// The library asks again who is in a cluster after some seconds, closed or not, and ends then.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, redistest.Ending()...)
}

func TestURLs(t *testing.T) {
	for text, right := range map[string]bool{
		"redis://h:6379": true, "redis://h": true, "redis://h:1/2": true, "redis://:secret@[::1]:6379": true, "redis://me:secret@h:1": true, "rediss://h:6379": true,
		"valkey://h": true, "valkeys://h": true, "redis://h?timeout=300ms": true, "rediss://h?server_name=x": true, "redis://me:se%2Fcret@h:1/": true,
		"redis+cluster://h:1,h2:2,[::1]:3": true, "rediss+cluster://me:secret@h,h2": true, "redis+sentinel://h,h2:7/3?master=m&sentinel_password=secret": true,
		"redis://": false, "redis://h:1/x": false, "redis://h:1/-1": false, "redis://me:secret@h:port": false, "https://me:secret@h": false,
		"redis://me:se%zzcret@h": false, "": false, "redis": false, "redis://h:0": false, "redis://h:1:2": false, "redis://::1": false, "redis://h:65536": false, "redis://h,h2": false, "redis://h,": false,
		"redis+cluster://h/1": false, "redis+cluster://h,,h2": false, "redis+sentinel://h": false, "redis+other://h": false, "redis+://h": false,
		"redis://h?timeout=secret": false, "redis://h?timeout=0s": false, "redis://h?secret=1": false, "redis://h?ca=/x": false, "redis://h#secret": false,
		"rediss://h?ca=/does/not/exist": false, "rediss://h?cert=/etc/passwd": false, "redis://h?timeout=1s&timeout=2s": false, "redis://h/1/2": false,
		"redis://a b:secret@h": false, "redis://h?%zz": false,
	} {
		s, err := New(text)
		if (err == nil) != right || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
		if s == nil {
			continue
		}
		if o := s.target.options(); o.ReadBufferEachConn > 64<<10 || o.RingScaleEachConn > 8 {
			t.Errorf("%s: a connection takes too much memory", text)
		}
		if strings.Contains(s.Name(), "secret") {
			t.Errorf("%s: it is called %s", text, s.Name())
		}
	}
}

// TestNobodyIsThere: a server that cannot be reached is not asked again at once.
func TestNobodyIsThere(t *testing.T) {
	address := porttest.Address(t)
	for _, url := range []string{"redis://" + address, "redis+cluster://" + address, "redis+sentinel://" + address + "?master=m"} {
		s, err := New(url)
		if err != nil {
			t.Fatal(err)
		}
		ask := func() error {
			return s.Ask(t.Context(), func(context.Context, rueidis.Client) error { return nil })
		}
		first := ask()
		if second := ask(); first == nil || second != first {
			t.Errorf("%s: %v, then %v", url, first, second)
		}
		_ = s.Close()
		if err := ask(); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("closed: %v", err)
		}
	}
}

// set writes a key and reads it again.
func set(t *testing.T, s *Server, key string) error {
	t.Helper()
	return s.Ask(t.Context(), func(ctx context.Context, c rueidis.Client) error {
		if err := c.Do(ctx, c.B().Set().Key(key).Value("v-"+key).Build()).Error(); err != nil {
			return err
		}
		if v, err := c.Do(ctx, c.B().Get().Key(key).Build()).ToString(); err != nil || v != "v-"+key {
			return fmt.Errorf("got %q %w", v, err)
		}
		return nil
	})
}

// open returns a server that ends with the test.
func open(t *testing.T, url string) *Server {
	t.Helper()
	s, err := New(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestPasswordAndNumber(t *testing.T) {
	r := redistest.Start(t, "--requirepass", "sesame")
	if err := set(t, open(t, "redis://:sesame@"+r.Addr+"/3"), "k"); err != nil {
		t.Error(err)
	}
	for _, user := range []string{"", ":wrong@"} {
		if err := set(t, open(t, "redis://"+user+r.Addr), "k"); err == nil {
			t.Errorf("%q may write", user)
		}
	}
}

func TestCluster(t *testing.T) {
	url, servers := redistest.Cluster(t)
	s := open(t, url)
	for i := range 100 {
		if err := set(t, s, fmt.Sprint("k", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range servers {
		if n := r.Must("DBSIZE"); n == ":0\r\n" {
			t.Error("a server has nothing")
		}
	}
	lone := redistest.Start(t)
	err := set(t, open(t, "redis+cluster://"+lone.Addr), "k")
	if err == nil || !strings.Contains(err.Error(), "redis://") {
		t.Errorf("a server without a cluster: %v", err)
	}
}

func TestSentinel(t *testing.T) {
	url, master, replica, _ := redistest.Sentinel(t)
	s := open(t, url)
	if err := set(t, s, "k"); err != nil {
		t.Fatal(err)
	}
	master.Kill()
	master.Wait("find the new master", func() bool { return set(t, s, "k2") == nil })
	if !strings.Contains(replica.Must("GET", "k2"), "v-k2") {
		t.Error("it is not at the new master")
	}
	if err := set(t, open(t, strings.Replace(url, "mymaster", "other", 1)), "k"); err == nil {
		t.Error("there is a master of another name")
	}
}

// certificates writes a CA, and a certificate for localhost and a client of it.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &signer.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, &own.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return write("ca.pem", "CERTIFICATE", caDER), write("cert.pem", "CERTIFICATE", leafDER), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestTLS(t *testing.T) {
	ca, cert, key := certificates(t)
	r := redistest.Start(t, "--tls-port", "", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "yes")
	_, port, _ := net.SplitHostPort(r.Addr)
	for url, right := range map[string]bool{
		"rediss://localhost:" + port + "?ca=" + ca + "&cert=" + cert + "&key=" + key:                    true,
		"rediss://" + r.Addr + "?ca=" + ca + "&cert=" + cert + "&key=" + key + "&server_name=localhost": true,
		"rediss://" + r.Addr + "?ca=" + ca + "&cert=" + cert + "&key=" + key:                            false, // the name is another
		"rediss://localhost:" + port + "?ca=" + ca:                                                      false, // no certificate
		"rediss://localhost:" + port + "?cert=" + cert + "&key=" + key:                                  false, // an unknown CA
		"redis://localhost:" + port + "?timeout=1s":                                                     false,
	} {
		if err := set(t, open(t, url), "k"); (err == nil) != right {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestHostileServer: what no Redis says ends the connection, and nothing else.
func TestHostileServer(t *testing.T) {
	hello := "%1\r\n$5\r\nproto\r\n:3\r\n"
	for _, text := range []string{
		"$999999999999\r\n", "*999999999\r\n", "$-2\r\n", "%-1\r\n", "*?\r\n", strings.Repeat("*1\r\n", 100_000), "\r\n", "\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
		"\x00\x01\x02\x03\r\n", hello + "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n", "|1\r\n+a\r\n+b\r\n", hello + ">0\r\n", strings.Repeat("x", 1<<20),
		hello + ">3\r\n+subscribe\r\n+x\r\n:1\r\n", "*1048576\r\n*1048576\r\n", ":12\r\n", "", "_x\r\n",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { // ends with the listener
			defer close(ended)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}()
		for _, scheme := range []string{"redis://%s", "redis+cluster://%s", "redis+sentinel://%s?master=m"} {
			s := open(t, fmt.Sprintf(scheme, l.Addr()))
			if err := set(t, s, "k"); err == nil {
				t.Errorf("%.40q: no error", text)
			}
			_ = s.Close()
		}
		_ = l.Close()
		<-ended
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n+OK\r\n"), 3)
	f.Add([]byte("%1\r\n+a\r\n*-1\r\n:5\r\n_\r\n#t\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		if cut < 1 || cut > len(text) {
			cut = 1
		}
		whole, pieces := stream{}, stream{}
		want, wrong := whole.pass(text)
		var got uint64
		var err error
		for rest := text; len(rest) > 0 && err == nil; {
			n := min(cut, len(rest))
			var more uint64
			more, err = pieces.pass(rest[:n])
			got, rest = got+more, rest[n:]
		}
		if got != want || (err == nil) != (wrong == nil) {
			t.Errorf("%d %v at once, %d %v in pieces", want, wrong, got, err)
		}
	})
}
