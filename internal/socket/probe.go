package socket

import (
	"crypto/tls"
	"net"
	"syscall"
)

// Probe looks at a connection that nobody reads: whether the endpoint has closed it, or has sent what nobody asked for.
type Probe struct {
	raw    syscall.RawConn // nil: it cannot be looked at
	look   func(fd uintptr)
	seen   glimpse
	secure *tls.Conn // nil: none, or one that cannot be looked at
	socket *Carrier
	one    [1]byte
}

// glimpse is what is to be seen of a socket.
type glimpse uint8

const (
	nothing   glimpse = iota // it is open, and nothing has come
	something                // bytes have come
	gone                     // it is closed, or broken
)

// Attach makes p look at a connection, if it is of such a kind.
func (p *Probe) Attach(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		if s, ok := tc.NetConn().(carrier); ok {
			p.secure, p.socket = tc, s.self()
		}
		return
	}
	p.initRaw(nc)
}

func (p *Probe) initRaw(nc net.Conn) {
	sc, ok := nc.(syscall.Conn)
	if !ok || !directly {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	p.raw = raw
	p.look = func(fd uintptr) { p.seen = glance(fd) } // once, so that looking does not allocate
}

// Quiet says whether the connection is open and nothing has come, and whether it has lifted the read deadline to find out. It does
// not wait. Nobody may read at the same time.
func (p *Probe) Quiet() (quiet, cleared bool) {
	if p.secure != nil {
		return p.secureQuiet()
	}
	return p.glance() == nothing, false
}

// Closed says whether the endpoint has closed a connection without TLS.
func (p *Probe) Closed() bool { return p.glance() == gone }

// secureQuiet says whether a connection with TLS is open and nothing has come, and whether it has lifted the read deadline.
func (p *Probe) secureQuiet() (quiet, cleared bool) {
	// What comes over TLS need not be data: tickets, a change of keys. And data need not show in the socket, as it may have been
	// read together with what came before it. So TLS itself reads on, over a socket that does not wait.
	s := p.socket
	s.impatient, s.cleared = true, false
	n, err := p.secure.Read(p.one[:])
	s.impatient = false
	return n == 0 && err == ErrWouldWait, s.cleared
}

func (p *Probe) glance() glimpse {
	if p.raw == nil {
		return nothing
	}
	p.seen = gone
	if p.raw.Control(p.look) != nil {
		return gone
	}
	return p.seen
}

// glance looks at a socket without waiting and without taking anything out of it.
func glance(fd uintptr) glimpse {
	var b [1]byte
	switch n, errno := peek(fd, b[:]); {
	case errno == syscall.EAGAIN:
		return nothing
	case errno == 0 && n > 0:
		return something
	}
	return gone
}
