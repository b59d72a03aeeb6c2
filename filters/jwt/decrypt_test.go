package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/filter"
)

// seal encrypts a text for a key.
func seal(t *testing.T, alg jose.KeyAlgorithm, enc jose.ContentEncryption, key any, text string, o *jose.EncrypterOptions) string {
	t.Helper()
	if o == nil {
		o = (&jose.EncrypterOptions{}).WithContentType("JWT")
	}
	e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := e.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sealed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// keyFile writes a key as JWK.
func keyFile(t *testing.T, key any) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEncryptedTokens(t *testing.T) {
	rs := keys()["RS256"].key.(*rsa.PrivateKey)
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files := "[" + keyFile(t, rs) + ", " + keyFile(t, ec) + "]"
	secret := []byte("0123456789abcdef")
	encoded := base64.RawURLEncoding.EncodeToString(secret)
	inner := keys()["ES256"].sign(t, claims(nil), nil)
	typed := func() *jose.EncrypterOptions { return (&jose.EncrypterOptions{}).WithContentType("JWT") }
	zipped := typed()
	zipped.Compression = jose.DEFLATE
	good := seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rs.PublicKey, inner, nil)
	parts := strings.Split(good, ".")
	change := func(i int, with string) string {
		p := append([]string(nil), parts...)
		p[i] = with
		return strings.Join(p, ".")
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	usual := "decrypt: " + files
	for name, test := range map[string]struct{ config, raw, cause string }{
		"RSA-OAEP-256":            {usual, good, ""},
		"RSA-OAEP":                {usual, seal(t, jose.RSA_OAEP, jose.A128CBC_HS256, &rs.PublicKey, inner, nil), ""},
		"ECDH-ES":                 {usual, seal(t, jose.ECDH_ES, jose.A128GCM, &ec.PublicKey, inner, nil), ""},
		"ECDH-ES+A256KW":          {usual, seal(t, jose.ECDH_ES_A256KW, jose.A256CBC_HS512, &ec.PublicKey, inner, nil), ""},
		"dir":                     {"decrypt: {secret: " + encoded + ", algorithms: [dir]}", seal(t, jose.DIRECT, jose.A128GCM, secret, inner, nil), ""},
		"A128KW":                  {"decrypt: {secret: " + encoded + ", algorithms: [A128KW]}", seal(t, jose.A128KW, jose.A128GCM, secret, inner, nil), ""},
		"dir without being asked": {"decrypt: {secret: " + encoded + "}", seal(t, jose.DIRECT, jose.A128GCM, secret, inner, nil), "`alg` dir, which is not accepted"},
		"plain":                   {usual, inner, ""},
		"plain, required":         {"decrypt: {keys: " + files + ", required: true}", inner, "the token is not encrypted"},
		"no key":                  {"types: [JWT]", good, "no key to decrypt it with"},
		"another's":               {usual, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &other.PublicKey, inner, nil), "no key decrypts it"},
		"RSA1_5":                  {usual, seal(t, jose.RSA1_5, jose.A256GCM, &rs.PublicKey, inner, nil), "`alg` RSA1_5, which is not accepted"},
		"PBES2":                   {usual, seal(t, jose.PBES2_HS256_A128KW, jose.A128GCM, "password", inner, nil), "the header has `p2"},
		"zip":                     {usual, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rs.PublicKey, inner, zipped), "the header has `zip`"},
		"enc not allowed":         {"decrypt: {keys: " + files + ", encryption: [A128GCM]}", good, "`enc` A256GCM, which is not accepted"},
		"no cty":                  {usual, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rs.PublicKey, inner, &jose.EncrypterOptions{}), "`cty` is \"\""},
		"no token inside":         {usual, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rs.PublicKey, `{"sub":"ada"}`, nil), "no signed token"},
		"encrypted twice":         {usual, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rs.PublicKey, good, nil), "no signed token"},
		"forged inside":           {usual, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rs.PublicKey, part(`{"alg":"none"}`)+"."+part(`{"iss":"https://idp.test"}`)+".", nil), "`alg` is none"},
		"other key":               {usual, change(1, parts[1][:10]+"AAAA"+parts[1][14:]), "no key decrypts it"},
		"other nonce":             {usual, change(2, strings.Repeat("A", 16)), "no key decrypts it"},
		"short nonce":             {usual, change(2, ""), "no key decrypts it"},
		"other text":              {usual, change(3, "AAAA"+parts[3][4:]), "no key decrypts it"},
		"other tag":               {usual, change(4, strings.Repeat("A", 22)), "no key decrypts it"},
		"short tag":               {usual, change(4, "AAAA"), "no key decrypts it"},
		"key off its curve":       {usual, part(`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT","epk":{"kty":"EC","crv":"P-384","x":"`+strings.Repeat("A", 64)+`","y":"`+strings.Repeat("A", 64)+`"}}`) + "..AAAAAAAAAAAAAAAA.AAAA." + strings.Repeat("A", 22), "no"},
		"key of another curve":    {usual, seal(t, jose.ECDH_ES, jose.A128GCM, &keys()["ES256"].key.(*ecdsa.PrivateKey).PublicKey, inner, nil), "no key decrypts it"},
		"no epk":                  {usual, part(`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT"}`) + "..AAAAAAAAAAAAAAAA.AAAA." + strings.Repeat("A", 22), "no key decrypts it"},
		"apu of nonsense":         {usual, part(`{"alg":"ECDH-ES","enc":"A128GCM","cty":"JWT","apu":7}`) + "..AAAAAAAAAAAAAAAA.AAAA." + strings.Repeat("A", 22), "no key decrypts it"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolicy(t, with(t, ", "+test.config))
			code := filter.TokenInvalid
			if test.cause == "" {
				code = ""
			}
			p.expect(t, p.exchange("Authorization", "Bearer "+test.raw), code, test.cause)
		})
	}
}
