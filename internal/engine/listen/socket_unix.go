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

// takeOver readies a file that the process was given by number, if it is a listening socket.
func takeOver(fd int) error {
	switch listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); {
	case err != nil:
		return err
	case listens == 0:
		return unix.EINVAL
	}
	keepFromChildren(fd)
	return nil
}
