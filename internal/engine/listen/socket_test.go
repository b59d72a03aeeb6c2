package listen

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pires/go-proxyproto"

	"cardea.dev/cardea/internal/porttest"
)

const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

func TestUnixSockets(t *testing.T) {
	r := newRig(t, nil)
	dir, err := os.MkdirTemp("", "cardea") // the test's own folder has too long a name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "a.sock")
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	text := fmt.Sprintf(`name: u, address: "unix:%s"`, path)
	r.apply("{" + text + "}")
	if got := ask(dial(t, "unix", path), request); got != "HTTP/1.1 invalid IP http h u" || mode() != 0o660 {
		t.Errorf("%s, %v", got, mode())
	}
	r.apply("{" + text + `, mode: "0600", trusted_proxies: unix}`)
	forwarded := strings.Replace(request, "\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n", 1)
	if got := ask(dial(t, "unix", path), forwarded); got != "HTTP/1.1 192.0.2.7 https h u" || mode() != 0o600 {
		t.Errorf("%s, %v", got, mode())
	}
	second := newRig(t, nil)
	err = second.Apply(t.Context(), listeners(t, `"unix:`+path+`"`), "")
	if want := "[0].address: cannot listen on unix:" + path + ": another process listens on it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_ = r.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}

	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false) // as a process that was killed
	stale.Close()
	second.apply(`"unix:` + path + `"`)
	if got := ask(dial(t, "unix", path), request); !strings.HasPrefix(got, "HTTP/1.1") {
		t.Error(got)
	}
	second.apply(`[]`)
	write(t, path, []byte("a file"))
	if err := second.Apply(t.Context(), listeners(t, `"unix:`+path+`"`), ""); err == nil || !strings.Contains(err.Error(), "it is no socket") {
		t.Error(err)
	}
	second.apply(`"unix:@cardea-test-` + filepath.Base(dir) + `"`)
	if got := ask(dial(t, "unix", "@cardea-test-"+filepath.Base(dir)), request); !strings.HasPrefix(got, "HTTP/1.1") {
		t.Error(got)
	}
}

func TestReusePort(t *testing.T) {
	addr := porttest.Address(t)
	first, second, third := newRig(t, nil), newRig(t, nil), newRig(t, nil)
	first.apply(fmt.Sprintf(`{address: %q, reuse_port: true}`, addr))
	second.apply(fmt.Sprintf(`{address: %q, reuse_port: true}`, addr))
	if err := third.Apply(t.Context(), listeners(t, fmt.Sprintf("%q", addr)), ""); err == nil {
		t.Error("a listener that does not share its port shares it")
	}
}

func TestProxyProtocol(t *testing.T) {
	r := newRig(t, nil)
	ca := newAuthority(t)
	ca.pair(r.dir, "a", false, "a.example")
	addrs := r.apply(`
- {name: required, address: "127.0.0.1:0", proxy_protocol: {mode: required, trusted: loopback}}
- {name: optional, address: "127.0.0.1:0", proxy_protocol: {mode: optional, trusted: 127.0.0.1}, trusted_proxies: 10.0.0.0/8}
- {name: strangers, address: "127.0.0.1:0", proxy_protocol: {mode: optional, trusted: 10.0.0.0/8}}
- {name: closed, address: "127.0.0.1:0", proxy_protocol: {mode: required, trusted: 10.0.0.0/8}}
- {name: tls, address: "127.0.0.1:0", proxy_protocol: {mode: required, trusted: loopback}, tls: {cert: a.pem, key: a.key}}
`)
	v2 := func(command proxyproto.ProtocolVersionAndCommand, source string) string {
		h := proxyproto.Header{
			Version: 2, Command: command, TransportProtocol: proxyproto.TCPv6,
			SourceAddr: &net.TCPAddr{IP: net.ParseIP(source), Port: 1}, DestinationAddr: &net.TCPAddr{IP: net.ParseIP("2001:db8::2"), Port: 2},
		}
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	v1 := func(source string) string { return "PROXY TCP4 " + source + " 192.0.2.2 1 2\r\n" }
	said := strings.Replace(request, "\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.99\r\n\r\n", 1)
	for _, c := range []struct {
		listener int
		head     string
		want     string
	}{
		{0, v1("192.0.2.7") + request, "HTTP/1.1 192.0.2.7 http h required"},
		{0, v2(proxyproto.PROXY, "2001:db8::7") + request, "HTTP/1.1 2001:db8::7 http h required"},
		{0, v2(proxyproto.LOCAL, "2001:db8::7") + request, "HTTP/1.1 127.0.0.1 http h required"},
		{0, "PROXY UNKNOWN\r\n" + request, "HTTP/1.1 127.0.0.1 http h required"},
		{0, request, "closed"},
		{0, "PROXY TCP4 1.1.1.1\r\n" + request, "closed"},
		{1, v1("192.0.2.7") + said, "HTTP/1.1 192.0.2.7 http h optional"},
		{1, v1("10.0.0.7") + said, "HTTP/1.1 192.0.2.99 http h optional"}, // whom the PROXY header names is the peer
		{1, request, "HTTP/1.1 127.0.0.1 http h optional"},
		{2, request, "HTTP/1.1 127.0.0.1 http h strangers"},
		{2, v1("192.0.2.7") + request, "400 Bad Request"},
		{3, v1("192.0.2.7") + request, "closed"},
		{3, request, "closed"},
	} {
		raw, err := net.Dial("tcp", addrs[c.listener])
		if err != nil {
			if c.want != "closed" {
				t.Error(err)
			}
			continue
		}
		got := ask(raw, c.head)
		raw.Close()
		if strings.HasPrefix(got, "write:") {
			got = "closed"
		}
		if got != c.want && (c.want != "400 Bad Request" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%d, %.20q: got %q, want %q", c.listener, c.head, got, c.want)
		}
	}
	for listener, n := range map[string]string{"required": "2", "closed": "2", "strangers": "0"} {
		want := `cardea_listener_connections_rejected_total{listener="` + listener + `",reason="proxy_protocol"} ` + n
		eventually(t, want, func() bool {
			return r.metric(`listener_connections_rejected_total{listener="`+listener+`",reason="proxy_protocol"`) == want
		})
	}

	raw := dial(t, "tcp", addrs[4])
	fmt.Fprint(raw, v1("192.0.2.7"))
	if got := ask(tls.Client(raw, &tls.Config{RootCAs: ca.roots, ServerName: "a.example"}), request); got != "HTTP/1.1 192.0.2.7 https h tls" {
		t.Error(got)
	}
}

func TestProxyHeaderTimeout(t *testing.T) {
	r := newRig(t, nil)
	addr := r.apply(`{address: "127.0.0.1:0", proxy_protocol: {mode: required, trusted: loopback}, limits: {header_timeout: 50ms}}`)[0]
	c := dial(t, "tcp", addr)
	fmt.Fprint(c, "PROX")
	other := dial(t, "tcp", addr) // one who waits does not keep others waiting
	if got := ask(other, "PROXY UNKNOWN\r\n"+request); !strings.HasPrefix(got, "HTTP/1.1") {
		t.Error(got)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error(n, err)
	}
}

func TestInheritedSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	defer file.Close()
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	r := newRig(t, nil)
	r.Set = New(Options{Handler: echo, Inherited: []Inherited{{Name: "web", File: file}, {Name: "twice", File: plain}, {Name: "twice", File: plain}, {Name: "file", File: plain}}})
	for range 2 { // a listener that was removed can come back
		if got := r.apply(`"systemd:web"`); got[0] != addr {
			t.Error(got)
		}
		c := client(t, nil, "http1")
		if got, err := get(c, "http://"+addr); got != "HTTP/1.1 127.0.0.1 http 127.0.0.1 systemd:web" {
			t.Error(got, err)
		}
		c.CloseIdleConnections()
		r.apply(`[]`)
	}
	for name, want := range map[string]string{
		"systemd:none": "systemd gave no socket of that name, but file, twice, web", "systemd:twice": "2 sockets that name", "systemd:file": "not a listening socket", "fd:900": "not a listening socket",
	} {
		if err := r.Apply(t.Context(), listeners(t, `"`+name+`"`), ""); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var byNumber int // as a parent that hands a socket over by its number
	handed, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := handed.Control(func(fd uintptr) { byNumber, err = syscall.Dup(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if got := r.apply(fmt.Sprintf(`"fd:%d"`, byNumber)); got[0] != addr {
		t.Error(got)
	}
	_ = r.Close()
	none := newRig(t, nil)
	if err := none.Apply(t.Context(), listeners(t, `"systemd:web"`), ""); err == nil || !strings.Contains(err.Error(), "no sockets") {
		t.Error(err)
	}
}

func TestInheritedNames(t *testing.T) {
	for _, c := range []struct {
		env  string
		want string
	}{
		{"", "[] <nil>"},
		{"LISTEN_FDS=2", "[] <nil>"},
		{"LISTEN_FDS=2 LISTEN_PID=8", "[] <nil>"},
		{"LISTEN_FDS=2 LISTEN_PID=7", "[unknown unknown] <nil>"},
		{"LISTEN_FDS=3 LISTEN_PID=7 LISTEN_FDNAMES=a:b", "[a b unknown] <nil>"},
		{"LISTEN_FDS=0 LISTEN_PID=7 LISTEN_FDNAMES=", "[] <nil>"},
		{"LISTEN_FDS=x LISTEN_PID=7", `[] LISTEN_FDS is "x", which is not a number of sockets`},
		{"LISTEN_FDS=-1 LISTEN_PID=7", `[] LISTEN_FDS is "-1", which is not a number of sockets`},
	} {
		names, err := inheritedNames(func(name string) (string, bool) {
			for v := range strings.FieldsSeq(c.env) {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value, true
				}
			}
			return "", false
		}, 7)
		if got := fmt.Sprint(names, err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.env, got, c.want)
		}
	}
}

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "cardea")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{dir + "/notify", "@cardea-test" + filepath.Base(dir)} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, state := range []string{"READY=1", "RELOADING=1", "STOPPING=1\nSTATUS=bye"} {
			if err := notify(name, state); err != nil {
				t.Error(err)
			}
			b := make([]byte, 1000)
			n, err := l.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			text, usec, _ := strings.Cut(string(b[:n]), "\nMONOTONIC_USEC=")
			if (state == "RELOADING=1") != (usec > "0") {
				t.Errorf("%q: the time is %q", state, usec)
			}
			got = append(got, text)
		}
		if diff := cmp.Diff([]string{"READY=1", "RELOADING=1", "STOPPING=1\nSTATUS=bye"}, got); diff != "" {
			t.Error(diff)
		}
		l.Close()
	}
	if err := notify("", "READY=1"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"relative", dir + "/none"} {
		if notify(bad, "READY=1") == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// BenchmarkConnection is a new connection with one request.
func BenchmarkConnection(b *testing.B) {
	s := New(Options{Handler: func(*Edge) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}})
	defer s.Close()
	if err := s.Apply(b.Context(), listeners(b, `"127.0.0.1:0"`), ""); err != nil {
		b.Fatal(err)
	}
	addr := s.Addrs()[0].Actual
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
}
