package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"cardea.dev/cardea/internal/http1/client"
)

// Phase is how far a round trip had come.
type Phase uint8

// The phases, in order.
const (
	Queue   Phase = iota // waiting for one of a limited number of connections
	Resolve              // looking up the name in the address
	Connect              // opening the connection
	TLS                  // the TLS handshake
	Write                // sending the request
	Header               // waiting for, or reading, the head of the answer
	Body                 // reading the body of the answer, or in a tunnel
)

var phaseNames = [...]string{"queue", "resolve", "connect", "tls", "write", "header", "body"}

// String returns the phase's name.
func (p Phase) String() string { return phaseNames[p] }

// Kind is what went wrong.
type Kind uint8

// The kinds.
const (
	// Failed: no connection could be made: refused, unreachable, no such host, a TLS handshake that failed.
	Failed Kind = iota
	// Canceled: the caller's context ended. Error.Err is its cause.
	Canceled
	// TimedOut: a limit of Options was reached.
	TimedOut
	// IdleClosed: a connection that had been idle was closed by the endpoint before the first byte of the answer. Most likely the
	// endpoint never saw the request; where Sent is false it certainly did not.
	IdleClosed
	// Reset: the endpoint closed or reset the connection or the stream before the answer was complete.
	Reset
	// Refused: the endpoint said that it did not begin with the request (HTTP/2: REFUSED_STREAM, GOAWAY). It may be repeated.
	Refused
	// Truncated: the body of the answer ended before its announced end.
	Truncated
	// Malformed: the answer is not HTTP as it should be.
	Malformed
	// TooLarge: the head of the answer is larger than Options.MaxHeader.
	TooLarge
	// RequestBody: the body of the request could not be read. Error.Err is what its Read returned. It is not the endpoint's fault.
	RequestBody
	// BadRequest: the request cannot be sent as it is: a field with a line break, an upgrade over HTTP/2.
	BadRequest
	// Closed: the pool was closed.
	Closed
)

var kindNames = [...]string{
	"failed", "canceled", "timed out", "idle connection closed", "reset", "refused", "truncated", "malformed", "too large",
	"request body", "bad request", "closed",
}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// Error says why a round trip failed, before or after the head of the answer. All errors of RoundTrip, and of reading the body
// of an answer, are of this type.
type Error struct {
	Phase    Phase
	Kind     Kind
	Address  string // of the target
	Timeout  bool   // the cause is a limit in time, of the pool or of the caller's context
	Reused   bool   // the connection had carried a request before
	Sent     bool   // the endpoint may have begun to act on the request. False: the same request may always be sent again
	BodyRead bool   // the request's body was read from, so that only a copy of it can be sent again
	Err      error
}

// Error tells operators what happened.
func (e *Error) Error() string {
	s := "cannot " + phaseVerbs[e.Phase] + " " + e.Address
	switch {
	case e.Kind == Failed || e.Kind == Malformed || e.Kind == Closed:
	default:
		s += ": " + e.Kind.String()
	}
	if e.Err == nil {
		return s
	}
	return s + ": " + e.Err.Error()
}

var phaseVerbs = [...]string{
	"get a connection to", "resolve", "connect to", "secure the connection to", "send the request to", "get an answer from",
	"read the answer of",
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errPoolClosed   = errors.New("the connection pool is closed")
	errQueueTimeout = errors.New("no connection became free in time")
	errConnectLimit = errors.New("the time to connect is over")
	errFirstByte    = errors.New("the head of the answer did not come in time")
	errIdle         = errors.New("no byte moved for too long")
	errInterim      = errors.New("too many interim answers")
	errUpgradeH2    = errors.New("a connection of HTTP/2 cannot be upgraded")
)

// canceled makes the error for a context that ended.
func canceled(ctx context.Context, phase Phase, address string) *Error {
	return &Error{
		Phase: phase, Kind: Canceled, Address: address, Err: context.Cause(ctx),
		Timeout: errors.Is(ctx.Err(), context.DeadlineExceeded),
	}
}

// dialError makes the error for a connection that could not be made.
func dialError(phase Phase, address string, err error) *Error {
	e := &Error{Phase: phase, Kind: Failed, Address: address, Err: err}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		e.Phase = Resolve
	}
	if isTimeout(err) {
		e.Kind, e.Timeout = TimedOut, true
	}
	return e
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// wrapped makes an *Error of what went wrong over HTTP/1.1.
func wrapped(e *client.Error, address string) *Error {
	phases := [...]Phase{client.WritePhase: Write, client.HeaderPhase: Header, client.BodyPhase: Body}
	kinds := [...]Kind{
		client.Canceled: Canceled, client.TimedOut: TimedOut, client.IdleClosed: IdleClosed, client.Reset: Reset,
		client.Truncated: Truncated, client.Malformed: Malformed, client.TooLarge: TooLarge, client.RequestBody: RequestBody,
		client.BadRequest: BadRequest,
	}
	return &Error{
		Phase: phases[e.Phase], Kind: kinds[e.Kind], Address: address, Timeout: e.Timeout, Reused: e.Reused, Sent: e.Sent,
		BodyRead: e.BodyRead, Err: e.Err,
	}
}

// isBroken says whether an error is of the socket and not of what came over it.
func isBroken(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// streamError has the shape of the HTTP/2 library's own, which is not exported but converts itself to this (its method As).
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream error %d", e.Code) }

const (
	codeProtocol = 1 // RFC 9113, 7
	codeRefused  = 7
)

// muxKind tells what an error of the HTTP/2 library means, and whether the endpoint may have acted on the request. The library
// exports neither its error types nor its values, so some are known by their texts; a test holds them.
func muxKind(err error) (kind Kind, sent bool) {
	var stream streamError
	if errors.As(err, &stream) {
		fromPeer := stream.Cause != nil && stream.Cause.Error() == "received from peer"
		switch {
		case stream.Code == codeRefused:
			return Refused, false
		case strings.Contains(err.Error(), "response header list larger"):
			return TooLarge, true
		case stream.Code == codeProtocol && !fromPeer:
			return Malformed, true
		}
		return Reset, true
	}
	text := err.Error()
	switch {
	case text == "http2: client conn could not be established":
		return Reset, false
	case text == "http2: client conn not usable",
		strings.HasPrefix(text, "http2: Transport received Server's graceful shutdown GOAWAY"),
		strings.HasPrefix(text, "http2: Transport received GOAWAY from server"):
		return Refused, false
	case strings.HasPrefix(text, "http2: server sent GOAWAY"), strings.HasPrefix(text, "http2: client connection lost"), isBroken(err):
		return Reset, true
	}
	return Malformed, true
}
