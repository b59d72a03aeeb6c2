package identityheaders

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says what the upstream is told of the caller. Keys that are none of these are fields: {X-User: identity.subject}, each a variable or
// CEL. Without fields and without a token they are {X-User: identity.subject, X-Consumer: identity.consumer, X-Groups: identity.groups}.
type Config struct {
	// Token adds a signed token, by which services know that the gateway has sent it. By default none.
	Token *Token `yaml:"token"`

	// Fields are the fields, by name.
	Fields map[string]string `yaml:",inline"`
}

// Token is a signed token (JWT) about the caller.
type Token struct {
	// Header is the field that the token is sent in. In Authorization it follows the word Bearer and replaces what the client has sent. By
	// default X-Identity-Token.
	Header string `yaml:"header"`

	// Key is the file of the key that signs, in PEM, or a list of files of which the first signs. They are read again with each reload.
	Key []string `yaml:"key,required"`

	// Algorithm is how it is signed; it must fit the key. By default that of the key: ES256 for EC P-256, EdDSA for Ed25519, RS256 for RSA.
	Algorithm string `yaml:"algorithm" enum:"ES256,ES384,ES512,EdDSA,RS256,PS256"`

	// Issuer is the claim iss, by which services know whose token it is.
	Issuer string `yaml:"issuer,required"`

	// Audience is the claim aud, for whom the token is. By default none.
	Audience []string `yaml:"audience"`

	// TTL is how long a token is good for. By default 60s.
	TTL config.Duration `yaml:"ttl" min:"5s" max:"24h"`

	// Claims are further claims, each a variable or CEL: {plan: identity.tags.plan}. They are texts. One that is absent is left out. By
	// default none.
	Claims map[string]string `yaml:"claims"`
}

// Default sets the field and a minute.
func (t *Token) Default() { t.Header, t.TTL = "X-Identity-Token", config.Duration(time.Minute) }

// Validate checks the names.
func (t *Token) Validate() error {
	var errs []error
	if len(t.Key) == 0 {
		errs = append(errs, config.FieldErrorf("key", "no key is named"))
	}
	if err := checkName(t.Header); err != nil {
		errs = append(errs, config.FieldErrorf("header", "%w", err))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Claims)) {
		if slices.Contains([]string{"iss", "aud", "sub", "iat", "exp", "nbf", "jti", "consumer", "groups", "scope"}, name) || name == "" {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("claims[%q]", name), "the claim %q is the token's own", name))
		}
	}
	return errors.Join(errs...)
}

// Validate checks the names of the fields.
func (c *Config) Validate() error {
	var errs []error
	seen := map[string]string{}
	if c.Token != nil {
		seen[filter.FoldedField(c.Token.Header)] = c.Token.Header
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		path := "[" + strconv.Quote(name) + "]"
		if regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`).MatchString(name) {
			path = name
		}
		if err := checkName(name); err != nil {
			errs = append(errs, config.FieldErrorf(path, "%w", err))
		}
		if twin := seen[filter.FoldedField(name)]; twin != "" {
			errs = append(errs, config.FieldErrorf(path, "%s is the same field as %s, for many servers at least", name, twin))
		}
		seen[filter.FoldedField(name)] = name
	}
	return errors.Join(errs...)
}

// checkName says what is wrong with the name of a field.
func checkName(name string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%q cannot be the name of a field", name)
	}
	switch canonical := http.CanonicalHeaderKey(name); canonical {
	case "Connection", "Content-Length", "Content-Encoding", "Content-Type", "Cookie", "Expect", "Host", "Http2-Settings", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return fmt.Errorf("%s means something else and cannot tell who calls", canonical)
	}
	return nil
}
