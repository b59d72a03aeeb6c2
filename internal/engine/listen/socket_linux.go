package listen

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepAliveEach is what package net does for each connection: nothing, as they inherit what keepAlive sets.
const keepAliveEach = -1

// keepSeconds is after how long a silence, and how often from then on, the system asks whether the other side is still there, as Go's
// own defaults have it.
const keepSeconds = 15

// keepAlive has the system look after silent connections, of all that a socket accepts.
func keepAlive(c syscall.RawConn) error {
	return errors.Join(
		setOption(c, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		setOption(c, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepSeconds),
		setOption(c, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepSeconds),
	)
}
