package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends returns both ends of a connection.
func ends(t *testing.T, network string) (near, far net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// TestDirect reads, writes and asks over both kinds of sockets.
func TestDirect(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			near, far := ends(t, network)
			var d Direct
			d.Attach(Plain(near), nil)
			if d.OK() || !d.Awaits() {
				t.Fatalf("without transfers: can be used: %v, can wait: %v", d.OK(), d.Awaits())
			}
			d.Use(NewTransfers())
			if !d.OK() {
				t.Fatal("it cannot be used")
			}
			buf := make([]byte, 100)
			if n, err := d.ReadReady(buf); n != 0 || err != ErrWouldWait || !Temporary(err) {
				t.Errorf("nothing is there: %d, %v", n, err)
			}
			if n, err := d.Write([]byte("one")); n != 3 || err != nil {
				t.Errorf("written: %d, %v", n, err)
			}
			if n := d.WriteSome([]byte("two")); n != 3 {
				t.Errorf("written without waiting: %d", n)
			}
			if n, err := io.ReadFull(far, buf[:6]); string(buf[:n]) != "onetwo" {
				t.Errorf("came: %q, %v", buf[:n], err)
			}
			go func() { // ends with the answer
				ask := make([]byte, 3)
				io.ReadFull(far, ask)
				far.Write(bytes.ToUpper(ask))
			}()
			if a := d.Ask([]byte("ask"), buf); a.Err != nil || a.Sent != 3 || a.Noisy || string(buf[:a.N]) != "ASK" {
				t.Errorf("asked: %+v %q", a, buf[:a.N])
			}
			far.Close()
			if n, err := d.Read(buf); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d, %v", n, err)
			}
			if a := d.Ask([]byte("ask"), buf); !a.Noisy || a.Sent != 0 {
				t.Errorf("asked of who is gone: %+v", a)
			}
		})
	}
}

// TestDeadlines holds that reads end with the connection's deadline, and that those that do not wait take it for nothing to read.
func TestDeadlines(t *testing.T) {
	near, _ := ends(t, "tcp")
	var d Direct
	d.Attach(near, NewTransfers())
	near.SetReadDeadline(time.Unix(1, 0))
	buf := make([]byte, 1)
	if _, err := d.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || !Temporary(err) {
		t.Errorf("read: %v", err)
	}
	if _, err := d.ReadReady(buf); err != ErrWouldWait {
		t.Errorf("read what is there: %v", err)
	}
}

// TestWriteSomeOf fills a socket whose other end reads nothing. It must take some, and not wait.
func TestWriteSomeOf(t *testing.T) {
	near, far := ends(t, "tcp")
	var d Direct
	d.Attach(near, NewTransfers())
	pieces := [][]byte{[]byte("head"), bytes.Repeat([]byte("x"), 64<<10), []byte("end")}
	first := d.WriteSomeOf(pieces)
	total := first
	for n := first; n > 0; {
		n = d.WriteSomeOf(pieces)
		total += n
	}
	if first == 0 {
		return // no such system call here: all is left to package net
	}
	near.Close()
	got, err := io.ReadAll(far)
	if err != nil || len(got) != total || !bytes.HasPrefix(got, []byte("headx")) {
		t.Errorf("written %d, came %d, %v", total, len(got), err)
	}
}

// TestProbe looks at a connection before anything has come, afterwards, and when it is closed.
func TestProbe(t *testing.T) {
	near, far := ends(t, "tcp")
	var p Probe
	p.Attach(near)
	if quiet, _ := p.Quiet(); !quiet || p.Closed() {
		t.Errorf("quiet: %v, closed: %v", quiet, p.Closed())
	}
	far.Write([]byte("x"))
	carrier := NewCarrier(near)
	if b := make([]byte, 1); !p.waitUntilLoud() {
		t.Error("nobody sees what has come")
	} else if _, err := carrier.Read(b); err != nil || b[0] != 'x' {
		t.Errorf("looking has taken it away: %q, %v", b, err)
	}
	far.Close()
	if !p.waitUntilLoud() || !p.Closed() {
		t.Error("nobody sees that it is closed")
	}
}

// waitUntilLoud waits for something to be seen, up to 5 seconds.
func (p *Probe) waitUntilLoud() bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if quiet, _ := p.Quiet(); !quiet {
			return true
		}
	}
	return false
}
