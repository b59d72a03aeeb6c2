package mtls

import (
	"errors"
	"fmt"

	"cardea.dev/cardea/config"
)

// Config says whose certificates are believed. The short form is CA.
type Config struct {
	// CA are files with the certificates, in PEM, of those who sign the certificates of clients. All files of this policy are read
	// again when they have changed; ones that cannot be used are logged, and the last good ones go on being used. Relative names
	// start at the configuration's folder.
	CA []string `yaml:"ca,short,required"`

	// Intermediates are files with certificates, in PEM, between those of CA and clients, for clients that do not send them. By
	// default none.
	Intermediates []string `yaml:"intermediates"`

	// CRL are files with revocation lists, in PEM or DER. Each must be signed by a certificate of CA or Intermediates. With any, whoever
	// signed a client's certificate must have a list, and while that is past its next update all certificates of that signer are
	// refused. By default nothing is known to be revoked.
	CRL []string `yaml:"crl"`

	// Names are what certificates must have one of: "dns:…", "email:…", "uri:…" (alternative names), "spiffe://…" (a SPIFFE id, by the
	// rules of SPIFFE), "subject:CN=Ada,O=Example" (as RFC 2253 writes it) or "sha256:…" (of the whole certificate, in hexadecimal
	// digits). "*" stands for some characters without a "." in dns, an "@" in email, a "/" in URIs, and a "," in subjects; "**" for
	// any. By default any certificate is accepted that the others signed.
	Names []string `yaml:"names"`

	// Forward says what the upstream gets of the certificate: "off", "certificate" (the field Client-Cert of RFC 9440) or "chain"
	// (Client-Cert-Chain, too, with what the client sent besides). By default off.
	Forward string `yaml:"forward" enum:"off,certificate,chain"`
}

// Default is what holds where nothing is said.
func (c *Config) Default() { c.Forward = "off" }

// Validate checks what can be checked without the files.
func (c *Config) Validate() error {
	var errs []error
	if len(c.CA) == 0 {
		errs = append(errs, config.FieldErrorf("ca", "nobody is believed: name a file with the certificates of those who sign those of clients"))
	}
	for i, text := range c.Names {
		if _, err := newPattern(text); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("names[%d]", i), "%w", err))
		}
	}
	return errors.Join(errs...)
}
