//go:build unix

package listen

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets several processes listen on one address.
func reusePort(c syscall.RawConn) error { return setOption(c, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

// setOption sets an option of a socket.
func setOption(c syscall.RawConn, level, option, value int) error {
	var err error
	failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(failed, err)
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
