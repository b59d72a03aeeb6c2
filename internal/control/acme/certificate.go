package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// encode writes a key and a chain as one text, so that they are stored together or not at all.
func encode(key *ecdsa.PrivateKey, chain []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), chain...), nil
}

// decode reads a certificate, and sees to it that it serves a name.
func decode(text []byte, name string) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	if err := cert.Leaf.VerifyHostname(sample(name)); err != nil {
		return nil, err
	}
	return &cert, nil
}

// sample is a name that a certificate for another name, or for one with a wildcard, must serve.
func sample(name string) string {
	if name[0] == '*' {
		return "x" + name[1:]
	}
	return name
}

// stored is where a certificate is kept.
func (a *authority) stored(name string) string { return a.place + "/certificates/" + name + ".pem" }

// loadCertificate loads the certificate for a name; nil: there is none.
func (a *authority) loadCertificate(ctx context.Context, name string) (*tls.Certificate, error) {
	text, err := a.store.load(ctx, a.stored(name))
	if errors.Is(err, errNotStored) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	cert, err := decode(text, name)
	if err != nil {
		return nil, fmt.Errorf("cannot use the stored certificate: %w", err)
	}
	return cert, nil
}

// renewAt is when a certificate is to be renewed, where the authority does not say: with a third of its life left.
func renewAt(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// lastCall is when a certificate is renewed whatever the authority says: with a twentieth of its life left.
func lastCall(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 20)
}

// same says whether two certificates are one.
func same(a, b *tls.Certificate) bool {
	return a != nil && b != nil && bytes.Equal(a.Leaf.Raw, b.Leaf.Raw)
}
