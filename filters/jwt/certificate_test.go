package jwt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/gatewaytest"
)

// newCertificate makes a certificate that is signed by itself, and its PEM with the key.
func newCertificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text.Bytes()
}

// TestCertificateBoundTokens shows a token that is bound to a certificate over real connections, with it, with another and with none.
func TestCertificateBoundTokens(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	_, server := newCertificate(t)
	name := filepath.Join(t.TempDir(), "server.pem")
	if err := os.WriteFile(name, server, 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.New(t, "listen: {address: '127.0.0.1:0', tls: {cert: "+name+", client_certificate: optional}}\njwt: {issuer: billing, secret: "+secret+"}\nroutes: [{match: /**, respond: hello}]")
	mine, _ := newCertificate(t)
	other, _ := newCertificate(t)
	hash := sha256.Sum256(mine.Certificate[0])
	claims, err := json.Marshal(map[string]any{
		"iss": "billing", "exp": time.Now().Add(time.Hour).Unix(),
		"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(hash[:])},
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for _, h2 := range []bool{false, true} {
		for name, test := range map[string]struct {
			shows []tls.Certificate
			want  int
		}{"its own": {[]tls.Certificate{mine}, 200}, "another": {[]tls.Certificate{other}, 401}, "none": {nil, 401}} {
			client := &http.Client{Transport: &http.Transport{
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, Certificates: test.shows}, //nolint:gosec // the certificate is the test's own
				ForceAttemptHTTP2: h2,
			}}
			r, err := http.NewRequest(http.MethodGet, g.URL+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+raw)
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			client.CloseIdleConnections()
			if resp.StatusCode != test.want {
				t.Errorf("%s, over %s: status %d, wanted %d", name, resp.Proto, resp.StatusCode, test.want)
			}
		}
	}
}
