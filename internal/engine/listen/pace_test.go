package listen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// drip gives one byte now and then, without end.
type drip struct{ left int }

func (d *drip) Read(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, io.EOF
	}
	time.Sleep(2 * time.Millisecond) // the client is slow: that is what is tested
	p[0] = 'x'
	return 1, nil
}

func TestBodyRate(t *testing.T) {
	r := newRig(t, bodyReader)
	a := newAuthority(t)
	a.pair(r.dir, "h", false, "127.0.0.1", "localhost")
	addrs := r.apply(`[{name: a, address: "127.0.0.1:0", limits: {body_rate: 100KiB/s over 500ms}},
  {name: b, address: "127.0.0.1:0", limits: {body_rate: 100KiB/s over 500ms}, tls: {cert: h.pem, key: h.key}}]`)
	for _, c := range []struct{ protocol, url string }{
		{"http1", "http://" + addrs[0]},
		{"h2c", "http://" + addrs[0]},
		{"http1", "https://localhost:" + port(addrs[1])},
		{"http2", "https://localhost:" + port(addrs[1])},
	} {
		client := client(t, a.roots, c.protocol)
		post := func(body io.Reader) string {
			resp, err := client.Post(c.url, "text/plain", body)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return string(text)
		}
		if got := post(&drip{1 << 20}); !strings.HasSuffix(got, " true") {
			t.Errorf("%s %s: a body that drips: %s", c.protocol, c.url, got)
		}
		if got := post(&drip{5}); got != "5 false" {
			t.Errorf("%s %s: a short one: %s", c.protocol, c.url, got)
		}
		if got := post(bytes.NewReader(make([]byte, 32<<20))); got != "33554432 false" {
			t.Errorf("%s %s: a fast one: %s", c.protocol, c.url, got)
		}
	}
}

// TestASlowReaderOfABodyIsNotTheClientsFault reads a body in steps with pauses that would be too long for its client.
func TestASlowReaderOfABodyIsNotTheClientsFault(t *testing.T) {
	r := newRig(t, func(*Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 4 {
				_, _ = io.ReadFull(r.Body, make([]byte, 1000))
				time.Sleep(150 * time.Millisecond) // the gateway is slow: that is what is tested
			}
			bodyReader(nil).ServeHTTP(w, r)
		})
	})
	addr := r.apply(`{address: "127.0.0.1:0", limits: {body_rate: 20KiB/s over 500ms}}`)[0]
	for _, protocol := range []string{"http1", "h2c"} {
		resp, err := client(t, nil, protocol).Post("http://"+addr, "text/plain", bytes.NewReader(make([]byte, 8000)))
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(resp.Body); string(text) != "4000 false" {
			t.Errorf("%s: %s", protocol, text)
		}
		resp.Body.Close()
	}
}

// pour answers with 64 MiB, and tells how that ended.
func pour(ended chan error) func(*Edge) http.Handler {
	return func(*Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for n := 0; n < 64 && err == nil; n++ {
				_, err = w.Write(make([]byte, 1<<20))
			}
			ended <- err
		})
	}
}

func TestWriteRate(t *testing.T) {
	ended := make(chan error, 1)
	r := newRig(t, pour(ended))
	a := newAuthority(t)
	a.pair(r.dir, "h", false, "localhost")
	addrs := r.apply(`[{name: a, address: "127.0.0.1:0", limits: {write_rate: 20MiB/s over 200ms}},
  {name: b, address: "127.0.0.1:0", limits: {write_rate: 20MiB/s over 200ms}, tls: {cert: h.pem, key: h.key}},
  {name: c, address: "127.0.0.1:0", limits: {write_rate: 1KiB/s over 5s}},
  {name: d, address: "127.0.0.1:0", limits: {write_rate: 1KiB/s over 5s}, tls: {cert: h.pem, key: h.key}}]`)
	for _, c := range []struct{ protocol, slow, fast string }{
		{"http1", "http://" + addrs[0], "http://" + addrs[2]},
		{"h2c", "http://" + addrs[0], "http://" + addrs[2]},
		{"http1", "https://localhost:" + port(addrs[1]), "https://localhost:" + port(addrs[3])},
		{"http2", "https://localhost:" + port(addrs[1]), "https://localhost:" + port(addrs[3])},
	} {
		client := client(t, a.roots, c.protocol)
		resp, err := client.Get(c.slow)
		if err != nil {
			t.Fatal(c, err)
		}
		buf := make([]byte, 1024)
		for err == nil { // it takes a little all the time
			_, err = resp.Body.Read(buf)
			time.Sleep(time.Millisecond)
			select {
			case cut := <-ended:
				if cut == nil {
					t.Errorf("%s %s: a slow client got it all", c.protocol, c.slow)
				}
				err = io.EOF
			default:
			}
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if resp, err = client.Get(c.fast); err != nil {
			t.Fatal(c, err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 64<<20 || err != nil {
			t.Errorf("%s %s: a fast client got %d bytes, %v", c.protocol, c.fast, n, err)
		}
		resp.Body.Close()
		if err := <-ended; err != nil {
			t.Errorf("%s %s: a fast client was cut: %v", c.protocol, c.fast, err)
		}
	}
}

// peer2 is a client of HTTP/2 that does what it likes.
type peer2 struct {
	*http2.Framer
	t     *testing.T
	conn  net.Conn
	block bytes.Buffer
}

func newPeer2(t *testing.T, addr string, settings ...http2.Setting) *peer2 {
	t.Helper()
	p := &peer2{t: t, conn: dial(t, "tcp", addr)}
	p.Framer = http2.NewFramer(p.conn, bufio.NewReader(p.conn))
	if _, err := io.WriteString(p.conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	encoder := hpack.NewEncoder(&p.block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}) // it does not change the table
	}
	return p
}

// ask begins a request.
func (p *peer2) ask(stream uint32) error {
	return p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.block.Bytes(), EndHeaders: true, EndStream: true})
}

// TestStreamsThatNobodyReads asks over HTTP/2 for an answer, and gives it no room.
func TestStreamsThatNobodyReads(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(*Edge) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
			})
			addr := r.apply(`{address: "127.0.0.1:0", limits: {write_idle: 100ms}}`)[0]
			p := newPeer2(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			if err := p.ask(1); err != nil {
				t.Fatal(err)
			}
			for {
				frame, err := p.ReadFrame()
				if err != nil {
					t.Fatalf("the stream was not reset: %v", err)
				}
				if _, reset := frame.(*http2.RSTStreamFrame); reset {
					return
				}
			}
		})
	}
}

// TestRapidResets begins requests and cancels them at once (CVE-2023-44487).
func TestRapidResets(t *testing.T) {
	r := newRig(t, func(*Edge) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	})
	addr := r.apply(`{name: a, address: "127.0.0.1:0", limits: {resets: 20/h}}`)[0]
	reset := func(p *peer2, n int) error {
		for i := range n {
			if err := p.ask(uint32(2*i + 1)); err != nil {
				return err
			}
			if err := p.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel); err != nil {
				return err
			}
		}
		return nil
	}
	honest := newPeer2(t, addr)
	if err := reset(honest, 15); err != nil {
		t.Fatal(err)
	}
	_ = reset(newPeer2(t, addr), 100000) // until the connection is closed, or all are sent
	cut := `cardea_listener_connections_cut_total{listener="a",reason="resets"} 1`
	eventually(t, "the connection is cut", func() bool { return r.metric(`listener_connections_cut_total`) == cut })
	eventually(t, "the honest one alone is left", func() bool {
		return r.metric(`listener_connections{`) == `cardea_listener_connections{listener="a"} 1`
	})
	if err := honest.WritePing(false, [8]byte{1}); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := honest.ReadFrame()
		if err != nil {
			t.Fatalf("the honest client was cut: %v", err)
		}
		if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() {
			break
		}
	}
}

func TestRequestsPerConnection(t *testing.T) {
	peers := make(chan string, 100)
	r := newRig(t, func(*Edge) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			peers <- r.RemoteAddr
			fmt.Fprint(w, r.Proto)
		})
	})
	a := newAuthority(t)
	a.pair(r.dir, "h", false, "localhost")
	addrs := r.apply(`[{name: a, address: "127.0.0.1:0", limits: {requests: 3}}, {name: b, address: "127.0.0.1:0", limits: {requests: 3}, tls: {cert: h.pem, key: h.key}}]`)
	for _, c := range []struct{ protocol, url string }{
		{"http1", "http://" + addrs[0]}, {"h2c", "http://" + addrs[0]}, {"http1", "https://localhost:" + port(addrs[1])}, {"http2", "https://localhost:" + port(addrs[1])},
	} {
		client, seen := client(t, a.roots, c.protocol), map[string]int{}
		for range 9 {
			if _, err := get(client, c.url); err != nil {
				t.Fatal(c, err)
			}
			seen[<-peers]++
		}
		for peer, n := range seen {
			if n != 3 {
				t.Errorf("%s %s: %s brought %d requests", c.protocol, c.url, peer, n)
			}
		}
	}
	c := dial(t, "tcp", addrs[0])
	in := bufio.NewReader(c)
	for i := range 3 {
		_, _ = io.WriteString(c, plainGet)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.Close != (i == 2) {
			t.Fatalf("answer %d: %v, %v", i, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the last answer: %v", err)
	}
}
