package pool

import (
	"context"
	"errors"
	"io"
)

// tunnel is what a connection is after 101: bytes both ways. It is closed when the caller's context ends.
type tunnel struct {
	io.ReadWriteCloser
	a    *attempt
	stop func() bool
}

func newTunnel(a *attempt, rwc io.ReadWriteCloser) *tunnel {
	t := &tunnel{ReadWriteCloser: rwc, a: a}
	t.stop = context.AfterFunc(a.caller, func() { rwc.Close() })
	if a.idle != nil {
		a.idle.abort(func() { rwc.Close() })
		a.idle.start()
	}
	return t
}

// Read returns what the endpoint sends. io.EOF means that it will send no more; the other way may go on.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	return n, t.moved(n, err)
}

// Write sends to the endpoint.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	return n, t.moved(n, err)
}

func (t *tunnel) moved(n int, err error) error {
	if n > 0 && t.a.idle != nil {
		t.a.idle.touch()
	}
	if err == nil || err == io.EOF {
		return err
	}
	e := &Error{Phase: Body, Kind: Reset, Address: t.a.to.Address, Reused: t.a.grant.reused, Sent: true, Err: err}
	switch {
	case t.a.caller.Err() != nil:
		e.Kind, e.Err, e.Timeout = Canceled, context.Cause(t.a.caller), errors.Is(t.a.caller.Err(), context.DeadlineExceeded)
	case t.a.idle != nil && t.a.idle.expired():
		e.Kind, e.Err, e.Timeout = TimedOut, errIdle, true
	}
	return e
}

// CloseWrite tells the endpoint that no more will be sent.
func (t *tunnel) CloseWrite() error { return closeWrite(t.ReadWriteCloser) }

// Close closes the connection.
func (t *tunnel) Close() error {
	t.stop()
	err := t.ReadWriteCloser.Close()
	t.a.end()
	return err
}
