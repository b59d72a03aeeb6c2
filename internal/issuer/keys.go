package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Bounds of keys: what is shorter is weak, what is longer costs too much.
const (
	minRSA  = 2048
	maxRSA  = 8192
	maxKeys = 200
)

// Key is a key that tokens are verified with.
type Key struct {
	ID     string // kid; "" for none
	Public any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or []byte of a shared secret

	algorithms []jose.SignatureAlgorithm
	ident      [sha256.Size]byte
}

// Fits says whether the key may verify signatures of an algorithm.
func (k *Key) Fits(alg string) bool {
	return slices.Contains(k.algorithms, jose.SignatureAlgorithm(alg))
}

// Set is the keys of an issuer at one time. It is immutable.
type Set struct {
	Keys []*Key

	idents map[[sha256.Size]byte]struct{}
	hash   [sha256.Size]byte // of what it was made of
}

// NewSet makes a set.
func NewSet(keys []*Key) *Set {
	s := &Set{Keys: keys, idents: map[[sha256.Size]byte]struct{}{}}
	h := sha256.New()
	for _, k := range keys {
		s.idents[k.ident] = struct{}{}
		h.Write(k.ident[:])
	}
	h.Sum(s.hash[:0])
	return s
}

// Has says whether the set has a key: the same one, for the same use.
func (s *Set) Has(k *Key) bool {
	_, ok := s.idents[k.ident]
	return ok
}

// Hash is of all keys: sets with the same keys have the same.
func (s *Set) Hash() [sha256.Size]byte { return s.hash }

// Find returns the keys that may have signed with an algorithm and a kid. Keys without a kid may have signed anything.
func (s *Set) Find(kid, alg string) []*Key {
	var named, unnamed []*Key
	for _, k := range s.Keys {
		switch {
		case !k.Fits(alg):
		case kid != "" && k.ID == kid:
			named = append(named, k)
		case kid == "" || k.ID == "":
			unnamed = append(unnamed, k)
		}
	}
	if len(named) > 0 {
		return named
	}
	return unnamed
}

// ParseSet reads a JWK Set. Keys that cannot be used are left out, and it says why.
func ParseSet(text []byte) (keys []*Key, left []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, nil, fmt.Errorf("this is no JWK Set: %w", err)
	}
	switch {
	case set.Keys == nil:
		return nil, nil, errors.New("this is no JWK Set: it has no keys")
	case len(set.Keys) > maxKeys:
		return nil, nil, fmt.Errorf("the JWK Set has %d keys, and no more than %d are read", len(set.Keys), maxKeys)
	}
	for i, raw := range set.Keys {
		k, err := ParseJWK(raw)
		if err != nil {
			left = append(left, fmt.Errorf("key %d: %w", i, err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, left, nil
}

// ParseJWK reads a public key for signatures.
func ParseJWK(text []byte) (*Key, error) {
	var extra struct {
		Operations []string `json:"key_ops"`
		D          *string  `json:"d"`
		K          *string  `json:"k"`
	}
	if err := json.Unmarshal(text, &extra); err != nil {
		return nil, fmt.Errorf("this is no JWK: %w", err)
	}
	if extra.D != nil || extra.K != nil {
		return nil, errors.New("the key is private or a shared secret: only public keys are taken here")
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	switch {
	case !jwk.Valid() || !jwk.IsPublic():
		return nil, errors.New("the key is not a valid public key")
	case jwk.Use != "" && jwk.Use != "sig":
		return nil, fmt.Errorf("the key is for %q, not for signatures", jwk.Use)
	case extra.Operations != nil && !slices.Contains(extra.Operations, "verify"):
		return nil, errors.New("the key is not for verifying")
	}
	return newKey(jwk.KeyID, jwk.Algorithm, jwk.Key)
}

// ParseKeys reads public keys in PEM, or a JWK or JWK Set. All of them must be good.
func ParseKeys(text []byte) ([]*Key, error) {
	var probe struct {
		Keys *json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &probe) == nil {
		if probe.Keys == nil {
			k, err := ParseJWK(text)
			return []*Key{k}, err
		}
		keys, left, err := ParseSet(text)
		return keys, errors.Join(append(left, err)...)
	}
	var keys []*Key
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		public, err := ParsePEM(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey("", "", public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it: expected PEM, a JWK or a JWK Set")
	}
	return keys, nil
}

// ParsePEM reads the public key of a block: of a key, or of a certificate.
func ParsePEM(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	return nil, fmt.Errorf("a PEM block of %q is no public key", block.Type)
}

// NewSecret makes a key of a shared secret.
func NewSecret(secret []byte) *Key {
	return &Key{
		Public: secret, algorithms: []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512},
		ident: sha256.Sum256(append([]byte("secret "), secret...)),
	}
}

// newKey makes a key, if it is strong enough. Alg binds it to one algorithm; "" leaves all that fit its type.
func newKey(kid, alg string, public any) (*Key, error) {
	fit, err := algorithmsOf(public)
	if err != nil {
		return nil, err
	}
	if alg != "" {
		if !slices.Contains(fit, jose.SignatureAlgorithm(alg)) {
			return nil, fmt.Errorf("the key is for %q, which its type does not fit", alg)
		}
		fit = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)}
	}
	thumbprint, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("cannot identify the key: %w", err)
	}
	return &Key{
		ID: kid, Public: public, algorithms: fit,
		ident: sha256.Sum256(fmt.Appendf(nil, "%x %q %q", thumbprint, kid, alg)),
	}, nil
}

// algorithmsOf are the algorithms that a key fits (RFC 7518, section 3.1; RFC 8037).
func algorithmsOf(public any) ([]jose.SignatureAlgorithm, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return nil, fmt.Errorf("the RSA key has %d bits: those of %d to %d are taken", bits, minRSA, maxRSA)
		}
		if k.E < 3 || k.E%2 == 0 {
			return nil, fmt.Errorf("the exponent %d of the RSA key is not safe", k.E)
		}
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}, nil
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err != nil {
			return nil, errors.New("the key is not on its curve")
		}
		switch k.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}, nil
		}
		return nil, fmt.Errorf("the curve %s is not taken", k.Curve.Params().Name)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, errors.New("the Ed25519 key has not 32 bytes")
		}
		return []jose.SignatureAlgorithm{jose.EdDSA}, nil
	}
	return nil, fmt.Errorf("keys of type %T are not taken", public)
}
