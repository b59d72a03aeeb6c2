package gatewaytest_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// TestBodiesThatAreMalformed are the client's fault, whoever reads them: it did not leave.
func TestBodiesThatAreMalformed(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "fine")
	})
	g := gatewaytest.New(t, `
upstreams: {up: {endpoints: `+up.URL+`, retry: off, eject: off}}
consumers: {acme: {secrets: {k1: 0123456789abcdef}}}
routes:
  - {match: /plain, to: up}
  - {match: /validate, to: up, validate: {request: {type: object}}}
  - {match: /report, to: up, validate: {request: {type: object}, mode: report}}
  - {match: /signature, to: up, signature: {max_body: 1KiB}}
  - {match: /external, to: up, external_auth: {to: up, body: 1KiB}}
  - {match: /fallback, to: up, fallback: {to: {upstream: up, methods: [POST], max_body: 1KiB}}}
  - {match: /aws, to: up, upstream_auth: {aws: {access_key: a, secret_key: b, region: c, service: d}}}
  - {match: /respond, respond: x, validate: {request: {type: object}}}`)
	signed := func() string {
		digest := "sha-256=:" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + ":"
		input := fmt.Sprintf(`("@method" "@target-uri" "content-digest");created=%d;keyid="k1"`, time.Now().Unix())
		mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
		fmt.Fprintf(mac, "\"@method\": POST\n\"@target-uri\": %s/signature\n\"content-digest\": %s\n\"@signature-params\": %s", g.URL, digest, input)
		return "Content-Digest: " + digest + "\r\nSignature-Input: sig=" + input + "\r\nSignature: sig=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + ":\r\n"
	}
	for _, path := range []string{"/plain", "/validate", "/report", "/signature", "/external", "/fallback", "/aws", "/respond"} {
		fields := "Content-Type: application/json\r\n"
		if path == "/signature" {
			fields += signed()
		}
		for body, want := range map[string]string{
			"5\r\n{\"a\":\r\nZZ\r\n": "400 bad_request",
			"zz\r\n":                 "400 bad_request",
			"2\r\n{}XX":              "400 bad_request",
			"2\r\n{}\r\n0\r\nA: " + strings.Repeat("x", 1<<20) + "\r\n\r\n": "431 header_too_large",
		} {
			if got := problemOf(t, g, "POST "+path+" HTTP/1.1\r\nHost: "+strings.TrimPrefix(g.URL, "http://")+"\r\nTransfer-Encoding: chunked\r\n"+fields+"\r\n"+body); got != want {
				t.Errorf("%s %.40q: %s, want %s", path, body, got, want)
			}
		}
	}
}

// problemOf sends bytes, and returns the status of the answer and the code in it.
func problemOf(t *testing.T, g *gatewaytest.Gateway, in string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	go func() { _, _ = io.WriteString(c, in) }()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	_, code, _ := strings.Cut(string(body), `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	return fmt.Sprint(resp.StatusCode, " ", code)
}
