//go:build unix

package http1

import "syscall"

// initRaw readies waiting without a buffer.
func (c *serverConn) initRaw() {
	conn, ok := c.link.plain.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	c.raw, c.try = raw, c.tryRead
}

// tryRead reads what is there. When nothing is, it gives the buffers back and says so.
func (c *serverConn) tryRead(fd uintptr) bool {
	for {
		c.readN, c.readErr = syscall.Read(int(fd), c.reader.space())
		switch c.readErr {
		case nil:
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.rest()
			return false
		}
		c.readN = 0
		return true
	}
}
