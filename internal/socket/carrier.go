package socket

import (
	"errors"
	"net"
	"time"
)

// Carrier is a connection that TLS is spoken over. It can be read without waiting, as Probe does to look at the TLS connection.
type Carrier struct {
	net.Conn
	probe     Probe
	impatient bool // it must not wait
	cleared   bool // the read deadline was lifted meanwhile
}

// carrier is a Carrier, or what has one embedded.
type carrier interface{ self() *Carrier }

func (s *Carrier) self() *Carrier { return s }

// NewCarrier makes a Carrier of an open connection.
func NewCarrier(nc net.Conn) *Carrier {
	s := &Carrier{Conn: nc}
	s.probe.initRaw(nc)
	return s
}

// Read reads the connection.
func (s *Carrier) Read(p []byte) (int, error) {
	if s.impatient {
		if s.probe.glance() == nothing {
			return 0, ErrWouldWait
		}
		if !s.cleared { // one that has passed would keep it from reading what there is
			s.cleared = true
			_ = s.Conn.SetReadDeadline(time.Time{})
		}
	}
	return s.Conn.Read(p)
}

// CloseWrite ends what is sent.
func (s *Carrier) CloseWrite() error { return CloseWrite(s.Conn) }

// CloseWrite ends what is sent, where a connection can do so.
func CloseWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
