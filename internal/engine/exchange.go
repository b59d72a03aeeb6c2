package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/http1/server"
	"cardea.dev/cardea/internal/router"
)

// serve is the life of a request, from top to bottom.
func (e *Engine) serve(edge *listen.Edge, w http.ResponseWriter, r *http.Request) {
	snapshot := e.enter()
	if snapshot == nil {
		http.Error(w, "the gateway is not ready", http.StatusServiceUnavailable)
		return
	}
	x := e.exchanges.Get().(*exchange)
	x.begin(e, snapshot, edge, w, r) // client, scheme, host, path, request id; strips what is not the upstream's to see
	x.match()                        // route
	x.answer()                       // policies, target: there is a response now
	x.review()                       // policies in reverse
	x.send()                         // head, body, trailers; or the two directions of an upgraded connection
	x.finish()                       // policies' last phase, metrics, span
	if x.end() {
		panic(http.ErrAbortHandler) // the one way to tell net/http that the client must see a broken message
	}
}

// answer takes the exchange through its policies and its target. Afterwards there is a response.
func (x *exchange) answer() {
	defer x.recovered()
	for i := range x.route.Steps {
		step := &x.route.Steps[i]
		x.reached = i + 1
		if step.Request == nil {
			continue
		}
		if err := x.request(step); err != nil {
			x.fail(err)
			return
		}
		if x.Response != nil {
			x.Err = nil // a policy has an answer even to what no route matches
			return
		}
	}
	resp, err := x.route.Target.Serve(&x.Exchange)
	if err != nil {
		x.fail(err)
		return
	}
	x.Response = resp
}

// request runs the request phase of one step, in a span of its own where the exchange is traced.
func (x *exchange) request(step *Step) error {
	if !x.Span.Recording() {
		return step.Request(&x.Exchange)
	}
	span := x.Span.Child("policy " + step.Kind)
	err := step.Request(&x.Exchange)
	if err != nil {
		span.Fail(err)
	}
	span.End()
	return err
}

// review takes the response back through the policies that were reached, in reverse.
func (x *exchange) review() {
	defer x.recovered()
	for i := x.reached - 1; i >= 0; i-- {
		step := &x.route.Steps[i]
		if step.Response == nil {
			continue
		}
		if err := step.Response(&x.Exchange); err != nil {
			x.fail(err)
		}
	}
}

// fail replaces the response by that of an error.
func (x *exchange) fail(err error) {
	if x.Response != nil && x.Response.Body != nil {
		_ = x.Response.Body.Close()
	}
	refused := x.classify(err)
	x.Err = refused
	x.Response = x.snapshot.Answers.response(&x.Exchange, refused)
	x.note(refused)
}

// classify makes an *Error of what went wrong. What follows from a deadline that passed, from a body that is malformed, or from a client that left, is
// that.
func (x *exchange) classify(err error) *filter.Error {
	var refused, cause *filter.Error
	if errors.As(err, &refused) && refused.Code != filter.ClientClosed {
		return refused
	}
	if x.body != nil {
		if fault := x.body.fault.Load(); fault != nil {
			return fault // servers take it for a client that left
		}
	}
	ctx := x.Request.Context()
	if errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	if refused == nil && ctx.Err() != nil {
		return filter.Reject(filter.ClientClosed, "").Because(err)
	}
	return filter.AsError(err)
}

// recovered turns a panic in a policy or target into an internal error.
func (x *exchange) recovered() {
	p := recover()
	if p == nil {
		return
	}
	x.tellPanic("handling a request", p)
	x.fail(fmt.Errorf("panic: %v", p))
}

// tellPanic counts and logs a panic.
func (x *exchange) tellPanic(while string, p any) {
	x.engine.metrics.panics.Inc()
	x.engine.log.Error("panic while "+while, "request_id", x.ID, "route", x.route.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// finish tells all that it is over: the policies that were reached, the metrics, the trace.
func (x *exchange) finish() {
	if x.body != nil {
		x.Received = x.body.count()
	}
	for i := range x.route.Steps[:x.reached] {
		if step := &x.route.Steps[i]; step.Finish != nil {
			x.last(step)
		}
	}
	x.route.traffic.count(&x.Exchange, time.Since(x.Start))
	x.remember()
	x.endSpan()
}

// last runs the finish phase of one step. A panic in it must not keep the others from theirs.
func (x *exchange) last(step *Step) {
	defer func() {
		if p := recover(); p != nil {
			x.tellPanic("finishing a request in "+step.Kind, p)
		}
	}()
	step.Finish(&x.Exchange)
}

// recycle gives the answer back to the upstream that it is of, unless a policy has put another body in its place. Writers of
// net/http's may still look at parts of it.
func (x *exchange) recycle() {
	if _, ours := x.writer.(server.ResponseSender); !ours || x.Aborted || x.Response == nil {
		return
	}
	if body, ok := x.Response.Body.(interface{ Recycle() }); ok {
		body.Recycle()
	}
}

// end gives everything back. It says whether the client must see a broken message.
func (x *exchange) end() (abort bool) {
	e, snapshot := x.engine, x.snapshot
	abort = x.Aborted && !x.upgraded
	x.recycle()
	x.Exchange.Release()
	x.params.Reset()
	x.lookup = router.Request{}
	x.engine, x.snapshot, x.edge, x.writer, x.route, x.body = nil, nil, nil, nil, nil, nil
	x.reached, x.wrote, x.upgraded = 0, false, false
	e.exchanges.Put(x)
	e.running.Add(-1)
	e.leave(snapshot)
	return abort
}
