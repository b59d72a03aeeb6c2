package client

import (
	"context"
	"errors"
	"os"
	"time"
)

// fired stands for a deadline that has passed.
var fired = time.Unix(1, 0)

// patience is how long an endpoint is waited for before the context is watched. Most answers come sooner, and a watch is dear. So
// this is also how late it may be noticed that a context has ended.
const patience = 10 * time.Millisecond

// Read waits for bytes of the endpoint, as long as the context and the limits let it.
func (x *trip) Read(p []byte) (int, error) {
	now := x.c.now()
	if x.phase == BodyPhase {
		x.since = now
	}
	for {
		x.arm(now)
		n, err := x.c.read(p)
		if n > 0 {
			x.heard = true
			return n, nil // an error will come again
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		now = x.c.now()
		if err := x.late(now); err != nil {
			return 0, err
		}
	}
}

// arm sees to it that a Read ends when there is something to be done. A deadline that was set for an earlier Read will do if it
// is not too far off: that it ends a Read too soon costs less than setting one for each.
func (x *trip) arm(now time.Time) {
	c := x.c
	for {
		finished := x.upload == nil || x.upload.finished()
		want := x.deadline()
		if !x.watched {
			if look := x.since.Add(patience); want.IsZero() || look.Before(want) {
				want = look
			}
		}
		switch {
		case want.IsZero():
			if c.armed.IsZero() {
				return
			}
		case c.armed.After(now.Add(patience/4)) && !c.armed.After(want):
			return
		}
		c.armed = want
		_ = c.nc.SetReadDeadline(want)
		if finished || !x.upload.finished() {
			return
		}
		// The upload was finished meanwhile, and the limit is another one.
	}
}

// deadline is when what is waited for should have come. Zero: at no certain time.
func (x *trip) deadline() time.Time {
	o, from, limit := &x.c.o, x.since, x.c.o.FirstByte
	switch up := x.upload; {
	case x.phase == BodyPhase:
		limit = o.Idle
		if up != nil && up.lastMove().After(from) {
			from = up.lastMove()
		}
	case x.consent:
		limit = o.Continue
	case up != nil:
		from = up.lastMove()
		if !up.finished() {
			limit = o.Idle
		}
	}
	if limit <= 0 {
		return time.Time{}
	}
	return from.Add(limit)
}

// late is told that a deadline has ended a Read. It returns why not to wait any longer, if that is so.
func (x *trip) late(now time.Time) error {
	x.c.armed = fired
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	if limit := x.deadline(); !limit.IsZero() && !now.Before(limit) {
		if !x.consent {
			return x.expired()
		}
		x.consent = false
		x.upload.begin()
	}
	if !x.watched && now.Sub(x.since) >= patience {
		x.watch()
	}
	return nil
}

// watch sees to it that the connection is closed when the context ends, which ends all waiting. The context is not asked for its
// Done before, as some make it then only.
func (x *trip) watch() {
	x.watched = true
	if x.ctx.Done() != nil {
		x.stop = context.AfterFunc(x.ctx, x.abort)
	}
}

// expired makes the error for a limit that was reached.
func (x *trip) expired() *Error {
	e := &Error{Phase: x.phase, Kind: TimedOut, Timeout: true, Err: errIdle}
	if x.phase == BodyPhase {
		return e
	}
	if x.upload == nil || x.upload.finished() {
		e.Err = errFirstByte
		return e
	}
	e.Phase = WritePhase
	if x.upload.waiting.Load() {
		e.Kind = RequestBody // it is the client that stands still
	}
	return e
}

// slowWrite limits a Write of the head where there is no other limit.
const slowWrite = 30 * time.Second

// armWrite limits what is written before the answer is waited for. The deadline is seldom moved, so that the limit is up to twice
// as long.
func (x *trip) armWrite(now time.Time) {
	limit := x.c.o.Idle
	if limit <= 0 {
		limit = slowWrite
	}
	if x.c.warmed.Before(now.Add(limit)) {
		x.c.warmed = now.Add(2 * limit)
		_ = x.c.nc.SetWriteDeadline(x.c.warmed)
	}
}

// disarmWrite leaves writing without a limit.
func (x *trip) disarmWrite() {
	if !x.c.warmed.IsZero() {
		x.c.warmed = time.Time{}
		_ = x.c.nc.SetWriteDeadline(time.Time{})
	}
}
