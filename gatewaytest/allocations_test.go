//go:build !race

package gatewaytest_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestAllocations holds what a request costs in all: a proxied one the text of two heads, and the request's id.
func TestAllocations(t *testing.T) {
	const request = "GET /a/b?c=d HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x\r\nAccept: */*\r\nAccept-Language: en\r\n\r\n"
	plain := "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Thu, 26 Nov 2026 09:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" +
		strings.Repeat("x", 1024)
	const part = "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Thu, 26 Nov 2026 09:00:00 GMT\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
	for name, c := range map[string]struct {
		answer   string
		size     int // of the answer that is made of it
		policies string
		limit    float64
	}{
		"plain":    {plain, 1024, "log: off\nroutes: [{match: /**, to: u}]", 3},
		"policies": {plain, 1024, "log: off\nheaders: {request: {set: {X-A: b}}, response: {set: {X-C: d}, remove: [Server]}}\ncors: [https://a.example]\nroutes: [{match: /**, to: u}]", 3},
		"a page":   {part, 37, "log: off\nroutes: [{match: /**, aggregate: {a: u/a, b: u/b, c: u/c}}]", 140},
	} {
		g := gatewaytest.New(t, "upstreams: {u: http://"+parrot(t, c.answer)+"}\n"+c.policies)
		nc, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		out, in := []byte(request), make([]byte, 4<<10)
		got := testing.AllocsPerRun(2000, func() {
			if _, err := nc.Write(out); err != nil {
				t.Fatal(err)
			}
			for n, head := 0, -1; head < 0 || n < head+4+c.size; {
				m, err := nc.Read(in[n:])
				if err != nil {
					t.Fatal(err)
				}
				n += m
				head = bytes.Index(in[:n], []byte("\r\n\r\n"))
			}
		})
		if got > c.limit {
			t.Errorf("%s: %v allocations for a request, at most %v are meant to be", name, got, c.limit)
		}
		t.Logf("%s: %v allocations", name, got)
	}
}

// parrot answers each read with the same bytes, and allocates nothing for it.
func parrot(t *testing.T, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := []byte(answer)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				in := make([]byte, 4<<10)
				for {
					if _, err := nc.Read(in); err != nil {
						return
					}
					if _, err := nc.Write(out); err == io.EOF {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
