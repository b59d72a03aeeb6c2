package socket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// Direct reads and writes a TCP or Unix connection by system calls of its own: ones that never wait, so that the scheduler need not
// be told of them, and ones that net.Conn has not, as to write and then to wait at once. Deadlines and Close are those of the
// connection. One goroutine may read while another writes.
type Direct struct {
	raw        syscall.RawConn // nil: there is no such connection
	*Transfers                 // nil: as yet it cannot be used
}

// Transfers are what reads and writes need while they are under way. Connections that are idle share them.
type Transfers struct {
	in, out transfer
	pieces  [][]byte // what gathers writes
	asking  asking
	reads   func(fd uintptr) bool // methods as values, so that they are made once
	writes  func(fd uintptr) bool
	gathers func(fd uintptr) bool
	asks    func(fd uintptr) bool
}

// NewTransfers returns what reads and writes of one connection at a time need.
func NewTransfers() *Transfers {
	t := &Transfers{}
	t.reads, t.writes, t.gathers, t.asks = t.read, t.write, t.gather, t.ask
	return t
}

// transfer is a read or a write that is under way.
type transfer struct {
	p    []byte
	n    int
	err  error
	once bool // it must not wait

	blocked bool // it would have had to
}

// asking is how far ask has come.
type asking uint8

const (
	askBegun   asking = iota
	askNoisy          // there was something to read before
	askWaiting        // all was written
)

// Attach makes d read and write a connection, if it is of such a kind: see Plain. Without transfers it waits for Use.
func (d *Direct) Attach(c net.Conn, t *Transfers) {
	*d = Direct{Transfers: t}
	if conn, ok := c.(syscall.Conn); ok && directly {
		if raw, err := conn.SyscallConn(); err == nil {
			d.raw = raw
		}
	}
}

// OK says whether d can be used.
func (d *Direct) OK() bool { return d.raw != nil && d.Transfers != nil }

// Await calls try, which must not wait, until it returns true: now, and whenever there may be something to read. It needs no
// transfers.
func (d *Direct) Await(try func(fd uintptr) bool) error { return d.raw.Read(try) }

// Awaits says whether Await can be called.
func (d *Direct) Awaits() bool { return d.raw != nil }

// Use gives d what it needs for reads and writes, or takes it away.
func (d *Direct) Use(t *Transfers) { d.Transfers = t }

// Read reads what there is, and waits for something to be.
func (d *Direct) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	d.in = transfer{p: p}
	if err := d.raw.Read(d.reads); err != nil {
		d.in.p = nil
		return 0, err
	}
	return d.in.result()
}

// ReadReady reads what there is. Where nothing is, or a deadline has passed, it fails with ErrWouldWait.
func (d *Direct) ReadReady(p []byte) (int, error) {
	d.in = transfer{p: p, once: true}
	err := d.raw.Read(d.reads)
	if d.in.blocked || Temporary(err) {
		return 0, ErrWouldWait
	}
	if err != nil {
		return 0, err
	}
	return d.in.result()
}

func (t *transfer) result() (int, error) {
	t.p = nil
	if t.err == nil && t.n == 0 {
		return 0, io.EOF
	}
	return t.n, t.err
}

func (t *Transfers) read(fd uintptr) bool { return t.in.receive(fd) }

// receive reads without waiting. It says whether that came to something.
func (t *transfer) receive(fd uintptr) bool {
	n, errno := Receive(fd, t.p)
	switch errno {
	case 0:
		t.n = n
	case syscall.EAGAIN:
		t.blocked = t.once
		return t.once
	default:
		t.err = os.NewSyscallError("recv", errno)
	}
	return true
}

// Write writes all of p.
func (d *Direct) Write(p []byte) (int, error) {
	d.out = transfer{p: p}
	err := d.raw.Write(d.writes)
	if err == nil {
		err = d.out.err
	}
	d.out.p = nil
	return d.out.n, err
}

// WriteSome writes as much of p as can be written without waiting, whatever the deadline. What keeps it from writing all shows with
// the next Write.
func (d *Direct) WriteSome(p []byte) int {
	d.out = transfer{p: p, once: true}
	_ = d.raw.Write(d.writes)
	d.out.p = nil
	return d.out.n
}

// WriteSomeOf is WriteSome for what are several pieces.
func (d *Direct) WriteSomeOf(pieces [][]byte) int {
	if len(pieces) > gather {
		return 0
	}
	d.pieces, d.out = pieces, transfer{}
	_ = d.raw.Write(d.gathers)
	d.pieces = nil
	return d.out.n
}

func (t *Transfers) gather(fd uintptr) bool {
	t.out.n, _ = sendAll(fd, t.pieces)
	return true
}

func (t *Transfers) write(fd uintptr) bool { return t.out.send(fd) }

// send writes without waiting. It says whether all was written, or can never be.
func (t *transfer) send(fd uintptr) bool {
	for t.n < len(t.p) {
		n, errno := send(fd, t.p[t.n:])
		switch errno {
		case 0:
			t.n += n
		case syscall.EAGAIN:
			return t.once
		default:
			t.err = os.NewSyscallError("send", errno)
			return true
		}
	}
	return true
}

// Asked is what came of Ask.
type Asked struct {
	Sent  int   // bytes of the request that were written
	N     int   // bytes of the answer that were read
	Err   error // of reading: the endpoint of a connection that cannot be written to may have said why
	Noisy bool  // there was something to read before; nothing was sent
}

// Ask writes a request and reads the first bytes of the answer into p. Where not all of the request can be written without waiting,
// it leaves the rest, and the reading, to the caller.
//
// It is what a look, a write and a read would be, but does not read in vain while the answer cannot be there yet.
func (d *Direct) Ask(request, p []byte) (a Asked) {
	d.in, d.out, d.asking = transfer{p: p}, transfer{p: request}, askBegun
	err := d.raw.Read(d.asks)
	a.Sent, d.out.p = d.out.n, nil
	switch {
	case err != nil:
		d.in.p, a.Err = nil, err
	case d.asking == askWaiting:
		a.N, a.Err = d.in.result()
	default:
		d.in.p, a.Noisy = nil, d.asking == askNoisy
	}
	return a
}

// ask begins with what was known of the connection's readiness forgotten, so that whatever comes after its look wakes it.
func (t *Transfers) ask(fd uintptr) bool {
	if t.asking == askWaiting {
		return t.in.receive(fd)
	}
	if glance(fd) != nothing {
		t.asking = askNoisy
		return true
	}
	if !t.out.send(fd) || t.out.err != nil {
		return true
	}
	t.asking = askWaiting
	return false
}
