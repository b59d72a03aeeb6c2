package http1_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/http1/client"
	"cardea.dev/cardea/internal/http1/http1test"
	"cardea.dev/cardea/internal/http1/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server on loopback. It ends with the test.
func serve(t testing.TB, handler http.HandlerFunc) (address string) {
	t.Helper()
	return http1test.Serve(t, &server.Server{Handler: handler, Log: slog.New(slog.DiscardHandler)})
}

// dial connects a client. The connection is closed with the test.
func dial(t testing.TB, address string, o client.Options) *client.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewConn(nc, o)
	t.Cleanup(func() { c.Close() })
	return c
}

// onlyReader hides what else a reader can do.
type onlyReader struct{ io.Reader }
