// Package porttest gives tests addresses on loopback that stay theirs: for servers that cannot take port 0, or come back to the port that they
// had, and for clients that are to find nobody. It may be imported by tests alone.
package porttest

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// Address returns an address at which nobody listens, and which nobody else gets until the test has ended. The test's own servers may listen at it,
// one after the other: like Go's, they set SO_REUSEADDR. The ports so many further are the test's, too.
func Address(t testing.TB, further ...int) string {
	t.Helper()
	var err error
	for range 100 {
		var held []int
		if held, err = holdAll(further); err == nil {
			port := portOf(held[0])
			if runtime.GOOS == "linux" { // elsewhere no other could listen then
				t.Cleanup(func() { release(held) })
			} else {
				release(held)
			}
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
	}
	t.Fatalf("cannot find a free port: %v", err)
	return ""
}

// holdAll holds any port that is free, and those so many further. It returns the sockets.
func holdAll(further []int) ([]int, error) {
	first, err := hold(0)
	if err != nil {
		return nil, err
	}
	held := []int{first}
	for _, n := range further {
		next, err := hold(portOf(first) + n)
		if err != nil {
			release(held)
			return nil, err
		}
		held = append(held, next)
	}
	return held, nil
}

// hold binds a socket to a port, and does not listen. The system gives no such port to those that take any, and refuses who connects.
func hold(port int) (socket int, err error) {
	if port > 65535 {
		return 0, fmt.Errorf("there is no port %d", port)
	}
	syscall.ForkLock.RLock()
	socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, fmt.Errorf("cannot make a socket: %w", err)
	}
	if err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(socket, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		release([]int{socket})
		return 0, fmt.Errorf("cannot bind a socket to port %d: %w", port, err)
	}
	return socket, nil
}

// portOf is the port that a socket is bound to, or 0.
func portOf(socket int) int {
	at, err := syscall.Getsockname(socket)
	if inet, ok := at.(*syscall.SockaddrInet4); err == nil && ok {
		return inet.Port
	}
	return 0
}

func release(held []int) {
	for _, socket := range held {
		_ = syscall.Close(socket)
	}
}
