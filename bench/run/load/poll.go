//go:build linux

package load

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// polled is a job without TLS at work, on one thread.
type polled struct {
	job     Job
	address unix.SockaddrInet4
	texts   [][]byte
	next    int // the next of texts
	poll    int // of epoll
	timer   int // a timer of the kernel, for the open loop
	conns   map[int32]*polledConn
	free    []*polledConn // connections that wait for a request, in an open loop
	spare   int           // connections that may still be opened, when each request has its own
	buffer  []byte

	window  window
	started time.Time
	issued  int64       // requests that became due, in an open loop
	open    int         // requests on their way
	due     []time.Time // requests that are due and found no connection
	alive   int         // connections that did not fail
}

// polledConn is one connection.
type polledConn struct {
	fd       int
	response response
	out      []byte    // what of the request could not be written yet
	due      time.Time // of its request
	busy     bool      // a request is on its way
	ending   bool      // the answer is there; the server is to end the connection
}

// stall is how long nothing may happen before requests on their way count as lost.
const stall = 5 * time.Second

func runPolled(job Job, clock Clock) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := &polled{
		job: job, texts: job.texts(), conns: map[int32]*polledConn{}, buffer: make([]byte, 512<<10), alive: job.Connections,
		window: window{clock: clock, job: &job},
	}
	if err := p.setUp(); err != nil {
		return Result{}, fmt.Errorf("cannot load %s: %w", job.Address, err)
	}
	defer p.tearDown()
	p.started = time.Now()
	p.window.plan(p.started)
	if job.Rate == 0 {
		p.fill()
	}
	if err := p.loop(); err != nil {
		return Result{}, fmt.Errorf("cannot load %s: %w", job.Address, err)
	}
	return p.window.result()
}

func (p *polled) setUp() error {
	address, err := netip.ParseAddrPort(p.job.Address)
	if err != nil {
		return err
	}
	p.address = unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	if p.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return err
	}
	if p.job.Rate > 0 {
		every := unix.NsecToTimespec(int64(float64(time.Second) / p.job.Rate))
		if err := unix.TimerfdSettime(p.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
			return err
		}
		if err := p.watch(unix.EPOLL_CTL_ADD, p.timer, unix.EPOLLIN); err != nil {
			return err
		}
	}
	if p.job.Reconnect {
		p.spare = p.job.Connections
		return nil
	}
	for range p.job.Connections {
		c, err := p.connect()
		if err != nil {
			return err
		}
		p.free = append(p.free, c)
	}
	return nil
}

func (p *polled) tearDown() {
	for _, c := range p.conns {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(p.timer)
	_ = unix.Close(p.poll)
}

func (p *polled) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(p.poll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// connect begins a connection. It need not be there yet: the first write waits for it.
func (p *polled) connect() (*polledConn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Connect(fd, &p.address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return nil, err
	}
	if err := p.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c := &polledConn{fd: fd, response: response{want: p.job.Want}}
	p.conns[int32(fd)] = c
	return c, nil
}

// fill sends requests on all connections that wait for one.
func (p *polled) fill() {
	for p.begin(time.Now()) {
	}
}

// begin sends a request on a connection that waits for one, and says whether there was one.
func (p *polled) begin(due time.Time) bool {
	var c *polledConn
	switch {
	case len(p.free) > 0:
		c, p.free = p.free[0], p.free[1:] // the one that has waited longest: all of them take part
	case p.spare > 0:
		p.spare--
		var err error
		if c, err = p.connect(); err != nil {
			p.alive--
			p.window.fail(err)
			return true
		}
	default:
		return false
	}
	c.busy, c.due, c.out = true, due, p.texts[p.next%len(p.texts)]
	p.next++
	p.open++
	p.write(c, false)
	return true
}

// loop runs until the time is over and all requests on their way are answered.
func (p *polled) loop() error {
	events, last := make([]unix.EpollEvent, 256), time.Now()
	for {
		n, err := unix.EpollWait(p.poll, events, 10)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		now := time.Now()
		if err := p.window.turn(now); err != nil {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			p.handle(e)
		}
		if p.job.Rate > 0 {
			p.release(now)
		}
		if n > 0 {
			last = now
		}
		switch {
		case p.window.over && p.open == 0 && len(p.due) == 0:
			return nil
		case p.alive == 0:
			return p.window.close(now)
		case now.Sub(last) > stall:
			p.window.fail(fmt.Errorf("%d requests had no answer after %v", p.open+len(p.due), stall))
			return p.window.close(now)
		}
	}
}

// release sends requests that became due, or puts them in line.
func (p *polled) release(now time.Time) {
	for !p.window.over {
		due := p.started.Add(time.Duration(float64(p.issued) * float64(time.Second) / p.job.Rate))
		if due.After(now) || !due.Before(p.window.until) {
			break
		}
		p.issued++
		p.due = append(p.due, due)
	}
	sent := 0
	for sent < len(p.due) && p.begin(p.due[sent]) {
		sent++
	}
	p.due = slices.Delete(p.due, 0, sent)
}

func (p *polled) handle(e unix.EpollEvent) {
	if int(e.Fd) == p.timer {
		_, _ = unix.Read(p.timer, p.buffer[:8])
		return
	}
	c, known := p.conns[e.Fd]
	if !known {
		return
	}
	if len(c.out) > 0 && e.Events&unix.EPOLLOUT != 0 {
		p.write(c, true)
		return
	}
	p.read(c)
}

// write sends what is left of the request. What does not fit waits for room, or for the connection.
func (p *polled) write(c *polledConn, watched bool) {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		p.lose(c, fmt.Errorf("cannot write: %w", err))
		return
	}
	c.out = c.out[max(n, 0):]
	if wait := len(c.out) > 0; wait != watched {
		events := uint32(unix.EPOLLIN)
		if wait {
			events |= unix.EPOLLOUT
		}
		_ = p.watch(unix.EPOLL_CTL_MOD, c.fd, events)
	}
}

// read reads once; what is left in the socket makes epoll report it again.
func (p *polled) read(c *polledConn) {
	n, err := unix.Read(c.fd, p.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return
	case c.ending && n == 0 && err == nil:
		p.drop(c)
		p.spare++
		p.again()
		return
	case err != nil:
		p.lose(c, fmt.Errorf("cannot read: %w", err))
		return
	case n == 0:
		p.lose(c, errors.New("connection closed by the server"))
		return
	case !c.busy:
		p.lose(c, fmt.Errorf("%d bytes that nothing asked for", n))
		return
	}
	complete, err := c.response.feed(p.buffer[:n])
	if err != nil {
		p.lose(c, err)
		return
	}
	if complete {
		p.answered(c)
	}
}

func (p *polled) answered(c *polledConn) {
	p.window.count(c.due, time.Now())
	c.response.reset()
	c.busy = false
	p.open--
	if p.job.Reconnect {
		c.ending = true
		return
	}
	p.free = append(p.free, c)
	p.again()
}

// again sends the next request of a closed loop.
func (p *polled) again() {
	if p.job.Rate == 0 && !p.window.over {
		p.begin(time.Now())
	}
}

// lose gives a connection up.
func (p *polled) lose(c *polledConn, err error) {
	p.window.fail(err)
	p.alive--
	if c.busy {
		p.open--
	}
	p.free = slices.DeleteFunc(p.free, func(other *polledConn) bool { return other == c })
	p.drop(c)
}

func (p *polled) drop(c *polledConn) {
	delete(p.conns, int32(c.fd))
	_ = unix.Close(c.fd)
}
