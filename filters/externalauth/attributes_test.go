package externalauth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"cardea.dev/cardea/filter"
)

// TestCertificates tells the authorizer who is at the other end of a TLS connection.
func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := *server.Certificate()
	certificate.DNSNames = []string{"client.example.com"}
	for _, want := range []string{"client.example.com", "spiffe://example.com/client"} {
		r := httptest.NewRequest("GET", "https://shop.example.com/", nil)
		r.TLS = &tls.ConnectionState{ServerName: "shop.example.com", PeerCertificates: []*x509.Certificate{&certificate}}
		ex := &filter.Exchange{Request: r, Client: netip.MustParseAddr("192.0.2.1"), Start: time.Unix(1_800_000_000, 5), Original: filter.Original{Proto: "HTTP/2.0"}}
		var got auth.CheckRequest
		if err := proto.Unmarshal(encodeCheckRequest(nil, ex, http.Header{}, nil, nil), &got); err != nil {
			t.Fatal(err)
		}
		a := got.GetAttributes()
		encoded, err := url.QueryUnescape(a.GetSource().GetCertificate())
		if err != nil || !strings.HasPrefix(encoded, "-----BEGIN CERTIFICATE-----\n") {
			t.Errorf("got %q, %v", encoded, err)
		}
		if a.GetSource().GetPrincipal() != want || a.GetTlsSession().GetSni() != "shop.example.com" || a.GetRequest().GetHttp().GetProtocol() != "HTTP/2" {
			t.Errorf("got %v", a)
		}
		if !a.GetRequest().GetTime().AsTime().Equal(ex.Start) || a.GetSource().GetAddress().GetSocketAddress().GetPortValue() != 1234 {
			t.Errorf("got %v", a)
		}
		certificate.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/client"}}
	}
}
