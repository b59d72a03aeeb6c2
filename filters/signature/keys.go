package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/internal/issuer"
)

// The algorithms (RFC 9421, section 6.2.2).
const (
	hmacSHA256   = "hmac-sha256"
	edDSA        = "ed25519"
	ecdsaP256    = "ecdsa-p256-sha256"
	ecdsaP384    = "ecdsa-p384-sha384"
	rsaPSS       = "rsa-pss-sha512"
	rsaPKCS1     = "rsa-v1_5-sha256"
	minSecret    = 16 // bytes
	minModulus   = 2048
	base64Prefix = "base64:"
)

// key checks signatures in one way.
type key struct {
	algorithm string
	check     func(base, signature []byte) bool
}

// secretKey is a key of a shared secret: a text, or "base64:" and the bytes in base64.
func secretKey(secret string) (*key, error) {
	bytes := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, base64Prefix); ok {
		var err error
		if bytes, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("the secret is not base64 after \"base64:\"")
		}
	}
	if len(bytes) < minSecret {
		return nil, fmt.Errorf("the secret has %d bytes, and should have %d at least: short ones are found by trying", len(bytes), minSecret)
	}
	return &key{hmacSHA256, func(base, signature []byte) bool {
		mac := hmac.New(sha256.New, bytes)
		mac.Write(base)
		return hmac.Equal(mac.Sum(nil), signature)
	}}, nil
}

// publicKey reads a public key: PEM (also of a certificate) or JWK. Algorithm says which one an RSA key is for; "" is RSA-PSS.
func publicKey(file []byte, algorithm string) (*key, error) {
	public, err := parsePublic(file)
	if err != nil {
		return nil, err
	}
	k, err := keyOf(public, algorithm)
	switch {
	case err != nil:
		return nil, err
	case algorithm != "" && algorithm != k.algorithm:
		return nil, fmt.Errorf("the key is for %s, and not for %s", k.algorithm, algorithm)
	}
	return k, nil
}

func parsePublic(file []byte) (any, error) {
	if block, _ := pem.Decode(file); block != nil {
		return issuer.ParsePEM(block)
	}
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(file); err != nil {
		return nil, errors.New("there is no public key in the file, in PEM or as a JWK")
	}
	if !k.Valid() || !k.IsPublic() {
		return nil, errors.New("the JWK is no public key")
	}
	return k.Key, nil
}

// keyOf is a key that checks with a public key.
func keyOf(public any, algorithm string) (*key, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return &key{edDSA, func(base, signature []byte) bool { return ed25519.Verify(k, base, signature) }}, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return &key{ecdsaP256, func(base, signature []byte) bool {
				sum := sha256.Sum256(base)
				return checkECDSA(k, sum[:], signature, 32)
			}}, nil
		case elliptic.P384():
			return &key{ecdsaP384, func(base, signature []byte) bool {
				sum := sha512.Sum384(base)
				return checkECDSA(k, sum[:], signature, 48)
			}}, nil
		}
		return nil, fmt.Errorf("the key is on the curve %s; P-256 and P-384 are taken", k.Params().Name)
	case *rsa.PublicKey:
		if k.N.BitLen() < minModulus || k.N.BitLen() > 8192 {
			return nil, fmt.Errorf("the RSA key has %d bits; %d to 8192 are taken", k.N.BitLen(), minModulus)
		}
		if algorithm == rsaPKCS1 {
			return &key{rsaPKCS1, func(base, signature []byte) bool {
				sum := sha256.Sum256(base)
				return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
			}}, nil
		}
		return &key{rsaPSS, func(base, signature []byte) bool {
			sum := sha512.Sum512(base)
			return rsa.VerifyPSS(k, crypto.SHA512, sum[:], signature, &rsa.PSSOptions{SaltLength: 64}) == nil
		}}, nil
	}
	return nil, fmt.Errorf("keys of the type %T are not taken", public)
}

// checkECDSA checks a signature of two numbers, one after the other (RFC 9421, section 3.3.4).
func checkECDSA(k *ecdsa.PublicKey, sum, signature []byte, size int) bool {
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(k, sum, r, s)
}
