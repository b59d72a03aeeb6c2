package signature

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter/filtertest"
)

// The keys of RFC 9421, appendix B.1.
const (
	rsaKey = `-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAhAKYdtoeoy8zcAcR874L8cnZxKzAGwd7v36APp7Pv6Q2jdsPBRrw
WEBnez6d0UDKDwGbc6nxfEXAy5mbhgajzrw3MOEt8uA5txSKobBpKDeBLOsdJKFq
MGmXCQvEG7YemcxDTRPxAleIAgYYRjTSd/QBwVW9OwNFhekro3RtlinV0a75jfZg
kne/YiktSvLG34lw2zqXBDTC5NHROUqGTlML4PlNZS5Ri2U4aCNx2rUPRcKIlE0P
uKxI4T+HIaFpv8+rdV6eUgOrB2xeI1dSFFn/nnv5OoZJEIB+VmuKn3DCUcCZSFlQ
PSXSfBDiUGhwOw76WuSSsf1D4b/vLoJ10wIDAQAB
-----END RSA PUBLIC KEY-----`
	pssKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----`
	eccKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----`
	edKey     = `{"kty":"OKP","crv":"Ed25519","kid":"test-key-ed25519","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}`
	hmacKey   = "base64:uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
	rfcDigest = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
	rfcBody   = `{"hello": "world"}`
)

// created is when most examples of RFC 9421 were signed.
const created = 1618884473

// rfcRequest is the request of RFC 9421, appendix B.2, to a host.
func rfcRequest(host string, fields ...string) *request {
	return &request{"POST", "https://" + host + "/foo?param=Value&Pet=dog", rfcBody, append([]string{
		"Content-Type: application/json", "Content-Digest: " + rfcDigest, "Content-Length: 18",
	}, fields...)}
}

// vector is an example of RFC 9421.
type vector struct {
	name, settings string
	at             int64
	request        *request
	want           string
}

func vectors() []vector {
	b2 := func(input, signature string) *request {
		return rfcRequest("example.com", "Date: Tue, 20 Apr 2021 02:07:55 GMT", "Signature-Input: "+input, "Signature: "+signature)
	}
	proxied := func(host string) *request {
		return rfcRequest(host, "Date: Tue, 20 Apr 2021 02:07:56 GMT", "Forwarded: for=192.0.2.123;host=example.com;proto=https",
			`Signature-Input: sig1=("@method" "@authority" "@path" "content-digest" "content-type" "content-length");created=1618884475;keyid="test-key-ecc-p256", `+
				`proxy_sig=("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540`,
			`Signature: sig1=:X5spyd6CFnAG5QnDyHfqoSNICd+BUP4LYMz2Q0JXlb//4Ijpzp+kve2w4NIyqeAuM7jTDX+sNalzA8ESSaHD3A==:, `+
				`proxy_sig=:S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==:`)
	}
	b21 := b2(`sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"`,
		`sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:`)
	b22 := b2(`sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"`,
		`sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:`)
	b23 := b2(`sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`,
		`sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:`)
	b25 := b2(`sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`, `sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:`)
	b26 := b2(`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
		`sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:`)
	changed := b2(b23.field("Signature-Input"), b23.field("Signature"))
	changed.body = `{"hello": "w0rld"}`
	later := b2(b25.field("Signature-Input"), b25.field("Signature"))
	later.fields[3] = "Date: Tue, 20 Apr 2021 02:07:56 GMT"
	return []vector{
		{"B.2.1", "unsigned_body: true", created, b21, "it does not cover @method"}, // which is why it is not taken
		{"B.2.2", `components: ["@authority"]`, created, b22, "subject test-key-rsa-pss"},
		{"B.2.2, by its tag", `components: ["@authority"], tag: header-example`, created, b22, "subject test-key-rsa-pss"},
		{"B.2.2, of another tag", `components: ["@authority"], tag: other`, created, b22, `no signature has the tag "other"`},
		{"B.2.3", "", created, b23, "subject test-key-rsa-pss"},
		{"B.2.3 with another body", "", created, changed, "the body is not the one of the sha-512"},
		{"B.2.3, too late", "", created + 331, b23, "was signed 5m31s ago"},
		{"B.2.3, too early", "", created - 31, b23, "31s from now"},
		{"B.2.5", "components: [date], unsigned_body: true", created, b25, "subject test-shared-secret"},
		{"B.2.5 with another date", "components: [date], unsigned_body: true", created, later, "is not the one of key"},
		{"B.2.5, of its body", "components: [date]", created, b25, "does not cover content-digest"},
		{"B.2.6", `components: ["@path"], unsigned_body: true`, created, b26, "subject test-key-ed25519"},
		{"4.3, of the proxy", `components: [forwarded]`, created + 10, proxied("origin.host.internal.example"), "subject test-key-rsa"},
		{"4.3, of the proxy, expired", `components: [forwarded]`, created + 67, proxied("origin.host.internal.example"), "does not cover forwarded"},
		{"4.3, of the client", `components: ["@authority"]`, created + 10, proxied("example.com"), "subject test-key-ecc-p256"},
		{"4.3, of the client, after the proxy", `components: ["@path"], max_age: 1s`, created + 100, proxied("origin.host.internal.example"), "was signed"},
	}
}

// rfcKeys are all keys, as a configuration names them.
func rfcKeys(t testing.TB) (dir, settings string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"rsa": rsaKey, "pss": pssKey, "ecc": eccKey, "ed": edKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, `keys: {test-key-rsa: {file: rsa, algorithm: rsa-v1_5-sha256}, test-key-rsa-pss: pss, test-key-ecc-p256: ecc, test-key-ed25519: ed, ` +
		`test-shared-secret: {secret: "` + hmacKey + `"}}`
}

func TestVectorsOfTheRFC(t *testing.T) {
	dir, keys := rfcKeys(t)
	for _, v := range vectors() {
		env := filtertest.NewEnv(t, "r")
		env.Dir = dir
		p := built(t, env, "{"+keys+", "+v.settings+"}", func() time.Time { return time.Unix(v.at, 0) })
		if got := found(p, v.request.exchange(t)); !strings.Contains(got, v.want) {
			t.Errorf("%s: got %s, want %s", v.name, got, v.want)
		}
	}
}

// TestOtherVectors checks those that no configuration accepts: one covers nothing, and one is of an answer.
func TestOtherVectors(t *testing.T) {
	b21 := vectors()[0].request
	described, err := parseDictionary(b21.field("Signature-Input"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := message{b21.exchange(t)}.base(&described[0])
	if err != nil {
		t.Fatal(err)
	}
	given, err := parseDictionary(b21.field("Signature"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(pem, base, signature string, want bool) {
		t.Helper()
		k, err := publicKey([]byte(pem), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := k.check([]byte(base), []byte(signature)); got != want {
			t.Errorf("got %t, want %t for\n%s", got, want, base)
		}
	}
	check(pssKey, base, given[0].text, true)
	check(pssKey, base+" ", given[0].text, false)
	b24, err := parseDictionary("a=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==:")
	if err != nil {
		t.Fatal(err)
	}
	answer := "\"@status\": 200\n\"content-type\": application/json\n" +
		"\"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n\"content-length\": 23\n" +
		`"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"`
	check(eccKey, answer, b24[0].text, true)
	check(eccKey, answer, b24[0].text[1:], false)
	check(eccKey, answer[1:], b24[0].text, false)
}
