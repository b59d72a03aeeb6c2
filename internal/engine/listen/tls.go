package listen

import (
	"crypto/tls"
	"slices"

	"cardea.dev/cardea/config"
)

// secured is how a listener speaks TLS. The tls.Config stays the same over reloads that do not change it, so that clients can go on
// with the sessions they have.
type secured struct {
	certificates *certificates
	settings     tlsSettings
	config       *tls.Config
}

// tlsSettings are what a tls.Config is made of, besides certificates.
type tlsSettings struct {
	min          uint16
	http1, http2 bool
	clients      tls.ClientAuthType
}

// newSecured loads the certificates of a listener and makes its tls.Config; nil for a plain listener.
func newSecured(c *config.Listener, dir string, issued Issued) (*secured, error) {
	if !c.Secure() {
		return nil, nil
	}
	certs, err := loadCertificates(c.TLS, dir)
	if err != nil {
		return nil, err
	}
	if c.TLS.ACME != nil {
		certs.issued = issued
	}
	s := &secured{certificates: certs, settings: tlsSettings{
		min: tls.VersionTLS12, http1: slices.Contains(c.Speaks(), "http1"), http2: slices.Contains(c.Speaks(), "http2"),
	}}
	if c.TLS.Policy == "modern" || c.TLS.MinVersion == "1.3" {
		s.settings.min = tls.VersionTLS13
	}
	switch c.TLS.ClientCertificate {
	case "optional":
		s.settings.clients = tls.RequestClientCert
	case "required":
		s.settings.clients = tls.RequireAnyClientCert
	}
	s.config = s.newConfig()
	return s, nil
}

// newConfig makes the tls.Config. Its ciphers of TLS 1.2 are Mozilla's intermediate ones; those of TLS 1.3 cannot be chosen.
func (s *secured) newConfig() *tls.Config {
	c := &tls.Config{
		MinVersion:     s.settings.min,
		GetCertificate: s.certificates.pick,
		ClientAuth:     s.settings.clients, // whose word the certificate is worth is asked per route
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	if s.certificates.issued != nil {
		c.GetConfigForClient = challenged(s.certificates.issued)
	}
	if s.settings.http2 {
		c.NextProtos = append(c.NextProtos, "h2")
	}
	if s.settings.http1 {
		c.NextProtos = append(c.NextProtos, "http/1.1")
	}
	return c
}

// keep takes over what it can from how the listener spoke TLS before.
func (s *secured) keep(old *secured) *secured {
	if s == nil || old == nil || s.settings != old.settings || !s.certificates.sameFiles(old.certificates) {
		return s
	}
	old.certificates.files = s.certificates.files
	old.certificates.choose()
	return old
}
