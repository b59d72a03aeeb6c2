package oidc

import (
	"encoding/base64"

	"cardea.dev/cardea/internal/seal"
)

// sealer encrypts what the browser keeps for the gateway, as a text.
type sealer struct{ *seal.Sealer }

// newSealer makes a sealer for one purpose. What is sealed for another cannot be opened with it.
func newSealer(secrets []string, purpose string) (*sealer, error) {
	s, err := seal.New(secrets, "cardea oidc 1 "+purpose)
	return &sealer{s}, err
}

// seal encrypts a text that belongs to a context, such as the name of its cookie.
func (s *sealer) seal(plain []byte, context string) string {
	return base64.RawURLEncoding.EncodeToString(s.Seal(plain, context))
}

// open decrypts what was sealed in the same context; false for anything else.
func (s *sealer) open(sealed []byte, context string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(nil, sealed)
	if err != nil {
		return nil, false
	}
	return s.Open(raw, context)
}
