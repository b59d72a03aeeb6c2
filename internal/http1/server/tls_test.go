package server

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// secured serves TLS with the certificate that httptest has.
func secured(t *testing.T, s *Server, handler http.HandlerFunc) (address string, config *tls.Config) {
	t.Helper()
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS()
	certificates := borrowed.TLS.Certificates
	config = borrowed.Client().Transport.(*http.Transport).TLSClientConfig
	borrowed.Close()
	s.Handler = handler
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				secure := tls.Server(c, &tls.Config{Certificates: certificates})
				if secure.Handshake() == nil {
					s.ServeConn(secure, nil)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		s.Close()
	})
	return l.Addr().String(), config
}

func TestTLS(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20000)
	left := make(chan struct{}, 1)
	address, config := secured(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			panic("no TLS")
		}
		switch r.URL.Path {
		case "/large":
			w.(ResponseSender).WriteResponse(response200(int64(len(large)), large))
		case "/watched":
			select {
			case <-r.Context().Done():
			case <-time.After(150 * time.Millisecond):
			}
		case "/left":
			<-r.Context().Done()
			left <- struct{}{}
		default:
			echo(w, r)
		}
	})
	raw, err := tls.Dial("tcp", address, &tls.Config{RootCAs: config.RootCAs, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	send := func(method, path, body string) string {
		t.Helper()
		req, _ := http.NewRequest(method, "http://example.com"+path, strings.NewReader(body))
		if err := req.Write(raw); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(readerOf(raw), req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for range 2 {
		if got := send("POST", "/x", "ab"); got != "POST /x ab" {
			t.Errorf("%q", got)
		}
		if got := send("GET", "/large", ""); got != large {
			t.Errorf("%d bytes", len(got))
		}
		send("GET", "/watched", "") // reading ahead is ended by a deadline, which the connection must survive
	}
	io.WriteString(raw, "GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
	raw.Close()
	<-left
}

func readerOf(c net.Conn) *bufio.Reader { return bufio.NewReaderSize(c, 16) }
