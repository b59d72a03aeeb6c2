package pool

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkRoundTrip measures one request over a connection that is open already, beside net/http's own Transport.
func BenchmarkRoundTrip(b *testing.B) {
	to := script(b, func(_ int, c net.Conn, r *bufio.Reader) {
		answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				c.Write(answer)
			}
		}
	})
	p := open(b, Options{})
	other := &http.Transport{DisableCompression: true}
	defer other.CloseIdleConnections()
	for name, send := range map[string]func(*http.Request) (*http.Response, error){
		"pool": func(r *http.Request) (*http.Response, error) {
			return p.RoundTrip(context.Background(), r, to, nil)
		},
		"transport": other.RoundTrip,
	} {
		b.Run(name, func(b *testing.B) {
			req := request("GET", "/", nil)
			req.Header.Set("User-Agent", "x")
			req.URL.Scheme, req.URL.Host = "http", to.Address
			req.Body = nil
			b.ReportAllocs()
			for b.Loop() {
				resp, err := send(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
