package upstream

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// writePair writes a certificate and its key into one file.
func writePair(t *testing.T, file string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClientCertificatesAreReadAnew(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.pem")
	changes := 0
	changed := func() { // the file system's clock may be coarse
		changes++
		at := time.Now().Add(time.Duration(changes) * time.Minute)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	writePair(t, file, 1)
	var log bytes.Buffer
	c, err := newTLS(config.UpstreamTLS{Cert: "gateway.pem", Key: "gateway.pem"}, dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	shown := func() int64 {
		t.Helper()
		pair, err := c.GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	if got := shown(); got != 1 {
		t.Errorf("showed %d", got)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed()
	if first, second := shown(), shown(); first != 1 || second != 1 {
		t.Errorf("showed %d and %d", first, second)
	}
	if n := strings.Count(log.String(), "cannot use a changed certificate"); n != 1 || !strings.Contains(log.String(), file) {
		t.Errorf("logged %d times:\n%s", n, &log)
	}
	writePair(t, file, 2)
	changed()
	if got := shown(); got != 2 {
		t.Errorf("showed %d", got)
	}
}

// A service that wants a certificate and gets none is a matter of TLS, though with TLS 1.3 it says so only after the handshake.
func TestMissingClientCertificate(t *testing.T) {
	for _, protocol := range []string{"http1", "http2"} {
		b := httptest.NewUnstartedServer(says(200, "ok"))
		b.Config.ErrorLog = log.New(io.Discard, "", 0)
		b.EnableHTTP2 = true
		b.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
		b.StartTLS()
		defer b.Close()
		c := newCluster(t, func(u *config.Upstream) {
			u.Protocol, u.Retry.Off, u.Eject.Off, u.TLS.InsecureSkipVerify = protocol, true, true, true
		}, b.URL)
		var got result
		for range 100 { // the connection may be gone before what was said is read
			if got = do(c, get()); got.Code != filter.UpstreamReset {
				break
			}
		}
		if got.Code != filter.UpstreamTLSFailed {
			t.Errorf("%s: %+v", protocol, got)
		}
	}
}
