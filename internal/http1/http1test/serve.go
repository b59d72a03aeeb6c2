package http1test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// Get is a request.
const Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// BrowserRequest is a request such as browsers make.
const BrowserRequest = "GET /orders/7?full=1 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz\r\n" +
	"X-Custom-Thing: 1\r\nConnection: keep-alive\r\n\r\n"

// Server is what takes connections.
type Server interface {
	ServeConn(c net.Conn, first []byte)
	Shutdown(ctx context.Context) error
	Close() error
}

// Serve hands connections on loopback to a server. It ends with the test.
func Serve(t testing.TB, s Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(c, nil)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		_ = s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("connections are left: %v", err)
		}
	})
	return l.Addr().String()
}

// RoundTrips returns a function that makes one request on a connection that stays.
func RoundTrips(t testing.TB, address string) func() {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	request, buf := []byte(BrowserRequest), make([]byte, 8192)
	return func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 1024 || !bytes.Contains(buf[:n], []byte("\r\n\r\n")); {
			m, err := c.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
}

var serverAnswer = bytes.Repeat([]byte("x"), 1024)

// Answer is a handler that answers with 1024 bytes, and allocates nothing.
func Answer(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = serverAnswerType
	w.Header()["Content-Length"] = serverAnswerLength
	_, _ = w.Write(serverAnswer)
}

var serverAnswerType, serverAnswerLength = []string{"text/plain"}, []string{"1024"}
