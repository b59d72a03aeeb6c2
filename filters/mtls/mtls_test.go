package mtls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// exchange is a request on a connection on which certificates were sent.
func exchange(sent ...*authority) *filter.Exchange {
	r := httptest.NewRequest("GET", "/", nil)
	r.TLS = &tls.ConnectionState{}
	for _, a := range sent {
		r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, a.cert)
	}
	ex := &filter.Exchange{Request: r, Start: time.Now()}
	ex.Prepare(4)
	return ex
}

// found says what a request gets.
func found(p *policy, ex *filter.Exchange) string {
	id, err := p.authenticate(ex)
	switch {
	case err != nil:
		e := filter.AsError(err)
		return fmt.Sprintf("%s: %v", e.Code, e.Cause)
	case id == nil:
		return "absent"
	}
	return id.String()
}

// built is a policy of a configuration below a folder.
func built(t testing.TB, env *filter.Env, text string, now func() time.Time) *policy {
	t.Helper()
	c := new(Config)
	if err := filtertest.Parse(t, "mtls: "+text).Field("mtls").Decode(c); err != nil {
		t.Fatal(err)
	}
	p, err := newPolicy(env, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhoIsBelieved(t *testing.T) {
	root, stranger := newAuthority(t, "Root"), newAuthority(t, "Root") // of the same name
	issuing := root.issue(signs("Issuing"))
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", append([]byte("# ours\n"), root.pem()...))
	write(t, env.Dir, "issuing.pem", issuing.pem())
	plain, with := built(t, env, "ca.pem", time.Now), built(t, env, "{ca: ca.pem, intermediates: issuing.pem}", time.Now)
	good, below := root.issue(nil), issuing.issue(nil)
	server := root.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	old := root.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := root.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	self := (&authority{t: t}).issue(nil)
	byLeaf := good.issue(nil) // signed by one who may not
	for _, c := range []struct {
		name string
		p    *policy
		sent []*authority
		want string
	}{
		{"none", plain, nil, "absent"},
		{"good", plain, []*authority{good}, "subject Ada"},
		{"chain", plain, []*authority{below, issuing}, "subject Ada"},
		{"chain without its middle", plain, []*authority{issuing.issue(nil)}, "unknown authority"},
		{"chain with a middle of ours", with, []*authority{below}, "subject Ada"},
		{"stranger", plain, []*authority{stranger.issue(nil)}, "unknown authority"},
		{"stranger who brings the root", plain, []*authority{stranger.issue(nil), stranger, root}, "unknown authority"},
		{"self-signed", plain, []*authority{self}, "unknown authority"},
		{"of a server", plain, []*authority{server}, "incompatible key usage"},
		{"expired", plain, []*authority{old}, "expired"},
		{"too early", plain, []*authority{early}, "not yet valid"},
		{"signed by a client", plain, []*authority{byLeaf, good}, "certificate_invalid"},
	} {
		for range 2 {
			if got := found(c.p, exchange(c.sent...)); !strings.Contains(got, c.want) {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	root := newAuthority(t, "Root")
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	named := func(change func(c *x509.Certificate)) *authority { return root.issue(change) }
	uris := func(texts ...string) *authority {
		return named(func(c *x509.Certificate) {
			for _, text := range texts {
				c.URIs = append(c.URIs, mustURL(t, text))
			}
		})
	}
	dns := named(func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"A.Example.com"}, []string{"Ada@Example.com"}
	})
	signer := named(func(c *x509.Certificate) {
		signs("x")(c)
		c.ExtKeyUsage, c.URIs = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []*url.URL{mustURL(t, "spiffe://example.com/a")}
	})
	const orders = "spiffe://example.com/ns/shop/sa/orders"
	for _, c := range []struct {
		pattern string
		cert    *authority
		want    string
	}{
		{"dns:*.example.com", dns, "subject a.example.com"},
		{"dns:*.com", dns, "none of dns:*.com"},
		{"dns:example.com", dns, "none of"},
		{"email:*@example.com", dns, "subject a.example.com"},
		{"email:bob@example.com", dns, "none of"},
		{"subject:CN=Ada,O=Example", dns, "subject"},
		{"subject:CN=*,O=Example", dns, "subject"},
		{"subject:CN=A*", dns, "none of"},
		{"dns:*.example.com", named(func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} }), "none of"},
		{"dns:a.example.com", named(func(c *x509.Certificate) { c.Subject.CommonName = "a.example.com" }), "none of"},
		{"spiffe://example.com/ns/*/sa/orders", uris(orders), "subject " + orders},
		{"uri:spiffe://example.com/**", uris(orders), "subject " + orders},
		{"spiffe://example.com/*", uris(orders), "none of"},
		{"spiffe://example.com/ns/*/sa/orders", uris("spiffe://example.org/ns/shop/sa/orders"), "none of"},
		{"spiffe://example.com/ns/*/sa/orders", uris(orders, "https://example.com/"), "2 URIs"},
		{"uri:https://example.com/*", uris("https://example.com/x", "https://example.com/y"), "subject https://example.com/x"},
		{"uri:https://example.com/*", uris("https://example.com/x", orders), "2 URIs"},
		{"spiffe://example.com/**", uris("spiffe://example.com/a/../b"), "not well formed"},
		{"spiffe://example.com/**", uris("spiffe://example.com/a/"), "not well formed"},
		{"spiffe://example.com/**", uris("spiffe://example.com:443/a"), "not well formed"},
		{"spiffe://example.com/**", uris("spiffe://example.com/a?b=c"), "not well formed"},
		{"spiffe://example.com/**", uris("spiffe://example.com/%61"), "not well formed"},
		{"spiffe://example.com/*", signer, "may sign others"},
		{"sha256:" + strings.Repeat("0", 64), dns, "none of"},
	} {
		p := built(t, env, fmt.Sprintf("{ca: ca.pem, names: ['%s']}", c.pattern), time.Now)
		if got := found(p, exchange(c.cert)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.pattern, got, c.want)
		}
	}
	n, err := namesOf(dns.cert)
	if err != nil {
		t.Fatal(err)
	}
	if got := found(built(t, env, "{ca: ca.pem, names: ['"+"sha256:"+strings.ToUpper(n.print[7:])+"']}", time.Now), exchange(dns)); got != "subject a.example.com" {
		t.Error(got)
	}
}

func TestConsumers(t *testing.T) {
	root := newAuthority(t, "Root")
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	pinned := root.issue(func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "pinned"} })
	n, err := namesOf(pinned.cert)
	if err != nil {
		t.Fatal(err)
	}
	env.Consumers = filtertest.Consumers(t, `
shop: {groups: [internal], certificates: ["dns:Shop.example.com"]}
mail: {certificates: ["email:mail@example.com", "uri:spiffe://example.com/mail"]}
named: {certificates: ["subject:CN=Named"]}
pinned: {certificates: ["`+n.print+`"]}`)
	p := built(t, env, "ca.pem", time.Now)
	for want, cert := range map[string]*authority{
		"subject shop.example.com, consumer shop, groups internal": root.issue(func(c *x509.Certificate) { c.DNSNames = []string{"SHOP.example.com"} }),
		"subject spiffe://example.com/mail, consumer mail":         root.issue(func(c *x509.Certificate) { c.URIs = []*url.URL{mustURL(t, "spiffe://example.com/mail")} }),
		"subject Named, consumer named":                            root.issue(func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "Named"} }),
		"subject pinned, consumer pinned":                          pinned,
		"certificate_invalid: the certificate is of two consumers: of shop by dns:shop.example.com, and of mail by email:mail@example.com": root.issue(func(c *x509.Certificate) {
			c.DNSNames, c.EmailAddresses = []string{"shop.example.com"}, []string{"mail@example.com"}
		}),
	} {
		if got := found(p, exchange(cert)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestRevocation(t *testing.T) {
	root, stranger := newAuthority(t, "Root"), newAuthority(t, "Root")
	issuing := root.issue(signs("Issuing"))
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	write(t, env.Dir, "issuing.pem", issuing.pem())
	good, bad, later := root.issue(nil), root.issue(nil), root.issue(nil)
	now := time.Now()
	write(t, env.Dir, "crl", inPEM("X509 CRL", root.revoke(now.Add(time.Minute), bad)))
	p := built(t, env, "{ca: ca.pem, crl: crl}", func() time.Time { return now })
	check := func(who string, cert *authority, want string) {
		t.Helper()
		if got := found(p, exchange(cert)); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", who, got, want)
		}
	}
	check("good", good, "subject")
	check("later", later, "subject")
	check("bad", bad, "is revoked")
	write(t, env.Dir, "crl", root.revoke(now.Add(time.Minute), bad, later)) // DER
	now = now.Add(2 * time.Second)
	check("later", later, "is revoked")
	now = now.Add(2 * time.Minute)
	check("good, with an old list", good, "was to be renewed")
	write(t, env.Dir, "crl", root.revoke(now.Add(time.Minute)))
	now = now.Add(2 * time.Second)
	check("good, with a new list", good, "subject")

	p = built(t, env, "{ca: ca.pem, intermediates: issuing.pem, crl: crl}", func() time.Time { return now })
	check("of one without a list", issuing.issue(nil), "no revocation list of CN=Issuing")
	write(t, env.Dir, "both", inPEM("X509 CRL", root.revoke(now.Add(time.Minute), issuing), issuing.revoke(now.Add(time.Minute))))
	p = built(t, env, "{ca: ca.pem, intermediates: issuing.pem, crl: both}", func() time.Time { return now })
	check("of a revoked one", issuing.issue(nil), "is revoked")

	write(t, env.Dir, "strange", stranger.revoke(now.Add(time.Minute)))
	write(t, env.Dir, "none", []byte("nothing"))
	for text, want := range map[string]string{
		"{ca: ca.pem, crl: strange}": "signed by none of the certificates",
		"{ca: ca.pem, crl: none}":    "cannot read the revocation list",
		"{ca: ca.pem, crl: ca.pem}":  "only revocation lists",
		"{ca: none}":                 "there is no certificate in it",
		"{ca: absent}":               "no such file",
	} {
		_, err := Kind().Build(env, filtertest.Parse(t, "mtls: "+text).Field("mtls"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestListInDER: a list in DER may end with any byte, such as one that is a space in texts.
func TestListInDER(t *testing.T) {
	root := newAuthority(t, "Root")
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	bad := root.issue(nil)
	for range 10_000 { // each is signed anew, so one in forty ends with a space
		if der := root.revoke(time.Now().Add(time.Minute), bad); len(bytes.TrimSpace(der)) < len(der) {
			write(t, env.Dir, "crl", der)
			if got := found(built(t, env, "{ca: ca.pem, crl: crl}", time.Now), exchange(bad)); !strings.Contains(got, "is revoked") {
				t.Error(got)
			}
			return
		}
	}
	t.Fatal("no list ends with a space")
}

func TestWrongConfigurations(t *testing.T) {
	for text, want := range map[string]string{
		"{names: ['dns:a']}":                       "ca",
		"{ca: []}":                                 "nobody is believed",
		"{ca: x, names: [a.example.com]}":          "is no name of a certificate",
		"{ca: x, names: ['dns:']}":                 "is no name of a certificate",
		"{ca: x, names: ['spiffe://Example.com']}": "is no SPIFFE id",
		"{ca: x, names: ['spiffe://a/']}":          "is no SPIFFE id",
		"{ca: x, names: ['sha256:abc']}":           "64 hexadecimal digits",
		"{ca: x, forward: yes}":                    "chain",
	} {
		_, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, "mtls: "+text).Field("mtls"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestForward(t *testing.T) {
	root := newAuthority(t, "Root")
	issuing := root.issue(signs("Issuing"))
	leaf := issuing.issue(nil)
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	encoded := func(a *authority) string { return ":" + base64.StdEncoding.EncodeToString(a.cert.Raw) + ":" }
	for forward, want := range map[string][2]string{
		"off": {}, "certificate": {encoded(leaf)}, "chain": {encoded(leaf), encoded(issuing) + ", " + encoded(root)},
	} {
		p := built(t, env, "{ca: ca.pem, forward: "+forward+"}", time.Now)
		for range 2 {
			ex := exchange(leaf, issuing, root)
			ex.Request.Header["Client-Cert"], ex.Request.Header["Client-Cert-Chain"] = []string{"forged"}, []string{"forged"}
			if got := found(p, ex); got != "subject Ada" {
				t.Fatal(got)
			}
			if got := [2]string{ex.Request.Header.Get("Client-Cert"), ex.Request.Header.Get("Client-Cert-Chain")}; got != want {
				t.Errorf("%s: got %.80q", forward, got)
			}
		}
		ex := exchange()
		ex.Request.Header["Client-Cert"], ex.Request.Header["Client-Cert-Chain"] = []string{"forged"}, []string{"forged"}
		if found(p, ex); len(ex.Request.Header) != 0 {
			t.Errorf("%s: without a certificate the upstream gets %v", forward, ex.Request.Header)
		}
	}
}

func TestExpiryEndsAnOpenConnection(t *testing.T) {
	root := newAuthority(t, "Root")
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	now := time.Now()
	p := built(t, env, "ca.pem", func() time.Time { return now })
	ex := exchange(root.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) }))
	if got := found(p, ex); got != "subject Ada" {
		t.Error(got)
	}
	now = now.Add(2 * time.Minute)
	if got := found(p, ex); !strings.Contains(got, "expired") {
		t.Error(got)
	}
	write(t, env.Dir, "ca.pem", newAuthority(t, "Other").pem())
	now = now.Add(2 * time.Second)
	if got := found(p, exchange(root.issue(nil))); !strings.Contains(got, "unknown authority") {
		t.Errorf("after the change of the file: %s", got)
	}
}

func TestExplain(t *testing.T) {
	root := newAuthority(t, "Root")
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	f, err := Kind().Build(env, filtertest.Parse(t, "mtls: ca.pem").Field("mtls"))
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange()
	ex.Dry, ex.Request.TLS = true, nil
	if v := f.Explain(ex); v.Action != filter.Unknown {
		t.Errorf("got %v", v)
	}
}

func TestKeptIsBounded(t *testing.T) {
	c := newCache()
	for range maxFound + 50 {
		put(c.open, &x509.Certificate{}, &verdict{})
	}
	if len(c.open) > maxFound {
		t.Errorf("%d are kept", len(c.open))
	}
}

// again is a request on an open connection.
func again(t testing.TB) func() {
	root := newAuthority(t, "Root")
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	write(t, env.Dir, "ca.pem", root.pem())
	f, err := Kind().Build(env, filtertest.Parse(t, "mtls: {ca: ca.pem, names: ['subject:CN=Ada,**'], forward: certificate}").Field("mtls"))
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange(root.issue(nil))
	return func() {
		ex.Identity = nil
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkOpenConnection(b *testing.B) {
	run := again(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func BenchmarkFirstRequest(b *testing.B) {
	root := newAuthority(b, "Root")
	env := filtertest.NewEnv(b, "r")
	env.Dir = b.TempDir()
	write(b, env.Dir, "ca.pem", root.pem())
	p := built(b, env, "ca.pem", time.Now)
	leaf := root.issue(nil)
	b.ReportAllocs()
	for b.Loop() {
		p.find(*p.trust.Value(time.Now()), []*x509.Certificate{leaf.cert}, time.Now())
	}
}
