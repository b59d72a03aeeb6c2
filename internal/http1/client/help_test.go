package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/http1/http1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client connects to an endpoint that is handled so.
func client(t testing.TB, o Options, handle func(n int, c net.Conn, r *bufio.Reader)) *Conn {
	t.Helper()
	noLeaks(t)
	address := http1test.Endpoint(t, handle)
	c := dialClient(t, address, o)
	return c
}

func dialClient(t testing.TB, address string, o Options) *Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(nc, o)
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
		for http1test.TakeRequest(r) != nil {
			io.WriteString(c, answer)
		}
	}
}

// exchange makes a round trip and reads the answer.
func exchange(t testing.TB, c *Conn, req *http.Request) (*http.Response, string) {
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
func failure(t testing.TB, err error) Error {
	t.Helper()
	var e *Error
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
