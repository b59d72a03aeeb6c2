package gatewaytest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// TestSignedRequests signs requests as a client does, sends them over a connection, and looks at what the service gets.
func TestSignedRequests(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s got %s of %d bytes, %v", r.Header.Get("X-Caller"), body, r.ContentLength, err)
	}))
	t.Cleanup(upstream.Close)
	g := gatewaytest.New(t, `
upstreams: {up: `+upstream.URL+`}
consumers: {acme: {secrets: {k1: 0123456789abcdef}}}
headers: {request: {set: {X-Caller: "{identity.consumer}"}}}
routes: [{match: /in/**, to: up, signature: {max_body: 1KiB}, rewrite: {strip_prefix: /in}}]`)
	sum := func(body string) string {
		s := sha256.Sum256([]byte(body))
		return "sha-256=:" + base64.StdEncoding.EncodeToString(s[:]) + ":"
	}
	ask := func(body string, digest string, chunked bool) string {
		r, err := http.NewRequest("POST", g.URL+"/in/a%20b?x=1", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if chunked {
			r.ContentLength, r.Trailer = -1, http.Header{"X-Late": {"unsigned"}}
		}
		r.Header.Set("Content-Digest", digest)
		input := fmt.Sprintf(`("@method" "@target-uri" "content-digest");created=%d;keyid="k1"`, time.Now().Unix())
		mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
		fmt.Fprintf(mac, "\"@method\": POST\n\"@target-uri\": %s/in/a%%20b?x=1\n\"content-digest\": %s\n\"@signature-params\": %s", g.URL, digest, input)
		r.Header.Set("Signature-Input", "sig="+input)
		r.Header.Set("Signature", "sig=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
		resp, err := g.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status + " " + string(text)
	}
	long := strings.Repeat("x", 2000)
	for _, chunked := range []bool{false, true} {
		for _, c := range [][2]string{
			{ask("hello", sum("hello"), chunked), "200 OK acme got hello of 5 bytes, <nil>"},
			{ask("hello", sum("hallo"), chunked), `"code":"signature_invalid"`},
			{ask(long, sum(long), chunked), `"code":"body_too_large"`},
		} {
			if !strings.Contains(c[0], c[1]) {
				t.Errorf("chunked %t: got %s, want %s", chunked, c[0], c[1])
			}
		}
	}
}
