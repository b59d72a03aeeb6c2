package jwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/issuer"
	"cardea.dev/cardea/internal/token"
)

// maxTries is how many keys are tried for a token that does not say which.
const maxTries = 8

// verifier verifies the tokens of a configuration.
type verifier struct {
	config    *Config
	issuers   []*trusted
	decrypter *decrypter // nil: encrypted tokens are refused
	types     map[string]bool
	leeway    time.Duration
	cache     *token.Cache[*verified]
	now       func() time.Time
}

// trusted is an issuer whose tokens are accepted.
type trusted struct {
	name       string // "": any
	audience   []string
	algorithms []string
	keys       *issuer.Issuer
}

// verified is a token that was verified, with the key that it was verified with.
type verified struct {
	token.Token

	by  *issuer.Issuer
	key *issuer.Key
	set atomic.Pointer[issuer.Set] // the last in which the key was
}

// find returns the token that a raw one is: a remembered one, if it is still good.
func (v *verifier) find(ex *filter.Exchange, raw string, dry bool) (*token.Token, error) {
	id := token.NewID(raw)
	if t, ok := v.cache.Get(id); ok {
		if err := t.CheckTimes(v.now(), v.leeway); err != nil {
			if t.Expired(v.now(), v.leeway) && !dry {
				v.cache.Drop(id)
			}
			return nil, err
		}
		if t.vouched() && v.fresh(t.Claims) == nil {
			return &t.Token, nil
		}
	}
	t, err := v.verify(ex.Context(), raw, dry)
	if err != nil {
		return nil, err
	}
	if !dry {
		v.cache.Put(id, t)
	}
	return &t.Token, nil
}

// vouched says whether the issuer still has the key.
func (t *verified) vouched() bool {
	set := t.by.Current()
	switch {
	case set == nil:
		return false
	case set == t.set.Load():
		return true
	case set.Has(t.key):
		t.set.Store(set)
		return true
	}
	return false
}

// verify verifies a token.
func (v *verifier) verify(ctx context.Context, raw string, dry bool) (*verified, error) {
	signed, parts, err := v.open(raw)
	if err != nil {
		return nil, token.Invalid("%w", err)
	}
	h, err := v.header(parts[0])
	if err != nil {
		return nil, token.Invalid("%w", err)
	}
	claims, err := token.ReadPayload(parts[1])
	if err != nil {
		return nil, token.Invalid("the claims: %w", err)
	}
	// What the token says of its issuer is believed only so far as to choose whose keys it is verified with.
	by, err := v.issuerOf(claims)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(by.algorithms, h.Alg) {
		return nil, token.Invalid("`alg` is %s, wanted %s", h.Alg, strings.Join(by.algorithms, ", "))
	}
	t := &verified{by: by.keys}
	if err := t.verifySignature(ctx, signed, h, dry); err != nil {
		return nil, err
	}
	return t, v.check(t, by, claims)
}

// open returns the signed token and its parts. One that is encrypted is decrypted.
func (v *verifier) open(raw string) (string, []string, error) {
	parts, err := token.Parts(raw)
	switch {
	case err != nil:
		return "", nil, err
	case len(parts) == 3 && v.decrypter != nil && v.config.Decrypt.Required:
		return "", nil, errors.New("the token is not encrypted")
	case len(parts) == 3:
		return raw, parts, nil
	case v.decrypter == nil:
		return "", nil, errors.New("the token is encrypted, and there is no key to decrypt it with")
	}
	inner, err := v.decrypter.decrypt(raw, parts[0])
	if err != nil {
		return "", nil, err
	}
	if parts, err = token.Parts(inner); err != nil || len(parts) != 3 {
		return "", nil, errors.New("what is encrypted is no signed token")
	}
	return inner, parts, nil
}

// header reads the header and checks its type.
func (v *verifier) header(part string) (*token.Header, error) {
	h, err := token.ParseHeader(part)
	if err != nil {
		return nil, err
	}
	typ := token.MediaType(h.Typ)
	if typ == "" {
		typ = "jwt"
	}
	switch {
	case h.JWK != nil:
		return nil, errors.New("the header has `jwk`, which is not accepted")
	case h.Enc != "":
		return nil, errors.New("the header is of an encrypted token")
	case h.Cty != "" && token.MediaType(h.Cty) != "json":
		return nil, fmt.Errorf("`cty` is %q: a token in a token is not accepted", h.Cty)
	case !v.types[typ]:
		return nil, fmt.Errorf("`typ` is %q, wanted %s", h.Typ, strings.Join(v.config.Types, " or "))
	}
	return h, nil
}

// issuerOf returns the issuer that a token names, if it is trusted.
func (v *verifier) issuerOf(c *token.Claims) (*trusted, error) {
	names := make([]string, 0, len(v.issuers))
	for _, t := range v.issuers {
		if t.name == "" || t.name == c.Issuer {
			return t, nil
		}
		names = append(names, t.name)
	}
	return nil, token.Invalid("`iss` is %q, wanted %s", c.Issuer, strings.Join(names, " or "))
}

// verifySignature verifies the signature. For a key that is not known it has the keys renewed.
func (t *verified) verifySignature(ctx context.Context, signed string, h *token.Header, dry bool) error {
	set := t.by.Current()
	if set == nil {
		if dry {
			return fmt.Errorf("%w: no keys of the issuer are known yet", filter.ErrUnsaid)
		}
		var err error
		if set, err = t.by.Keys(ctx); err != nil {
			return token.Unavailable(err)
		}
	}
	err := t.try(signed, h, set)
	if err == nil || !errors.Is(err, errNoKey) || dry {
		return err
	}
	if renewed := t.by.Renewed(ctx, set); renewed != set {
		err = t.try(signed, h, renewed)
	}
	return err
}

// errNoKey says that the issuer has no key for a token.
var errNoKey = errors.New("the issuer has no such key")

// try tries the keys of a set.
func (t *verified) try(signed string, h *token.Header, set *issuer.Set) error {
	keys := set.Find(h.Kid, h.Alg)
	for _, k := range keys[:min(len(keys), maxTries)] {
		if _, err := token.VerifySignature(signed, h.Alg, k); err == nil {
			t.key = k
			t.set.Store(set)
			return nil
		}
	}
	switch {
	case len(keys) == 0:
		return token.Invalid("%w: `kid` is %q, `alg` is %s", errNoKey, h.Kid, h.Alg)
	case h.Kid == "":
		return token.Invalid("%w: none of those for %s verifies the signature", errNoKey, h.Alg)
	}
	return token.Invalid("the signature is wrong (`kid` %q, `alg` %s)", h.Kid, h.Alg)
}

// check checks what a token says whose signature is good.
func (v *verifier) check(t *verified, by *trusted, c *token.Claims) error {
	if err := c.CheckAudience(by.audience); err != nil {
		return err
	}
	if v.config.RequireExpiry && c.Expires == 0 {
		return token.Invalid("there is no `exp`")
	}
	if err := v.fresh(c); err != nil {
		return err
	}
	if err := v.rejects(c); err != nil {
		return err
	}
	return v.config.Accept(&t.Token, c, by.name, v.now())
}

// fresh checks how old a token is.
func (v *verifier) fresh(c *token.Claims) error {
	most := time.Duration(v.config.MaxAge)
	if most == 0 {
		return nil
	}
	if c.IssuedAt == 0 {
		return token.Invalid("there is no `iat`, and the age of the token is bounded")
	}
	if age := v.now().Sub(time.Unix(c.IssuedAt, 0)); age > most+v.leeway {
		return filter.Reject(filter.TokenExpired, "").Because(fmt.Errorf("`iat` is %s ago, wanted %s at most", age.Round(time.Second), most))
	}
	return nil
}

// rejects refuses tokens that are for something else than access.
func (v *verifier) rejects(c *token.Claims) error {
	for _, kind := range v.config.Reject {
		signs := map[string][]string{"id_token": {"nonce", "at_hash", "c_hash"}, "logout_token": {"events"}}[kind]
		for _, name := range signs {
			if _, there := c.Map[name]; there {
				return token.Invalid("it is of the kind %s: it has `%s`", kind, name)
			}
		}
		typ, _ := c.Map["typ"].(string) // as some issuers say it
		if names := map[string]string{"id_token": "id", "logout_token": "logout", "refresh_token": "refresh"}; strings.EqualFold(typ, names[kind]) {
			return token.Invalid("it is of the kind %s: its claim `typ` is %s", kind, typ)
		}
	}
	return nil
}
