//go:build unix

package listen

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets several processes listen on one address.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); failed != nil {
		return failed
	}
	return err
}

// keepFromChildren closes a file in processes that are started from this one.
func keepFromChildren(fd int) { unix.CloseOnExec(fd) }
