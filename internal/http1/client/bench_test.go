package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/http1/http1test"
)

// swift is an endpoint that answers a request as soon as its head is there, and allocates nothing for it.
func swift(answer string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, r *bufio.Reader) {
		b := []byte(answer)
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				c.Write(b)
			}
		}
	}
}

var kilobyte = http1test.OK + "Content-Type: text/plain\r\nDate: Sat, 21 Nov 2026 04:24:59 GMT\r\nServer: x\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)

func plainRequest() *http.Request {
	req := http1test.Outgoing("GET", "/a/b?c=d", nil)
	req.Header = http.Header{"User-Agent": {"x"}, "Accept": {"*/*"}, "X-Request-Id": {"0123456789abcdef"}}
	req.Body = nil
	return req
}

// TestAllocations holds what an exchange costs whose answer is given back: the text of its head.
func TestAllocations(t *testing.T) {
	if http1test.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	c := client(t, Options{FirstByte: 1e10, Idle: 1e10}, swift(kilobyte))
	req, buf := plainRequest(), make([]byte, 4<<10)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := testing.AllocsPerRun(2000, func() {
		resp, err := c.RoundTrip(ctx, req, nil)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buf)
		}
		if err != io.EOF || !c.Reusable() {
			t.Fatal(err)
		}
		resp.Body.(*body).Recycle()
	})
	if got > 1 {
		t.Errorf("%v allocations for an exchange", got)
	}
}

func BenchmarkExchange(b *testing.B) {
	address := http1test.Endpoint(b, swift(kilobyte))
	run := func(name string, send func(*http.Request) (*http.Response, error)) {
		b.Run(name, func(b *testing.B) {
			req, buf := plainRequest(), make([]byte, 4<<10)
			req.URL.Scheme, req.URL.Host = "http", address
			b.ReportAllocs()
			for b.Loop() {
				resp, err := send(req)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = resp.Body.Read(buf)
				}
				resp.Body.Close()
			}
		})
	}
	c := dialClient(b, address, Options{FirstByte: 1e10, Idle: 1e10})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run("client", func(r *http.Request) (*http.Response, error) {
		if !c.Reusable() {
			b.Fatal("it is closed")
		}
		return c.RoundTrip(ctx, r, nil)
	})
	other := &http.Transport{DisableCompression: true}
	defer other.CloseIdleConnections()
	run("transport", other.RoundTrip)

	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	b.Run("sockets alone", func(b *testing.B) {
		out, in := []byte("GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\n\r\n"), make([]byte, 4<<10)
		for b.Loop() {
			nc.Write(out)
			for n := 0; n < len(kilobyte); {
				m, err := nc.Read(in)
				if err != nil {
					b.Fatal(err)
				}
				n += m
			}
		}
	})
}
