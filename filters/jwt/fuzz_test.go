package jwt

import (
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

// FuzzToken has nothing accepted but what was signed: whatever the text, a token that passes is the good one.
func FuzzToken(f *testing.F) {
	p := newPolicy(f, with(f, ", dpop: optional, decrypt: {secret: MDEyMzQ1Njc4OWFiY2RlZg, algorithms: [dir, A128KW]}"))
	good := keys()["ES256"].sign(f, claims(nil), nil)
	head, body, sig := split(good)
	for _, seed := range []string{
		good, head + "." + body + ".", "..", "....", part(`{"alg":"none"}`) + "." + body + ".", part(`{"alg":"dir","enc":"A128GCM","cty":"JWT"}`) + "..AAAA.AAAA.AAAA",
		part(`{"alg":"HS256","kid":"es"}`) + "." + body + "." + sig, part(`{"alg":"ES256","crit":["b64"],"b64":false}`) + "." + body + "." + sig,
		head + "." + part(`{"exp":1e999,"aud":[[]],"cnf":{"jkt":1}}`) + "." + sig, "Bearer " + good, part(strings.Repeat("[", 9000)) + "." + body + "." + sig,
	} {
		f.Add(seed, "")
	}
	f.Add(good, part(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`)+"."+part(`{"jti":"1"}`)+".AAAA")
	f.Fuzz(func(t *testing.T, raw, proof string) {
		for _, scheme := range []string{"Bearer ", "DPoP "} {
			ex := p.exchange("Authorization", scheme+raw)
			if proof != "" {
				ex.Request.Header["Dpop"] = []string{proof}
			}
			err := p.Request(ex)
			accepted := err == nil
			if accepted && strings.Trim(raw, " ") != good {
				t.Errorf("%q is accepted", raw)
			}
			if !accepted && filter.AsError(err).HTTPStatus() != 401 {
				t.Errorf("%q: %v", raw, err)
			}
		}
	})
}
