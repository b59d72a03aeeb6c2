package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/pool"
)

// failure is a try without an answer, or with one that broke off.
type failure struct {
	err    *filter.Error
	reason string // why it may be tried again; "": it may not
	sent   bool   // the endpoint may have begun to act on the request
	blame  bool   // the endpoint did it: it counts for breaker and ejection
	fresh  bool   // another connection to the same endpoint may well do
}

// The reasons for which a try may be repeated. They are values of a metric's label too.
const (
	reasonConnect = "connect_failure"
	reasonReset   = "reset"
	reasonTimeout = "timeout"
	reasonStatus  = "status"
)

var (
	errTryTimeout     = errors.New("the time for one try is over")
	errRequestTimeout = errors.New("the time for the whole request is over")
	errClientDeadline = errors.New("the deadline that came with the request has passed")
)

// classify tells what the failure of a round trip means. ctx is that of the exchange, and limited what was passed to the pool.
func classify(err error, ctx, limited context.Context) failure {
	if ctx.Err() != nil {
		return ended(ctx, err)
	}
	var p *pool.Error
	if !errors.As(err, &p) {
		return failure{err: reject(filter.UpstreamReset, err), reason: reasonReset, sent: true, blame: true}
	}
	switch p.Kind {
	case pool.Canceled:
		return outOfTime(limited, p)
	case pool.RequestBody:
		return failure{err: clientFault(p), sent: p.Sent}
	case pool.BadRequest:
		return failure{err: reject(filter.BadRequest, p), sent: p.Sent}
	case pool.Closed:
		return failure{err: reject(filter.UpstreamUnavailable, p), sent: p.Sent}
	case pool.Refused:
		return failure{err: reject(filter.UpstreamReset, p), reason: reasonReset, sent: p.Sent}
	case pool.IdleClosed:
		return failure{err: reject(filter.UpstreamReset, p), reason: reasonReset, sent: p.Sent, fresh: true}
	case pool.Malformed, pool.TooLarge:
		if p.Phase > pool.TLS {
			return failure{err: reject(filter.UpstreamBadResponse, p), sent: p.Sent, blame: true}
		}
	}
	return byPhase(p)
}

// byPhase tells what a failure means that is the endpoint's, by how far the round trip had come.
func byPhase(p *pool.Error) failure {
	f := failure{sent: p.Sent, blame: true, reason: reasonConnect}
	switch p.Phase {
	case pool.Queue:
		f.err, f.blame = reject(filter.UpstreamOverloaded, p), false
	case pool.Resolve:
		f.err = reject(filter.UpstreamNotResolved, p)
	case pool.Connect:
		f.err = reject(filter.UpstreamConnectFailed, p)
	case pool.TLS:
		f.err = reject(filter.UpstreamTLSFailed, p)
	default:
		f.err, f.reason = reject(filter.UpstreamReset, p), reasonReset
		switch {
		case p.Kind == pool.TimedOut:
			f.err, f.reason = reject(filter.UpstreamTimeout, p), reasonTimeout
		case p.Phase < pool.Body && isAlert(p):
			f.err = reject(filter.UpstreamTLSFailed, p)
		}
	}
	return f
}

// isAlert says whether it was by TLS that the endpoint broke off. With TLS 1.3 the handshake is over for us before the endpoint has seen
// our certificate, so that it says only after that what it thinks of it.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// outOfTime is the failure when a limit of the upstream's own has ended a try.
func outOfTime(limited context.Context, p *pool.Error) failure {
	cause := context.Cause(limited)
	f := failure{err: reject(filter.UpstreamTimeout, errors.Join(cause, p)), sent: p.Sent, blame: cause != errClientDeadline} // clients could have any endpoint ejected
	if errors.Is(cause, errTryTimeout) {
		f.reason = reasonTimeout
	}
	return f
}

// ended is the failure when the exchange is over: the client left, or a deadline that a policy set has passed.
func ended(ctx context.Context, err error) failure {
	cause := context.Cause(ctx)
	var own *filter.Error
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	switch {
	case errors.As(cause, &own):
		return failure{err: own, sent: true, blame: late && own.Code == filter.UpstreamTimeout}
	case late:
		return failure{err: reject(filter.UpstreamTimeout, cause), sent: true, blame: true}
	}
	return failure{err: reject(filter.ClientClosed, errors.Join(cause, err)), sent: true}
}

// clientFault is the error when the body of the request could not be read.
func clientFault(p *pool.Error) *filter.Error {
	var own *filter.Error
	var large *http.MaxBytesError
	var wait net.Error
	switch {
	case errors.As(p.Err, &own):
		return own
	case errors.As(p.Err, &large):
		return reject(filter.BodyTooLarge, p)
	case p.Timeout, errors.As(p.Err, &wait) && wait.Timeout():
		return reject(filter.RequestTimeout, p)
	}
	return reject(filter.ClientClosed, p)
}

// reject makes an error of a code with a cause.
func reject(code filter.Code, cause error) *filter.Error {
	return filter.Reject(code, "").Because(cause)
}
