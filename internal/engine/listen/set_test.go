package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/porttest"
)

func TestProtocols(t *testing.T) {
	r := newRig(t, nil)
	ca := newAuthority(t)
	ca.pair(r.dir, "a", false, "a.example")
	addrs := r.apply(`
- {name: plain, address: "127.0.0.1:0"}
- {name: secure, address: "127.0.0.1:0", tls: {cert: a.pem, key: a.key}}
- {name: old, address: "127.0.0.1:0", protocols: http1}
- {name: h2c, address: "127.0.0.1:0", protocols: h2c}
- {name: h2, address: "127.0.0.1:0", protocols: http2, tls: {cert: a.pem, key: a.key}}
`)
	for _, c := range []struct {
		listener int
		protocol string
		want     string
	}{
		{0, "http1", "HTTP/1.1 127.0.0.1 http 127.0.0.1 plain"},
		{0, "h2c", "HTTP/2.0 127.0.0.1 http 127.0.0.1 plain"},
		{1, "http1", "HTTP/1.1 127.0.0.1 https 127.0.0.1 secure"},
		{1, "http2", "HTTP/2.0 127.0.0.1 https 127.0.0.1 secure"},
		{2, "http1", "HTTP/1.1 127.0.0.1 http 127.0.0.1 old"},
		{2, "h2c", ""},
		{3, "http1", ""},
		{3, "h2c", "HTTP/2.0 127.0.0.1 http 127.0.0.1 h2c"},
		{4, "http1", ""},
		{4, "http2", "HTTP/2.0 127.0.0.1 https 127.0.0.1 h2"},
	} {
		scheme := "http://"
		if c.listener == 1 || c.listener == 4 {
			scheme = "https://"
		}
		got, err := get(client(t, ca.roots, c.protocol), scheme+addrs[c.listener])
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%d by %s: got %q, %v", c.listener, c.protocol, got, err)
		}
	}
	if got := ask(dial(t, "tcp", addrs[0]), "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"); got != "HTTP/1.1 127.0.0.1 http h plain" {
		t.Errorf("OPTIONS *: %q", got)
	}
	if got := r.metric("listener_connections_accepted_total{listener=\"secure\"}"); got != `cardea_listener_connections_accepted_total{listener="secure"} 2` {
		t.Error(got)
	}
}

func TestApplyKeepsConnections(t *testing.T) {
	r := newRig(t, func(e *Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, e.Name, " ", e.Limits.URI) })
	})
	addr := porttest.Address(t)
	for _, protocol := range []string{"http1", "h2c"} {
		for _, change := range []string{
			`limits: {uri: 5}`,
			`limits: {uri: 5, idle_timeout: 9s, streams: 7}`,
			`limits: {uri: 5}, protocols: http1`,
		} {
			r.apply(fmt.Sprintf(`{name: a, address: %q}`, addr))
			c := client(t, nil, protocol)
			if got, _ := reusing(t, c, "http://"+addr); got != "a 16KiB" {
				t.Fatalf("%s: %q", change, got)
			}
			r.apply(fmt.Sprintf(`{name: b, address: %q, %s}`, addr, change))
			if got, reused := reusing(t, c, "http://"+addr); got != "b 5B" || !reused {
				t.Errorf("%s by %s: got %q, reused %v", change, protocol, got, reused)
			}
		}
	}
}

// reusing gets a page, and says whether that took no new connection.
func reusing(t *testing.T, c *http.Client, url string) (body string, reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), reused
}

func TestApplyIsAllOrNothing(t *testing.T) {
	r := newRig(t, nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, kept := porttest.Address(t), porttest.Address(t)
	r.apply(fmt.Sprintf(`{name: kept, address: %q}`, kept))
	err = r.Apply(t.Context(), listeners(t, fmt.Sprintf(`[{name: other, address: %q}, %q, %q]`, kept, free, taken.Addr())), r.dir)
	want := "[2].address: cannot listen on " + taken.Addr().String() + ": address already in use"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got, err := get(client(t, nil, "http1"), "http://"+kept); !strings.HasSuffix(got, " kept") {
		t.Errorf("what ran does not go on: %q %v", got, err)
	}
	if c, err := net.Dial("tcp", free); err == nil {
		c.Close()
		t.Error("a new address stayed open")
	}
	if diff := cmp.Diff([]Addr{{"kept", kept, kept}}, r.Addrs()); diff != "" {
		t.Error(diff)
	}
	_, port, _ := strings.Cut(kept, ":")
	err = r.Apply(t.Context(), listeners(t, `":`+port+`"`), r.dir)
	if err == nil || !strings.Contains(err.Error(), "the gateway itself listens on "+kept) {
		t.Errorf("overlap: %v", err)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t)
	ca.pair(dir, "a", false, "a.example")
	ca.pair(dir, "b", false, "b.example")
	write(t, dir+"/junk.pem", []byte("junk"))
	for text, want := range map[string]string{
		`:80`:                     "",
		`[":80", "127.0.0.1:81"]`: "",
		`["127.0.0.1:0", {name: x, address: "127.0.0.1:0"}]`: "",
		`[":80", ":80"]`: "[1].address: :80 stands there twice",
		`[{name: a, address: ":80"}, {name: a, address: ":81"}]`:                                       `[1].name: two listeners are called "a"`,
		`{address: ":1", tls: {cert: a.pem, key: a.key}}`:                                              "",
		`{address: ":1", tls: {cert: a.pem, key: none.key}}`:                                           "[0]: tls.key: cannot read the key: open " + dir + "/none.key: no such file or directory",
		`{address: ":1", tls: {cert: none.pem, key: a.key}}`:                                           "[0]: tls.cert: cannot read the certificate: open " + dir + "/none.pem: no such file or directory",
		`{address: ":1", tls: {certificates: [{cert: a.pem, key: a.key}, {cert: a.pem, key: b.key}]}}`: "[0]: tls.certificates[1].cert: cannot use the certificate: a.pem: private key does not match public key",
		`{address: ":1", tls: junk.pem}`:                                                               "[0]: tls.cert: cannot use the certificate: junk.pem: failed to find any PEM data in certificate input",
	} {
		err := Check(listeners(t, text), dir)
		if got := fmt.Sprint(err); got != want && !(err == nil && want == "") {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestRemovedListenersDrain(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(e *Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-release
			fmt.Fprint(w, "done")
		})
	})
	gone := porttest.Address(t)
	r.apply(fmt.Sprintf(`[{name: gone, address: %q}, {name: stays, address: "127.0.0.1:0"}]`, gone))
	answer := make(chan string)
	go func() {
		got, err := get(client(t, nil, "http1"), "http://"+gone)
		answer <- fmt.Sprint(got, err)
	}()
	<-begun
	r.apply(`{name: stays, address: "127.0.0.1:0"}`)
	if c, err := net.Dial("tcp", gone); err == nil {
		c.Close()
		t.Error("a removed listener still accepts connections")
	}
	close(release)
	if got := <-answer; got != "done<nil>" {
		t.Errorf("the request did not end: %s", got)
	}
	eventually(t, "the listener is forgotten", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.leaving) == 0
	})
	r.apply(fmt.Sprintf(`[{name: gone, address: %q}]`, gone)) // the address is free again
}

func TestRemovedListenersAreCutInTheEnd(t *testing.T) {
	begun := make(chan struct{})
	r := newRig(t, func(e *Edge) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			close(begun)
			<-req.Context().Done()
		})
	})
	r.o.Drain = 30 * time.Millisecond
	addr := r.apply(`"127.0.0.1:0"`)[0]
	c := dial(t, "tcp", addr)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-begun
	r.apply(`[]`)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	eventually(t, "a warning", func() bool { return strings.Contains(r.log.String(), "cut connections of a listener that was removed") })
}

func TestShutdown(t *testing.T) {
	for _, protocol := range []string{"http1", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			r := newRig(t, func(e *Edge) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					close(begun)
					<-release
					fmt.Fprint(w, "done")
				})
			})
			addr := r.apply(`"127.0.0.1:0"`)[0]
			answer := make(chan string)
			go func() {
				got, err := get(client(t, nil, protocol), "http://"+addr)
				answer <- fmt.Sprint(got, err)
			}()
			<-begun
			ended := make(chan error)
			go func() { ended <- r.Shutdown(within(t, 20*time.Second)) }()
			eventually(t, "no more connections", func() bool {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			select {
			case err := <-ended:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			close(release)
			if got := <-answer; got != "done<nil>" {
				t.Error(got)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := r.Apply(t.Context(), listeners(t, `"127.0.0.1:0"`), ""); err == nil {
				t.Error("a set that was shut down can be used again")
			}
		})
	}
}

func TestShutdownCutsInTheEnd(t *testing.T) {
	begun := make(chan struct{})
	r := newRig(t, func(e *Edge) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			close(begun)
			<-req.Context().Done()
		})
	})
	addr := r.apply(`"127.0.0.1:0"`)[0]
	c := dial(t, "tcp", addr)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-begun
	if err := r.Shutdown(within(t, 20*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	eventually(t, "no open connections", func() bool { return strings.HasSuffix(r.metric(`listener_connections{`), " 0") })
}

// TestApplyUnderLoad changes everything that can be changed while requests run: not one may fail.
func TestApplyUnderLoad(t *testing.T) {
	r := newRig(t, nil)
	addr := porttest.Address(t)
	texts := []string{
		fmt.Sprintf(`{name: a, address: %q}`, addr),
		fmt.Sprintf(`{name: a, address: %q, limits: {idle_timeout: 50s}}`, addr),
		fmt.Sprintf(`[{name: b, address: %q, limits: {header: 32KiB}, forwarded: set}, {name: c, address: "127.0.0.1:0"}]`, addr),
	}
	r.apply(texts[0])
	var clients sync.WaitGroup
	var done atomic.Bool
	var requests atomic.Int64
	for i := range 6 {
		clients.Go(func() {
			c := client(t, nil, []string{"http1", "h2c"}[i%2])
			for n := 0; !done.Load(); n++ {
				if n%10 == 9 {
					c.CloseIdleConnections()
				}
				if _, err := get(c, "http://"+addr); err != nil {
					t.Error(err)
					return
				}
				requests.Add(1)
			}
		})
	}
	for i := range 60 {
		r.apply(texts[i%len(texts)])
	}
	eventually(t, "many requests", func() bool { return requests.Load() > 500 })
	done.Store(true)
	clients.Wait()
}

func TestRetiredServersEnd(t *testing.T) {
	r := newRig(t, nil)
	addr := porttest.Address(t)
	c := client(t, nil, "http1")
	for i := range 5 {
		r.apply(fmt.Sprintf(`{address: %q, limits: {idle_timeout: %ds}}`, addr, 10+i))
		if _, err := get(c, "http://"+addr); err != nil {
			t.Fatal(err)
		}
	}
	l := r.listeners[0]
	if n := len(l.servers); n != 2 { // the first has the connection, the last is current
		t.Errorf("%d servers run", n)
	}
	first := l.servers[0]
	c.CloseIdleConnections()
	<-first.ended
}

func TestConnectionLimit(t *testing.T) {
	r := newRig(t, nil)
	addr := r.apply(`{name: a, address: "127.0.0.1:0", limits: {connections: 2}}`)[0]
	first, second := dial(t, "tcp", addr), dial(t, "tcp", addr)
	for _, c := range []net.Conn{first, second} {
		if got := ask(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1") {
			t.Error(got)
		}
	}
	if third, err := net.Dial("tcp", addr); err == nil { // the reset may come at once
		n, err := third.Read(make([]byte, 1))
		if n != 0 || err == nil {
			t.Errorf("one too many was served: %d %v", n, err)
		}
		third.Close()
	}
	want := `cardea_listener_connections_rejected_total{listener="a",reason="limit"} 1`
	if got := r.metric(`listener_connections_rejected_total{listener="a",reason="limit"`); got != want {
		t.Error(got)
	}
	if got := r.metric(`listener_connections{`); got != `cardea_listener_connections{listener="a"} 2` {
		t.Error(got)
	}
	first.Close()
	eventually(t, "a place is free", func() bool { return strings.HasSuffix(r.metric(`listener_connections{`), " 1") })
	if got := ask(dial(t, "tcp", addr), "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1") {
		t.Error(got)
	}
}

func TestHeaderTimeout(t *testing.T) {
	r := newRig(t, nil)
	addr := r.apply(`{address: "127.0.0.1:0", limits: {header_timeout: 300ms}}`)[0]
	for said, want := range map[string]string{"": "", "GET / HTTP/1.1\r\nHost:": "HTTP/1.1 408 "} {
		c := dial(t, "tcp", addr)
		fmt.Fprint(c, said)
		began := time.Now()
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 || time.Since(began) > 5*time.Second {
			t.Errorf("%q: %q, %v after %v", said, got, err, time.Since(began))
		}
	}
}

func TestIdleTimeout(t *testing.T) {
	r := newRig(t, nil)
	addr := r.apply(`{address: "127.0.0.1:0", limits: {idle_timeout: 50ms}}`)[0]
	c := dial(t, "tcp", addr)
	if got := ask(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1") {
		t.Fatal(got)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

// bodyReader answers with how reading the body ended.
func bodyReader(*Edge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, " ", err != nil && strings.Contains(err.Error(), "timeout"))
	})
}

func TestBodyIdle(t *testing.T) {
	r := newRig(t, bodyReader)
	addr := r.apply(`{address: "127.0.0.1:0", limits: {body_idle: 400ms}}`)[0]
	for _, protocol := range []string{"http1", "h2c"} {
		c := client(t, nil, protocol)
		post := func(pauses ...time.Duration) string {
			body, into := io.Pipe()
			go func() {
				for _, pause := range pauses {
					time.Sleep(pause) // the client is slow: that is what is tested
					if _, err := into.Write([]byte("x")); err != nil {
						return
					}
				}
				into.Close()
			}()
			resp, err := c.Post("http://"+addr, "text/plain", body)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			into.Close()
			return string(text)
		}
		if got := post(0, 150*time.Millisecond, 150*time.Millisecond, 150*time.Millisecond); got != "4 false" {
			t.Errorf("%s: a slow body: %s", protocol, got)
		}
		if got := post(0, 2*time.Second); got != "1 true" {
			t.Errorf("%s: a body that stops: %s", protocol, got)
		}
	}
}

func TestWriteIdle(t *testing.T) {
	ended := make(chan error, 1)
	r := newRig(t, func(*Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for chunk := make([]byte, 1<<20); err == nil; {
				_, err = w.Write(chunk)
			}
			ended <- err
		})
	})
	addr := r.apply(`{address: "127.0.0.1:0", limits: {write_idle: 400ms}}`)[0]
	c := dial(t, "tcp", addr)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	got := bufio.NewReader(c)
	for range 10 { // a client that takes a little all the time is served for longer than the limit
		time.Sleep(60 * time.Millisecond)
		if _, err := got.Discard(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		t.Errorf("a slow client was cut: %v", err)
	default:
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("a client that takes nothing: %v", err)
	}
}

func TestLargeHeaders(t *testing.T) {
	r := newRig(t, func(e *Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, HeaderSize(r) > int64(e.Limits.Header))
		})
	})
	addr := r.apply(`{address: "127.0.0.1:0", limits: {header: 8KiB}}`)[0]
	for _, protocol := range []string{"http1", "h2c"} {
		for size, want := range map[int]string{7 << 10: "200 false", 12 << 10: "200 true", 100 << 10: "431"} {
			req, _ := http.NewRequest("GET", "http://"+addr, nil)
			req.Header.Set("X-Large", strings.Repeat("x", size))
			resp, err := client(t, nil, protocol).Do(req)
			if err != nil {
				if want != "431" { // a client may see the reset before the answer
					t.Errorf("%s, %d: %v", protocol, size, err)
				}
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got := fmt.Sprint(resp.StatusCode, " ", string(body)); !strings.HasPrefix(got, want) {
				t.Errorf("%s, %d: got %s, want %s", protocol, size, got, want)
			}
		}
	}
}

func TestUpgradesOutliveShutdown(t *testing.T) {
	hijacked := make(chan net.Conn, 1)
	r := newRig(t, func(*Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			hijacked <- c
		})
	})
	addr := r.apply(`{name: a, address: "127.0.0.1:0"}`)[0]
	c := dial(t, "tcp", addr)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	up := <-hijacked
	if err := r.Shutdown(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := up.Write([]byte("still here")); err != nil {
		t.Error(err)
	}
	if half, ok := up.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		t.Error("the connection cannot be half closed")
	}
	if got, err := io.ReadAll(c); string(got) != "still here" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	up.Close()
	if got := r.metric(`listener_connections{`); got != `cardea_listener_connections{listener="a"} 0` {
		t.Error(got)
	}
}

func TestAddrs(t *testing.T) {
	r := newRig(t, nil)
	addrs := r.apply(`["127.0.0.1:0", {name: x, address: "127.0.0.1:0"}]`)
	if addrs[0] == addrs[1] || strings.HasSuffix(addrs[0], ":0") {
		t.Error(addrs)
	}
	if got := fmt.Sprint(r.Addrs()); got != fmt.Sprintf("[%s x=%s]", addrs[0], addrs[1]) {
		t.Error(got)
	}
	again := r.apply(`[{name: x, address: "127.0.0.1:0"}, "127.0.0.1:0"]`)
	if again[0] != addrs[1] || again[1] != addrs[0] {
		t.Errorf("free ports changed: %v, then %v", addrs, again)
	}
}
