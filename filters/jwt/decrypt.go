package jwt

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/token"
)

// decrypter decrypts tokens.
type decrypter struct {
	algorithms []jose.KeyAlgorithm
	encryption []jose.ContentEncryption
	keys       []jose.JSONWebKey
}

// newDecrypter reads the keys. It returns too what tells them from others.
func newDecrypter(env *filter.Env, c *Decrypt) (*decrypter, []byte, error) {
	d := &decrypter{}
	for _, alg := range c.Algorithms {
		d.algorithms = append(d.algorithms, jose.KeyAlgorithm(alg))
	}
	for _, enc := range c.Encryption {
		d.encryption = append(d.encryption, jose.ContentEncryption(enc))
	}
	print := sha256.New()
	for i, name := range c.Keys {
		env.Reads(name)
		text, err := os.ReadFile(resolve(env.Dir, name))
		if err != nil {
			return nil, nil, config.FieldErrorf(fmt.Sprintf("keys[%d]", i), "cannot read the key: %w", err)
		}
		keys, err := privateKeys(text)
		if err != nil {
			return nil, nil, config.FieldErrorf(fmt.Sprintf("keys[%d]", i), "cannot use %s: %w", name, err)
		}
		print.Write(text)
		d.keys = append(d.keys, keys...)
	}
	if c.Secret != "" {
		key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(c.Secret.Reveal(), "="))
		if err != nil || len(key) < 16 {
			return nil, nil, config.FieldErrorf("secret", "it is not base64url of 16 bytes at least")
		}
		print.Write(key)
		d.keys = append(d.keys, jose.JSONWebKey{Key: key})
	}
	return d, print.Sum(nil), nil
}

// privateKeys reads private keys, as PEM, JWK or JWK Set. Errors do not say what is in them.
func privateKeys(text []byte) ([]jose.JSONWebKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		key, err := parsePrivate(block)
		if err != nil {
			return nil, err
		}
		return []jose.JSONWebKey{key}, checkPrivate(&key)
	}
	var set struct {
		Keys []jose.JSONWebKey `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is neither PEM nor a JWK or JWK Set")
	}
	if set.Keys == nil {
		set.Keys = make([]jose.JSONWebKey, 1)
		if err := json.Unmarshal(text, &set.Keys[0]); err != nil {
			return nil, errors.New("it is no JWK")
		}
	}
	for i := range set.Keys {
		if err := checkPrivate(&set.Keys[i]); err != nil {
			return nil, err
		}
	}
	return set.Keys, nil
}

func parsePrivate(block *pem.Block) (key jose.JSONWebKey, err error) {
	switch block.Type {
	case "PRIVATE KEY":
		key.Key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key.Key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key.Key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return key, fmt.Errorf("a PEM block of %q is no private key", block.Type)
	}
	return key, err
}

func checkPrivate(k *jose.JSONWebKey) error {
	switch key := k.Key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return fmt.Errorf("the RSA key has %d bits, and needs 2048 at least", key.N.BitLen())
		}
		return nil
	case *ecdsa.PrivateKey:
		return nil
	}
	return errors.New("it is no private key for RSA-OAEP or ECDH-ES")
}

// decrypt returns what is encrypted. Why it cannot be decrypted is not said: that would help those who try.
func (d *decrypter) decrypt(raw, header string) (string, error) {
	h, err := token.ParseHeader(header)
	switch {
	case err != nil:
		return "", err
	case h.JWK != nil:
		return "", errors.New("the header has `jwk`, which is not accepted")
	case !slices.Contains(d.algorithms, jose.KeyAlgorithm(h.Alg)):
		return "", fmt.Errorf("it is encrypted with `alg` %s, which is not accepted", h.Alg)
	case !slices.Contains(d.encryption, jose.ContentEncryption(h.Enc)):
		return "", fmt.Errorf("it is encrypted with `enc` %s, which is not accepted", h.Enc)
	case token.MediaType(h.Cty) != "jwt":
		return "", fmt.Errorf("`cty` is %q, and what is encrypted must be a JWT", h.Cty)
	}
	if err := token.CheckEncoding(raw); err != nil {
		return "", err
	}
	encrypted, err := jose.ParseEncryptedCompact(raw, []jose.KeyAlgorithm{jose.KeyAlgorithm(h.Alg)}, []jose.ContentEncryption{jose.ContentEncryption(h.Enc)})
	if err != nil {
		return "", errors.New("it is no encrypted token")
	}
	tries := 0
	for i := range d.keys {
		k := &d.keys[i]
		if !fits(k, h) || tries == maxTries {
			continue
		}
		tries++
		if plain, err := encrypted.Decrypt(k.Key); err == nil {
			return string(plain), nil
		}
	}
	return "", errors.New("no key decrypts it")
}

// fits says whether a key may decrypt a token.
func fits(k *jose.JSONWebKey, h *token.Header) bool {
	if h.Kid != "" && k.KeyID != "" && h.Kid != k.KeyID || k.Algorithm != "" && k.Algorithm != h.Alg {
		return false
	}
	switch k.Key.(type) {
	case *rsa.PrivateKey:
		return strings.HasPrefix(h.Alg, "RSA-OAEP")
	case *ecdsa.PrivateKey:
		return strings.HasPrefix(h.Alg, "ECDH-ES")
	}
	return h.Alg == "dir" || strings.HasPrefix(h.Alg, "A")
}
