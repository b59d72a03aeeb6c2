package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"cardea.dev/cardea/filter"
)

// Rest takes an exchange of a policy's own through the steps that come after those of a kind, to the target, and back. It is what
// filter.Env.Rest says.
func (r *Route) Rest(kind string, log *slog.Logger, ex *filter.Exchange) (resp *http.Response, finish func(), err error) {
	rest := &rest{steps: r.after(kind), ex: ex, log: log}
	return rest.run(r.Target.Serve)
}

// Reroute is Rest with another target, and only the steps of the stage transform. It is what filter.Env.Reroute says.
func (r *Route) Reroute(kind string, log *slog.Logger, ex *filter.Exchange, serve func(*filter.Exchange) (*http.Response, error)) (resp *http.Response, finish func(), err error) {
	rest := &rest{ex: ex, log: log}
	for _, step := range r.after(kind) {
		if step.Stage == filter.Transform {
			rest.steps = append(rest.steps, step)
		}
	}
	return rest.run(serve)
}

// Mend is Rest for an exchange that has failed already, up to the last step that mends. It is what filter.Env.Mend says.
func (r *Route) Mend(kind string, log *slog.Logger, ex *filter.Exchange, failed error) (resp *http.Response, finish func(), err error) {
	steps := r.after(kind)
	for len(steps) > 0 && !steps[len(steps)-1].Mends {
		steps = steps[:len(steps)-1]
	}
	rest := &rest{steps: steps, ex: ex, log: log}
	return rest.run(func(*filter.Exchange) (*http.Response, error) { return nil, failed })
}

// run takes the exchange to what serves it, and back.
func (s *rest) run(serve func(*filter.Exchange) (*http.Response, error)) (resp *http.Response, finish func(), err error) {
	if err := s.answer(serve); err != nil {
		s.fail(err)
	}
	for i := s.reached - 1; i >= 0; i-- {
		step := &s.steps[i]
		switch {
		case step.Response == nil:
		case s.err == nil:
			s.respond(step)
		case step.Mends:
			s.mend(step)
		}
	}
	return s.ex.Response, s.finish, s.err
}

// respond runs the response phase of a step.
func (s *rest) respond(step *Step) {
	if err := s.guard("handling a response in "+step.Kind, func() error { return step.Response(s.ex) }); err != nil {
		s.fail(err)
	}
}

// mend has a step put an answer in the place of the error, if it has one.
func (s *rest) mend(step *Step) {
	var cause *filter.Error
	refused := filter.AsError(s.err)
	if ctx := s.ex.Request.Context(); refused.Code == filter.InternalError && errors.As(context.Cause(ctx), &cause) {
		refused = cause // a deadline that passed
	}
	failed := s.err
	s.ex.Err = refused
	s.ex.Response = &http.Response{StatusCode: refused.HTTPStatus(), ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: s.ex.Request}
	s.err = nil
	s.respond(step)
	if s.err == nil && s.ex.Err != nil {
		s.fail(failed)
	}
}

// after are the steps that come after those of a kind in its own stage.
func (r *Route) after(kind string) []Step {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if r.Steps[i].Kind == kind {
			return r.Steps[i+1:]
		}
	}
	return nil
}

// rest is the way of an exchange through the rest of its route.
type rest struct {
	steps   []Step
	ex      *filter.Exchange
	log     *slog.Logger
	reached int
	err     error
}

// answer runs the request phases and what serves.
func (s *rest) answer(serve func(*filter.Exchange) (*http.Response, error)) error {
	for i := range s.steps {
		step := &s.steps[i]
		s.reached = i + 1
		if step.Request == nil {
			continue
		}
		if err := s.guard("handling a request in "+step.Kind, func() error { return step.Request(s.ex) }); err != nil {
			return err
		}
		if s.ex.Response != nil {
			return nil
		}
	}
	return s.guard("handling a request", func() (err error) {
		s.ex.Response, err = serve(s.ex)
		return err
	})
}

// fail drops the response.
func (s *rest) fail(err error) {
	if resp := s.ex.Response; resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	s.ex.Response, s.err = nil, err
	s.ex.Err = filter.AsError(err)
}

// finish runs the finish phases. A panic in one must not keep the others from theirs.
func (s *rest) finish() {
	for i := range s.steps[:s.reached] {
		if step := &s.steps[i]; step.Finish != nil {
			_ = s.guard("finishing a request in "+step.Kind, func() error { step.Finish(s.ex); return nil })
		}
	}
}

// guard turns a panic into an error.
func (s *rest) guard(while string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic while "+while, "request_id", s.ex.ID, "route", s.ex.Route.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
