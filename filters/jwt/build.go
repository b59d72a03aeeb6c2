package jwt

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/issuer"
	"cardea.dev/cardea/internal/token"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("jwt", filter.Authenticate, build) }

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	v, err := newVerifier(env, c, time.Now)
	if err != nil {
		return nil, err
	}
	p, err := token.NewPolicy(env, "jwt", &c.Settings, time.Now)
	if err != nil {
		return nil, err
	}
	return p.Filter(v.find), nil
}

// newVerifier makes what verifies the tokens of a configuration. Those with the same have one together, also across reloads.
func newVerifier(env *filter.Env, c *Config, now func() time.Time) (*verifier, error) {
	v := &verifier{config: c, now: now, leeway: time.Duration(c.Leeway), types: map[string]bool{}}
	for _, typ := range c.Types {
		v.types[token.MediaType(typ)] = true
	}
	id := sha256.New()
	settings, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("cannot identify the settings: %w", err)
	}
	id.Write(settings)
	issuers, prefix := c.Issuers, "issuers[%d]."
	if len(issuers) == 0 {
		issuers, prefix = []Issuer{c.Issuer}, ""
	}
	var errs []error
	for i := range issuers {
		t, print, err := trust(env, &issuers[i], c.Audience)
		if err != nil {
			at := prefix
			if prefix != "" {
				at = fmt.Sprintf(prefix, i)
			}
			errs = append(errs, below(at, err))
			continue
		}
		id.Write(print)
		v.issuers = append(v.issuers, t)
	}
	if c.Decrypt != nil {
		d, print, err := newDecrypter(env, c.Decrypt)
		errs = append(errs, below("decrypt.", err))
		v.decrypter = d
		id.Write(print)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v.cache, err = filter.Keep(env, fmt.Sprintf("jwt:tokens:%x", id.Sum(nil)), func() (*token.Cache[*verified], error) {
		return token.NewCache[*verified](c.CacheEntries), nil
	})
	return v, err
}

// below puts the path of an error below another.
func below(path string, err error) error {
	var at *config.FieldError
	if path != "" && errors.As(err, &at) {
		return config.FieldErrorf(path+at.Path, "%w", at.Err)
	}
	return err
}

// trust makes an issuer that is trusted. It returns too what tells it from others.
func trust(env *filter.Env, c *Issuer, audience []string) (*trusted, []byte, error) {
	t := &trusted{name: c.Issuer, audience: c.Audience, algorithms: c.allowed()}
	if len(t.audience) == 0 {
		t.audience = audience
	}
	keys, err := fixedKeys(env, c)
	if err != nil {
		return nil, nil, err
	}
	if len(keys) > 0 {
		t.keys = issuer.Fixed(keys)
		hash := t.keys.Current().Hash()
		return t, hash[:], nil
	}
	s := issuer.Settings{
		Issuer: c.Issuer, Discovery: c.DiscoveryURL, JWKS: c.JWKSURL, AllowHTTP: c.AllowHTTP,
		Timeout: time.Duration(c.Timeout), Refresh: time.Duration(c.Refresh), Stale: time.Duration(c.Stale), Miss: time.Duration(c.MissInterval),
		Log: env.Log,
	}
	env.Reads(c.CA)
	roots, authorities, err := issuer.Authorities(env.Dir, c.CA)
	if err != nil {
		return nil, nil, config.FieldErrorf("ca", "%w", err)
	}
	s.Roots = roots
	key := fmt.Sprintf("issuer:%q %q %q %t %s %s %s %s %x", s.Issuer, s.Discovery, s.JWKS, s.AllowHTTP, s.Timeout, s.Refresh, s.Stale, s.Miss, sha256.Sum256(authorities))
	t.keys, err = filter.Keep(env, key, func() (*issuer.Issuer, error) { return issuer.New(s) })
	if err != nil {
		return nil, nil, config.FieldErrorf("issuer", "%w", err)
	}
	return t, []byte(key), nil
}

// fixedKeys are the keys that are given.
func fixedKeys(env *filter.Env, c *Issuer) ([]*issuer.Key, error) {
	if c.Secret != "" {
		return []*issuer.Key{issuer.NewSecret([]byte(c.Secret.Reveal()))}, nil
	}
	var keys []*issuer.Key
	for i, text := range c.Keys {
		at := fmt.Sprintf("keys[%d]", i)
		if trimmed := strings.TrimSpace(text); !strings.HasPrefix(trimmed, "{") && !strings.HasPrefix(trimmed, "-----BEGIN") {
			env.Reads(text)
			content, err := os.ReadFile(resolve(env.Dir, text))
			if err != nil {
				return nil, config.FieldErrorf(at, "cannot read the key: %w", err)
			}
			text = string(content)
		}
		found, err := issuer.ParseKeys([]byte(text))
		if err != nil {
			return nil, config.FieldErrorf(at, "%w", err)
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

// resolve makes a file name absolute.
func resolve(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
