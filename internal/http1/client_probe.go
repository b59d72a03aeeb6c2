package http1

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// probe looks at a connection that nobody reads: whether the endpoint has closed it, or has sent what nobody asked for.
type probe struct {
	raw    syscall.RawConn // nil: it cannot be looked at
	look   func(fd uintptr)
	seen   glimpse
	secure *tls.Conn // nil: none, or one that cannot be looked at
	socket *Socket
	one    [1]byte
}

// glimpse is what is to be seen of a socket.
type glimpse uint8

const (
	nothing   glimpse = iota // it is open, and nothing has come
	something                // bytes have come
	gone                     // it is closed, or broken
)

// init makes p look at a connection, if it is of such a kind.
func (p *probe) init(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		if s, ok := tc.NetConn().(socketer); ok {
			p.secure, p.socket = tc, s.self()
		}
		return
	}
	p.initRaw(nc)
}

func (p *probe) initRaw(nc net.Conn) {
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

// quiet says whether the connection is open and nothing has come, and whether it has lifted the read deadline to find out. It does
// not wait. Nobody may read at the same time.
func (p *probe) quiet() (quiet, cleared bool) {
	if p.secure != nil {
		return p.secureQuiet()
	}
	return p.glance() == nothing, false
}

// closed says whether the endpoint has closed a connection without TLS.
func (p *probe) closed() bool { return p.glance() == gone }

// secureQuiet says whether a connection with TLS is open and nothing has come, and whether it has lifted the read deadline.
func (p *probe) secureQuiet() (quiet, cleared bool) {
	// What comes over TLS need not be data: tickets, a change of keys. And data need not show in the socket, as it may have been
	// read together with what came before it. So TLS itself reads on, over a socket that does not wait.
	s := p.socket
	s.impatient, s.cleared = true, false
	n, err := p.secure.Read(p.one[:])
	s.impatient = false
	return n == 0 && err == errWouldWait, s.cleared
}

func (p *probe) glance() glimpse {
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

// Socket is a connection that TLS is spoken over. It can be read without waiting.
type Socket struct {
	net.Conn
	probe     probe
	impatient bool // it must not wait
	cleared   bool // the read deadline was lifted meanwhile
}

// socketer is a Socket, or what has one embedded.
type socketer interface{ self() *Socket }

func (s *Socket) self() *Socket { return s }

// NewSocket makes a Socket of an open connection.
func NewSocket(nc net.Conn) *Socket {
	s := &Socket{Conn: nc}
	s.probe.initRaw(nc)
	return s
}

// Read reads the connection.
func (s *Socket) Read(p []byte) (int, error) {
	if s.impatient {
		if s.probe.glance() == nothing {
			return 0, errWouldWait
		}
		if !s.cleared { // one that has passed would keep it from reading what there is
			s.cleared = true
			_ = s.Conn.SetReadDeadline(time.Time{})
		}
	}
	return s.Conn.Read(p)
}

// CloseWrite ends what is sent.
func (s *Socket) CloseWrite() error { return halfClose(s.Conn) }

// wouldWait is the error of an impatient Read. To TLS it is a timeout, which does no harm.
type wouldWait struct{}

var errWouldWait net.Error = wouldWait{}

func (wouldWait) Error() string   { return "nothing has come" }
func (wouldWait) Timeout() bool   { return true }
func (wouldWait) Temporary() bool { return true }
