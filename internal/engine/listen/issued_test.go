package listen

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// issuer has certificates for some names, and is being asked about one.
type issuer struct {
	certs map[string]*tls.Certificate
	any   *tls.Certificate
	asked map[string]*tls.Certificate
}

func (i *issuer) Certificate(name string) *tls.Certificate { return i.certs[name] }
func (i *issuer) Any() *tls.Certificate                    { return i.any }
func (i *issuer) Challenge(name string) *tls.Certificate   { return i.asked[name] }

func (i *issuer) Answer(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/.well-known/acme-challenge/token" {
		return false
	}
	_, _ = io.WriteString(w, "the answer")
	return true
}

func TestIssuedCertificates(t *testing.T) {
	ca := newAuthority(t) // serial numbers count up from 2
	pair := func(names ...string) *tls.Certificate {
		cert, key := ca.issue(false, names...)
		c, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	a, question := pair("a.example"), pair("a.example") // 2, 3
	from := &issuer{certs: map[string]*tls.Certificate{"a.example": a, "file.example": a}, asked: map[string]*tls.Certificate{"a.example": question}}
	r := newRig(t, nil)
	r.o.Issued = from
	ca.pair(r.dir, "file", false, "file.example") // 4
	addrs := r.apply(`
- {name: issued, address: "127.0.0.1:0", tls: {acme: [a.example], client_certificate: required}}
- {name: both, address: "127.0.0.1:0", tls: {acme: [a.example], cert: file.pem, key: file.key}}
- {name: strict, address: "127.0.0.1:0", tls: {acme: [a.example], strict_sni: true}}
- {name: files, address: "127.0.0.1:0", tls: {cert: file.pem, key: file.key}}
- {name: two, address: "127.0.0.1:0", protocols: http2, tls: {acme: [a.example]}}
- {name: plain, address: "127.0.0.1:0"}
`)
	const unknown = "remote error: tls: unrecognized name"
	challenge := []string{"acme-tls/1"}
	for _, c := range []struct {
		listener  int
		name      string
		protocols []string
		any       *tls.Certificate
		want      string
	}{
		{0, "a.example", nil, nil, "2"},
		{0, "A.Example", nil, nil, "2"},
		{0, "other.example", nil, nil, unknown},
		{0, "other.example", nil, a, "2"},
		{0, "", nil, a, "2"},
		{0, "a.example", challenge, nil, "3"}, // though it asks all others for a certificate
		{0, "A.example", challenge, nil, "3"},
		{0, "other.example", challenge, a, unknown},
		{0, "a.example", []string{"acme-tls/1", "h2"}, nil, "2"},
		{1, "a.example", nil, nil, "2"},
		{1, "file.example", nil, nil, "4"},
		{1, "other.example", nil, a, "4"},
		{1, "a.example", challenge, nil, "3"},
		{2, "other.example", nil, a, unknown},
		{2, "", nil, a, unknown},
		{3, "a.example", nil, a, "4"},
		{3, "a.example", challenge, nil, "remote error: tls: no application protocol"},
		{4, "a.example", challenge, nil, "3"},
	} {
		from.any = c.any
		if got := served(t, addrs[c.listener], &tls.Config{ServerName: c.name, NextProtos: c.protocols}); got != c.want {
			t.Errorf("%d %q %v: got %s, want %s", c.listener, c.name, c.protocols, got, c.want)
		}
	}
	c := tls.Client(dial(t, "tcp", addrs[1]), &tls.Config{ServerName: "a.example", NextProtos: challenge, InsecureSkipVerify: true})
	if got := ask(c, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"); got != "closed" && !strings.HasPrefix(got, "write: ") {
		t.Errorf("an authority's connection is served: %s", got)
	}
	for path, want := range map[string]string{"token": "the answer", "other": "HTTP/1.1", "../acme-challenge/token": "HTTP/1.1"} {
		got := ask(dial(t, "tcp", addrs[5]), "GET /.well-known/acme-challenge/"+path+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
		if before, _, _ := strings.Cut(got, " 127"); before != want {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

// TestSessionsOfIssuedOutliveReloads sees that a listener goes on with its sessions when nothing changes.
func TestSessionsOfIssuedOutliveReloads(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue(false, "a.example")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	r.o.Issued = &issuer{certs: map[string]*tls.Certificate{"a.example": &pair}}
	text := `{address: "127.0.0.1:0", protocols: http1, tls: {acme: [a.example]}}`
	addr := r.apply(text)[0]
	config := &tls.Config{RootCAs: ca.roots, ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	var resumed []bool
	for range 2 {
		c := tls.Client(dial(t, "tcp", addr), config)
		if got := ask(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1") {
			t.Fatal(got)
		}
		resumed = append(resumed, c.ConnectionState().DidResume)
		r.apply(text)
	}
	if diff := cmp.Diff([]bool{false, true}, resumed); diff != "" {
		t.Error(diff)
	}
}
