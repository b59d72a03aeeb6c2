package gatewaytest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// attack is what many connections send before they stand still.
type attack struct {
	name string
	says string
	most int // bytes of memory for each connection, with the client's end of it and the service's
}

var attacks = []attack{
	{name: "heads that do not end", says: "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n", most: 24 << 10},
	{name: "heads nearly too large", says: "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 60), most: 160 << 10},
	{name: "bodies that do not end", says: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc", most: 128 << 10},
	{name: "chunks that do not end", says: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 1000), most: 128 << 10},
	{name: "readers that do not read", says: "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", most: 160 << 10},
	{name: "pipelines that nobody reads", says: strings.Repeat("GET /64k HTTP/1.1\r\nHost: x\r\n\r\n", 200), most: 192 << 10},
}

// TestAttacksAreBounded opens many connections that take what they can get and give nothing. Each may take so much memory and no more,
// others are served all the while, and when the attack is over nothing is left.
func TestAttacksAreBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory counts too")
	}
	const connections = 150
	answer := make([]byte, 4<<20) // one for all: the upstream's memory is not what is measured
	g := gatewaytest.New(t, one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sizes := map[string]int{"/large": 4 << 20, "/64k": 64 << 10}
		_, _ = w.Write(answer[:sizes[r.URL.Path]])
	})))
	g.Get("/")
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			before := inUse()
			conns := make([]net.Conn, connections)
			for i := range conns {
				c, _ := dial(t, g)
				_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
				_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)) // what the gateway does not take is not taken
				if _, err := io.WriteString(c, a.says); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				conns[i] = c
			}
			slowest := time.Duration(0)
			for range 50 {
				begin := time.Now()
				if resp, _ := g.Get("/"); resp.StatusCode != http.StatusOK {
					t.Fatalf("another client gets %s", resp.Status)
				}
				slowest = max(slowest, time.Since(begin))
			}
			each := (inUse() - before) / connections
			t.Logf("%d bytes for each connection; the slowest answer to others took %v", each, slowest)
			if each > int64(a.most) {
				t.Errorf("a connection takes %d bytes, and %d are allowed", each, a.most)
			}
			if slowest > 5*time.Second {
				t.Errorf("another client waits for %v", slowest)
			}
			for _, c := range conns {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
	}
}

// inUse is how much memory is in use.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // pools keep what they have for one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestStandingStillHasLimits ends clients that go on just enough to seem alive.
func TestStandingStillHasLimits(t *testing.T) {
	g := gatewaytest.New(t, `listen: {address: "127.0.0.1:0", limits: {header_timeout: 300ms, body_idle: 300ms, write_idle: 300ms}}`+"\n"+
		one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(make([]byte, 32<<20))
		})))
	t.Run("a head that drips", func(t *testing.T) {
		c, r := dial(t, g)
		go func() { // ends with the connection
			for _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"); err == nil; _, err = io.WriteString(c, "X: y\r\n") {
				time.Sleep(20 * time.Millisecond)
			}
		}()
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("got %v, %v", resp, err)
		}
	})
	t.Run("a body that stops", func(t *testing.T) {
		c, r := dial(t, g)
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("got %v, %v", resp, err)
		}
	})
	t.Run("a reader that stops", func(t *testing.T) {
		c, _ := dial(t, g)
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(1200 * time.Millisecond)
		if n, err := io.Copy(io.Discard, c); err == nil && n > 32<<20 {
			t.Errorf("the whole answer came: %d bytes", n)
		}
	})
}
