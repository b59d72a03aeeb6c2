package listen

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
)

// peers reads a list of peers.
func peers(t testing.TB, list ...string) []config.Peer {
	t.Helper()
	var out []config.Peer
	for _, text := range list {
		p, err := config.ParsePeer(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// rules makes forwarding rules: the defaults, changed.
func rules(t testing.TB, trusted []string, change func(*config.Forwarded)) *Forwarding {
	var c config.Forwarded
	c.Default()
	if change != nil {
		change(&c)
	}
	return NewForwarding(c, peers(t, trusted...))
}

// seen is what Apply finds out and leaves.
type seen struct {
	Client, Scheme, Host string
	Header               http.Header
}

func apply(f *Forwarding, remote, host string, secure bool, h http.Header) seen {
	r := &http.Request{Header: h, RemoteAddr: remote, Host: host}
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	c := f.Apply(r, nil)
	s := seen{Scheme: c.Scheme, Host: c.Host, Header: r.Header}
	if c.Client.IsValid() {
		s.Client = c.Client.String()
	}
	return s
}

// told is what upstreams are told by default.
func told(chain, host, scheme string) http.Header {
	return http.Header{"X-Forwarded-For": {chain}, "X-Forwarded-Host": {host}, "X-Forwarded-Proto": {scheme}}
}

func TestForwardingOfStrangers(t *testing.T) {
	f := rules(t, []string{"10.0.0.0/8"}, nil)
	for name, c := range map[string]struct {
		remote string
		header http.Header
		want   seen
	}{
		"nothing":      {"192.0.2.1:5", http.Header{}, seen{"192.0.2.1", "http", "a.example", told("192.0.2.1", "A.example:80", "http")}},
		"IPv6":         {"[2001:db8::1]:5", http.Header{}, seen{"2001:db8::1", "http", "a.example", told("2001:db8::1", "A.example:80", "http")}},
		"IPv4 in IPv6": {"[::ffff:192.0.2.1]:5", http.Header{}, seen{"192.0.2.1", "http", "a.example", told("192.0.2.1", "A.example:80", "http")}},
		"zone":         {"[fe80::1%eth0]:5", http.Header{}, seen{"fe80::1", "http", "a.example", told("fe80::1", "A.example:80", "http")}},
		"no address":   {"@", http.Header{}, seen{"", "http", "a.example", http.Header{"X-Forwarded-Host": {"A.example:80"}, "X-Forwarded-Proto": {"http"}}}},
		"spoofed": {"192.0.2.1:5", http.Header{
			"X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"}, "X-Forwarded-Port": {"1"},
			"X-Forwarded-Prefix": {"/x"}, "X-Forwarded-Client-Cert": {"x"}, "Forwarded": {"for=1.1.1.1"}, "X-Real-Ip": {"1.1.1.1"}, "X-Forwarded": {"x"},
			"Accept": {"*/*"}, "X-Forwarder": {"kept"}, "Forwardedly": {"kept"},
		}, seen{"192.0.2.1", "http", "a.example", func() http.Header {
			h := told("192.0.2.1", "A.example:80", "http")
			h["Accept"], h["Forwardedly"], h["X-Forwarder"] = []string{"*/*"}, []string{"kept"}, []string{"kept"}
			return h
		}()}},
		"underscores and case": {"192.0.2.1:5", http.Header{
			"X_forwarded_for": {"1.1.1.1"}, "x-forwarded-for": {"1.1.1.1"}, "X-Forwarded_Proto": {"https"}, "X_real_ip": {"1"}, "FORWARDED": {"for=1"},
			"Content_length": {"1"}, "Transfer_encoding": {"chunked"},
		}, seen{"192.0.2.1", "http", "a.example", told("192.0.2.1", "A.example:80", "http")}},
		"named in Connection": {"192.0.2.1:5", http.Header{
			"Connection": {"X-Forwarded-For, x-forwarded-proto", "X-Real-Ip, X-Secret"}, "X-Secret": {"s"}, "Cookie": {"c"},
		}, seen{"192.0.2.1", "http", "a.example", func() http.Header {
			h := told("192.0.2.1", "A.example:80", "http")
			h["Cookie"] = []string{"c"}
			return h
		}()}},
	} {
		if diff := cmp.Diff(c.want, apply(f, c.remote, "A.example:80", false, c.header)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestForwardingOfTrustedProxies(t *testing.T) {
	f := rules(t, []string{"10.0.0.0/8", "2001:db8:1::/48"}, nil)
	long := strings.Repeat("10.0.0.9, ", 5000)
	type out struct{ Client, Scheme, Chain string }
	for name, c := range map[string]struct {
		header http.Header
		want   out
	}{
		"nothing said":      {http.Header{}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"one":               {http.Header{"X-Forwarded-For": {"192.0.2.7"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.1"}},
		"through two":       {http.Header{"X-Forwarded-For": {"192.0.2.7, 10.0.0.2"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"spoofed left part": {http.Header{"X-Forwarded-For": {"1.1.1.1, 10.0.0.3, 192.0.2.7, 10.0.0.2"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"spoofed own line":  {http.Header{"X-Forwarded-For": {"10.0.0.8", "192.0.2.7", "10.0.0.2"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"all trusted":       {http.Header{"X-Forwarded-For": {"10.0.0.3,10.0.0.2"}}, out{"10.0.0.3", "http", "10.0.0.3, 10.0.0.2, 10.0.0.1"}},
		"port":              {http.Header{"X-Forwarded-For": {"192.0.2.7:4711"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.1"}},
		"IPv6":              {http.Header{"X-Forwarded-For": {"2001:db8::7, 2001:db8:1::2"}}, out{"2001:db8::7", "http", "2001:db8::7, 2001:db8:1::2, 10.0.0.1"}},
		"brackets":          {http.Header{"X-Forwarded-For": {"[2001:db8::7]"}}, out{"2001:db8::7", "http", "2001:db8::7, 10.0.0.1"}},
		"brackets and port": {http.Header{"X-Forwarded-For": {"[2001:db8::7]:80"}}, out{"2001:db8::7", "http", "2001:db8::7, 10.0.0.1"}},
		"mapped":            {http.Header{"X-Forwarded-For": {"192.0.2.7, ::ffff:10.0.0.2"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"zone":              {http.Header{"X-Forwarded-For": {"192.0.2.7, fe80::1%eth0"}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"unknown":           {http.Header{"X-Forwarded-For": {"192.0.2.7, unknown"}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"hidden":            {http.Header{"X-Forwarded-For": {"192.0.2.7, _hidden, 10.0.0.2"}}, out{"10.0.0.2", "http", "10.0.0.2, 10.0.0.1"}},
		"empty entry":       {http.Header{"X-Forwarded-For": {"192.0.2.7, , 10.0.0.2"}}, out{"10.0.0.2", "http", "10.0.0.2, 10.0.0.1"}},
		"empty":             {http.Header{"X-Forwarded-For": {""}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"quoted":            {http.Header{"X-Forwarded-For": {`"192.0.2.7"`}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"junk":              {http.Header{"X-Forwarded-For": {"192.0.2.7; drop table, 192.0.2.300"}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"octal":             {http.Header{"X-Forwarded-For": {"010.0.0.1"}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"huge":              {http.Header{"X-Forwarded-For": {strings.Repeat("1", 1<<16)}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"no RFC 7239":       {http.Header{"Forwarded": {"for=192.0.2.7;proto=https"}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"named in Connection": {
			http.Header{"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"}, "Connection": {"X-Forwarded-For, X-Forwarded-Proto"}},
			out{"192.0.2.7", "https", "192.0.2.7, 10.0.0.1"},
		},
		"scheme":              {http.Header{"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"HTTPS"}}, out{"192.0.2.7", "https", "192.0.2.7, 10.0.0.1"}},
		"scheme, WebSocket":   {http.Header{"X-Forwarded-Proto": {"wss"}}, out{"10.0.0.1", "https", "10.0.0.1"}},
		"scheme, junk":        {http.Header{"X-Forwarded-Proto": {"gopher"}}, out{"10.0.0.1", "http", "10.0.0.1"}},
		"scheme of each hop":  {http.Header{"X-Forwarded-For": {"192.0.2.7, 10.0.0.2"}, "X-Forwarded-Proto": {"https, http"}}, out{"192.0.2.7", "https", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"scheme, spoofed":     {http.Header{"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https, http"}}, out{"192.0.2.7", "http", "192.0.2.7, 10.0.0.1"}},
		"scheme, lines":       {http.Header{"X-Forwarded-For": {"192.0.2.7, 10.0.0.2"}, "X-Forwarded-Proto": {"https", "http"}}, out{"192.0.2.7", "https", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"scheme, one for two": {http.Header{"X-Forwarded-For": {"192.0.2.7, 10.0.0.2"}, "X-Forwarded-Proto": {"https"}}, out{"192.0.2.7", "https", "192.0.2.7, 10.0.0.2, 10.0.0.1"}},
		"thousands": {
			http.Header{"X-Forwarded-For": {"192.0.2.7, " + long + "10.0.0.2"}},
			out{"10.0.0.9", "http", strings.Repeat("10.0.0.9, ", maxHops-1) + "10.0.0.2, 10.0.0.1"},
		},
	} {
		got := apply(f, "10.0.0.1:5", "a.example", false, c.header)
		if diff := cmp.Diff(c.want, out{got.Client, got.Scheme, got.Header.Get("X-Forwarded-For")}); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if n := len(got.Header); n != 3 {
			t.Errorf("%s: %d fields are left: %v", name, n, got.Header)
		}
	}
}

func TestForwardingByRFC7239(t *testing.T) {
	f := rules(t, []string{"10.0.0.0/8"}, func(c *config.Forwarded) {
		c.From, c.Host, c.Headers = "forwarded", true, []string{"forwarded"}
	})
	for value, want := range map[string]seen{
		"":                           {"10.0.0.1", "http", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=http"}}},
		"for=192.0.2.7":              {"192.0.2.7", "http", "a.example", http.Header{"Forwarded": {"for=192.0.2.7;host=a.example;proto=http, for=10.0.0.1"}}},
		"For=192.0.2.7; Proto=HTTPS": {"192.0.2.7", "https", "a.example", http.Header{"Forwarded": {"for=192.0.2.7;host=a.example;proto=https, for=10.0.0.1"}}},
		`for="[2001:db8::7]:80";host="b.example:81";by=10.0.0.1`: {
			"2001:db8::7", "http", "b.example",
			http.Header{"Forwarded": {`for="[2001:db8::7]";host="b.example:81";proto=http, for=10.0.0.1`}},
		},
		"for=1.1.1.1;host=evil;proto=http, for=192.0.2.7;host=b;proto=https,for=10.0.0.2;proto=http": {
			"192.0.2.7", "https", "b",
			http.Header{"Forwarded": {"for=192.0.2.7;host=b;proto=https, for=10.0.0.2, for=10.0.0.1"}},
		},
		"for=1.1.1.1, for=_hidden;proto=https": {"10.0.0.1", "https", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=https"}}},
		"for=1.1.1.1, for=unknown":             {"10.0.0.1", "http", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=http"}}},
		`for="1.1.1.1, for=192.0.2.7`:          {"192.0.2.7", "http", "a.example", http.Header{"Forwarded": {"for=192.0.2.7;host=a.example;proto=http, for=10.0.0.1"}}},
		`for=", for="[2001:db8::7]"`:           {"2001:db8::7", "http", "a.example", http.Header{"Forwarded": {`for="[2001:db8::7]";host=a.example;proto=http, for=10.0.0.1`}}},
		`for=1.1.1.1, for="\10.0.0.2"`:         {"10.0.0.1", "http", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=http"}}},
		"for=192.0.2.7;for=1.1.1.1":            {"10.0.0.1", "http", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=http"}}},
		"for=192.0.2.7;host=b/c":               {"192.0.2.7", "http", "a.example", http.Header{"Forwarded": {"for=192.0.2.7;host=a.example;proto=http, for=10.0.0.1"}}},
		"for = 192.0.2.7":                      {"10.0.0.1", "http", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=http"}}},
		",,,;;;":                               {"10.0.0.1", "http", "a.example", http.Header{"Forwarded": {"for=10.0.0.1;host=a.example;proto=http"}}},
	} {
		got := apply(f, "10.0.0.1:5", "a.example", false, http.Header{"Forwarded": {value}, "X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Prefix": {"/x"}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", value, diff)
		}
	}
}

func TestForwardingModes(t *testing.T) {
	came := func() http.Header {
		return http.Header{
			"X-Forwarded-For": {"1.1.1.1, 192.0.2.7, 10.0.0.2"}, "X-Forwarded-Host": {"b.example:8443"}, "X-Forwarded-Proto": {"https"},
			"X-Forwarded-Prefix": {"/p"}, "X-Real-Ip": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"}, "X_forwarded_prefix": {"/q"},
		}
	}
	all := []string{"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "forwarded", "x-real-ip"}
	for name, c := range map[string]struct {
		remote string
		change func(*config.Forwarded)
		want   seen
	}{
		"append, all fields, host": {"10.0.0.1:5", func(c *config.Forwarded) { c.Headers, c.Host = all, true }, seen{"192.0.2.7", "https", "b.example", http.Header{
			"X-Forwarded-For": {"192.0.2.7, 10.0.0.2, 10.0.0.1"}, "X-Forwarded-Host": {"b.example:8443"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"8443"},
			"Forwarded": {`for=192.0.2.7;host="b.example:8443";proto=https, for=10.0.0.2, for=10.0.0.1`}, "X-Real-Ip": {"192.0.2.7"}, "X-Forwarded-Prefix": {"/p"},
		}}},
		"set": {"10.0.0.1:5", func(c *config.Forwarded) { c.Mode, c.Headers = "set", all }, seen{"192.0.2.7", "https", "a.example", http.Header{
			"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Host": {"a.example"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"},
			"Forwarded": {"for=192.0.2.7;host=a.example;proto=https"}, "X-Real-Ip": {"192.0.2.7"}, "X-Forwarded-Prefix": {"/p"},
		}}},
		"off, trusted": {"10.0.0.1:5", func(c *config.Forwarded) { c.Mode = "off" }, seen{"192.0.2.7", "https", "a.example", http.Header{
			"X-Forwarded-For": {"1.1.1.1, 192.0.2.7, 10.0.0.2"}, "X-Forwarded-Host": {"b.example:8443"}, "X-Forwarded-Proto": {"https"},
			"X-Forwarded-Prefix": {"/p"}, "X-Real-Ip": {"1.1.1.1"},
		}}},
		"off, stranger":           {"192.0.2.9:5", func(c *config.Forwarded) { c.Mode = "off" }, seen{"192.0.2.9", "http", "a.example", http.Header{}}},
		"real address alone":      {"192.0.2.9:5", func(c *config.Forwarded) { c.Headers = []string{"x-real-ip"} }, seen{"192.0.2.9", "http", "a.example", http.Header{"X-Real-Ip": {"192.0.2.9"}}}},
		"none":                    {"192.0.2.9:5", func(c *config.Forwarded) { c.Headers = nil }, seen{"192.0.2.9", "http", "a.example", http.Header{}}},
		"unix, not trusted, port": {"@", func(c *config.Forwarded) { c.Headers = []string{"x-forwarded-port", "forwarded", "x-real-ip"} }, seen{"", "http", "a.example", http.Header{"X-Forwarded-Port": {"80"}, "Forwarded": {"host=a.example;proto=http"}}}},
	} {
		f := rules(t, []string{"10.0.0.0/8"}, c.change)
		if diff := cmp.Diff(c.want, apply(f, c.remote, "a.example", false, came())); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	unix := rules(t, []string{"unix", "loopback"}, nil)
	want := seen{"192.0.2.7", "https", "a.example", told("192.0.2.7", "a.example", "https")}
	if diff := cmp.Diff(want, apply(unix, "@", "a.example", false, http.Header{"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"}})); diff != "" {
		t.Errorf("unix: (-want +got)\n%s", diff)
	}
	secure := seen{"192.0.2.9", "https", "[::1]", told("192.0.2.9", "[::1]:443", "https")}
	if diff := cmp.Diff(secure, apply(unix, "192.0.2.9:5", "[::1]:443", true, http.Header{})); diff != "" {
		t.Errorf("TLS: (-want +got)\n%s", diff)
	}
}

func TestForwardedHostIsNotGuessed(t *testing.T) {
	f := rules(t, []string{"10.0.0.0/8"}, func(c *config.Forwarded) { c.Host = true })
	for _, hosts := range [][]string{{"a, b"}, {"a", "b"}, {"a/b"}, {"user@a"}, {""}, {strings.Repeat("a", 300)}, {"a b"}} {
		if got := apply(f, "10.0.0.1:5", "a.example", false, http.Header{"X-Forwarded-Host": hosts}); got.Host != "a.example" {
			t.Errorf("%q: routes would match %q", hosts, got.Host)
		}
	}
}

func TestStripTrailer(t *testing.T) {
	h := http.Header{
		"X-Forwarded-For": {"1.1.1.1"}, "X_forwarded_port": {"1"}, "X-Real-Ip": nil, "Forwarded": {"for=1"}, "X_request_id": {"1"}, "Content_length": {"1"},
		"X-Check": {"abc"}, "Content-Md5": {"x"},
	}
	StripTrailer(h)
	if diff := cmp.Diff(http.Header{"X-Check": {"abc"}, "Content-Md5": {"x"}}, h); diff != "" {
		t.Error(diff)
	}
}

func TestTrusts(t *testing.T) {
	f := rules(t, []string{"10.0.0.0/8", "::1"}, nil)
	for remote, want := range map[string]bool{
		"10.1.1.1:1": true, "[::ffff:10.1.1.1]:1": true, "[::1]:1": true, "[::1%lo]:1": true, "11.0.0.1:1": false, "@": false, "": false, "10.0.0.1": false, "x:y": false,
	} {
		if got := f.Apply(&http.Request{RemoteAddr: remote, Header: http.Header{}}, nil).Trusted; got != want {
			t.Errorf("%q: %v", remote, got)
		}
	}
}

func TestStripHopByHop(t *testing.T) {
	for _, c := range []struct{ in, want http.Header }{
		{http.Header{"Accept": {"*/*"}}, http.Header{"Accept": {"*/*"}}},
		{http.Header{"Connection": {"close, x-a", "Keep-Alive,X-B ,, "}, "X-A": {"1"}, "X-B": {"2"}, "X-C": {"3"}, "Keep-Alive": {"5"}}, http.Header{"X-C": {"3"}}},
		{http.Header{"Proxy-Connection": {"x"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Http2-Settings": {"x"}, "Connection": {"upgrade, http2-settings"}}, http.Header{}},
		{http.Header{"Proxy-Authenticate": {"x"}, "Proxy-Authorization": {"x"}, "Authorization": {"x"}}, http.Header{"Authorization": {"x"}}},
		{http.Header{"Te": {"gzip"}}, http.Header{}},
		{http.Header{"Te": {"gzip;q=0.5", "Trailers;q=0.1"}, "Connection": {"te"}}, http.Header{"Te": {"trailers"}}},
		{http.Header{"Trailer": {"X-Sum"}}, http.Header{"Trailer": {"X-Sum"}}},
	} {
		before := fmt.Sprint(c.in)
		StripHopByHop(c.in)
		if diff := cmp.Diff(c.want, c.in); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", before, diff)
		}
	}
}

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		port                 uint16
		target, scheme, host string
		location             string
		redirect             bool
	}{
		{0, "/a", "http", "h", "", false},
		{443, "/a", "https", "h", "", false},
		{443, "/a%2Fb?q=1", "http", "h", "https://h/a%2Fb?q=1", true},
		{8443, "http://h/a", "http", "[::1]", "https://[::1]:8443/a", true},
		{443, "*", "http", "h", "https://h/", true},
		{443, "/", "http", "", "", true},
		{443, "/", "http", "user@h", "", true},
	} {
		r, err := http.NewRequest("GET", c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		location, redirect := (&Edge{RedirectHTTPS: c.port}).Redirect(r, c.scheme, c.host)
		if location != c.location || redirect != c.redirect {
			t.Errorf("%+v: %q %v", c, location, redirect)
		}
	}
}

func TestHeaderSize(t *testing.T) {
	head := "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nX-A: 1\r\nX-A: 22\r\n\r\n"
	r := &http.Request{Method: "GET", RequestURI: "/a?b=c", Proto: "HTTP/1.1", Host: "a.example", Header: http.Header{"Accept": {"*/*"}, "X-A": {"1", "22"}}}
	if got := HeaderSize(r); got != int64(len(head)) {
		t.Errorf("got %d, want %d", got, len(head))
	}
}

func TestForwardingAllocations(t *testing.T) {
	f := rules(t, []string{"10.0.0.0/8"}, nil)
	r := &http.Request{RemoteAddr: "192.0.2.1:5", Host: "a.example", Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}}}
	var values [6]string
	f.Apply(r, values[:])
	if n := testing.AllocsPerRun(100, func() { f.Apply(r, values[:]) }); n > 0 {
		t.Errorf("a stranger's request takes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { StripHopByHop(r.Header) }); n > 0 {
		t.Errorf("stripping nothing takes %v allocations", n)
	}
	h := http.Header{}
	if n := testing.AllocsPerRun(100, func() { h["Connection"] = nil; StripHopByHop(h) }); n > 0 {
		t.Errorf("stripping Connection takes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { HeaderSize(r) }); n > 0 {
		t.Errorf("looking takes %v allocations", n)
	}
}

func FuzzForwarding(f *testing.F) {
	f.Add("1.1.1.1, 10.0.0.2", "for=1.1.1.1", "https", "h", "X-Forwarded-For")
	f.Add(`"`, `for=";for="`, ",", "a,b", "close")
	inner := netip.MustParsePrefix("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, chain, rfc, proto, host, connection string) {
		for _, from := range []string{"x-forwarded", "forwarded"} {
			rules := rules(t, []string{"10.0.0.0/8"}, func(c *config.Forwarded) { c.From, c.Host = from, true })
			h := func(prefix, rfcPrefix string) http.Header {
				return http.Header{"X-Forwarded-For": {prefix}, "Forwarded": {rfcPrefix}, "X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}, "Connection": {connection}}
			}
			if got := apply(rules, "192.0.2.1:1", "h", false, h(chain, rfc)); got.Client != "192.0.2.1" || got.Scheme != "http" || got.Host != "h" || got.Header.Get("X-Forwarded-For") != "192.0.2.1" {
				t.Errorf("a stranger was believed: %v", got)
			}
			// Whatever a client writes, what a trusted proxy adds on the right tells the client.
			if got := apply(rules, "10.0.0.1:1", "h", false, h(chain+", 192.0.2.7", rfc+", for=192.0.2.7")); got.Client != "192.0.2.7" {
				t.Errorf("%s: the client hid itself: %v", from, got)
			}
			got := apply(rules, "10.0.0.1:1", "h", false, h(chain, rfc))
			if got.Client == "" || strings.ContainsAny(got.Header.Get("X-Forwarded-For"), "\r\n\x00\"") {
				t.Errorf("%v", got)
			}
			for _, hop := range strings.Split(got.Header.Get("X-Forwarded-For"), ", ")[1:] {
				if !inner.Contains(netip.MustParseAddr(hop)) {
					t.Errorf("%s is passed on as a proxy: %v", hop, got)
				}
			}
		}
	})
}

func BenchmarkForwarding(b *testing.B) {
	for name, c := range map[string]struct {
		remote string
		header http.Header
	}{
		"stranger": {"192.0.2.1:5", http.Header{}},
		"spoofed":  {"192.0.2.1:5", http.Header{"X-Forwarded-For": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"}}},
		"trusted":  {"10.0.0.1:5", http.Header{"X-Forwarded-For": {"1.1.1.1, 192.0.2.7, 10.0.0.2"}, "X-Forwarded-Proto": {"https"}}},
		"hostile":  {"10.0.0.1:5", http.Header{"X-Forwarded-For": {strings.Repeat("10.0.0.9,", 6000) + "10.0.0.9"}}},
	} {
		b.Run(name, func(b *testing.B) {
			f := rules(b, []string{"10.0.0.0/8"}, nil)
			r := &http.Request{RemoteAddr: c.remote, Host: "api.example.com", Header: http.Header{
				"Accept": {"*/*"}, "User-Agent": {"bench"}, "Authorization": {"Bearer x"}, "Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"},
			}}
			b.ReportAllocs()
			for b.Loop() {
				for name, values := range c.header {
					r.Header[name] = values
				}
				f.Apply(r, nil)
			}
		})
	}
}

func BenchmarkStripHopByHop(b *testing.B) {
	h := http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}, "Authorization": {"Bearer x"}, "Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"}}
	b.ReportAllocs()
	for b.Loop() {
		StripHopByHop(h)
	}
}
