package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Consumer is a caller that the gateway knows: a person, a program, a partner. Its name is the key that it stands under. Whatever it
// authenticates with, policies, logs and limits see the same consumer.
type Consumer struct {
	// Groups are the groups it belongs to, which policies such as `allow` ask for. By default none.
	Groups []string `yaml:"groups"`

	// Tags are further texts about it, which expressions see as `identity.tags`: {plan: gold}. By default none.
	Tags map[string]string `yaml:"tags"`

	// Keys are its API keys, for the policy `api_key`. Give a new one before the old one expires, and both are good. By default none.
	Keys []ConsumerKey `yaml:"keys"`

	// Password is the hash of its password, for the policy `basic`, as `cardea hash` prints it: argon2id ("$argon2id$…") or bcrypt
	// ("$2b$…"). Its user name is the consumer's name. By default none.
	Password Secret `yaml:"password"`

	// Subjects are the subjects of tokens that are this consumer's, for `jwt`, `oauth2_introspection` and `oidc`. By default none.
	Subjects []ConsumerSubject `yaml:"subjects"`

	// Certificates are the names in client certificates that are this consumer's, for `mtls`: "dns:client.example.com",
	// "email:ada@example.com", "uri:spiffe://example.com/orders", "subject:CN=Ada,O=Example" or "sha256:…" (of the whole certificate, in
	// hexadecimal digits). By default none.
	Certificates []string `yaml:"certificates"`

	// Secrets are the secrets that it signs requests with, by key id, for `signature`. By default none.
	Secrets map[string]Secret `yaml:"secrets"`
}

// ConsumerKey is an API key of a consumer. The short form is the key itself, best as ${NAME} or ${file:/path}, or its hash.
type ConsumerKey struct {
	// Key is the key itself, of at least 16 characters, or its hash: "sha256:" and the 64 hexadecimal digits of the key's SHA-256, as
	// `cardea key` prints it. Only the hash is kept.
	Key Secret `yaml:"key,short,required"`

	// Label is what operators see of the key, such as its first characters. By default the first four characters of a key, or the first
	// eight digits of a hash.
	Label string `yaml:"label"`

	// Expires is when the key ends to be good: a date ("2027-01-31", at its beginning in UTC) or a time ("2027-01-31T12:00:00Z"). By
	// default never.
	Expires Date `yaml:"expires"`

	// Scopes are what the key is good for, which policies such as `allow` ask for. By default none.
	Scopes []string `yaml:"scopes"`
}

// ConsumerSubject is who a token must be for. The short form is "ISSUER SUBJECT".
type ConsumerSubject struct {
	// Issuer is the token's issuer (`iss`), exactly.
	Issuer string `yaml:"issuer"`

	// Subject is the token's subject (`sub`), exactly.
	Subject string `yaml:"subject"`
}

// UnmarshalText reads the short form.
func (s *ConsumerSubject) UnmarshalText(text []byte) error {
	issuer, subject, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	if !ok {
		return fmt.Errorf("%q names no issuer: expected \"ISSUER SUBJECT\"", text)
	}
	s.Issuer, s.Subject = issuer, strings.TrimSpace(subject)
	return nil
}

// Validate checks that both are there.
func (s *ConsumerSubject) Validate() error {
	if s.Issuer == "" || s.Subject == "" {
		return errors.New("expected an issuer and a subject")
	}
	return nil
}

// keyHashPrefix is what the hash of a key begins with.
const keyHashPrefix = "sha256:"

// minKey is how long a key must be at least, so that it cannot be found by trying.
const minKey = 16

// Hash is the hash that is given in place of a key; false where the key itself is given.
func (k *ConsumerKey) Hash() (hash [32]byte, given bool, err error) {
	digits, ok := strings.CutPrefix(k.Key.Reveal(), keyHashPrefix)
	if !ok {
		return hash, false, nil
	}
	n, err := hex.Decode(hash[:min(32, len(digits)/2)], []byte(digits)[:min(64, len(digits)/2*2)])
	if err != nil || n != 32 || len(digits) != 64 {
		return hash, true, errors.New("the hash is not \"sha256:\" and 64 hexadecimal digits")
	}
	return hash, true, nil
}

// Validate checks the key.
func (k *ConsumerKey) Validate() error {
	_, given, err := k.Hash()
	switch {
	case err != nil:
		return FieldErrorf("key", "%w", err)
	case !given && len(k.Key.Reveal()) < minKey:
		return FieldErrorf("key", "the key has %d characters, and should have %d at least: short keys are found by trying", len(k.Key.Reveal()), minKey)
	}
	return nil
}
