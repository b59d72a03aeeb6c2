package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// request is a request as a client sends it.
type request struct {
	method, url, body string
	fields            []string
}

func (r *request) field(name string) string {
	for _, f := range r.fields {
		if value, ok := strings.CutPrefix(f, name+": "); ok {
			return value
		}
	}
	return ""
}

// exchange is the request as policies see it.
func (r *request) exchange(t testing.TB) *filter.Exchange {
	t.Helper()
	req := httptest.NewRequest(r.method, r.url, strings.NewReader(r.body))
	if r.body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	for _, f := range r.fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	ex := &filter.Exchange{Request: req, Start: time.Now(), Original: filter.Original{
		Method: r.method, Scheme: req.URL.Scheme, Host: strings.ToLower(req.URL.Hostname()), Path: req.URL.EscapedPath(), Query: req.URL.RawQuery, Proto: "HTTP/1.1",
	}}
	ex.Prepare(4)
	return ex
}

// found says what a request gets.
func found(p *policy, ex *filter.Exchange) string {
	find := p.caller
	if p.webhook != nil {
		find = p.webhookCaller
	}
	id, err := find(ex)
	switch {
	case err != nil:
		e := filter.AsError(err)
		return fmt.Sprintf("%s: %s%v", e.Code, e.Detail, e.Cause)
	case id == nil:
		return "absent"
	}
	return id.String()
}

// built is a policy of a configuration.
func built(t testing.TB, env *filter.Env, text string, now func() time.Time) *policy {
	t.Helper()
	c := new(Config)
	if err := filtertest.Parse(t, "signature: "+text).Field("signature").Decode(c); err != nil {
		t.Fatal(err)
	}
	p, err := newPolicy(env, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const secret = "0123456789abcdef-secret"

// signed signs a request with the secret, over what an input lists, in a way of its own.
func (r *request) signed(input, base string) *request {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(base + "\n\"@signature-params\": " + input))
	s := *r
	s.fields = append(append([]string{}, r.fields...), "Signature-Input: sig="+input, "Signature: sig=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
	return &s
}

func consumersEnv(t testing.TB) *filter.Env {
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, "{acme: {groups: [partners], secrets: {k1: '"+secret+"'}}}")
	return env
}

func TestComponents(t *testing.T) {
	p := built(t, consumersEnv(t), `{components: ["@method"]}`, func() time.Time { return time.Unix(created, 0) })
	const end = `;created=1618884473;keyid="k1"`
	r := &request{"GET", "https://Example.com:443/a%20b?q=1&fa%C3%A7ade%22%3A%20=x+y~*&n", "", []string{"X-A: one ", "X-A:  two", "X-Empty: "}}
	for _, c := range []struct{ list, base, want string }{
		{`("@method")`, `"@method": GET`, "subject acme, consumer acme, groups partners"},
		{`("@method" "@authority")`, "\"@method\": GET\n\"@authority\": example.com", "subject"},
		{`("@method" "@scheme")`, "\"@method\": GET\n\"@scheme\": https", "subject"},
		{`("@method" "@path")`, "\"@method\": GET\n\"@path\": /a%20b", "subject"},
		{`("@method" "@query")`, "\"@method\": GET\n\"@query\": ?q=1&fa%C3%A7ade%22%3A%20=x+y~*&n", "subject"},
		{`("@method" "@request-target")`, "\"@method\": GET\n\"@request-target\": /a%20b?q=1&fa%C3%A7ade%22%3A%20=x+y~*&n", "subject"},
		{`("@method" "@target-uri")`, "\"@method\": GET\n\"@target-uri\": https://example.com/a%20b?q=1&fa%C3%A7ade%22%3A%20=x+y~*&n", "subject"},
		{`("@method" "@query-param";name="q")`, "\"@method\": GET\n\"@query-param\";name=\"q\": 1", "subject"},
		{`("@method" "@query-param";name="n")`, "\"@method\": GET\n\"@query-param\";name=\"n\": ", "subject"},
		{`("@method" "@query-param";name="fa%C3%A7ade%22%3A%20")`, "\"@method\": GET\n\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\": x%20y%7E*", "subject"},
		{`("@method" "x-a")`, "\"@method\": GET\n\"x-a\": one, two", "subject"},
		{`("@method" "x-a";bs)`, "\"@method\": GET\n\"x-a\";bs: :b25l:, :dHdv:", "subject"},
		{`("@method" "x-empty")`, "\"@method\": GET\n\"x-empty\": ", "subject"},
		{`("@method" "host")`, "\"@method\": GET\n\"host\": Example.com:443", "subject"},
		{`("@method" "x-none")`, "", "does not have it"},
		{`("@method" "X-A")`, "", "lower case"},
		{`("@method" "@status")`, "", "not known of requests"},
		{`("@method" "@query-param")`, "", "should have a name"},
		{`("@method" "@query-param";name="none")`, "", "0 times"},
		{`("@method" "x-a";sf)`, "", "only bs"},
		{`("@method" "@path";req)`, "", "parameters that are not taken"},
		{`("@method" "@method")`, "", "there twice"},
		{`("@path")`, "", "does not cover @method"},
		{`("@method";req)`, "", "does not cover @method"},
	} {
		if got := found(p, r.signed(c.list+end, c.base).exchange(t)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.list, got, c.want)
		}
	}
	for input, want := range map[string]string{
		`("@method");keyid="k1"`:                                                  "when it was created",
		`("@method");created="1618884473";keyid="k1"`:                             "wrong type",
		`("@method");created=1618884473`:                                          "names no key",
		`("@method");created=1618884473;keyid="k2"`:                               `no key "k2"`,
		`("@method");created=1618884473;keyid="k1";alg="ed25519"`:                 "is for hmac-sha256",
		`("@method");created=1618884473;keyid="k1";expires=1618884473`:            "has expired",
		`("@method");created=1618884473;keyid="k1";alg="hmac-sha256"`:             "subject acme",
		`("@method");created=1618884473;keyid="k1";expires=1618884474`:            "subject acme",
		`("@method");created=1618884473;keyid="k1";x=?0;y;z=tok/en;w=:AA==:`:      "subject acme",
		`("@method");created=1618884473;keyid="` + strings.Repeat("k", 257) + `"`: "too many",
	} {
		if got := found(p, r.signed(input, `"@method": GET`).exchange(t)); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", input, got, want)
		}
	}
}

func TestWhatMustBeCovered(t *testing.T) {
	p := built(t, consumersEnv(t), "{}", func() time.Time { return time.Unix(created, 0) })
	const end = `;created=1618884473;keyid="k1"`
	plain, query := &request{"GET", "https://a.example/x", "", nil}, &request{"GET", "https://a.example/x?y", "", nil}
	const path = "\"@method\": GET\n\"@authority\": a.example\n\"@path\": /x"
	for _, c := range []struct {
		r                *request
		list, base, want string
	}{
		{plain, `("@method" "@target-uri")`, "\"@method\": GET\n\"@target-uri\": https://a.example/x", "subject"},
		{plain, `("@method" "@authority" "@path")`, path, "subject"},
		{query, `("@method" "@authority" "@path")`, path, "does not cover @target-uri"},
		{query, `("@method" "@authority" "@path" "@query")`, path + "\n\"@query\": ?y", "subject"},
		{plain, `("@method" "@path" "@query")`, "", "does not cover @target-uri"},
		{plain, `("@target-uri")`, "", "does not cover @method"},
	} {
		if got := found(p, c.r.signed(c.list+end, c.base).exchange(t)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.list, got, c.want)
		}
	}
}

func TestAuthority(t *testing.T) {
	for _, c := range [][4]string{
		{"Example.com", "example.com", "https", "example.com"},
		{"example.com:443", "example.com", "https", "example.com"},
		{"example.com:443", "example.com", "http", "example.com:443"},
		{"example.com:80", "example.com", "http", "example.com"},
		{"example.com:8080", "example.com", "http", "example.com:8080"},
		{"[::1]:8080", "[::1]", "http", "[::1]:8080"},
		{"[::1]", "[::1]", "http", "[::1]"},
		{"internal:8080", "api.example.com", "https", "api.example.com"}, // by a trusted proxy's word
		{"internal", "", "https", "internal"},
	} {
		ex := &filter.Exchange{Request: &http.Request{Host: c[0]}, Original: filter.Original{Host: c[1], Scheme: c[2]}}
		if got := (message{ex}).authority(); got != c[3] {
			t.Errorf("%v: got %s", c, got)
		}
	}
}

func TestMalformedFields(t *testing.T) {
	p := built(t, consumersEnv(t), "{}", func() time.Time { return time.Unix(created, 0) })
	for _, c := range [][3]string{
		{"", "", "absent"},
		{`sig=("@method");created=1;keyid="k1"`, "", "only one"},
		{"", "sig=:AA==:", "only one"},
		{`sig=(`, "sig=:AA==:", "ends too early"},
		{`sig=("a"`, "sig=:AA==:", "ends too early"},
		{`sig=("a""b")`, "sig=:AA==:", "not well formed"},
		{`sig=("a");created=1618884473,`, "sig=:AA==:", "ends too early"},
		{`sig=("a"), sig=("b")`, "sig=:AA==:", "twice"},
		{`sig=("a");created=1;created=2`, "sig=:AA==:", "twice"},
		{`sig=("a");created=1.5`, "sig=:AA==:", "not an integer"},
		{`sig=("a");created=9999999999999999`, "sig=:AA==:", "not an integer"},
		{`sig=("ä")`, "sig=:AA==:", "not ASCII"},
		{`Sig=("a")`, "sig=:AA==:", "not well formed"},
		{`sig="a"`, "sig=:AA==:", "does not list"},
		{`sig=("@method" "@target-uri");created=1618884473;keyid="k1"`, "other=:AA==:", "does not have it"},
		{`sig=("@method" "@target-uri");created=1618884473;keyid="k1"`, "sig=AA", "no sequence of bytes"},
		{`sig=("@method" "@target-uri");created=1618884473;keyid="k1"`, "sig=:A:", "not base64"},
		{`sig=("@method" "@target-uri");created=1618884473;keyid="k1"`, "sig=:AA==", "does not end"},
		{`sig=("@method" "@target-uri");created=1618884473;keyid="k1"`, "sig=:AA==:", "is not the one of key"},
		{`sig=("@method" "@target-uri");created=1618884473;keyid="k1"`, "sig=::", "is not the one of key"},
		{"a=(), b=(), c=(), d=(), e=(), f=(), g=(), h=(), i=()", "sig=:AA==:", "9 signatures"},
		{strings.Repeat("a", 20000), "sig=:AA==:", "too many"},
	} {
		r := &request{method: "GET", url: "https://a.example/"}
		if c[0] != "" {
			r.fields = append(r.fields, "Signature-Input: "+c[0])
		}
		if c[1] != "" {
			r.fields = append(r.fields, "Signature: "+c[1])
		}
		if got := found(p, r.exchange(t)); !strings.Contains(got, c[2]) {
			t.Errorf("%.60q, %q: got %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestBodies(t *testing.T) {
	env := consumersEnv(t)
	p := built(t, env, "{max_body: 8}", func() time.Time { return time.Unix(created, 0) })
	sum256, sum512 := sha256.Sum256([]byte("hello")), sha512.Sum512([]byte("hello"))
	right := "sha-256=:" + base64.StdEncoding.EncodeToString(sum256[:]) + ":"
	other := "sha-512=:" + base64.StdEncoding.EncodeToString(sum512[:]) + ":"
	ask := func(body, digest string) *request {
		r := &request{"POST", "https://a.example/", body, []string{"Content-Digest: " + digest}}
		return r.signed(`("@method" "@target-uri" "content-digest");created=1618884473;keyid="k1"`,
			"\"@method\": POST\n\"@target-uri\": https://a.example/\n\"content-digest\": "+digest)
	}
	for _, c := range [][3]string{
		{"hello", right, "subject acme"},
		{"hello", other + ", " + right, "subject acme"},
		{"hello", right + ", md5=:AAAA:", "subject acme"},
		{"hell0", right, "not the one of the sha-256"},
		{"hello", right + ", sha-512=:AAAA:", "not the one of the sha-512"},
		{"", right, "not the one of the sha-256"},
		{"hello", "md5=:AAAA:", "neither sha-256 nor sha-512"},
		{"hello", "sha-256=abc", "no sequence of bytes"},
		{"hello", "!", "Content-Digest"},
		{"hello you", right, "body_too_large"},
	} {
		for _, chunked := range []bool{false, true} {
			ex := ask(c[0], c[1]).exchange(t)
			if chunked && c[0] != "" {
				ex.Request.ContentLength, ex.Request.TransferEncoding = -1, []string{"chunked"}
			}
			got := found(p, ex)
			if !strings.Contains(got, c[2]) {
				t.Errorf("%q, %s, chunked %t: got %s, want %s", c[0], c[1], chunked, got, c[2])
			}
			if left, _ := io.ReadAll(ex.Request.Body); strings.Contains(got, "subject") && (string(left) != c[0] || ex.Request.ContentLength != int64(len(c[0]))) {
				t.Errorf("the upstream gets %q of %d", left, ex.Request.ContentLength)
			}
		}
	}
	dry := ask("hello", right).exchange(t)
	dry.Dry = true
	if got := found(p, dry); !strings.Contains(got, "the body is signed") {
		t.Errorf("explained: %s", got)
	}
}

func TestNonces(t *testing.T) {
	now := time.Unix(created, 0)
	env := consumersEnv(t)
	p := built(t, env, "{nonce: true}", func() time.Time { return now })
	ask := func(nonce string, at int64) string {
		r := &request{method: "GET", url: "https://a.example/"}
		input := fmt.Sprintf(`("@method" "@target-uri");created=%d;keyid="k1"`, at)
		if nonce != "" {
			input += `;nonce="` + nonce + `"`
		}
		return found(p, r.signed(input, "\"@method\": GET\n\"@target-uri\": https://a.example/").exchange(t))
	}
	check := func(nonce, want string) {
		t.Helper()
		if got := ask(nonce, now.Unix()); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", nonce, got, want)
		}
	}
	check("", "has no nonce")
	check("a", "subject")
	check("a", "used before")
	check("b", "subject")
	now = now.Add(6 * time.Minute)
	check("c", "subject")
	check("b", "used before")
	old := now.Unix()
	now = now.Add(5*time.Minute + 29*time.Second)
	if got := ask("c", old); !strings.Contains(got, "used before") {
		t.Errorf("at the end of its time: %s", got)
	}
	n := newNonces(time.Minute)
	for i := range maxNonces {
		n.use("k", fmt.Sprint(i), now)
	}
	if first, kept := n.use("k", "more", now); !first || kept {
		t.Error("there is no end of nonces")
	}
	if first, kept := n.use("k", "more", now.Add(2*time.Minute)); !first || !kept {
		t.Error("old nonces are not forgotten")
	}
}

func TestP384AndFilesThatChange(t *testing.T) {
	dir := t.TempDir()
	write := func(k *ecdsa.PrivateKey) {
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "k.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := [2]*ecdsa.PrivateKey{}
	for i := range keys {
		keys[i], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	write(keys[0])
	env := consumersEnv(t)
	env.Dir = dir
	now := time.Unix(created, 0)
	p := built(t, env, "{keys: {new: {file: k.pem, consumer: acme}}, max_age: 1h}", func() time.Time { return now })
	ask := func(k *ecdsa.PrivateKey) string {
		input := `("@method" "@target-uri");created=1618884473;keyid="new";alg="ecdsa-p384-sha384"`
		sum := sha512.Sum384([]byte("\"@method\": GET\n\"@target-uri\": https://a.example/\n\"@signature-params\": " + input))
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := base64.StdEncoding.EncodeToString(append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...))
		q := &request{"GET", "https://a.example/", "", []string{"Signature-Input: s=" + input, "Signature: s=:" + signature + ":"}}
		return found(p, q.exchange(t))
	}
	if got := ask(keys[0]); got != "subject new, consumer acme, groups partners" {
		t.Error(got)
	}
	write(keys[1])
	now = now.Add(2 * time.Second)
	if a, b := ask(keys[0]), ask(keys[1]); !strings.Contains(a, "is not the one") || !strings.Contains(b, "subject new") {
		t.Errorf("after the change: %s, and %s", a, b)
	}
}

func TestWebhooks(t *testing.T) {
	sum := func(secret, payload string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(payload))
		return hex.EncodeToString(mac.Sum(nil))
	}
	const github = "It's a Secret to Everybody" // with its signature, from GitHub's documentation
	now := time.Unix(created, 0)
	slack := `{hmac: {secrets: [slack-secret], header: x-slack-signature, prefix: v0=, timestamp_header: x-slack-request-timestamp, payload: "v0:{timestamp}:{body}"}}`
	other := `{hmac: {secrets: other-secret, header: x-sign, encoding: base64, algorithm: sha512, payload: "{method} {path}?{query} {header.x-a} {body}"}, consumer: acme}`
	mac := hmac.New(sha512.New, []byte("other-secret"))
	mac.Write([]byte("POST /hook?a=b one hello"))
	otherSum := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	t0 := fmt.Sprint(created)
	for _, c := range []struct {
		settings, body, want string
		fields               []string
	}{
		{`{github: "` + github + `"}`, "Hello, World!", "subject github", []string{"X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
		{`{github: [not-that-one, "` + github + `"]}`, "Hello, World!", "subject github", []string{"X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
		{`{github: "` + github + `"}`, "Hello, World.", "none of the secrets", []string{"X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
		{`{github: "` + github + `"}`, "x", "none of the secrets", []string{"X-Hub-Signature-256: sha256="}},
		{`{github: "` + github + `"}`, "x", "does not begin", []string{"X-Hub-Signature-256: sha1=00"}},
		{`{github: "` + github + `"}`, "x", "not encoded", []string{"X-Hub-Signature-256: sha256=xy"}},
		{`{github: "` + github + `"}`, "x", "several fields", []string{"X-Hub-Signature-256: sha256=00", "X-Hub-Signature-256: sha256=01"}},
		{`{github: "` + github + `"}`, "x", "absent", nil},
		{`{github: "` + github + `", max_body: 4}`, "hello", "body_too_large", []string{"X-Hub-Signature-256: sha256=00"}},
		{`{stripe: [stripe-new, stripe-old]}`, "{}", "subject stripe", []string{"Stripe-Signature: t=" + t0 + ",v1=00,v1=" + sum("stripe-old", t0+".{}") + ",v0=ignored"}},
		{`{stripe: [stripe-new]}`, "{}", "none of the secrets", []string{"Stripe-Signature: t=" + t0 + ",v1=" + sum("stripe-old", t0+".{}")}},
		{`{stripe: [stripe-new]}`, "{}", "none of the secrets", []string{"Stripe-Signature: t=" + t0}},
		{`{stripe: [stripe-new]}`, "{}", "ago", []string{"Stripe-Signature: t=1618884000,v1=" + sum("stripe-new", "1618884000.{}")}},
		{`{stripe: [stripe-new]}`, "{}", "has no time", []string{"Stripe-Signature: v1=" + sum("stripe-new", ".{}")}},
		{`{stripe: [stripe-new]}`, "{}", "two times", []string{"Stripe-Signature: t=1,t=2"}},
		{slack, "a=b", "subject webhook", []string{"X-Slack-Signature: v0=" + sum("slack-secret", "v0:"+t0+":a=b"), "X-Slack-Request-Timestamp: " + t0}},
		{slack, "a=b", "0 times", []string{"X-Slack-Signature: v0=" + sum("slack-secret", "v0:"+t0+":a=b")}},
		{slack, "a=b", "has no time", []string{"X-Slack-Signature: v0=00", "X-Slack-Request-Timestamp: soon"}},
		{other, "hello", "subject webhook, consumer acme, groups partners", []string{"X-Sign: " + otherSum, "X-A: one"}},
		{other, "hello", "none of the secrets", []string{"X-Sign: " + otherSum, "X-A: two"}},
	} {
		p := built(t, consumersEnv(t), c.settings, func() time.Time { return now })
		r := &request{"POST", "https://a.example/hook?a=b", c.body, c.fields}
		ex := r.exchange(t)
		got := found(p, ex)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %v: got %s, want %s", c.settings, c.fields, got, c.want)
		}
		if left, _ := io.ReadAll(ex.Request.Body); strings.HasPrefix(got, "subject") && string(left) != c.body {
			t.Errorf("the upstream gets %q", left)
		}
	}
}

func TestWrongConfigurations(t *testing.T) {
	dir, _ := rfcKeys(t)
	for text, want := range map[string]string{
		"{keys: {a: none}}":                                              "no such file",
		"{keys: {a: {file: rsa, algorithm: ed25519}}}":                   "is for rsa-pss-sha512",
		"{keys: {a: {file: ed, algorithm: hmac-sha256}}}":                "is for secrets",
		"{keys: {a: {secret: short-secret}}}":                            "should have 16",
		"{keys: {a: {secret: 'base64:***'}}}":                            "is not base64",
		"{keys: {a: {file: rsa, secret: 0123456789abcdef}}}":             "either a `file` or a `secret`",
		"{keys: {a: {file: rsa, consumer: nobody}}}":                     `no consumer "nobody"`,
		"{components: [Date]}":                                           "is no component",
		"{components: ['@status']}":                                      "is no component",
		"{max_age: 0s}":                                                  "1s to 24h",
		"{max_body: 1GiB}":                                               "64MiB",
		"{github: abcdefgh, stripe: abcdefgh}":                           "only one of",
		"{github: abcdefgh, nonce: true}":                                "are of HTTP message signatures",
		"{github: short}":                                                "should have 8",
		"{consumer: acme}":                                               "this is for webhooks",
		"{github: abcdefgh, consumer: nobody}":                           `no consumer "nobody"`,
		"{hmac: {secrets: abcdefgh, header: X, payload: '{timestamp}'}}": "{body} is not in it",
		"{hmac: {secrets: abcdefgh, header: X, payload: '{body}{x}'}}":   "{x} is not known",
		"{hmac: {secrets: abcdefgh, header: X, payload: '{body'}}":       "not closed",
		"{hmac: {secrets: abcdefgh, header: X, timestamp_header: T, payload: '{body}'}}": "go together",
		"{hmac: {secrets: [], header: X}}":                                               "there is no secret",
	} {
		env := consumersEnv(t)
		env.Dir = dir
		_, err := Kind().Build(env, filtertest.Parse(t, "signature: "+text).Field("signature"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func FuzzParseDictionary(f *testing.F) {
	for _, v := range vectors() {
		f.Add(v.request.field("Signature-Input"))
		f.Add(v.request.field("Signature"))
	}
	f.Add(`a=("b";c="d\"e" f;g=?0);h=-12;i=:AA==:, j, k;l=*m`)
	f.Fuzz(func(t *testing.T, field string) {
		all, err := parseDictionary(field)
		if err != nil {
			return
		}
		written := make([]string, len(all))
		for i := range all {
			var b strings.Builder
			b.WriteString(all[i].key + "=")
			if all[i].list {
				all[i].writeList(&b)
			} else {
				all[i].item.write(&b)
			}
			written[i] = b.String()
		}
		text := strings.Join(written, ", ")
		again, err := parseDictionary(text)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(all) {
			t.Errorf("%q is written %q, and read %v: %v", field, text, again, err)
		}
	})
}

func FuzzStripe(f *testing.F) {
	f.Add("t=1,v1=00,v1=ff")
	f.Fuzz(func(t *testing.T, field string) {
		signatures, _, err := readStripe(nil, field)
		if err == nil && len(signatures) > maxSignatures {
			t.Errorf("%q has %d signatures", field, len(signatures))
		}
	})
}

func benchmark(b *testing.B, name string) {
	dir, keys := rfcKeys(b)
	for _, v := range vectors() {
		if v.name != name {
			continue
		}
		env := filtertest.NewEnv(b, "r")
		env.Dir = dir
		p := built(b, env, "{"+keys+", "+v.settings+"}", func() time.Time { return time.Unix(v.at, 0) })
		ex := v.request.exchange(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.caller(ex); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkHMAC(b *testing.B)    { benchmark(b, "B.2.5") }
func BenchmarkEd25519(b *testing.B) { benchmark(b, "B.2.6") }
