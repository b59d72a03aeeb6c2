package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cardea.dev/cardea/config"
)

// newTLS makes the TLS settings of an upstream. Relative names of files start at dir.
func newTLS(c config.UpstreamTLS, dir string, log *slog.Logger) (*tls.Config, error) {
	t := &tls.Config{
		ServerName:         c.ServerName,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: c.InsecureSkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if c.MinVersion == "1.3" {
		t.MinVersion = tls.VersionTLS13
	}
	if c.CA != "" {
		pem, err := os.ReadFile(resolve(dir, c.CA))
		if err != nil {
			return nil, config.FieldErrorf("tls.ca", "cannot read the certificates: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, config.FieldErrorf("tls.ca", "there is no certificate in %s", c.CA)
		}
	}
	if c.Cert != "" {
		pair := &keyPair{cert: resolve(dir, c.Cert), key: resolve(dir, c.Key), log: log}
		if _, err := pair.get(); err != nil {
			return nil, config.FieldErrorf("tls.cert", "%w", err)
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get() }
	}
	return t, nil
}

// resolve makes a file name absolute.
func resolve(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// keyPair is a certificate with its key, read again when its file has changed. A change that cannot be read leaves what was.
type keyPair struct {
	cert, key string
	log       *slog.Logger

	mu       sync.Mutex
	modified [2]time.Time
	loaded   *tls.Certificate
	failed   string // what was said last of a change that cannot be used
}

// get returns the certificate.
func (k *keyPair) get() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var modified [2]time.Time
	for i, name := range [...]string{k.cert, k.key} {
		info, err := os.Stat(name)
		if err != nil {
			return k.orLast(err)
		}
		modified[i] = info.ModTime()
	}
	if k.loaded != nil && modified == k.modified {
		return k.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return k.orLast(err)
	}
	k.loaded, k.modified, k.failed = &pair, modified, ""
	return k.loaded, nil
}

// orLast returns what was loaded last, or else an error. It says once why what is there now cannot be used.
func (k *keyPair) orLast(err error) (*tls.Certificate, error) {
	if k.loaded == nil {
		return nil, fmt.Errorf("cannot load the certificate: %w", err)
	}
	if text := err.Error(); text != k.failed {
		k.failed = text
		k.log.Error("cannot use a changed certificate: the one before goes on being shown", "certificate", k.cert, "error", err)
	}
	return k.loaded, nil
}
