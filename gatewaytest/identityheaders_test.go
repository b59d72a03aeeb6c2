package gatewaytest_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cardea.dev/cardea/gatewaytest"
)

// newKey writes a key pair to a file.
func newKey(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A client tries all it can to have the upstream see a field of its own making.
func TestIdentityHeadersCannotBeForged(t *testing.T) {
	seen := make(chan http.Header, 1)
	up := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := r.Header.Clone()
		for name, values := range r.Trailer {
			h["trailer "+name] = values
		}
		seen <- h
	})
	g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0"}
upstreams: {u: `+up.URL+`}
consumers: {acme: {groups: [staff], keys: [acme-0123456789abcdef]}}
api_key: {}
authenticate: {optional: true}
identity_headers: {}
headers: {request: {default: {X-User: from-headers}}}
routes:
  - {match: /**, to: u}
  - {match: /inner/**, to: u, rewrite: {strip_prefix: /inner}}
`)
	for name, request := range map[string]string{
		"plain":             "GET / HTTP/1.1\r\nHost: h\r\nX-User: root\r\nX-Groups: admin\r\nConnection: close\r\n\r\n",
		"inner":             "GET /inner/ HTTP/1.1\r\nHost: h\r\nX-User: root\r\nX-Groups: admin\r\nConnection: close\r\n\r\n",
		"twice":             "GET / HTTP/1.1\r\nHost: h\r\nX-User: root\r\nX-User: root\r\nx-user: root\r\nConnection: close\r\n\r\n",
		"underscore":        "GET / HTTP/1.1\r\nHost: h\r\nX_User: root\r\nX_GROUPS: admin\r\nx.consumer: root\r\nConnection: close\r\n\r\n",
		"of the connection": "GET / HTTP/1.1\r\nHost: h\r\nX-User: root\r\nConnection: close, X-User, X-Consumer\r\n\r\n",
		"trailer":           "POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-User, X-Sum\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\nX-User: root\r\nX-Sum: 1\r\n\r\n",
		"hidden trailer":    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\nX_User: root\r\nX-Groups: admin\r\n\r\n",
	} {
		for _, key := range []string{"", "X-Api-Key: acme-0123456789abcdef\r\n"} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, strings.Replace(request, "Host: h\r\n", "Host: h\r\n"+key, 1)); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%s: got %d", name, resp.StatusCode)
				continue
			}
			h := <-seen
			for field, values := range h {
				if slices.Contains(values, "root") || slices.Contains(values, "admin") || slices.Contains(values, "from-headers") {
					t.Errorf("%s: the upstream sees %s: %v", name, field, values)
				}
			}
			want := ""
			if key != "" {
				want = "acme"
			}
			if h.Get("X-Consumer") != want || h.Get("X-User") != want {
				t.Errorf("%s: the upstream sees %v", name, h)
			}
		}
	}
}

func TestServicesVerifyTheToken(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
	newKey(t, a)
	newKey(t, b)
	tokens := make(chan string, 1)
	up := upstream(t, func(_ http.ResponseWriter, r *http.Request) { tokens <- r.Header.Get("X-Identity-Token") })
	config := func(keys string) string {
		return `
upstreams: {u: ` + up.URL + `}
consumers: {acme: {groups: [staff], keys: [acme-0123456789abcdef]}}
routes:
  - {match: /keys, jwks: ` + keys + `}
  - {match: /**, to: u, api_key: {}, identity_headers: {token: {key: ` + keys + `, issuer: gw, audience: u}}}
`
	}
	g := gatewaytest.New(t, config("["+a+"]"))
	verify := func() (kid string) {
		g.Get("/x", "X-Api-Key: acme-0123456789abcdef")
		resp, body := g.Get("/keys")
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(body), &set); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, err)
		}
		token, err := jwt.ParseSigned(<-tokens, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		var claims jwt.Claims
		if err := token.Claims(set, &claims); err != nil {
			t.Fatal(err)
		}
		if err := claims.Validate(jwt.Expected{Issuer: "gw", AnyAudience: jwt.Audience{"u"}, Subject: "acme"}); err != nil {
			t.Error(err)
		}
		return token.Headers[0].KeyID
	}
	first := verify()
	if verify() != first {
		t.Error("the key changed")
	}
	if err := g.SetConfig(config("[" + b + ", " + a + "]")); err != nil {
		t.Fatal(err)
	}
	if verify() == first {
		t.Error("the new key does not sign")
	}
}
