//go:build linux

package origin

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// started starts an origin that lives as long as the tests, and returns its address.
func started(t *testing.T) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { // serves until the process ends
		t.Log(Serve(w))
	}()
	var address string
	if _, err := fmt.Fscanln(r, &address); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestOrigin(t *testing.T) {
	address := started(t)
	base := "http://" + address
	upload := bytes.Repeat([]byte("abcdefg"), 100_000)
	for name, c := range map[string]struct {
		method, path string
		body         []byte
		status       int
		want         func(string) bool
	}{
		"1k":        {"GET", "/any/path/1k?x=/16k", nil, 200, func(s string) bool { return len(s) == 1<<10 }},
		"16k":       {"GET", "/16k", nil, 200, func(s string) bool { return len(s) == 16<<10 }},
		"1m":        {"GET", "/1m", nil, 200, func(s string) bool { b, _ := Body("1m"); return s == string(b) }},
		"upload":    {"POST", "/upload", upload, 200, func(s string) bool { return s == "700000" }},
		"sha256":    {"POST", "/x/sha256", upload, 200, func(s string) bool { return s == fmt.Sprintf("%x", sha256.Sum256(upload)) }},
		"head":      {"GET", "/head", nil, 200, func(s string) bool { return strings.HasPrefix(s, "GET /head HTTP/1.1\r\nHost: "+address+"\r\n") }},
		"not there": {"GET", "/nothing", nil, 404, func(s string) bool { return s == "not found\n" }},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second on the same connection
				request, err := http.NewRequest(c.method, base+c.path, bytes.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || response.StatusCode != c.status || !c.want(string(body)) {
					t.Errorf("status %d, error %v, body %.100q", response.StatusCode, err, body)
				}
			}
		})
	}
}

func TestOriginRaw(t *testing.T) {
	address := started(t)
	for name, c := range map[string]struct {
		pieces []string
		want   []string
	}{
		"close":     {[]string{"GET /1k HTTP/1.1\r\nConnection: close\r\n\r\n"}, []string{"HTTP/1.1 200 OK\r\n", "Content-Length: 1024\r\n"}},
		"in pieces": {[]string{"POST /upload HTTP/1.1\r\nContent-Len", "gth: 4\r\nConnection: close\r\n\r", "\nab", "cd"}, []string{"\r\n\r\n4"}},
		"pipelined": {[]string{"GET /head HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\nConnection: close\r\n\r\n"}, []string{"GET /head", "404 Not Found"}},
		"chunked":   {[]string{"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"}, []string{"411 Length Required"}},
		"nonsense":  {[]string{"hello\r\n\r\n"}, []string{"400 Bad Request"}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for _, piece := range c.pieces {
				if _, err := io.WriteString(conn, piece); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond) // so that pieces most likely come apart; together they are as good
			}
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("no %q in %q", want, got)
				}
			}
		})
	}
}
