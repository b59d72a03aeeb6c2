package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// canned is a connection whose endpoint says certain bytes, in pieces, and then closes.
type canned struct {
	net.Conn
	pieces [][]byte
	given  int
	wrote  []byte
	closed bool
}

func (c *canned) Read(p []byte) (int, error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	c.given += n
	return n, nil
}

func (c *canned) Write(p []byte) (int, error)      { c.wrote = append(c.wrote, p...); return len(p), nil }
func (c *canned) Close() error                     { c.closed = true; return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// split cuts bytes into pieces at points that follow from a seed.
func split(b []byte, seed uint64) [][]byte {
	var pieces [][]byte
	for len(b) > 0 {
		seed = seed*6364136223846793005 + 1442695040888963407
		n := min(len(b), 1+int(seed>>33)%(1+int(seed>>50)%64))
		pieces = append(pieces, append([]byte(nil), b[:n]...))
		b = b[n:]
	}
	return pieces
}

// endpoint starts a server whose connections, numbered from 0, are handled as they come, and says how to reach it.
func endpoint(t testing.TB, handle func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// client connects to an endpoint that is handled so.
func client(t testing.TB, o ClientOptions, handle func(n int, c net.Conn, r *bufio.Reader)) *ClientConn {
	t.Helper()
	noLeaks(t)
	address := endpoint(t, handle)
	c := dialClient(t, address, o)
	return c
}

func dialClient(t testing.TB, address string, o ClientOptions) *ClientConn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClientConn(nc, o)
	t.Cleanup(func() { c.Close() })
	return c
}

// noLeaks checks at the end of the test that its goroutines have ended. It is to be called first.
func noLeaks(t testing.TB) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// answers is an endpoint that gives each request the same answer.
func answers(answer string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, r *bufio.Reader) {
		for takeRequest(r) != nil {
			io.WriteString(c, answer)
		}
	}
}

// takeRequest reads a request with its body.
func takeRequest(r *bufio.Reader) *http.Request {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil
	}
	io.Copy(io.Discard, req.Body)
	return req
}

// outgoing makes a request as a gateway sends it on: its body is a stream.
func outgoing(method, target string, body io.Reader) *http.Request {
	req := httptest.NewRequest(method, target, body)
	req.GetBody = nil
	return req
}

// exchange makes a round trip and reads the answer.
func exchange(t testing.TB, c *ClientConn, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.RoundTrip(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// failure takes an error apart for comparison.
func failure(t testing.TB, err error) ClientError {
	t.Helper()
	var e *ClientError
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want *ClientError", err, err)
	}
	t.Log(e)
	flat := *e
	flat.Err = nil
	return flat
}

// wayward is a context that can be ended with a cause.
func wayward(t testing.TB) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}

// silent is a body that does not come until the test is over.
type silent struct{ over chan struct{} }

func newSilent(t testing.TB) *silent {
	s := &silent{make(chan struct{})}
	t.Cleanup(func() { close(s.over) })
	return s
}

func (s *silent) Read([]byte) (int, error) {
	<-s.over
	return 0, io.ErrClosedPipe
}

func soon(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within 5 seconds", what)
}
