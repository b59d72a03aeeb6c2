package server

import (
	"io"
	"net"
	"sync"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// link is a connection with limits on how long its reads and writes may stand still. It moves the deadlines of the connection
// rarely: a deadline that passes too early is found out when it does, and moved then.
type link struct {
	conn  net.Conn
	plain net.Conn // *net.TCPConn or *net.UnixConn: conn itself, or what it stands for; nil: TLS or unknown

	direct socket.Direct // to plain

	readWithin time.Duration // how long reads may take from the next one on; then that is readUntil; 0: no limit
	readUntil  int64         // when a read must have ended (see now); 0: no limit
	readStall  time.Duration // how long one read may wait for its first byte; 0: no limit
	writeStall time.Duration // how long a peer may take nothing; 0: no limit
	impatient  bool          // reads must not wait, but fail with ErrWouldWait
	readPace   Meter         // of reads that readStall bounds
	writePace  Meter         // of writes, on plain connections

	mu     sync.Mutex
	reads  deadline
	writes deadline
}

// epoch is what now counts from.
var epoch = time.Now()

// now is a clock that only runs forward, in nanoseconds. It is never 0.
func now() int64 { return int64(time.Since(epoch)) + 1 }

// deadline is what a connection's deadline is.
type deadline struct {
	at     int64 // 0: none
	manual bool  // set by a handler, and not to be moved
}

// attach makes l a link over a connection.
func (l *link) attach(c net.Conn) {
	l.conn, l.plain = c, socket.Plain(c)
	l.reads, l.writes = deadline{}, deadline{}
	l.direct.Attach(l.plain, nil)
}

// readOnce and writeAll are those of the connection, by the fastest way there is.
func (l *link) readOnce(p []byte) (int, error) {
	if l.direct.OK() {
		return l.direct.Read(p)
	}
	return l.conn.Read(p)
}

func (l *link) writeAll(p []byte) (int, error) {
	if l.direct.OK() {
		return l.direct.Write(p)
	}
	return l.conn.Write(p)
}

// limitReads sets how long all reads from the next one on may take together, and how long each may; 0: for ever.
func (l *link) limitReads(together, each time.Duration) {
	l.readWithin, l.readUntil, l.readStall = max(0, together), 0, max(0, each)
}

// readLimit returns until when a read that begins now may wait; 0: for ever.
func (l *link) readLimit(now int64) int64 {
	if l.readStall > 0 {
		return now + int64(l.readStall)
	}
	if l.readWithin > 0 {
		l.readUntil, l.readWithin = now+int64(l.readWithin), 0
	}
	return l.readUntil
}

// Read reads from the connection. It fails with os.ErrDeadlineExceeded when it has waited for too long.
func (l *link) Read(p []byte) (int, error) {
	if l.impatient {
		return l.readReady(p)
	}
	if l.readPace.On() && l.readStall > 0 {
		return l.readPaced(p)
	}
	at := now()
	return l.readUntilThen(p, at, l.readLimit(at))
}

// readUntilThen reads from the connection, and waits no longer than until a point of now; 0: for ever.
func (l *link) readUntilThen(p []byte, at, until int64) (int, error) {
	l.allowRead(at, until)
	for {
		n, err := l.readOnce(p)
		if n > 0 || err == nil || !socket.Temporary(err) || !l.extendRead(until) {
			return n, err
		}
	}
}

// readReady reads what is there. When nothing is, it fails with ErrWouldWait.
func (l *link) readReady(p []byte) (int, error) {
	if !l.direct.OK() {
		return 0, socket.ErrWouldWait
	}
	n, err := l.direct.ReadReady(p)
	if l.readPace.On() {
		l.readPace.Note(n, 0)
	}
	return n, err
}

// allowRead sees to it that a read that begins at a time does not wait beyond another. It may end too early.
func (l *link) allowRead(at, until int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &l.reads
	if d.manual || until == 0 && d.at == 0 || until != 0 && d.at != 0 && d.at <= until && d.at > at {
		return
	}
	d.at = until
	_ = l.conn.SetReadDeadline(moment(until))
}

// extendRead is called when a read was ended by a deadline. It says whether that was too early, and moves the deadline then.
func (l *link) extendRead(until int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads.manual || until != 0 && now() >= until {
		return false
	}
	l.reads.at = until
	_ = l.conn.SetReadDeadline(moment(until))
	return true
}

// moment is a point of now as a time.Time; the zero one for 0.
func moment(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(at))
}

// setRead sets the deadline of reads until resetManual. It may be called during a read.
func (l *link) setRead(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads.manual = true
	return l.conn.SetReadDeadline(t)
}

// setWrite sets the deadline of writes until resetManual. It may be called during a write.
func (l *link) setWrite(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes.manual = true
	return l.conn.SetWriteDeadline(t)
}

// resetManual forgets deadlines that were set by setRead and setWrite.
func (l *link) resetManual() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads.manual {
		l.reads = deadline{}
		_ = l.conn.SetReadDeadline(time.Time{})
	}
	if l.writes.manual {
		l.writes = deadline{}
		_ = l.conn.SetWriteDeadline(time.Time{})
	}
}

// Write writes all of p, for as long as the peer goes on taking some of it.
func (l *link) Write(p []byte) (n int, err error) {
	if l.direct.OK() {
		if n = l.direct.WriteSome(p); n == len(p) {
			l.took(n)
			return n, nil
		}
	}
	if l.paced() {
		return l.writePaced(p, n)
	}
	until := l.allowWrite()
	for {
		m, err := l.writeAll(p[n:])
		n += m
		if err == nil || !socket.Temporary(err) || !l.extendWrite(&until, m > 0) {
			return n, err
		}
	}
}

// writeBuffers writes all of v, for as long as the peer goes on taking some of it.
func (l *link) writeBuffers(v *net.Buffers) (n int64, err error) {
	dst := l.plain
	if dst == nil {
		dst = l.conn
	}
	if l.direct.OK() {
		n = int64(l.direct.WriteSomeOf(*v))
		l.took(int(n))
		if consume(v, n); len(*v) == 0 {
			return n, nil
		}
	}
	if l.paced() {
		for _, p := range *v {
			m, err := l.writePaced(p, 0)
			if n += int64(m); err != nil {
				return n, err
			}
		}
		*v = nil
		return n, nil
	}
	until := l.allowWrite()
	for {
		m, err := v.WriteTo(dst)
		n += m
		if err == nil || !socket.Temporary(err) || !l.extendWrite(&until, m > 0) {
			return n, err
		}
	}
}

// consume takes n bytes off the front of v, and pieces of no length with them.
func consume(v *net.Buffers, n int64) {
	for len(*v) > 0 {
		if p := (*v)[0]; int64(len(p)) > n {
			(*v)[0] = p[n:]
			return
		}
		n -= int64(len((*v)[0]))
		(*v)[0] = nil
		*v = (*v)[1:]
	}
}

// ReadFrom writes all that src has. From one TCP connection to another the bytes never leave the kernel.
func (l *link) ReadFrom(src io.Reader) (n int64, err error) {
	tcp, ok := l.plain.(*net.TCPConn)
	if !ok || l.paced() { // a pace cannot tell whom the kernel waits for
		buf := http1.TakeBig()
		defer http1.Recycle(nil, buf)
		return io.CopyBuffer(onlyWriter{l}, onlyReader{src}, buf[:])
	}
	until := l.allowWrite()
	for {
		m, err := tcp.ReadFrom(src)
		n += m
		if err == nil || !socket.Temporary(err) || !l.extendWrite(&until, m > 0) {
			return n, err
		}
	}
}

type onlyWriter struct{ io.Writer }

type onlyReader struct{ io.Reader }

// vectored says whether writeBuffers is one write.
func (l *link) vectored() bool { return l.plain != nil }

// allowWrite sees to it that a write does not wait for too long. It may end too early on plain connections. Others are broken
// after that, as TLS is, so that for them half of the time is what is left at least.
func (l *link) allowWrite() (until int64) {
	if l.writeStall <= 0 {
		return 0
	}
	at := now()
	until = at + int64(l.writeStall)
	least := at
	if l.plain == nil {
		least += int64(l.writeStall) / 2
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := &l.writes; !d.manual && d.at <= least {
		d.at = until
		_ = l.conn.SetWriteDeadline(moment(until))
	}
	return until
}

// extendWrite is called when a write was ended by a deadline. It says whether that was too early, or the peer took something in
// the meantime, and moves the deadline then.
func (l *link) extendWrite(until *int64, progress bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now()
	if l.writes.manual || l.plain == nil || *until == 0 || l.writes.at > at {
		return false // the last: it was another deadline, that of the source
	}
	if progress {
		*until = at + int64(l.writeStall)
	}
	if at >= *until {
		return false
	}
	l.writes.at = *until
	_ = l.conn.SetWriteDeadline(moment(*until))
	return true
}

// listen readies a read without a limit by somebody else than the owner of l. It returns false when that is not wanted any more, or
// a handler has set a deadline that has passed.
func (l *link) listen(stopping *bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *stopping || l.reads.manual {
		return false
	}
	if l.reads.at != 0 {
		l.reads.at = 0
		_ = l.conn.SetReadDeadline(time.Time{})
	}
	return true
}

// interrupt ends a read after listen.
func (l *link) interrupt(stopping *bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*stopping = true
	if !l.reads.manual {
		l.reads.at = 1
	}
	_ = l.conn.SetReadDeadline(time.Unix(1, 0))
}

// isEnd says whether the peer has ended its side in good order.
func isEnd(err error) bool { return err == io.EOF }
