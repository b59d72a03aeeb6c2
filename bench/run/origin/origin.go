//go:build linux

// Package origin is the service behind the gateways that are compared: an HTTP/1.1 server that costs as little as it can, so
// that the machine is left to the gateways. One thread serves all connections by epoll, and answers are made beforehand.
//
// The last segment of the path says what is answered: "1k", "16k" and "1m" a body of that size, "kept-1k" and "kept-16k" one that caches may keep; "upload" the size of the body
// that came, "sha256" its hash, "head" the head of the request.
//
// It is no example of a server: it understands just what the gateways send to it.
package origin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// server is the origin at work, on one thread.
type server struct {
	poll   int // of epoll
	listen int
	conns  map[int32]*conn
	ready  map[string][]byte
	buffer []byte
}

// conn is a connection from a gateway.
type conn struct {
	fd      int
	request request
	out     []byte // what could not be written yet
	waiting bool   // whether epoll watches for room to write, instead of for input
	last    bool   // whether it ends once out is written
}

// Serve listens on a free port of 127.0.0.1, writes its address as a line, and serves until the process ends.
func Serve(announce io.Writer) error {
	runtime.LockOSThread()
	s, address, err := open()
	if err != nil {
		return fmt.Errorf("cannot start the origin: %w", err)
	}
	if _, err := fmt.Fprintln(announce, address); err != nil {
		return fmt.Errorf("cannot say where the origin is: %w", err)
	}
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(s.poll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot wait for connections: %w", err)
		}
		for _, e := range events[:n] {
			s.handle(e)
		}
	}
}

func open() (*server, string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, "", err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, "", err
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return nil, "", err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return nil, "", err
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, "", err
	}
	s := &server{poll: poll, listen: fd, conns: map[int32]*conn{}, ready: rendered(), buffer: make([]byte, 256<<10)}
	port := bound.(*unix.SockaddrInet4).Port
	return s, net.JoinHostPort("127.0.0.1", fmt.Sprint(port)), s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
}

func (s *server) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(s.poll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (s *server) handle(e unix.EpollEvent) {
	if int(e.Fd) == s.listen {
		s.accept()
		return
	}
	c, known := s.conns[e.Fd]
	if !known {
		return
	}
	if c.waiting {
		s.send(c, nil)
		return
	}
	s.receive(c)
}

func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // none is waiting any more; epoll reports the rest again
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if err := s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			_ = unix.Close(fd)
			continue
		}
		s.conns[int32(fd)] = &conn{fd: fd}
	}
}

func (s *server) close(c *conn) {
	delete(s.conns, int32(c.fd))
	_ = unix.Close(c.fd)
}

// receive reads once; what is left in the socket makes epoll report it again.
func (s *server) receive(c *conn) {
	n, err := unix.Read(c.fd, s.buffer)
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	if err != nil || n == 0 {
		s.close(c)
		return
	}
	for rest := s.buffer[:n]; ; {
		var complete bool
		var refusal string
		rest, complete, refusal = c.request.feed(rest)
		switch {
		case refusal != "":
			c.last = true
			s.send(c, answer(refusal, []byte(refusal+"\n")))
			return
		case !complete:
			return
		}
		c.last = c.request.last
		s.send(c, c.request.reply(s.ready))
		c.request.reset()
		if len(rest) == 0 || c.last {
			return
		}
	}
}

// send writes an answer, or goes on with what is left of an earlier one.
func (s *server) send(c *conn, b []byte) {
	if len(c.out) > 0 {
		b = append(c.out, b...)
	}
	c.out = nil
	n, err := unix.Write(c.fd, b)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		s.close(c)
		return
	}
	if n = max(n, 0); n < len(b) {
		c.out = b[n:len(b):len(b)] // capped: an answer made beforehand must not be appended to
		if !c.waiting {
			c.waiting = true
			_ = s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLOUT)
		}
		return
	}
	if c.last {
		s.close(c)
		return
	}
	if c.waiting {
		c.waiting = false
		_ = s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN)
	}
}
