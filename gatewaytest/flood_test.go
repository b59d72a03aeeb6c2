package gatewaytest_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// clientFrom makes requests from an address of the loopback network, each on a connection of its own.
func clientFrom(t *testing.T, local string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 10 * time.Second}
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// TestAFloodFromOneAddress opens 2,000 connections from one address, while clients of other addresses are served.
func TestAFloodFromOneAddress(t *testing.T) {
	const flood = 2000
	g := gatewaytest.New(t, `
listen: {name: l, address: "127.0.0.1:0", limits: {connections: 200, connections_per_address: 50}}
admin: 127.0.0.1:0
routes: [{match: /**, respond: ok}]
`)
	addr := strings.TrimPrefix(g.URL, "http://")
	attacker := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}
	other := clientFrom(t, "127.0.0.3")
	var held []net.Conn
	for i := range flood {
		if c, err := attacker.Dial("tcp", addr); err == nil { // a reset may come at once
			t.Cleanup(func() { _ = c.Close() })
			held = append(held, c)
		}
		if i%100 != 99 {
			continue
		}
		resp, err := other.Get(g.URL)
		if err != nil {
			t.Fatalf("after %d connections another address is not served: %v", i+1, err)
		}
		_ = resp.Body.Close()
	}
	rejected := func() string {
		return metricLine(t, g, `cardea_listener_connections_rejected_total{listener="l",reason="address"}`)
	}
	comesTo(t, "all that are too many are rejected", func() bool { return rejected() == "1950" })
	comesTo(t, "those that are allowed are open, and no more", func() bool { // the other client's last one may be on its way out
		return metricLine(t, g, `cardea_listener_connections{listener="l"}`) == "50"
	})
	if _, err := clientFrom(t, "127.0.0.2").Get(g.URL); err == nil {
		t.Error("the attacker is served")
	}
	for _, c := range held {
		_ = c.Close()
	}
	comesTo(t, "the connections are gone", func() bool { return metricLine(t, g, `cardea_listener_connections{listener="l"}`) == "0" })
	resp, err := clientFrom(t, "127.0.0.2").Get(g.URL)
	if err != nil {
		t.Fatalf("when it is over, the address is not served: %v", err)
	}
	_ = resp.Body.Close()
}

// TestConnectionChurn opens and resets connections, from many addresses, faster than their rates allow.
func TestConnectionChurn(t *testing.T) {
	g := gatewaytest.New(t, `
listen: {name: l, address: "127.0.0.1:0", limits: {connection_rate_per_address: 5/h}}
admin: 127.0.0.1:0
routes: [{match: /**, respond: ok}]
`)
	addr := strings.TrimPrefix(g.URL, "http://")
	before := runtime.NumGoroutine()
	for i := range 1000 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%100))}, Timeout: 10 * time.Second}
		if c, err := d.Dial("tcp", addr); err == nil {
			_, _ = io.WriteString(c, "GET / HT")
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	}
	comesTo(t, "each address got what it may, and no more", func() bool {
		return metricLine(t, g, `cardea_listener_connections_accepted_total{listener="l"}`) == "500" &&
			metricLine(t, g, `cardea_listener_connections_rejected_total{listener="l",reason="address_rate"}`) == "500"
	})
	comesTo(t, "nothing is left", func() bool {
		return metricLine(t, g, `cardea_listener_connections{listener="l"}`) == "0" && runtime.NumGoroutine() <= before+5
	})
	resp, err := clientFrom(t, "127.0.0.9").Get(g.URL)
	if err != nil {
		t.Fatalf("another address is not served: %v", err)
	}
	_ = resp.Body.Close()
}

// TestSlowBodiesGet408 sends a body a byte at a time, through a gateway to an upstream.
func TestSlowBodiesGet408(t *testing.T) {
	g := gatewaytest.New(t, `listen: {address: "127.0.0.1:0", limits: {body_rate: 100KiB/s over 500ms}}`+"\n"+
		one(upstream(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })))
	c, r := dial(t, g)
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	go func() { // ends with the connection
		for _, err := io.WriteString(c, "x"); err == nil; _, err = io.WriteString(c, "x") {
			time.Sleep(5 * time.Millisecond) // the client is slow: that is what is tested
		}
	}()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), `"code":"request_timeout"`) {
		t.Errorf("got %s %s", resp.Status, body)
	}
	if resp, _ := g.Do("POST", "/", strings.Repeat("x", 1<<20)); resp.StatusCode != http.StatusOK {
		t.Errorf("a fast body: %s", resp.Status)
	}
}

// TestSlowReadersAreCut reads a large answer, of an upstream or of the gateway itself, a little at a time.
func TestSlowReadersAreCut(t *testing.T) {
	const size = 64 << 20
	cut := make(chan bool, 1)
	g := gatewaytest.New(t, `listen: {address: "127.0.0.1:0", limits: {write_rate: 20MiB/s over 200ms}}`+"\n"+
		one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "67108864")
			_, err := w.Write(make([]byte, size))
			cut <- err != nil
		})))
	c, r := dial(t, g)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	buf, got := make([]byte, 512), 0
	for {
		n, err := r.Read(buf)
		got += n
		if err != nil {
			break
		}
		select {
		case <-cut: // the rest is what was on its way
			rest, _ := io.Copy(io.Discard, r)
			if got += int(rest); got >= size {
				t.Errorf("all %d bytes came", got)
			}
			return
		default:
			time.Sleep(time.Millisecond) // the client is slow: that is what is tested
		}
	}
	if !<-cut {
		t.Error("the upstream was not told")
	}
}

// metricLine returns the value of a metric.
func metricLine(t *testing.T, g *gatewaytest.Gateway, name string) string {
	t.Helper()
	_, text := admin(t, g, "/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// comesTo waits until something holds.
func comesTo(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to: %s", what)
		}
	}
}
