package discover

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSpec(t *testing.T) {
	for text, want := range map[string]Spec{
		"http://orders:8080":                {Scheme: "http", Host: "orders", Port: 8080},
		"http://orders":                     {Scheme: "http", Host: "orders", Port: 80},
		"HTTPS://api.example.com/":          {Scheme: "https", Host: "api.example.com", Port: 443},
		"h2c://grpc.internal:50051":         {Scheme: "h2c", Host: "grpc.internal", Port: 50051},
		"http://10.0.0.1:65535":             {Scheme: "http", Host: "10.0.0.1", Port: 65535},
		"http://[::1]:8080":                 {Scheme: "http", Host: "::1", Port: 8080},
		"http://[fe80::1%25eth0]:8080":      {Scheme: "http", Host: "fe80::1%eth0", Port: 8080},
		"http://my_service.ns.svc.:1":       {Scheme: "http", Host: "my_service.ns.svc.", Port: 1},
		"dns+srv://_http._tcp.orders.local": {Scheme: "http", Host: "_http._tcp.orders.local", SRV: true},
		"https+srv://_https._tcp.a":         {Scheme: "https", Host: "_https._tcp.a", SRV: true},
		"unix:///run/app.sock":              {Scheme: "http", Path: "/run/app.sock"},
	} {
		want.Weight = 3
		got, err := ParseSpec(text, 3)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestParseSpecErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "has no scheme; expected http://host:port",
		"orders:8080":                 `"orders:8080" has no scheme; write http://orders:8080, or https://orders:8080 for TLS`,
		"orders":                      `write http://orders,`,
		"/run/app.sock":               `write unix:///run/app.sock`,
		"unix://run/app.sock":         `expected three slashes`,
		"unix:///":                    `names no socket`,
		"ftp://orders":                `unknown scheme "ftp"; expected http://host:port`,
		"http://":                     `has no host`,
		"http://:8080":                `has no host`,
		"http://orders/v1":            `has the path "/v1", which an endpoint cannot have`,
		"http://orders?x=1":           `has a query or fragment`,
		"http://orders#x":             `has a query or fragment`,
		"http://me:s3cret@orders":     `has no user and password`,
		"http://me:s3cret%@orders:99": `has no user and password`,
		"me:s3cret@orders":            `missing or has no scheme`,
		"http://orders:":              `has a colon and no port`,
		"http://orders:0":             `has the port 0; expected 1 to 65535`,
		"http://orders:70000":         `has the port 70000`,
		"http://orders:http":          `is not a valid URL: invalid port`,
		"http://10.0.0.256:80":        `neither a name nor a valid address`,
		"http://[::g]:80":             `is not`,
		"http://a..b":                 `empty or longer than 63 bytes`,
		"http://a b":                  `is not a valid URL`,
		"http://bücher.example":       `has the character 'ü'`,
		"dns+srv://_http._tcp.a:80":   `SRV records bring their own`,
		"dns+srv://10.0.0.1":          `SRV records need a name`,
	} {
		_, err := ParseSpec(text, 1)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want …%s…", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the password is in %v", text, err)
		}
	}
	if _, err := ParseSpec("http://a", -1); err == nil {
		t.Error("a negative weight passes")
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{"http://orders:8080", "unix:///a", "dns+srv://_a._b.c", "http://[::1%25a]:1", "http://a%zz@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec(text, 1)
		if err != nil {
			return
		}
		if s.Path == "" && s.Host == "" || s.Scheme == "" || s.Port < 0 || s.Port > 65535 || (s.Port == 0) != (s.SRV || s.Path != "") {
			t.Errorf("%q gives %+v", text, s)
		}
		s.literal()
	})
}
