package pool

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// echo switches protocols and gives back what it gets.
func echo(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	defer c.Close()
	// The first bytes come in one piece with the head.
	io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
	rw.Flush()
	io.Copy(c, rw)
	io.WriteString(c, " bye")
}

func upgradeRequest() *http.Request {
	req := request("GET", "/", nil)
	req.Header.Set("Connection", "keep-alive, Upgrade")
	req.Header.Set("Upgrade", "echo")
	return req
}

func TestUpgrade(t *testing.T) {
	for _, c := range []struct {
		name, protocol string
		secure         bool
	}{{"plain", "auto", false}, {"TLS", "http1", true}, {"TLS where HTTP/2 is preferred", "auto", true}} {
		t.Run(c.name, func(t *testing.T) {
			to, s := serve(t, c.secure, http.HandlerFunc(echo))
			o := Options{Protocol: c.protocol}
			if c.secure {
				roots := x509.NewCertPool()
				roots.AddCert(s.Certificate())
				o.TLS = &tls.Config{RootCAs: roots}
			}
			p := open(t, o)
			resp, err := p.RoundTrip(t.Context(), upgradeRequest(), to, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
				t.Fatal(resp)
			}
			tunnel := resp.Body.(io.ReadWriteCloser)
			io.WriteString(tunnel, "world")
			if err := tunnel.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(tunnel)
			if err != nil || string(got) != "hello world bye" {
				t.Errorf("got %q, %v", got, err)
			}
			if got := p.Stats()[to.Address]; got != (Stats{Open: 1}) {
				t.Errorf("got %+v", got)
			}
			tunnel.Close()
			eventually(t, "it is closed", func() bool { return p.Stats()[to.Address].Open == 0 })
		})
	}
}

func TestUpgradeRefused(t *testing.T) {
	to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(426) }))
	p := open(t, Options{})
	if resp, _, _ := fetch(t, p, to, upgradeRequest()); resp.StatusCode != 426 {
		t.Error(resp)
	}
	_, err := open(t, Options{Protocol: "h2c"}).RoundTrip(t.Context(), upgradeRequest(), to, nil)
	if d := cmp.Diff(Error{Phase: Write, Kind: BadRequest}, asError(t, err)); d != "" {
		t.Error(d)
	}
}

func TestTunnelEnds(t *testing.T) {
	to, _ := serve(t, false, http.HandlerFunc(echo))
	t.Run("with the context", func(t *testing.T) {
		ctx, cancel := cancelWith(t)
		cause := errors.New("drained")
		resp, err := open(t, Options{}).RoundTrip(ctx, upgradeRequest(), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		_, err = io.ReadAll(resp.Body)
		if e := asError(t, err); e.Kind != Canceled || !errors.Is(err, cause) {
			t.Errorf("got %+v", e)
		}
		resp.Body.Close()
	})
	t.Run("standing still", func(t *testing.T) {
		resp, err := open(t, Options{Idle: 50 * time.Millisecond}).RoundTrip(t.Context(), upgradeRequest(), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		if d := cmp.Diff(Error{Phase: Body, Kind: TimedOut, Timeout: true, Sent: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
		resp.Body.Close()
	})
	t.Run("by a reset", func(t *testing.T) {
		up := make(chan struct{})
		to := script(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readRequest(r)
			io.WriteString(c, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			<-up
			reset(c)
		})
		resp, err := open(t, Options{}).RoundTrip(t.Context(), upgradeRequest(), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		close(up)
		_, err = io.ReadAll(resp.Body)
		if d := cmp.Diff(Error{Phase: Body, Kind: Reset, Sent: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
		resp.Body.Close()
	})
}
