package signature

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/config"
)

// Config says whose signatures are taken. Without GitHub, Stripe and HMAC they are HTTP message signatures (RFC 9421), of the secrets that
// consumers have, and of Keys.
type Config struct {
	// Keys are public keys, or shared secrets, by the key id that signatures name. By default there are only the secrets of consumers.
	Keys map[string]Key `yaml:"keys"`

	// Components are what a signature must cover: "@method", "@authority", "@scheme", "@path", "@query", "@request-target",
	// "@target-uri", and fields in lower case. By default @method, and the whole target: @target-uri, or @authority with @path and
	// @query or with @request-target.
	Components []string `yaml:"components"`

	// UnsignedBody lets requests have a body that the signature does not cover. By default it must cover content-digest (RFC 9530), and the
	// body must be the one of that digest.
	UnsignedBody bool `yaml:"unsigned_body"`

	// MaxAge is how long ago a request may have been signed, 24h at most; for Stripe, and for HMAC with a timestamp, too. Clocks may
	// differ by 30s besides. By default 5m.
	MaxAge config.Duration `yaml:"max_age"`

	// Nonce asks that each signature has a nonce. One that is there is never taken twice by the same gateway in any case. By default
	// off: within MaxAge the same request may come again.
	Nonce bool `yaml:"nonce"`

	// Tag is the tag that signatures must have; others are passed over. By default any.
	Tag string `yaml:"tag"`

	// MaxBody is how large a signed body may be: it is kept in memory until it has been checked. By default 1MiB.
	MaxBody config.Size `yaml:"max_body"`

	// GitHub are secrets of GitHub webhooks (X-Hub-Signature-256); any of them may have signed. By default none.
	GitHub []config.Secret `yaml:"github"`

	// Stripe are secrets of Stripe webhooks (Stripe-Signature); any of them may have signed. By default none.
	Stripe []config.Secret `yaml:"stripe"`

	// HMAC describes signatures of other webhooks. By default there are none.
	HMAC *HMAC `yaml:"hmac"`

	// Consumer is who the webhooks of GitHub, Stripe and HMAC come from. By default nobody that the gateway knows by name.
	Consumer string `yaml:"consumer"`
}

// Key is a key that signatures are checked with. The short form is File.
type Key struct {
	// File is a file with a public key: PEM (a certificate's, too) or a JWK. It is read again when it has changed. A relative name
	// starts at the configuration's folder.
	File string `yaml:"file,short"`

	// Secret is a shared secret of at least 16 bytes, instead of a file: a text, or "base64:" and the bytes in base64.
	Secret config.Secret `yaml:"secret"`

	// Algorithm is what the key is for: "ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256" or
	// "hmac-sha256". By default what the key says, and for RSA rsa-pss-sha512.
	Algorithm string `yaml:"algorithm" enum:"ed25519,ecdsa-p256-sha256,ecdsa-p384-sha384,rsa-pss-sha512,rsa-v1_5-sha256,hmac-sha256"`

	// Consumer is whose key it is. By default nobody's that the gateway knows by name; the identity's subject is the key id.
	Consumer string `yaml:"consumer"`
}

// HMAC says how a request is signed with a shared secret.
type HMAC struct {
	// Secrets are the secrets; any of them may have signed.
	Secrets []config.Secret `yaml:"secrets,required"`

	// Header is the field with the signature.
	Header string `yaml:"header,required"`

	// Algorithm is the hash: "sha256", "sha384" or "sha512". By default sha256.
	Algorithm string `yaml:"algorithm" enum:"sha256,sha384,sha512"`

	// Encoding is how the signature is written: "hex" or "base64". By default hex.
	Encoding string `yaml:"encoding" enum:"hex,base64"`

	// Prefix is what stands before the signature: "sha256=". By default nothing.
	Prefix string `yaml:"prefix"`

	// TimestampHeader is the field with the time, in seconds since 1970, that MaxAge is counted from. By default there is none, and a
	// signature is good for ever.
	TimestampHeader string `yaml:"timestamp_header"`

	// Payload is the text that is signed, with {body}, {timestamp}, {method}, {path}, {query} and {header.NAME} in it. By default
	// "{body}", and with a timestamp "{timestamp}.{body}".
	Payload string `yaml:"payload"`
}

const (
	maxMaxAge  = 24 * time.Hour
	skew       = 30 * time.Second
	maxMaxBody = 64 << 20
)

// Default is what holds where nothing is said.
func (c *Config) Default() {
	c.MaxAge, c.MaxBody = config.Duration(5*time.Minute), 1<<20
}

// Default is what holds where nothing is said.
func (h *HMAC) Default() { h.Algorithm, h.Encoding = "sha256", "hex" }

// Validate checks what can be checked without files and consumers.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, config.FieldErrorf(field, format, args...))
	}
	kinds := 0
	for _, given := range []bool{len(c.GitHub) > 0, len(c.Stripe) > 0, c.HMAC != nil} {
		if given {
			kinds++
		}
	}
	message := len(c.Keys) > 0 || len(c.Components) > 0 || c.Nonce || c.Tag != "" || c.UnsignedBody
	switch {
	case kinds > 1:
		errs = append(errs, errors.New("only one of `github`, `stripe` and `hmac` can be given: make a route for each"))
	case kinds == 1 && message:
		errs = append(errs, errors.New("`keys`, `components`, `nonce`, `tag` and `unsigned_body` are of HTTP message signatures, and not of webhooks"))
	case kinds == 0 && c.Consumer != "":
		wrong("consumer", "this is for webhooks; for HTTP message signatures consumers stand at the keys")
	}
	if d := time.Duration(c.MaxAge); d < time.Second || d > maxMaxAge {
		wrong("max_age", "a signature can be from 1s to 24h old")
	}
	if c.MaxBody < 1 || c.MaxBody > maxMaxBody {
		wrong("max_body", "the body can have 1 byte to 64MiB: it is kept in memory")
	}
	for name, secrets := range map[string][]config.Secret{"github": c.GitHub, "stripe": c.Stripe} {
		errs = append(errs, checkSecrets(name, secrets))
	}
	for i, name := range c.Components {
		if name == "" || name != strings.ToLower(name) || strings.ContainsAny(name, "\" ;()") || strings.HasPrefix(name, "@") && !slices.Contains(derivedNames(), name) {
			wrong(fmt.Sprintf("components[%d]", i), "%q is no component: expected the name of a field in lower case, or one of %s", name, strings.Join(derivedNames(), ", "))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Keys)) {
		k := c.Keys[id]
		switch {
		case id == "" || len(id) > maxID:
			wrong("keys", "a key id has 1 to %d characters", maxID)
		case (k.File == "") == (k.Secret == ""):
			wrong("keys."+id, "expected either a `file` or a `secret`")
		case (k.Secret != "") != (k.Algorithm == hmacSHA256) && k.Algorithm != "":
			wrong("keys."+id, "hmac-sha256 is for secrets, and the other algorithms are for keys in files")
		}
	}
	return errors.Join(errs...)
}

// Validate checks the description.
func (h *HMAC) Validate() error {
	errs := []error{checkSecrets("secrets", h.Secrets)}
	if len(h.Secrets) == 0 {
		errs = append(errs, config.FieldErrorf("secrets", "there is no secret"))
	}
	if _, err := newPayload(h); err != nil {
		errs = append(errs, config.FieldErrorf("payload", "%w", err))
	}
	return errors.Join(errs...)
}

// checkSecrets checks that secrets are some.
func checkSecrets(field string, secrets []config.Secret) error {
	var errs []error
	for i, s := range secrets {
		if len(s.Reveal()) < 8 {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%d]", field, i), "the secret has %d characters, and should have 8 at least", len(s.Reveal())))
		}
	}
	return errors.Join(errs...)
}

// derivedNames are the components that a configuration can ask for and that are no fields.
func derivedNames() []string {
	return []string{"@method", "@authority", "@scheme", "@path", "@query", "@request-target", "@target-uri"}
}
