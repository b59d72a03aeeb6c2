package engine

import (
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
	if err := rest.answer(r); err != nil {
		rest.fail(err)
	}
	for i := rest.reached - 1; i >= 0 && rest.err == nil; i-- {
		if step := &rest.steps[i]; step.Response != nil {
			if err := rest.guard("handling a response in "+step.Kind, func() error { return step.Response(ex) }); err != nil {
				rest.fail(err)
			}
		}
	}
	return ex.Response, rest.finish, rest.err
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

// answer runs the request phases and the target.
func (s *rest) answer(r *Route) error {
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
		s.ex.Response, err = r.Target.Serve(s.ex)
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
