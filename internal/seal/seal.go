// Package seal encrypts what the gateway has others keep for it, browsers and stores, so that they can neither read nor change it, nor put it elsewhere:
// AES-256-GCM with a random nonce, under keys that HKDF (RFC 5869) derives from secrets. It is a mechanism on bytes: what is sealed, how it is written, and
// where secrets come from is for its users to say. Policies and targets may import it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Sealer seals and opens for one purpose. It is safe for use by several goroutines.
type Sealer struct {
	aeads []cipher.AEAD
	ids   []string
}

// New makes a sealer of at least one secret. The first one seals, all open. What is sealed for another purpose cannot be opened.
func New(secrets []string, purpose string) (*Sealer, error) {
	s := &Sealer{}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
		if err != nil {
			return nil, fmt.Errorf("cannot derive a key: %w", err)
		}
		id, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose+" id", 8)
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
		s.aeads, s.ids = append(s.aeads, aead), append(s.ids, hex.EncodeToString(id))
	}
	return s, nil
}

// Seal encrypts what belongs to a place, such as the name of a cookie: it cannot be opened at another.
func (s *Sealer) Seal(plain []byte, place string) []byte {
	return s.aeads[0].Seal(nil, nil, plain, []byte(place))
}

// Open decrypts what was sealed for a place; false for anything else.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, bool) {
	for _, aead := range s.aeads {
		if plain, err := aead.Open(nil, nil, sealed, []byte(place)); err == nil {
			return plain, true
		}
	}
	return nil, false
}

// IDs tell apart the keys that open, that which seals first. They say nothing of the secrets.
func (s *Sealer) IDs() []string { return s.ids }
