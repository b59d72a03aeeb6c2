package sequence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
)

// Bounds of calls that undo.
const (
	maxBackoff = 10 * time.Second
	maxRest    = 64 << 10 // of an answer, which is read so that the connection can be used again
)

// undoKey is the direction of calls that undo, in their keys.
const undoKey = "-undo"

// undo undoes what was done, the last first. It has time of its own: neither the client nor the end of the gateway cuts it.
func (r *run) undo() {
	stuckOnes := false
	for i := len(r.results) - 1; i >= 0; i-- {
		r.now = i
		r.undoStep(i)
		if r.life.Err() != nil { // another gateway goes on
			return
		}
		switch res := &r.results[i]; res.state {
		case undone:
			r.of.metrics.undone[i].Inc()
		case stuck:
			stuckOnes = true
			r.of.metrics.stuck[i].Inc()
			r.tell(i)
		}
	}
	r.now = -1
	if stuckOnes {
		r.of.metrics.left.Inc()
	} else {
		r.of.metrics.undoneAll.Inc()
	}
}

// undoStep undoes one step, if there is something to undo.
func (r *run) undoStep(i int) {
	s, res := r.of.steps[i], &r.results[i]
	defer func() {
		if v := recover(); v != nil {
			res.state, res.left = stuck, r.panicked(v)
		}
	}()
	if s.unknown == "repeat" && !safe(s.Method) && (res.state == unknown || res.state == done && !res.looked) {
		r.learn(i)
	}
	res.was = res.state
	switch {
	case res.state != done && res.state != unknown:
		return
	case safe(s.Method) && len(s.undone) == 0, res.state == unknown && s.unknown == "keep":
		res.state = heldOn
		return
	case len(s.undone) == 0:
		res.state, res.left = stuck, errors.New("it has no on_error")
		return
	}
	var errs []error
	for k := range s.undone {
		direction := undoKey
		if len(s.undone) > 1 {
			direction = fmt.Sprintf("%s-%d", undoKey, k+1)
		}
		if err := r.undoBy(i, &s.undone[k], undoName(s, k), direction); err != nil {
			errs = append(errs, err)
		}
	}
	if res.state, res.left = undone, errors.Join(errs...); res.left != nil {
		res.state = stuck
	}
}

// learn makes the call of a step again, with the same key, to learn what came of it.
func (r *run) learn(i int) {
	res := &r.results[i]
	before, why := res.state, res.err
	_ = r.persist(func(ctx context.Context) error {
		err := r.make(ctx, i)
		switch {
		case res.state == failed && before == unknown && refused(err):
			return nil
		case res.state == failed, before == done:
			res.state = before // it could not be asked again, which says nothing of the first time
		}
		return err
	})
	res.err = why
}

// refused says whether a service has said that there was nothing that it could have done, neither now nor before. Other statuses may have come with time, such
// as 401 with the end of a token.
func refused(err error) bool {
	var status *call.StatusError
	if !errors.As(err, &status) {
		return false
	}
	switch status.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// undoBy makes one call that undoes a step.
func (r *run) undoBy(i int, u *undoing, name, direction string) error {
	var line string
	err := r.persist(func(ctx context.Context) (err error) {
		rec := r.recording(u.Call, name, filter.Undoes, r.of.steps[i].name)
		defer func() { r.ended(rec, err) }()
		limited := u.Limit(ctx, time.Time{}, nil)
		defer limited.End()
		ctx = limited.Context
		wanted, err := u.Holds(r.own)
		if err != nil {
			return &call.FormatError{Reason: "cannot say whether its condition holds: " + err.Error()}
		}
		if !wanted {
			return nil
		}
		req, err := u.Request(ctx, r.own)
		if err != nil {
			return &call.FormatError{Reason: err.Error()}
		}
		line = lineOf(u.Call, req)
		if !u.ownKey {
			req.Header[keyField] = []string{r.key(i, direction)}
		}
		child, end := r.childFor(req, "undo "+r.of.steps[i].name, rec)
		resp, err := u.Send(child)
		if err == nil {
			_, _ = io.CopyN(io.Discard, resp.Body, maxRest) // its status has said all
			_ = resp.Body.Close()
		}
		end(err)
		return err
	})
	if err != nil {
		if line == "" {
			line = u.Line()
		}
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

// persist makes a call until it succeeds, fails for good, or its bounds are reached.
func (r *run) persist(try func(ctx context.Context) error) error {
	bounds := &r.of.undo
	whole, stop := context.WithTimeout(r.life, bounds.Within.Std())
	defer stop()
	backoff := bounds.Backoff.Std()
	for tries := 0; ; tries++ {
		err := r.once(whole, try)
		switch {
		case err == nil:
			return nil
		case !passing(err):
			return err
		case tries >= bounds.Times:
			return fmt.Errorf("after %d tries: %w", tries+1, err)
		}
		select {
		case <-whole.Done():
			return fmt.Errorf("after %s: %w", bounds.Within.Std(), err)
		case <-time.After(backoff/2 + rand.N(backoff/2+1)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// once makes one try. Conditions and templates are bound to its context, too, and the client's deadline is none of its business.
func (r *run) once(whole context.Context, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(whole, r.of.undo.Timeout.Std(), filter.Reject(filter.UpstreamTimeout, "").Because(fmt.Errorf("no answer within %s", r.of.undo.Timeout.Std())))
	defer cancel()
	r.own.Request = r.own.Request.WithContext(ctx)
	delete(r.own.Request.Header, "X-Request-Deadline")
	delete(r.own.Request.Header, "Grpc-Timeout")
	return try(ctx)
}

// passing says whether it may go better another time.
func passing(err error) bool {
	var status *call.StatusError
	if errors.As(err, &status) {
		switch status.Status {
		case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		}
		return status.Status >= 500
	}
	var format *call.FormatError
	return !errors.As(err, &format)
}

// tell tells operators what could not be undone, with all that they need to do so by hand.
func (r *run) tell(i int) {
	res := &r.results[i]
	outcome := "done"
	if res.was == unknown {
		outcome = "not known: there was no answer that says whether it was done"
	}
	args := []any{
		"request_id", r.own.ID, "route", r.of.route, "step", r.of.steps[i].name, "outcome", outcome, "call", res.line,
		"idempotency_key", r.key(i, ""), "error", res.left.Error(),
	}
	if res.err != nil {
		args = append(args, "step_error", res.err.Error())
	}
	if trace := r.own.Span.TraceID(); trace != "" {
		args = append(args, "trace_id", trace)
	}
	r.of.log.Error("a step of a sequence could not be undone", args...)
}
