package porttest

import (
	"errors"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// TestAddress: nobody listens there, servers of the test may, one after the other, and nobody else gets it, in between either.
func TestAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it cannot be kept there")
	}
	address := Address(t, 10000)
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	further := net.JoinHostPort("127.0.0.1", strconv.Itoa(port+10000))
	for range 2 {
		refused(t, address)
		taken(t, address)
		taken(t, further)
		for _, at := range []string{address, further} {
			l, err := net.Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			_ = l.Close()
		}
	}
}

// refused connects, in vain.
func refused(t *testing.T, address string) {
	t.Helper()
	if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, %v", conn, err)
	}
}

// taken tries to have the address for an end of a connection, which any address may become that nobody has.
func taken(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from, _ := net.ResolveTCPAddr("tcp", address)
	conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", l.Addr().String())
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, %v", conn, err)
	}
}
