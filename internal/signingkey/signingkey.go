// Package signingkey reads the keys that the gateway signs tokens with, and makes their public halves.
//
// It signs nothing itself, and fetches nothing: keys of others, which tokens of callers are verified with, are not its business. Policies and
// targets may import it.
package signingkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"
)

// maxFile is how large the file of a key may be.
const maxFile = 64 << 10

// Key is a key pair, or the public half of one.
type Key struct {
	Private    crypto.Signer // nil: there is only the public half
	Public     crypto.PublicKey
	ID         string                    // the thumbprint of the public half (RFC 7638)
	Algorithms []jose.SignatureAlgorithm // that the key is good for, the usual one first
}

// Read reads the file of a key, whose name is relative to a folder.
func Read(dir, name string) (*Key, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the key: %w", err)
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, fmt.Errorf("cannot read the key: %s is no file of at most 64 KiB", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	key, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key in %s: %w", path, err)
	}
	return key, nil
}

// Parse reads a key in PEM: PKCS #8, SEC 1 or PKCS #1 for a key pair, PKIX for a public half. What else is in the text is left alone.
func Parse(text []byte) (*Key, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("there is no key in it: wanted PEM, as `openssl genpkey` writes it")
		}
		text = rest
		switch block.Type {
		case "PRIVATE KEY":
			return newKey(x509.ParsePKCS8PrivateKey(block.Bytes))
		case "EC PRIVATE KEY":
			return newKey(x509.ParseECPrivateKey(block.Bytes))
		case "RSA PRIVATE KEY":
			return newKey(x509.ParsePKCS1PrivateKey(block.Bytes))
		case "PUBLIC KEY":
			return newKey(x509.ParsePKIXPublicKey(block.Bytes))
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("it is encrypted, and there is nobody to ask for the password")
		}
	}
}

// newKey makes a Key of what was parsed. The parser's own error could show parts of a key, and is not passed on.
func newKey[K any](parsed K, err error) (*Key, error) {
	if err != nil {
		return nil, errors.New("it is damaged")
	}
	k := &Key{Public: any(parsed)}
	if pair, ok := any(parsed).(crypto.Signer); ok {
		k.Private, k.Public = pair, pair.Public()
	}
	switch public := k.Public.(type) {
	case *ecdsa.PublicKey:
		algorithm, ok := map[string]jose.SignatureAlgorithm{"P-256": jose.ES256, "P-384": jose.ES384, "P-521": jose.ES512}[public.Curve.Params().Name]
		if !ok {
			return nil, fmt.Errorf("the curve %s is not supported; use P-256", public.Curve.Params().Name)
		}
		k.Algorithms = []jose.SignatureAlgorithm{algorithm}
	case ed25519.PublicKey:
		k.Algorithms = []jose.SignatureAlgorithm{jose.EdDSA}
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < 2048 {
			return nil, fmt.Errorf("the RSA key has %d bits, and fewer than 2048 are too few", bits)
		}
		k.Algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
	default:
		return nil, fmt.Errorf("keys of the type %T are not supported; use EC P-256, Ed25519 or RSA", k.Public)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: k.Public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("cannot name the key: %w", err)
	}
	k.ID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return k, nil
}

// JWK is the public half, for others to verify signatures with.
func (k *Key) JWK() jose.JSONWebKey {
	jwk := jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Use: "sig"}
	if len(k.Algorithms) == 1 {
		jwk.Algorithm = string(k.Algorithms[0])
	}
	return jwk
}
