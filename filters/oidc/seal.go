package oidc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// sealer encrypts what the browser keeps for the gateway: AES-256-GCM with a random nonce, under keys that HKDF (RFC 5869) derives from
// the secrets. The first key seals, all open.
type sealer struct{ aeads []cipher.AEAD }

// newSealer makes a sealer for one purpose. What is sealed for another cannot be opened with it.
func newSealer(secrets []string, purpose string) (*sealer, error) {
	s := &sealer{}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "cardea oidc 1 "+purpose, 32)
		if err != nil {
			return nil, fmt.Errorf("cannot derive a key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("cannot use a key: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("cannot use a key: %w", err)
		}
		s.aeads = append(s.aeads, aead)
	}
	return s, nil
}

// seal encrypts a text that belongs to a context, such as the name of its cookie.
func (s *sealer) seal(plain []byte, context string) string {
	return base64.RawURLEncoding.EncodeToString(s.aeads[0].Seal(nil, nil, plain, []byte(context)))
}

// open decrypts what was sealed in the same context; false for anything else.
func (s *sealer) open(sealed []byte, context string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(nil, sealed)
	if err != nil {
		return nil, false
	}
	for _, aead := range s.aeads {
		if plain, err := aead.Open(nil, nil, raw, []byte(context)); err == nil {
			return plain, true
		}
	}
	return nil, false
}
