package identityheaders

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/signingkey"
)

// issuer makes tokens.
type issuer struct {
	signer   jose.Signer
	key      string // its id
	settings *Token
	claims   []claim
	prefix   string // before the token in its field
	signed   prometheus.Counter
}

// claim is a further claim.
type claim struct {
	name  string
	value filter.Value
	own   bool // it depends on the identity alone
}

// newIssuer reads the keys.
func newIssuer(env *filter.Env, t *Token) (*issuer, error) {
	is := &issuer{settings: t}
	if strings.EqualFold(t.Header, "Authorization") {
		is.prefix = "Bearer "
	}
	is.signed = env.Metrics.Counter("identity_tokens_signed_total", "Tokens about callers that were signed for upstreams, by route.", "route").WithLabelValues(env.Route.Name)
	var errs []error
	for i, name := range t.Key {
		env.Reads(name)
		key, err := signingkey.Read(env.Dir, name)
		if err == nil && i == 0 {
			err = is.use(key)
		}
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("token.key[%d]", i), "%w", err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Claims)) {
		v, err := newValue(env, t.Claims[name])
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("token.claims[%q]", name), "%w", err))
			continue
		}
		is.claims = append(is.claims, claim{name, v.text, v.own})
	}
	return is, errors.Join(errs...)
}

// use signs with a key from now on.
func (is *issuer) use(key *signingkey.Key) error {
	algorithm := key.Algorithms[0]
	if is.settings.Algorithm != "" {
		algorithm = jose.SignatureAlgorithm(is.settings.Algorithm)
	}
	switch {
	case key.Private == nil:
		return errors.New("it is only the public half of a key, which cannot sign")
	case !slices.Contains(key.Algorithms, algorithm):
		return fmt.Errorf("the key does not fit the algorithm %s; it is for %s", algorithm, key.Algorithms[0])
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key.Private, KeyID: key.ID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return fmt.Errorf("cannot sign with the key: %w", err)
	}
	is.signer, is.key = signer, key.ID
	return nil
}

// sign makes a token, with further claims, and says when to make the next.
func (is *issuer) sign(id *filter.Identity, more map[string]string, now time.Time) (token string, renew time.Time, err error) {
	ttl := is.settings.TTL.Std()
	claims := map[string]any{"iss": is.settings.Issuer, "iat": now.Unix(), "exp": now.Add(ttl).Unix()}
	for name, text := range map[string]string{"sub": id.Subject, "consumer": id.Consumer, "scope": strings.Join(id.Scopes, " ")} {
		if text != "" {
			claims[name] = text
		}
	}
	if _, ok := claims["sub"]; !ok && id.Consumer != "" {
		claims["sub"] = id.Consumer
	}
	if len(id.Groups) > 0 {
		claims["groups"] = id.Groups
	}
	switch aud := is.settings.Audience; len(aud) {
	case 0:
	case 1:
		claims["aud"] = aud[0]
	default:
		claims["aud"] = aud
	}
	for name, text := range more {
		claims[name] = text
	}
	token, err = jwt.Signed(is.signer).Claims(claims).Serialize()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("cannot sign the token: %w", err)
	}
	is.signed.Inc()
	return token, now.Add(ttl - ttl/4), nil
}
