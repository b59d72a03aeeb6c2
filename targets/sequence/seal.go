package sequence

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"cardea.dev/cardea/config"
)

// sealer encrypts what the store keeps of requests and answers: AES-256-GCM with a random nonce, under keys that HKDF (RFC 5869) derives from the secrets. The
// first seals, all open.
type sealer []cipher.AEAD

// errSealed says that something cannot be opened.
var errSealed = errors.New("it is sealed with another secret, or is not what was sealed")

func newSealer(secrets []config.Secret) (sealer, error) {
	var s sealer
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "cardea sequence 1", 32)
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
		s = append(s, aead)
	}
	return s, nil
}

// seal encrypts what belongs to a place: it cannot be opened at another.
func (s sealer) seal(plain []byte, place string) string {
	return string(s[0].Seal(nil, nil, plain, []byte(place)))
}

// open decrypts what was sealed for a place.
func (s sealer) open(sealed, place string) ([]byte, error) {
	for _, aead := range s {
		if plain, err := aead.Open(nil, nil, []byte(sealed), []byte(place)); err == nil {
			return plain, nil
		}
	}
	return nil, errSealed
}
