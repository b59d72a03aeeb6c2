package jwt

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/issuer"
	"cardea.dev/cardea/internal/token"
)

// Config says which tokens are accepted. The short form is Issuers.
type Config struct {
	Issuer         `yaml:",inline"`
	token.Settings `yaml:",inline"`

	// Issuers are the issuers, where there are several; what a token says of its issuer (`iss`) chooses one. The audience that stands
	// beside them is that of those without one of their own. By default there is one, and its settings stand directly in the policy.
	Issuers []Issuer `yaml:"issuers,short"`

	// Types are the types of tokens that are accepted (`typ` in the header). Tokens without a type count as JWT. By default
	// [JWT, at+jwt].
	Types []string `yaml:"types"`

	// Reject are kinds of tokens that are refused by what they say, although their signature is good: "id_token" (those with `nonce`,
	// `at_hash` or `c_hash`), "logout_token" (those with `events`), "refresh_token" (those whose claim `typ` is Refresh). By default
	// [logout_token].
	Reject []string `yaml:"reject" enum:"id_token,logout_token,refresh_token"`

	// RequireExpiry refuses tokens that never expire (without `exp`). By default on.
	RequireExpiry bool `yaml:"require_expiry"`

	// MaxAge is how long ago the token may have been issued (`iat`, which it must have then). By default 0, which is without bound.
	MaxAge config.Duration `yaml:"max_age"`

	// Decrypt has the keys that encrypted tokens are decrypted with. By default encrypted tokens are refused.
	Decrypt *Decrypt `yaml:"decrypt"`
}

// Issuer is who signs tokens, and where their keys are. The short form is Issuer.
type Issuer struct {
	// Issuer is what tokens must say of their issuer (`iss`), exactly. It may be left out where keys or a secret are given: then `iss` is not
	// looked at, and no consumer is found.
	Issuer string `yaml:"issuer,short"`

	// Audience are the services that tokens may be for (`aud`); one of them is enough. Without it tokens for any service are accepted,
	// which is right only where the issuer serves this one alone.
	Audience []string `yaml:"audience"`

	// JWKSURL is where the keys are, as a JWK Set. By default the issuer's discovery document says it.
	JWKSURL string `yaml:"jwks_url"`

	// DiscoveryURL is where the discovery document is. By default the places that OpenID Connect and RFC 8414 give for the issuer.
	DiscoveryURL string `yaml:"discovery_url"`

	// Keys are public keys, in place of fetched ones: each the name of a file, or the key itself, as PEM, JWK or JWK Set. By default none.
	// Files are read again with the configuration.
	Keys []string `yaml:"keys"`

	// Secret is a secret shared with the issuer, for HS256, HS384 and HS512, of 32 bytes at least. There are no other keys beside it. By
	// default none.
	Secret config.Secret `yaml:"secret"`

	// Algorithms are the algorithms of signatures that are accepted. By default RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384,
	// ES512 and EdDSA; with Secret HS256, HS384 and HS512.
	Algorithms []string `yaml:"algorithms" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA,HS256,HS384,HS512"`

	// CA is a PEM file with the authorities that the issuer's certificate may be of. By default those of the system.
	CA string `yaml:"ca"`

	// AllowHTTP lets keys be fetched without TLS: anyone in between can then make tokens of their own. Addresses of the machine itself
	// are always allowed. By default off.
	AllowHTTP bool `yaml:"allow_http"`

	// Timeout is how long fetching the keys may take. By default 5s.
	Timeout config.Duration `yaml:"timeout" min:"100ms" max:"1m"`

	// Refresh is how often the keys are fetched again. By default 10m.
	Refresh config.Duration `yaml:"refresh" min:"1s"`

	// Stale is how long keys go on being used while the issuer cannot be reached. By default 24h. 0 is without bound.
	Stale config.Duration `yaml:"stale"`

	// MissInterval is how often at most the keys are fetched because a token names one that is not known. By default 10s.
	MissInterval config.Duration `yaml:"miss_interval" min:"100ms"`
}

// Decrypt says how encrypted tokens are decrypted (RFC 7516). What is inside must be a signed token. The short form is Keys.
type Decrypt struct {
	// Keys are files with private keys, as PEM, JWK or JWK Set. By default none.
	Keys []string `yaml:"keys,short"`

	// Secret is a secret shared with the issuer, in base64url, for `dir` and the algorithms A128KW, A192KW and A256KW, which must be named
	// in Algorithms. By default none.
	Secret config.Secret `yaml:"secret"`

	// Algorithms are the algorithms of key management that are accepted. By default RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW,
	// ECDH-ES+A192KW and ECDH-ES+A256KW.
	Algorithms []string `yaml:"algorithms" enum:"RSA-OAEP,RSA-OAEP-256,ECDH-ES,ECDH-ES+A128KW,ECDH-ES+A192KW,ECDH-ES+A256KW,dir,A128KW,A192KW,A256KW"`

	// Encryption are the algorithms that the content may be encrypted with. By default A128GCM, A192GCM, A256GCM, A128CBC-HS256,
	// A192CBC-HS384 and A256CBC-HS512.
	Encryption []string `yaml:"encryption" enum:"A128GCM,A192GCM,A256GCM,A128CBC-HS256,A192CBC-HS384,A256CBC-HS512"`

	// Required refuses tokens that are not encrypted. By default off.
	Required bool `yaml:"required"`
}

// Default is an issuer found by discovery.
func (i *Issuer) Default() {
	i.Timeout = config.Duration(5 * time.Second)
	i.Refresh = config.Duration(10 * time.Minute)
	i.Stale = config.Duration(24 * time.Hour)
	i.MissInterval = config.Duration(10 * time.Second)
}

// Default is what access tokens are like.
func (c *Config) Default() {
	c.Issuer.Default()
	c.Settings.Default()
	c.Types = []string{"JWT", "at+jwt"}
	c.Reject = []string{"logout_token"}
	c.RequireExpiry = true
}

// Default is what is safe.
func (d *Decrypt) Default() {
	d.Algorithms = []string{"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
	d.Encryption = []string{"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"}
}

// Validate checks that there is an issuer, and settings that make sense.
func (c *Config) Validate() error {
	errs := []error{c.Check()}
	one := c.Issuer.given()
	switch {
	case len(c.Issuers) == 0:
		errs = append(errs, c.check())
	case one != "":
		errs = append(errs, config.FieldErrorf(one, "it stands beside `issuers`: write it at one of them"))
	}
	seen := map[string]bool{}
	for i := range c.Issuers {
		in := &c.Issuers[i]
		switch {
		case in.Issuer == "":
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("issuers[%d]", i), "one of several issuers must have a name: `issuer: …`"))
		case seen[in.Issuer]:
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("issuers[%d]", i), "the issuer %q stands there twice", in.Issuer))
		}
		seen[in.Issuer] = true
	}
	if c.Decrypt != nil && len(c.Decrypt.Keys) == 0 && c.Decrypt.Secret == "" {
		errs = append(errs, config.FieldErrorf("decrypt", "there is no key to decrypt with"))
	}
	return errors.Join(errs...)
}

// Validate checks an issuer that stands in the list.
func (i *Issuer) Validate() error { return i.check() }

// given names a setting that is given, other than the audience; "" for none.
func (i *Issuer) given() string {
	d := Issuer{}
	d.Default()
	for _, s := range []struct {
		name  string
		given bool
	}{
		{"issuer", i.Issuer != ""},
		{"jwks_url", i.JWKSURL != ""},
		{"discovery_url", i.DiscoveryURL != ""},
		{"keys", len(i.Keys) > 0},
		{"secret", i.Secret != ""},
		{"algorithms", len(i.Algorithms) > 0},
		{"ca", i.CA != ""},
		{"allow_http", i.AllowHTTP},
		{"timeout", i.Timeout != d.Timeout},
		{"refresh", i.Refresh != d.Refresh},
		{"stale", i.Stale != d.Stale},
		{"miss_interval", i.MissInterval != d.MissInterval},
	} {
		if s.given {
			return s.name
		}
	}
	return ""
}

// check checks one issuer.
func (i *Issuer) check() error {
	sources := 0
	for _, given := range []bool{i.JWKSURL != "", i.DiscoveryURL != "", len(i.Keys) > 0, i.Secret != ""} {
		if given {
			sources++
		}
	}
	switch {
	case sources > 1:
		return errors.New("`jwks_url`, `discovery_url`, `keys` and `secret` exclude each other: keys of different origin are never mixed")
	case i.Issuer == "" && (sources == 0 || i.DiscoveryURL != ""):
		return errors.New("there is no issuer: write who signs the tokens, as in `jwt: https://idp.example.com/`")
	case i.Secret != "" && len(i.Secret.Reveal()) < 32:
		return config.FieldErrorf("secret", "the secret has %d bytes, and needs 32 at least: short ones are found by trying", len(i.Secret.Reveal()))
	}
	for n, alg := range i.Algorithms {
		if shared := alg[0] == 'H'; shared != (i.Secret != "") {
			return config.FieldErrorf(fmt.Sprintf("algorithms[%d]", n), "%s does not go with %s", alg, map[bool]string{true: "a secret", false: "public keys"}[!shared])
		}
	}
	return i.checkURLs(sources)
}

func (i *Issuer) checkURLs(sources int) error {
	for _, u := range []struct{ name, url string }{{"jwks_url", i.JWKSURL}, {"discovery_url", i.DiscoveryURL}} {
		if u.url != "" {
			if err := issuer.CheckURL(u.url, i.AllowHTTP); err != nil {
				return config.FieldErrorf(u.name, "%w", err)
			}
		}
	}
	if sources == 0 {
		if err := issuer.CheckURL(i.Issuer, i.AllowHTTP); err != nil {
			return config.FieldErrorf("issuer", "its keys cannot be discovered: %w", err)
		}
	}
	return nil
}

// allowed are the algorithms of an issuer.
func (i *Issuer) allowed() []string {
	switch {
	case len(i.Algorithms) > 0:
		return slices.Clone(i.Algorithms)
	case i.Secret != "":
		return []string{"HS256", "HS384", "HS512"}
	}
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}
