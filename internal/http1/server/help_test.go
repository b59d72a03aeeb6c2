package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/http1/http1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server on loopback. It ends with the test.
func serve(t testing.TB, s *Server, handler http.HandlerFunc) (address string) {
	t.Helper()
	s.Handler = handler
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return http1test.Serve(t, s)
}

// peer is a bare connection to a server.
type peer struct {
	*net.TCPConn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, address string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{c.(*net.TCPConn), t, bufio.NewReader(c)}
}

func (c *peer) send(format string, args ...any) *peer {
	c.t.Helper()
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(c, format); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// expect reads a response and compares what matters of it: "200 close ab" for instance.
func (c *peer) expect(want string) *http.Response {
	c.t.Helper()
	return c.expectFor("GET", want)
}

func (c *peer) expectFor(method, want string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("cannot read a response: %v; want %q", err, want)
	}
	body, err := io.ReadAll(resp.Body)
	got := fmt.Sprint(resp.StatusCode)
	if resp.TransferEncoding != nil {
		got += " chunked"
	}
	if resp.Close {
		got += " close"
	}
	if len(body) > 0 {
		got += " " + string(body)
	}
	if err != nil {
		got += " broken"
	}
	if got != want {
		c.t.Fatalf("got %q, want %q", got, want)
	}
	return resp
}

// ended waits for the server to close the connection.
func (c *peer) ended() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil && !strings.Contains(err.Error(), "reset") || len(rest) > 0 {
		c.t.Fatalf("the connection goes on: %q, %v", rest, err)
	}
}
