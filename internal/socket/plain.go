package socket

import (
	"errors"
	"net"
	"os"
)

// Plainer is what a wrapper of a connection may be, to say that bytes written to it and read from it are those of the connection
// below, so that the faster ways of that one may be used: writev, splice, waiting without a buffer. A TLS connection is none.
type Plainer interface{ Plain() net.Conn }

// Plain returns the TCP or Unix connection that c is, or stands for, or nil.
func Plain(c net.Conn) net.Conn {
	for {
		switch t := c.(type) {
		case *net.TCPConn, *net.UnixConn:
			return t
		case Plainer:
			c = t.Plain()
		default:
			return nil
		}
	}
}

// wouldWait is the error of an impatient Read. To TLS it is a timeout, which does no harm.
type wouldWait struct{}

// ErrWouldWait says that there is nothing to read yet, where a read must not wait.
var ErrWouldWait net.Error = wouldWait{}

func (wouldWait) Error() string   { return "nothing has come" }
func (wouldWait) Timeout() bool   { return true }
func (wouldWait) Temporary() bool { return true }

// Temporary says whether reading may go on after an error: a deadline passed, or it was not to wait.
func Temporary(err error) bool {
	return err != nil && (err == ErrWouldWait || errors.Is(err, os.ErrDeadlineExceeded))
}
