//go:build unix

package http1

import "syscall"

// glance looks at a socket without waiting and without taking anything out of it.
func glance(fd uintptr) glimpse {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN || err == syscall.EWOULDBLOCK:
			return nothing
		case err == nil && n > 0:
			return something
		}
		return gone
	}
}
