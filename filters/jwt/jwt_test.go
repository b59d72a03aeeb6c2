package jwt

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "jwt", 6) }

const issuerAndKeys = `issuer: https://idp.test, keys: ['KEYS']`

// with makes a configuration with all keys.
func with(t testing.TB, more string) string {
	return strings.ReplaceAll("{"+issuerAndKeys+more+"}", "KEYS", all(t))
}

func TestTokens(t *testing.T) {
	es := keys()["ES256"]
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, test := range map[string]struct {
		config string // beside issuer and keys
		claims any
		header map[string]any
		by     string // the signer; ES256
		code   filter.Code
		cause  string
	}{
		"good":                   {claims: claims(nil)},
		"RS256":                  {claims: claims(nil), by: "RS256"},
		"PS384":                  {claims: claims(nil), by: "PS384"},
		"ES512":                  {claims: claims(nil), by: "ES512"},
		"EdDSA":                  {claims: claims(nil), by: "EdDSA"},
		"algorithm not allowed":  {", algorithms: [RS256]", claims(nil), nil, "", "jwt_invalid", "`alg` is ES256, wanted RS256"},
		"no typ":                 {claims: claims(nil), header: map[string]any{"typ": nil}},
		"at+jwt":                 {claims: claims(nil), header: map[string]any{"typ": "application/at+JWT"}},
		"logout+jwt":             {"", claims(nil), map[string]any{"typ": "logout+jwt"}, "", "jwt_invalid", "`typ` is \"logout+jwt\", wanted JWT or at+jwt"},
		"only at+jwt":            {", types: [at+jwt]", claims(nil), nil, "", "jwt_invalid", "`typ` is \"JWT\", wanted at+jwt"},
		"other issuer":           {"", claims(map[string]any{"iss": "https://evil.test"}), nil, "", "jwt_invalid", "`iss` is \"https://evil.test\", wanted https://idp.test"},
		"issuer with slash":      {"", claims(map[string]any{"iss": "https://idp.test/"}), nil, "", "jwt_invalid", "`iss` is \"https://idp.test/\", wanted https://idp.test"},
		"no issuer":              {"", claims(map[string]any{"iss": nil}), nil, "", "jwt_invalid", "`iss` is \"\", wanted https://idp.test"},
		"audience":               {", audience: [a, orders]", claims(nil), nil, "", "", ""},
		"audience in list":       {", audience: orders", claims(map[string]any{"aud": []string{"x", "orders"}}), nil, "", "", ""},
		"other audience":         {", audience: b", claims(map[string]any{"aud": "a"}), nil, "", "jwt_invalid", "`aud` is [a], wanted b"},
		"no audience":            {", audience: b", claims(map[string]any{"aud": nil}), nil, "", "jwt_invalid", "there is no `aud`, wanted b"},
		"audience of numbers":    {"", claims(map[string]any{"aud": []any{1}}), nil, "", "jwt_invalid", "the claims: `aud` is a list of something else than texts"},
		"audience null":          {"", `{"iss":"https://idp.test","aud":null,"exp":9999999999}`, nil, "", "jwt_invalid", "the claims: `aud` is neither a text nor a list of them"},
		"expired":                {"", claims(map[string]any{"exp": in(-time.Minute)}), nil, "", "jwt_expired", "`exp` is"},
		"expired within leeway":  {"", claims(map[string]any{"exp": in(-10 * time.Second)}), nil, "", "", ""},
		"expired without leeway": {", leeway: 0", claims(map[string]any{"exp": in(-10 * time.Second)}), nil, "", "jwt_expired", "`exp` is"},
		"never expires":          {"", claims(map[string]any{"exp": nil}), nil, "", "jwt_invalid", "there is no `exp`"},
		"may never expire":       {", require_expiry: false", claims(map[string]any{"exp": nil}), nil, "", "", ""},
		"exp is a text":          {"", claims(map[string]any{"exp": "9999999999"}), nil, "", "jwt_invalid", "`exp` is not a number"},
		"exp is a fraction":      {"", claims(map[string]any{"exp": float64(in(time.Hour)) + 0.5}), nil, "", "", ""},
		"exp is negative":        {"", claims(map[string]any{"exp": -1}), nil, "", "jwt_invalid", "no point in time"},
		"exp is huge":            {"", `{"iss":"https://idp.test","exp":1e300}`, nil, "", "jwt_invalid", "no point in time"},
		"exp is beyond numbers":  {"", `{"iss":"https://idp.test","exp":1e999}`, nil, "", "jwt_invalid", "the claims:"},
		"not yet":                {"", claims(map[string]any{"nbf": in(time.Minute)}), nil, "", "jwt_invalid", "`nbf` is"},
		"issued in the future":   {"", claims(map[string]any{"iat": in(time.Minute)}), nil, "", "jwt_invalid", "`iat` is"},
		"too old":                {", max_age: 1h", claims(map[string]any{"iat": in(-2 * time.Hour)}), nil, "", "jwt_expired", "wanted 1h0m0s at most"},
		"age unknown":            {", max_age: 1h", claims(nil), nil, "", "jwt_invalid", "there is no `iat`"},
		"required":               {", required_claims: {tenant: [a, b], sub: '*'}", claims(map[string]any{"tenant": "b"}), nil, "", "", ""},
		"required and other":     {", required_claims: {tenant: [a, b]}", claims(map[string]any{"tenant": "c"}), nil, "", "jwt_invalid", "`tenant` is c, wanted a or b"},
		"required and missing":   {", required_claims: {tenant: '*'}", claims(nil), nil, "", "jwt_invalid", "there is no `tenant`"},
		"required, nested":       {", required_claims: {a.b: x}", claims(map[string]any{"a": map[string]any{"b": []string{"w", "x"}}}), nil, "", "", ""},
		"required, boolean":      {", required_claims: {email_verified: 'true'}", claims(map[string]any{"email_verified": true}), nil, "", "", ""},
		"scopes":                 {", scopes: [read, write]", claims(nil), nil, "", "", ""},
		"scopes in scp":          {", scopes: [a, b]", claims(map[string]any{"scope": nil, "scp": []string{"a", "b"}}), nil, "", "", ""},
		"scope missing":          {", scopes: [admin]", claims(nil), nil, "", "insufficient_scope", "the scopes are [read write], wanted admin"},
		"scope is a number":      {"", claims(map[string]any{"scope": 1}), nil, "", "jwt_invalid", "`scope` is neither"},
		"logout token":           {"", claims(map[string]any{"events": map[string]any{}}), nil, "", "jwt_invalid", "it is of the kind logout_token"},
		"id token":               {", reject: [id_token]", claims(map[string]any{"nonce": "n"}), nil, "", "jwt_invalid", "it is of the kind id_token"},
		"refresh token":          {", reject: [refresh_token]", claims(map[string]any{"typ": "Refresh"}), nil, "", "jwt_invalid", "it is of the kind refresh_token"},
		"two subjects":           {"", `{"iss":"https://idp.test","exp":9999999999,"sub":"a","sub":"b"}`, nil, "", "jwt_invalid", "duplicate key 'sub'"},
		"two in a claim":         {"", `{"iss":"https://idp.test","exp":9999999999,"x":{"y":1,"y":2}}`, nil, "", "jwt_invalid", "duplicate key 'y'"},
		"claims are a list":      {"", `[]`, nil, "", "jwt_invalid", "no JSON object"},
		"claims are null":        {"", `null`, nil, "", "jwt_invalid", "no JSON object"},
		"claims and more":        {"", `{"iss":"https://idp.test","exp":9999999999}{}`, nil, "", "jwt_invalid", "something after"},
		"claims are nothing":     {"", ``, nil, "", "jwt_invalid", "no JSON object"},
		"not UTF-8":              {"", "{\"iss\":\"https://idp.test\",\"exp\":9999999999,\"sub\":\"\xff\"}", nil, "", "jwt_invalid", "not UTF-8"},
		"deep":                   {"", `{"iss":"https://idp.test","exp":9999999999,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, nil, "", "jwt_invalid", "nested more than 32"},
		"jku":                    {"", claims(nil), map[string]any{"jku": "https://evil.test/keys"}, "", "jwt_invalid", "the header has `jku`"},
		"x5u":                    {"", claims(nil), map[string]any{"x5u": "https://evil.test/cert"}, "", "jwt_invalid", "the header has `x5u`"},
		"jwk":                    {"", claims(nil), map[string]any{"jwk": map[string]any{"kty": "EC"}}, "", "jwt_invalid", "`jwk`"},
		"crit":                   {"", claims(nil), map[string]any{"crit": []string{"exp"}, "exp": 1}, "", "jwt_invalid", "the header has `crit`"},
		"b64":                    {"", claims(nil), map[string]any{"b64": true}, "", "jwt_invalid", "the header has `b64`"},
		"nested":                 {"", claims(nil), map[string]any{"cty": "JWT"}, "", "jwt_invalid", "a token in a token"},
		"bound to a key":         {"", claims(map[string]any{"cnf": map[string]any{"jkt": strings.Repeat("A", 43)}}), nil, "", "jwt_invalid", "bound to a key"},
		"bound to a certificate": {"", claims(map[string]any{"cnf": map[string]any{"x5t#S256": strings.Repeat("A", 43)}}), nil, "", "jwt_invalid", "the client has shown none"},
		"bound otherwise":        {"", claims(map[string]any{"cnf": map[string]any{"kid": "x"}}), nil, "", "jwt_invalid", "`cnf.kid`"},
		"bound to null":          {"", claims(map[string]any{"cnf": map[string]any{"jkt": nil}}), nil, "", "jwt_invalid", "`cnf.jkt`"},
		"cnf is a text":          {"", claims(map[string]any{"cnf": "x"}), nil, "", "jwt_invalid", "`cnf` is no object"},
		"a field with a line":    {", claims_to_headers: {X-N: n}", claims(map[string]any{"n": "a\r\nX-Admin: 1"}), nil, "", "jwt_invalid", "characters that a field cannot have"},
		"a list with commas":     {", claims_to_headers: {X-N: n}", claims(map[string]any{"n": []string{"a,admin"}}), nil, "", "jwt_invalid", "characters that a field cannot have"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolicy(t, with(t, test.config))
			by := es
			if test.by != "" {
				by = keys()[test.by]
			}
			raw := by.sign(t, test.claims, test.header)
			for range 2 { // the second time it may be remembered
				p.expect(t, p.exchange("Authorization", "Bearer "+raw), test.code, test.cause)
			}
		})
	}
}

// expect checks what Explain and Request say of an exchange. Code "" is accepted.
func (p policy) expect(t *testing.T, ex *filter.Exchange, code filter.Code, cause string) {
	t.Helper()
	dry := p.exchange()
	dry.Request.Header = ex.Request.Header.Clone()
	target := *ex.Request.URL
	dry.Request.URL, dry.Request.TLS, dry.Request.Host, dry.Original, dry.Dry = &target, ex.Request.TLS, ex.Request.Host, ex.Original, true
	verdict := p.Explain(dry)
	err := p.Request(ex)
	if code == "" {
		if err != nil || verdict.Action != filter.Passes || ex.Identity == nil {
			t.Fatalf("got %v, and explain %v: wanted it accepted", err, verdict)
		}
		return
	}
	var e *filter.Error
	if !errors.As(err, &e) || e.Code != code || e.Cause == nil || !strings.Contains(e.Cause.Error(), cause) {
		t.Fatalf("got %v, wanted %s: %s", err, code, cause)
	}
	if verdict.Action != filter.Rejects || !strings.Contains(verdict.Note, cause) {
		t.Errorf("explain says %v, wanted %s", verdict, cause)
	}
}

// part is a part of a token.
func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestForgedTokens(t *testing.T) {
	rs, es, ed := keys()["RS256"], keys()["ES256"], keys()["EdDSA"]
	good := es.sign(t, claims(nil), nil)
	head, body, sig := split(good)
	publicPEM := []byte(all(t))
	hs := signer{"rs", jose.HS256, publicPEM}
	for name, raw := range map[string]string{
		"none":                      part(`{"alg":"none"}`) + "." + body + ".",
		"None":                      part(`{"alg":"None"}`) + "." + body + ".",
		"no alg":                    part(`{"typ":"JWT"}`) + "." + body + "." + sig,
		"no signature":              head + "." + body + ".",
		"HS256 with the public key": hs.sign(t, claims(nil), nil),
		"other claims":              head + "." + part(`{"iss":"https://idp.test","exp":9999999999}`) + "." + sig,
		"other header":              part(`{"alg":"ES256","kid":"es"}`) + "." + body + "." + sig,
		"signature of zeros":        head + "." + body + "." + part(strings.Repeat("\x00", 64)),
		"signature cut":             head + "." + body + "." + sig[:len(sig)-2],
		"signature longer":          head + "." + body + "." + sig + "AA",
		"signature in DER":          head + "." + body + "." + part("\x30\x06\x02\x01\x01\x02\x01\x01"),
		"padding":                   good + "=",
		"space":                     head + "." + body + ". " + sig,
		"line break":                head + "." + body + ".\n" + sig,
		"bits that say nothing":     head + "." + body + "." + sig[:len(sig)-1] + otherEnd(sig),
		"two parts":                 head + "." + body,
		"four parts":                good + ".x",
		"five parts":                good + ".x.y",
		"six parts":                 good + ".x.y.z",
		"JSON form":                 `{"payload":"` + body + `","protected":"` + head + `","signature":"` + sig + `"}`,
		"standard base64":           strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+",
		"long":                      head + "." + strings.Repeat("A", 16<<10) + "." + sig,
		"dots":                      strings.Repeat(".", 1000),
		"another's key":             signer{"es", jose.EdDSA, ed.key}.sign(t, claims(nil), nil),
		"unknown kid":               signer{"nobody", jose.ES256, es.key}.sign(t, claims(nil), nil),
		"path as kid":               signer{"../../../dev/null", jose.RS256, rs.key}.sign(t, claims(nil), nil),
		"two alg":                   part(`{"alg":"none","alg":"ES256","kid":"es"}`) + "." + body + "." + sig,
		"alg is a list":             part(`{"alg":["ES256"],"kid":"es"}`) + "." + body + "." + sig,
		"header is a list":          part(`[]`) + "." + body + "." + sig,
		"not base64":                "!!!." + body + "." + sig,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolicy(t, with(t, ""))
			p.expect(t, p.exchange("Authorization", "Bearer "+raw), filter.TokenInvalid, "")
		})
	}
}

func split(raw string) (head, body, sig string) {
	parts := strings.Split(raw, ".")
	return parts[0], parts[1], parts[2]
}

// otherEnd is another last character that decodes to the same bytes.
func otherEnd(sig string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, sig[len(sig)-1])+1:][:1]
}

func TestPlaces(t *testing.T) {
	raw := keys()["ES256"].sign(t, claims(nil), nil)
	for name, test := range map[string]struct {
		config string
		fields []string
		query  string
		code   filter.Code
		absent bool
	}{
		"lower case":         {fields: []string{"Authorization", "bearer " + raw}},
		"nothing":            {absent: true},
		"Basic":              {fields: []string{"Authorization", "Basic eDp5"}, absent: true},
		"empty":              {fields: []string{"Authorization", "Bearer "}, code: "jwt_invalid"},
		"Bearer alone":       {fields: []string{"Authorization", "Bearer"}, code: "jwt_invalid"},
		"two fields":         {fields: []string{"Authorization", "Bearer " + raw, "Authorization", "Bearer " + raw}, code: "jwt_invalid"},
		"two schemes":        {fields: []string{"Authorization", "Basic eDp5", "Authorization", "Bearer " + raw}, code: "jwt_invalid"},
		"two in one":         {fields: []string{"Authorization", "Bearer " + raw + ", Bearer " + raw}, code: "jwt_invalid"},
		"other field":        {config: ", in: [header.x-token]", fields: []string{"X-Token", raw}},
		"other, Bearer":      {config: ", in: [header.x-token]", fields: []string{"X-Token", "Bearer " + raw}},
		"cookie":             {config: ", in: [cookie.t]", fields: []string{"Cookie", "a=b; t=" + raw}},
		"two cookies":        {config: ", in: [cookie.t]", fields: []string{"Cookie", "t=" + raw + "; t=x"}, code: "jwt_invalid"},
		"query":              {config: ", in: [query.access_token]", query: "a=b&access_token=" + raw},
		"query, escaped":     {config: ", in: [query.access_token]", query: "access%5Ftoken=" + strings.ReplaceAll(raw, ".", "%2E")},
		"twice in the query": {config: ", in: [query.t]", query: "t=" + raw + "&t=" + raw, code: "jwt_invalid"},
		"two places":         {config: ", in: [header.authorization, query.t]", fields: []string{"Authorization", "Bearer " + raw}, query: "t=" + raw, code: "jwt_invalid"},
		"DPoP not known":     {fields: []string{"Authorization", "DPoP " + raw}, absent: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolicy(t, with(t, test.config+", forward: false"))
			ex := p.exchange(test.fields...)
			ex.Request.URL.RawQuery = test.query
			if test.absent {
				p.expect(t, ex, filter.CredentialsMissing, "")
				return
			}
			p.expect(t, ex, test.code, "")
			if test.code == "" && (strings.Contains(ex.Request.URL.RawQuery, raw) || strings.Contains(strings.Join(headerValues(ex), " "), raw)) {
				t.Errorf("the token is still there: %v %v", ex.Request.URL, ex.Request.Header)
			}
		})
	}
}

func headerValues(ex *filter.Exchange) (all []string) {
	for _, v := range ex.Request.Header {
		all = append(all, v...)
	}
	return all
}

func TestIdentity(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, `{acme: {groups: [partners], tags: {plan: gold}, subjects: ["https://idp.test ada"]}}`)
	p := policy{newFilter(t, env, with(t, ", groups_claim: [groups, realm_access.roles], claims_to_headers: {X-User: sub, X-Roles: realm_access.roles, X-None: nothing}")), env}
	raw := keys()["RS256"].sign(t, claims(map[string]any{"groups": []string{"a"}, "realm_access": map[string]any{"roles": []string{"b", "a"}}}), nil)
	for range 2 {
		ex := p.exchange("Authorization", "Bearer "+raw, "X-User", "root", "X_user", "root", "X-None", "forged")
		if err := p.Request(ex); err != nil {
			t.Fatal(err)
		}
		id := ex.Identity
		if got := id.String(); got != "subject ada, consumer acme, groups a, b, partners, scopes read write" || id.Tags["plan"] != "gold" || id.Method != "jwt" || id.Claims["iss"] != "https://idp.test" {
			t.Errorf("identity %v", id)
		}
		h := ex.Request.Header
		if h.Get("X-User") != "ada" || len(h["X_user"]) != 0 || len(h["X-None"]) != 0 || h.Get("X-Roles") != "b,a" || h.Get("Authorization") == "" {
			t.Errorf("header %v", h)
		}
	}
}

func TestIssuersWithoutANameHaveNoConsumers(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, `{acme: {subjects: ["https://idp.test ada"]}}`)
	p := policy{newFilter(t, env, "{secret: 0123456789abcdef0123456789abcdef}"), env}
	ex := p.exchange("Authorization", "Bearer "+signer{"", jose.HS256, []byte("0123456789abcdef0123456789abcdef")}.sign(t, claims(nil), nil))
	if err := p.Request(ex); err != nil || ex.Identity.Consumer != "" {
		t.Errorf("%v, %v", err, ex.Identity)
	}
}

func TestFieldsAreRemovedWithoutAToken(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Authentication().Optional = true
	p := policy{newFilter(t, env, with(t, ", claims_to_headers: {X-User: sub}")), env}
	ex := p.exchange("X-User", "root")
	if err := p.Request(ex); err != nil || ex.Request.Header.Get("X-User") != "" {
		t.Errorf("%v, header %v", err, ex.Request.Header)
	}
	env.Authentication().Any = true
	ex = p.exchange("X-User", "root")
	ex.Identity = &filter.Identity{Subject: "x", Method: "api_key"}
	if err := p.Request(ex); err != nil || ex.Request.Header.Get("X-User") != "" {
		t.Errorf("another policy has accepted: %v, header %v", err, ex.Request.Header)
	}
}

func TestChallenges(t *testing.T) {
	expired := keys()["ES256"].sign(t, claims(map[string]any{"exp": 1}), nil)
	good := keys()["ES256"].sign(t, claims(nil), nil)
	for _, test := range []struct{ config, token, want string }{
		{"", "", "Bearer"},
		{"", expired, `Bearer error="invalid_token", error_description="The token has expired."`},
		{", scopes: [a, b]", good, `Bearer error="insufficient_scope", scope="a b"`},
		{", dpop: required", "", `DPoP algs="ES256 ES384 ES512 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"`},
		{", dpop: optional", "", `Bearer, DPoP algs="ES256 ES384 ES512 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"`},
		{", dpop: required", good, `DPoP error="invalid_token", error_description="The token is not valid here.", algs="ES256 ES384 ES512 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"`},
	} {
		p := newPolicy(t, with(t, test.config))
		ex := p.exchange()
		if test.token != "" {
			ex = p.exchange("Authorization", "Bearer "+test.token)
		}
		if got := filter.AsError(p.Request(ex)).Header.Get("Www-Authenticate"); got != test.want {
			t.Errorf("%q, token %.4q: %s, wanted %s", test.config, test.token, got, test.want)
		}
	}
}

func TestSecrets(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	p := newPolicy(t, "{issuer: https://idp.test, secret: "+secret+"}")
	p.expect(t, p.exchange("Authorization", "Bearer "+signer{"", jose.HS256, []byte(secret)}.sign(t, claims(nil), nil)), "", "")
	p.expect(t, p.exchange("Authorization", "Bearer "+signer{"", jose.HS256, []byte(strings.ToUpper(secret))}.sign(t, claims(nil), nil)), filter.TokenInvalid, "verifies the signature")
	p.expect(t, p.exchange("Authorization", "Bearer "+keys()["ES256"].sign(t, claims(nil), nil)), filter.TokenInvalid, "`alg` is ES256, wanted HS256")
}

func TestSeveralIssuers(t *testing.T) {
	a, b := keys()["ES256"], keys()["EdDSA"]
	p := newPolicy(t, `{audience: orders, issuers: [{issuer: https://a.test, keys: ['`+jwks(t, a)+`']}, {issuer: https://b.test, audience: other, keys: ['`+jwks(t, b)+`']}]}`)
	from := func(s signer, iss, aud string) *filter.Exchange {
		return p.exchange("Authorization", "Bearer "+s.sign(t, claims(map[string]any{"iss": iss, "aud": aud}), nil))
	}
	p.expect(t, from(a, "https://a.test", "orders"), "", "")
	p.expect(t, from(b, "https://b.test", "other"), "", "")
	p.expect(t, from(b, "https://b.test", "orders"), filter.TokenInvalid, "`aud` is [orders], wanted other")
	p.expect(t, from(b, "https://a.test", "orders"), filter.TokenInvalid, "no such key")
	p.expect(t, from(a, "https://c.test", "orders"), filter.TokenInvalid, "wanted https://a.test or https://b.test")
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{
		"{}", "idp", "ftp://idp", "http://idp.test/", "{issuer: 'https://u:p@idp.test'}", "{issuer: https://idp.test, secret: short}",
		"{issuer: i, secret: 0123456789abcdef0123456789abcdef, algorithms: [RS256]}",
		"{issuer: https://i, algorithms: [HS256]}", "{issuer: https://i, algorithms: [none]}",
		"{issuer: https://i, secret: 0123456789abcdef0123456789abcdef, jwks_url: https://i/keys}",
		"{issuer: https://i, keys: [nothing.pem]}", "{issuer: https://i, keys: ['{}']}", `{issuer: https://i, keys: ['{"kty":"oct","k":"AAAA"}']}`,
		"{issuer: https://i, issuers: [https://j]}", "[https://i, https://i]", "{issuers: [{secret: 0123456789abcdef0123456789abcdef}]}",
		"{issuer: https://i, in: []}", "{issuer: https://i, in: [body.x]}", "{issuer: https://i, scopes: ['a b']}",
		"{issuer: https://i, claims_to_headers: {Host: sub}}", "{issuer: https://i, claims_to_headers: {'a b': sub}}",
		"{issuer: https://i, dpop: maybe}", "{issuer: https://i, decrypt: {}}", "{issuer: https://i, decrypt: [none.pem]}",
		"{issuer: https://i, decrypt: {secret: x}}", "{issuer: https://i, decrypt: {keys: x.pem, algorithms: [RSA1_5]}}",
		"{issuer: https://i, decrypt: {keys: x.pem, algorithms: [PBES2-HS256+A128KW]}}", "{issuer: https://i, jwks_url: http://i/keys}",
		"{issuer: https://i, leeway: 1h}", "{issuer: https://i, required_claims: {a: []}}", "{issuer: https://i, ca: none.pem}",
	} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
