package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1/http1test"
	"cardea.dev/cardea/internal/socket"
)

// wrapped is a wrapper as listeners have it.
type wrapped struct {
	net.Conn
	closed chan struct{}
}

func (w *wrapped) Plain() net.Conn { return w.Conn }

func (w *wrapped) Close() error {
	close(w.closed)
	return w.Conn.Close()
}

// opaque is a wrapper of which nothing is known.
type opaque struct{ net.Conn }

func TestKindsOfConnections(t *testing.T) {
	for name, test := range map[string]struct {
		network string
		wrap    func(net.Conn) net.Conn
		plain   bool
	}{
		"TCP":         {"tcp", func(c net.Conn) net.Conn { return c }, true},
		"Unix":        {"unix", func(c net.Conn) net.Conn { return c }, true},
		"wrapped TCP": {"tcp", func(c net.Conn) net.Conn { return &wrapped{c, make(chan struct{})} }, true},
		"opaque":      {"tcp", func(c net.Conn) net.Conn { return opaque{c} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			address := "127.0.0.1:0"
			if test.network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			l, err := net.Listen(test.network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			near, err := net.Dial(test.network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c := test.wrap(far)
			if got := socket.Plain(c) != nil; got != test.plain {
				t.Errorf("plain: %v", got)
			}
			s := &Server{Handler: http.HandlerFunc(http1test.Answer)}
			done := make(chan struct{})
			go func() { // ends with the connection
				defer close(done)
				s.ServeConn(c, nil)
			}()
			buf := make([]byte, 8192)
			for range 3 {
				near.Write([]byte(http1test.Get))
				for n := 0; n < 1024; {
					m, err := near.Read(buf)
					if err != nil {
						t.Fatal(err)
					}
					n += m
				}
			}
			near.Close()
			<-done
			if w, ok := c.(*wrapped); ok {
				<-w.closed
			}
			s.Close()
		})
	}
}

// TestDeadlinesAreMovedRarely counts what a connection is told when reads come one after another.
func TestDeadlinesAreMovedRarely(t *testing.T) {
	c := &counting{}
	var l link
	l.attach(c)
	l.readStall, l.writeStall = time.Minute, time.Minute
	for range 100 {
		l.Read(nil)
		l.Write(nil)
	}
	if c.reads != 1 || c.writes != 1 {
		t.Errorf("deadlines were set %d and %d times", c.reads, c.writes)
	}
	l.setRead(time.Now())
	l.Read(nil)
	l.resetManual()
	l.Read(nil)
	if c.reads != 4 {
		t.Errorf("read deadlines were set %d times after a handler's", c.reads)
	}
}

// counting is a connection that counts how often deadlines are set.
type counting struct {
	net.Conn
	reads, writes int
}

func (c *counting) Read([]byte) (int, error)         { return 0, nil }
func (c *counting) Write([]byte) (int, error)        { return 0, nil }
func (c *counting) SetReadDeadline(time.Time) error  { c.reads++; return nil }
func (c *counting) SetWriteDeadline(time.Time) error { c.writes++; return nil }

// TestDeadlineThatComesTooEarly holds reads to their own limit, whatever deadline the connection still has from before.
func TestDeadlineThatComesTooEarly(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	var l link
	l.attach(near)
	begun := time.Now()
	l.readUntil = now() + int64(20*time.Millisecond)
	l.allowRead(now(), l.readUntil)
	l.readUntil, l.readStall = 0, 100*time.Millisecond
	_, err := l.Read(make([]byte, 1))
	if took := time.Since(begun); !errors.Is(err, os.ErrDeadlineExceeded) || took < 100*time.Millisecond {
		t.Errorf("%v after %v", err, took)
	}
}
