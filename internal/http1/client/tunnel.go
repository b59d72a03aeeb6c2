package client

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/socket"
)

// tunnel is what a connection is after 101: bytes both ways. Reading, writing and closing may happen at the same time. It is
// closed when the context ends.
type tunnel struct {
	x     *trip
	moved atomic.Int64 // when a byte moved last, since the trip's start
	stale atomic.Bool  // none did for too long
	rest  []byte       // came together with the head; the reader's
	armed time.Time    // the reader's
}

func newTunnel(x *trip) *tunnel {
	t := &tunnel{x: x}
	t.rest = append(t.rest, x.c.in.Peek()...)
	x.c.in.Drop()
	x.disarmWrite()
	if !x.watched {
		x.watch()
	}
	t.touch()
	return t
}

func (t *tunnel) touch() { t.moved.Store(int64(time.Since(t.x.start))) }

// Read returns what the endpoint sends. io.EOF means that it will send no more; the other way may go on.
func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.rest) > 0 {
		n := copy(p, t.rest)
		t.rest = t.rest[n:]
		return n, nil
	}
	for {
		t.arm()
		n, err := t.x.c.nc.Read(p)
		if n > 0 {
			t.touch()
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, t.fail(err)
		}
		t.armed = fired
		if limit := t.x.c.o.Idle; limit > 0 && time.Since(t.lastMove()) >= limit {
			t.stale.Store(true)
			t.x.c.abort()
		}
	}
}

func (t *tunnel) lastMove() time.Time {
	return t.x.start.Add(time.Duration(t.moved.Load()))
}

// arm sees to it that a Read ends when nothing can have moved for too long.
func (t *tunnel) arm() {
	limit := t.x.c.o.Idle
	switch {
	case limit <= 0 && t.armed.IsZero() && t.x.c.armed.IsZero():
	case limit <= 0:
		t.armed, t.x.c.armed = time.Time{}, time.Time{}
		_ = t.x.c.nc.SetReadDeadline(t.armed)
	case !t.armed.After(time.Now()):
		t.armed = t.lastMove().Add(limit)
		_ = t.x.c.nc.SetReadDeadline(t.armed)
	}
}

// Write sends to the endpoint.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.x.c.nc.Write(p)
	if n > 0 {
		t.touch()
	}
	if err != nil {
		err = t.fail(err)
	}
	return n, err
}

func (t *tunnel) fail(err error) error {
	if t.stale.Load() {
		err = &Error{Phase: BodyPhase, Kind: TimedOut, Timeout: true, Err: errIdle}
	}
	return t.x.wrap(t.x.fail(BodyPhase, err))
}

// CloseWrite tells the endpoint that no more will be sent.
func (t *tunnel) CloseWrite() error { return socket.CloseWrite(t.x.c.nc) }

// Close closes the connection.
func (t *tunnel) Close() error {
	t.x.end(false)
	return nil
}
