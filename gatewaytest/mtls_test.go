package gatewaytest_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestCallersByCertificate asks a gateway over real connections, HTTP/1.1 and HTTP/2.
func TestCallersByCertificate(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Caller")+" "+r.Header.Get("Client-Cert")[:min(4, len(r.Header.Get("Client-Cert")))])
	}))
	t.Cleanup(upstream.Close)
	alice, mallory := selfSigned(t, "alice.example.com"), selfSigned(t, "mallory.example.com")
	g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", tls: {cert: `+inFile(t, selfSigned(t, "server"))+`, client_certificate: optional}}
upstreams: {up: `+upstream.URL+`}
consumers: {alice: {certificates: ["dns:alice.example.com"]}}
headers: {request: {set: {X-Caller: "{identity.consumer}"}}}
routes:
  - {match: /closed, to: up, mtls: {ca: `+inFile(t, alice)+`, forward: certificate}}
  - {match: /open, to: up}`)
	for _, http2 := range []bool{false, true} {
		ask := func(path string, certs ...tls.Certificate) string {
			tr := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}
			defer tr.CloseIdleConnections()
			g.Client.Transport = tr
			resp, body := g.Get(path, "Client-Cert: forged")
			if want := map[bool]int{false: 1, true: 2}[http2]; resp.ProtoMajor != want {
				t.Errorf("HTTP/%d was spoken", resp.ProtoMajor)
			}
			_, code, _ := strings.Cut(body, `"code":"`)
			code, _, _ = strings.Cut(code, `"`)
			return resp.Status + " " + map[bool]string{true: body, false: code}[resp.StatusCode == 200]
		}
		for _, c := range []struct{ got, want string }{
			{ask("/closed", alice), "200 OK alice :MII"},
			{ask("/closed", mallory), "401 Unauthorized certificate_invalid"},
			{ask("/closed"), "401 Unauthorized credentials_missing"},
			{ask("/open"), "200 OK  forg"},
		} {
			if !strings.HasPrefix(c.got, c.want) {
				t.Errorf("HTTP/2 %t: got %s, want %s", http2, c.got, c.want)
			}
		}
	}
}
