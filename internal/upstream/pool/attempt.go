package pool

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// attempt is one request on one HTTP/2 connection.
type attempt struct {
	pool   *Pool
	grant  grant
	to     Target
	info   *Info
	length int64 // of the request's body, if known

	caller context.Context
	ctx    context.Context // the caller's, ended early when the upload stands still
	cancel context.CancelCauseFunc
	upload *upload // nil: no body, or one in memory
	idle   *idle   // nil: no limit
	ended  atomic.Bool

	mu       sync.Mutex // held while the caller is told of an interim answer
	returned bool
	interims int
	refused  error // by the caller, of an interim answer
}

func newAttempt(ctx context.Context, p *Pool, g grant, to Target, info *Info) *attempt {
	return &attempt{pool: p, grant: g, to: to, info: info, caller: ctx, ctx: ctx}
}

// do sends the request and waits for the head of the answer.
func (a *attempt) do(req *http.Request) (*http.Response, error) {
	resp, err := a.grant.c.cc.RoundTrip(a.request(req))
	a.stopInterim()
	if resp != nil {
		resp.Request = req
	}
	if err != nil {
		e := a.explain(err)
		a.fail()
		return nil, e
	}
	a.info.FirstByte = time.Since(a.info.Start)
	if a.idle != nil {
		a.idle.stop()
	}
	if resp.Body == http.NoBody || resp.ContentLength == 0 || req.Method == http.MethodHead {
		resp.Body.Close()
		resp.Body = http.NoBody
		a.end()
		return resp, nil
	}
	rc := resp.Body
	if a.idle != nil {
		a.idle.abort(func() { rc.Close() })
	}
	resp.Body = &body{a: a, rc: rc}
	return resp, nil
}

// request makes what is sent: a shallow copy of the caller's request, with what only concerned its way here put aside.
func (a *attempt) request(req *http.Request) *http.Request {
	streams := req.Body != nil && req.Body != http.NoBody && req.GetBody == nil
	if d := a.pool.o.Idle; d > 0 {
		a.idle = &idle{limit: d}
		if streams {
			a.ctx, a.cancel = context.WithCancelCause(a.caller)
			a.idle.expire = func() { a.cancel(errIdle) }
		}
	}
	if a.info.Interim != nil {
		a.ctx = httptrace.WithClientTrace(a.ctx, &httptrace.ClientTrace{Got1xxResponse: a.interim})
	}
	a.length = req.ContentLength
	out := req.WithContext(a.ctx)
	out.URL = target(req.URL, a.to, a.pool.secures(a.to))
	out.Proto, out.ProtoMajor, out.ProtoMinor = "HTTP/1.1", 1, 1
	out.Close, out.RequestURI, out.GetBody, out.Response = false, "", nil, nil
	out.Header = ownHeader(req.Header)
	if streams {
		a.upload = newUpload(a, req.Body)
		out.Body = a.upload
	}
	return out
}

func target(u *url.URL, to Target, secure bool) *url.URL {
	out := url.URL{Scheme: "http", Host: to.Address, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	if secure {
		out.Scheme = "https"
	}
	if to.ServerName != "" {
		out.Host = to.ServerName
	} else if len(out.Host) > 5 && out.Host[:5] == "unix:" {
		out.Host = "localhost"
	}
	return &out
}

// ownHeader is a header of the attempt's own: the HTTP library may still be reading it when a round trip has been given up, and the
// caller's is used again then. It keeps the library from naming itself.
func ownHeader(h http.Header) http.Header {
	own := h.Clone()
	if own == nil {
		own = http.Header{}
	}
	if _, ok := own["User-Agent"]; !ok {
		own["User-Agent"] = nil
	}
	return own
}

// maxInterims keeps an endpoint from holding a request up for ever with interim answers.
const maxInterims = 100

func (a *attempt) interim(status int, header textproto.MIMEHeader) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.returned {
		return context.Canceled
	}
	if a.interims++; a.interims > maxInterims {
		return errInterim
	}
	a.refused = a.info.Interim(status, http.Header(header))
	return a.refused
}

func (a *attempt) stopInterim() {
	if a.info.Interim == nil {
		return
	}
	a.mu.Lock()
	a.returned = true
	a.mu.Unlock()
}

// end is called when the exchange is over, once or more.
func (a *attempt) end() {
	if !a.ended.CompareAndSwap(false, true) {
		return
	}
	if a.idle != nil {
		a.idle.stop()
	}
	if a.cancel != nil {
		a.cancel(nil)
	}
	a.pool.release(a.grant)
}

// fail ends an exchange that went wrong.
func (a *attempt) fail() {
	if a.upload != nil {
		a.upload.Close()
	}
	a.end()
}

// explain makes an *Error of what the library says, before there was a head.
func (a *attempt) explain(err error) *Error {
	e := &Error{Phase: Header, Address: a.to.Address, Reused: a.grant.reused, Err: err, Sent: true}
	e.BodyRead = a.touched()
	switch {
	case a.caller.Err() != nil:
		e.Kind, e.Err, e.Timeout = Canceled, context.Cause(a.caller), errors.Is(a.caller.Err(), context.DeadlineExceeded)
	case a.upload != nil && a.upload.failed() != nil:
		e.Phase, e.Kind, e.Err = Write, RequestBody, a.upload.failed()
	case a.idle != nil && a.idle.expired():
		e.Phase, e.Kind, e.Err, e.Timeout = Write, TimedOut, errIdle, true
		if a.upload != nil && a.upload.waiting.Load() {
			e.Kind = RequestBody // it is the client that stands still
		}
	case isTimeout(err) && !isBroken(err):
		e.Kind, e.Err, e.Timeout = TimedOut, errFirstByte, true
	case a.refused != nil:
		e.Kind, e.Err = Canceled, a.refused
	default:
		e.Kind, e.Sent = muxKind(err)
		if isBadRequest(err) {
			e.Phase, e.Kind, e.Sent = Write, BadRequest, false
		}
	}
	return e
}

// touched says whether the request's body was read from.
func (a *attempt) touched() bool { return a.upload != nil && a.upload.touched.Load() }

func (p *Pool) release(g grant) { g.c.host.release(g) }
