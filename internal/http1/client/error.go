package client

import (
	"context"
	"errors"
	"io"
	"net/http"

	"cardea.dev/cardea/internal/http1"
)

// Phase is how far an exchange had come.
type Phase uint8

// The phases, in order.
const (
	WritePhase  Phase = iota // sending the request
	HeaderPhase              // waiting for, or reading, the head of the answer
	BodyPhase                // reading the body of the answer, or in a tunnel
)

// Kind is what went wrong.
type Kind uint8

// The kinds.
const (
	// Canceled: the context ended, or the caller wanted no more after an interim answer. Err is the cause.
	Canceled Kind = iota
	// TimedOut: a limit of Options was reached.
	TimedOut
	// IdleClosed: a connection that had been idle was closed by the endpoint before the first byte of the answer, or is not fit for
	// use from the beginning.
	IdleClosed
	// Reset: the endpoint closed or reset the connection before the head of the answer was complete, or reset it later.
	Reset
	// Truncated: the body of the answer ended before its announced end.
	Truncated
	// Malformed: the answer is not HTTP as it should be.
	Malformed
	// TooLarge: the head of the answer is too large.
	TooLarge
	// RequestBody: the body of the request could not be read. Err is what its Read returned.
	RequestBody
	// BadRequest: the request cannot be sent as it is.
	BadRequest
)

var kinds = [...]string{
	"canceled", "timed out", "idle connection closed", "reset", "truncated", "malformed", "too large", "request body", "bad request",
}

// String returns the kind's name.
func (k Kind) String() string { return kinds[k] }

// Error says why an exchange failed.
type Error struct {
	Phase    Phase
	Kind     Kind
	Timeout  bool // the cause is a limit in time
	Reused   bool // the connection had carried a request before
	Sent     bool // bytes of the request were sent
	BodyRead bool // the request's body was read from, and is not one in memory
	Err      error
}

// Error tells what happened.
func (e *Error) Error() string {
	s := [...]string{"cannot send the request", "cannot get an answer", "cannot read the answer"}[e.Phase] + ": " + e.Kind.String()
	if e.Err == nil {
		return s
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errNotResting  = errors.New("the connection is closed or in use")
	errUnsolicited = errors.New("bytes came that no request had asked for")
	errFirstByte   = errors.New("the head of the answer did not come in time")
	errIdle        = errors.New("no byte moved for too long")
	errInterims    = errors.New("too many interim answers")
	errNoUpgrade   = errors.New("protocols were switched unasked")
	errLonger      = errors.New("the body is longer than was announced")
	errNotHTTP     = errors.New("the answer is not HTTP/1.1")
)

// ErrBodyTooLong is the cause of a RequestBody error: there is more of the body than ContentLength says.
var ErrBodyTooLong = errLonger

// fail makes the error for what has gone wrong while the answer, or room for the request, was waited for.
func (x *trip) fail(phase Phase, err error) *Error {
	e := &Error{Phase: phase, Kind: Reset, Reused: x.reused, Sent: x.sent, BodyRead: x.touched(), Err: err}
	var parse *http1.ParseError
	var known *Error
	up := x.upload
	switch {
	case x.ctx.Err() != nil:
		e.Kind, e.Err, e.Timeout = Canceled, context.Cause(x.ctx), errors.Is(x.ctx.Err(), context.DeadlineExceeded)
	case up != nil && up.failed() != nil:
		e.Kind, e.Err = RequestBody, up.failed()
		if phase == HeaderPhase {
			e.Phase = WritePhase
		}
	case errors.As(err, &known):
		e.Phase, e.Kind, e.Err, e.Timeout = known.Phase, known.Kind, known.Err, known.Timeout
	case errors.As(err, &parse):
		e.Kind = Malformed
		if parse.Status == http.StatusRequestHeaderFieldsTooLarge && phase == HeaderPhase {
			e.Kind = TooLarge
		}
	case phase == BodyPhase && (err == io.EOF || err == io.ErrUnexpectedEOF):
		e.Kind, e.Err = Truncated, io.ErrUnexpectedEOF
	case phase != BodyPhase && x.reused && !x.heard:
		e.Kind = IdleClosed
	}
	if !x.sent && phase == HeaderPhase {
		e.Phase = WritePhase
	}
	return e
}

// touched says whether the request's body was read from, and cannot be had again.
func (x *trip) touched() bool {
	return !x.inMemory && (x.bodyRead || x.upload != nil && x.upload.touched)
}

func (x *trip) wrap(e *Error) error {
	if x.c.o.Wrap == nil {
		return e
	}
	return x.c.o.Wrap(e)
}
