package server

import (
	"os"
	"time"

	"cardea.dev/cardea/internal/socket"
)

// Pace is the least that a peer must do while it is waited for: so many bytes in so much time of waiting. The zero value asks nothing.
type Pace struct {
	Bytes  int64
	Within time.Duration
}

// Meter holds a peer to a pace. Its zero value holds it to none. It is for one goroutine at a time.
type Meter struct {
	pace   Pace
	waited time.Duration // within the time that is looked at
	bytes  int64         // in it
	slow   bool
}

// NewMeter returns a meter at the beginning of a message.
func NewMeter(p Pace) Meter { return Meter{pace: p} }

// On says whether there is a pace.
func (m *Meter) On() bool { return m.pace.Bytes > 0 }

// Slow says whether the peer was too slow.
func (m *Meter) Slow() bool { return m.slow }

// Left is how long the peer may be waited for until it must have done what is asked. Enough says that it has done so already.
func (m *Meter) Left() (left time.Duration, enough bool) {
	return max(m.pace.Within-m.waited, time.Millisecond), m.bytes >= m.pace.Bytes
}

// Note takes in what a peer did, and how long it was waited for.
func (m *Meter) Note(n int, waited time.Duration) {
	m.bytes += int64(n)
	m.waited += waited
	if m.waited < m.pace.Within {
		return
	}
	m.slow = m.slow || m.bytes < m.pace.Bytes
	m.waited, m.bytes = 0, 0
}

// readPaced is Read where there is a pace.
func (l *link) readPaced(p []byte) (int, error) {
	if l.readPace.Slow() {
		return 0, os.ErrDeadlineExceeded
	}
	at := now()
	until := l.readLimit(at)
	if left, enough := l.readPace.Left(); !enough && (until == 0 || until > at+int64(left)) {
		until = at + int64(left)
	}
	n, err := l.readUntilThen(p, at, until)
	l.readPace.Note(n, time.Duration(now()-at))
	return n, err
}

// writePaced writes the rest of p, of which n bytes were written without waiting.
func (l *link) writePaced(p []byte, n int) (int, error) {
	l.writePace.Note(n, 0)
	progress := now()
	for n < len(p) {
		if l.writePace.Slow() {
			return n, os.ErrDeadlineExceeded
		}
		at := now()
		left, _ := l.writePace.Left()
		until := at + int64(left)
		if l.writeStall > 0 {
			until = min(until, progress+int64(l.writeStall))
		}
		ours := l.holdWrite(until)
		m, err := l.writeAll(p[n:])
		n += m
		after := now()
		l.writePace.Note(m, time.Duration(after-at))
		if m > 0 {
			progress = after
		}
		switch {
		case err == nil:
		case !socket.Temporary(err) || !ours || l.writeStall > 0 && after-progress >= int64(l.writeStall):
			return n, err
		}
	}
	return n, nil
}

// took notes what the peer took without being waited for.
func (l *link) took(n int) {
	if l.writePace.On() {
		l.writePace.Note(n, 0)
	}
}

// holdWrite sets the deadline of writes, unless a handler has set one.
func (l *link) holdWrite(until int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes.manual {
		return false
	}
	l.writes.at = until
	_ = l.conn.SetWriteDeadline(moment(until))
	return true
}

// paced says whether writes are held to a pace here: those of TLS are held to it below.
func (l *link) paced() bool { return l.writePace.On() && l.plain != nil }
