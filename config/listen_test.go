package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// decodeInto decodes a YAML text.
func decodeInto(t *testing.T, text string, into any) error {
	t.Helper()
	root, err := ParseTree("test.yaml", []byte(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return root.Decode(into)
}

func TestListenerForms(t *testing.T) {
	defaults := func(change func(*Listener)) Listener {
		var l Listener
		l.Default()
		change(&l)
		return l
	}
	loopback := Peer{Ranges: loopbackRanges()}
	ten, err := ParsePeer("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want Listener
	}{
		{`:8080`, defaults(func(l *Listener) { l.Address = ":8080" })},
		{`address: "[::1]:0"`, defaults(func(l *Listener) { l.Address = "[::1]:0" })},
		{`{address: "unix:/run/c.sock", mode: "0600"}`, defaults(func(l *Listener) { l.Address, l.Mode = "unix:/run/c.sock", "0600" })},
		{`{address: ":443", tls: server.pem}`, defaults(func(l *Listener) {
			l.Address, l.TLS = ":443", &ListenerTLS{Certificate: Certificate{Cert: "server.pem"}, Policy: "intermediate"}
		})},
		{`{address: ":443", tls: {cert: a, key: b, min_version: 1.3}}`, defaults(func(l *Listener) {
			l.Address = ":443"
			l.TLS = &ListenerTLS{Certificate: Certificate{Cert: "a", Key: "b"}, MinVersion: "1.3", Policy: "intermediate"}
		})},
		{`{address: ":443", tls: {certificates: [a.pem, {cert: b, key: c}], strict_sni: true, policy: modern}, protocols: http2}`, defaults(func(l *Listener) {
			l.Address, l.Protocols = ":443", []string{"http2"}
			l.TLS = &ListenerTLS{Certificates: []Certificate{{Cert: "a.pem"}, {"b", "c"}}, StrictSNI: true, Policy: "modern"}
		})},
		{`{address: ":443", tls: {cert: a, client_certificate: required}}`, defaults(func(l *Listener) {
			l.Address = ":443"
			l.TLS = &ListenerTLS{Certificate: Certificate{Cert: "a"}, Policy: "intermediate", ClientCertificate: "required"}
		})},
		{`{address: ":443", tls: acme}`, defaults(func(l *Listener) {
			l.Address, l.TLS = ":443", &ListenerTLS{ACME: &ACME{}, Policy: "intermediate"}
		})},
		{`{address: ":443", tls: {acme: [a.example, b.example]}}`, defaults(func(l *Listener) {
			l.Address, l.TLS = ":443", &ListenerTLS{ACME: &ACME{Domains: []string{"a.example", "b.example"}}, Policy: "intermediate"}
		})},
		{`{address: ":443", tls: {acme: {domains: a.example, ca: letsencrypt-staging, dns: [hook, -x], eab: {key_id: k, hmac_key: aGk}}}}`, defaults(func(l *Listener) {
			l.Address = ":443"
			l.TLS = &ListenerTLS{Policy: "intermediate", ACME: &ACME{
				Domains: []string{"a.example"}, CA: "letsencrypt-staging", DNS: &ACMEHook{Exec: []string{"hook", "-x"}, Timeout: Duration(2 * time.Minute)},
				EAB: &ACMEBinding{KeyID: "k", HMACKey: "aGk"},
			}}
		})},
		{`{address: ":443", tls: {cert: a, client_certificate: off}}`, defaults(func(l *Listener) {
			l.Address = ":443"
			l.TLS = &ListenerTLS{Certificate: Certificate{Cert: "a"}, Policy: "intermediate", ClientCertificate: "off"}
		})},
		{`{address: ":80", redirect_https: true, trusted_proxies: [10.0.0.0/8, loopback], proxy_protocol: required, forwarded: set}`, defaults(func(l *Listener) {
			l.Address, l.RedirectHTTPS, l.TrustedProxies = ":80", 443, []Peer{ten, loopback}
			l.ProxyProtocol.Mode, l.Forwarded.Mode = "required", "set"
		})},
		{`{address: ":80", redirect_https: 8443, forwarded: off, limits: {header: 16KiB, idle_timeout: 5s}, paths: {semicolon: reject}, tls: off}`, defaults(func(l *Listener) {
			l.Address, l.RedirectHTTPS, l.Forwarded.Mode = ":80", 8443, "off"
			l.Limits.Header, l.Limits.IdleTimeout, l.Paths.Semicolon = 16<<10, Duration(5*time.Second), "reject"
			l.TLS = &ListenerTLS{Off: true, Policy: "intermediate"}
		})},
	} {
		var got Listener
		if err := decodeInto(t, c.text, &got); err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Listener{}, "Self")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.text, diff)
		}
	}
}

func TestListenerErrors(t *testing.T) {
	for text, want := range map[string]string{
		`8080`:                           `write ":8080"`,
		`localhost`:                      "has no port",
		`":http"`:                        "not a port",
		`":080"`:                         "not a port",
		`":65536"`:                       "not a port",
		`"::1:80"`:                       "in brackets",
		`"*:80"`:                         "not a host",
		`/run/x.sock`:                    "unix:/path",
		`"unix:"`:                        "needs a name",
		`"systemd:"`:                     "needs a name",
		`"fd:2"`:                         "from 3 on",
		`{tls: a.pem}`:                   `"address" is missing`,
		`{address: ":1", tls: on}`:       "a certificate is missing",
		`{address: ":1", tls: {}}`:       "a certificate is missing",
		`{address: ":1", mode: 8}`:       "octal",
		`{address: ":1", tls: {key: k}}`: "needs a `cert`",
		`{address: ":1", tls: {cert: a, certificates: [b]}}`:                "not both",
		`{address: ":1", tls: {certificates: {key: k}}}`:                    "needs a `cert`",
		`{address: ":1", tls: {cert: a, min_version: 1.1}}`:                 "1.2",
		`{address: ":1", tls: {cert: a, policy: modern, min_version: 1.2}}`: "TLS 1.3 alone",
		`{address: ":1", tls: {cert: a, policy: old}}`:                      "intermediate",
		`{address: ":1", tls: {acme: [a.example, a.example]}}`:              "named twice",
		`{address: ":1", tls: {acme: ["*.a.example"]}}`:                     "takes dns-01",
		`{address: ":1", tls: {acme: {domains: "*.com", dns: hook}}}`:       "whole top level",
		`{address: ":1", tls: {acme: [192.0.2.1]}}`:                         "is an address",
		`{address: ":1", tls: {acme: [A.example]}}`:                         "lower case",
		`{address: ":1", tls: {acme: ["a..example"]}}`:                      "not a domain",
		`{address: ":1", tls: {acme: ["ä.example"]}}`:                       "xn--",
		`{address: ":1", tls: {acme: {ca: "http://ca.example"}}}`:           "a URL with https",
		`{address: ":1", tls: {acme: {ca: letsencript}}}`:                   "no authority",
		`{address: ":1", tls: {acme: {challenges: dns-01}}}`:                "needs `dns`",
		`{address: ":1", tls: {acme: {challenges: http-01, dns: hook}}}`:    "never used",
		`{address: ":1", tls: {acme: {challenges: http}}}`:                  "tls-alpn-01",
		`{address: ":1", tls: {acme: {dns: []}}}`:                           "program is missing",
		`{address: ":1", tls: {acme: {eab: {key_id: k}}}}`:                  `"hmac_key" is missing`,
		`{address: ":1", tls: {acme: {storage: "s3://h"}}}`:                 "is no storage",
		`{address: ":1", tls: {acme: {email: nobody}}}`:                     "not an address",
		`{address: ":1", tls: {cert: a, client_certificate: ask}}`:          "optional",
		`{address: ":1", tls: a, redirect_https: true}`:                     "speaks https already",
		`{address: ":1", protocols: [http2]}`:                               "needs `tls`",
		`{address: ":1", tls: a, protocols: [h2c]}`:                         "without TLS",
		`{address: ":1", protocols: [http1, http1]}`:                        "named twice",
		`{address: ":1", proxy_protocol: required}`:                         "who may send",
		`{address: ":1", proxy_protocol: yes}`:                              "required",
		`{address: ":1", trusted_proxies: [everyone]}`:                      "loopback, private, unix",
		`{address: ":1", trusted_proxies: unix}`:                            "no Unix socket",
		`{address: ":1", trusted_proxies: 10.0.0.1/8}`:                      "bits set",
		`{address: ":1", mode: "0600"}`:                                     "only a Unix socket",
		`{address: "unix:@a", mode: "0600"}`:                                "only a Unix socket",
		`{address: "unix:/a", reuse_port: true}`:                            "port can be shared",
		`{address: ":1", redirect_https: 70000}`:                            "nor a port",
		`{address: ":1", forwarded: {headers: [x-real-ip, x-real-ip]}}`:     "named twice",
		`{address: ":1", forwarded: {headers: [via]}}`:                      "x-real-ip",
		`{address: ":1", forwarded: {mode: append, from: header}}`:          "x-forwarded",
		`{address: ":1", limits: {connections: -1}}`:                        "less than",
		`{address: ":1", limits: {header: 1GiB}}`:                           "more than",
		`{address: ":1", paths: {encoded_slash: drop}}`:                     "keep",
		`{address: ":1", tls: {cert: a}, proxy_protocol: {mode: optional}}`: "who may send",
		`{address: "unix:/` + strings.Repeat("x", 120) + `"}`:               "at most 100 bytes",
	} {
		var l Listener
		err := decodeInto(t, text, &l)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", text, err, want)
		}
	}
}

func TestListenerDefaults(t *testing.T) {
	type facts struct {
		Called string
		Speaks []string
		Secure bool
	}
	for text, want := range map[string]facts{
		`:80`: {":80", []string{"http1", "h2c"}, false},
		`{address: ":80", name: web, protocols: [http1]}`: {"web", []string{"http1"}, false},
		`{address: ":443", tls: a.pem}`:                   {":443", []string{"http1", "http2"}, true},
		`{address: ":443", tls: off}`:                     {":443", []string{"http1", "h2c"}, false},
	} {
		var l Listener
		if err := decodeInto(t, text, &l); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, facts{l.Called(), l.Speaks(), l.Secure()}); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestAdmin(t *testing.T) {
	type facts struct {
		Address    string
		Off, Pprof bool
	}
	for text, want := range map[string]facts{
		`{admin: {}}`:             {"127.0.0.1:9090", false, true},
		`{admin: off}`:            {"127.0.0.1:9090", true, true},
		`{admin: "localhost:1"}`:  {"localhost:1", false, true},
		`{admin: "[::1]:1"}`:      {"[::1]:1", false, true},
		`{admin: "unix:/a"}`:      {"unix:/a", false, true},
		`{admin: {pprof: false}}`: {"127.0.0.1:9090", false, false},
		`{admin: {address: ":9", token: 0123456789abcdef}}`:              {":9", false, false},
		`{admin: {address: ":9", token: 0123456789abcdef, pprof: true}}`: {":9", false, true},
		`{listen: ":80"}`: {"127.0.0.1:9090", false, true},
	} {
		cfg, err := Parse("test.yaml", []byte(text), Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, facts{cfg.Admin.Address, cfg.Admin.Off, cfg.Admin.Profiles()}); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for text, want := range map[string]string{
		`{admin: ":9090"}`:                          "it needs a `token`",
		`{admin: "example.com:9090"}`:               "it needs a `token`",
		`{admin: "systemd:x"}`:                      "it needs a `token`",
		`{admin: {address: ":9", token: tooshort}}`: "could be guessed",
		`{admin: 9090}`:                             `write ":9090"`,
	} {
		if _, err := Parse("test.yaml", []byte(text), Options{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "tooshort") {
			t.Errorf("%s: got %v, want …%s…", text, err, want)
		}
	}
}
