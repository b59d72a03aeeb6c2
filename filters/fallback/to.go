package fallback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/repeat"
)

// errRoom is why the service's time ends before the route's.
var errRoom = errors.New("the rest of the route's timeout is kept for the fallback")

// to is another upstream.
type to struct {
	up      filter.Upstream
	path    path // nil: as it is
	methods []string
	maxBody int64
	timeout time.Duration
	keep    bool // the answer's Cache-Control
	late    error
	policy  *policy
	reroute func(*filter.Exchange, func(*filter.Exchange) (*http.Response, error)) (*http.Response, func(), error)
}

func newTo(env *filter.Env, p *policy, c *To, at string, short bool) (*to, error) {
	t := &to{
		methods: []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}, // RFC 9110, section 9.2.2
		maxBody: int64(c.MaxBody), timeout: c.Timeout.Std(), keep: c.Cacheable, policy: p, reroute: env.Reroute,
		late: fmt.Errorf("its answer did not begin within %s", c.Timeout),
	}
	env.Diverts()
	var errs []error
	var err error
	if t.up, err = env.Upstream(c.Upstream); err != nil {
		place := at
		if !short {
			place = at + ".upstream"
		}
		errs = append(errs, config.FieldErrorf(place, "%w", err))
	}
	for i, m := range c.Methods {
		if m == "" || strings.ContainsFunc(m, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s.methods[%d]", at, i), "%q is not the name of a method, which is in capitals", m))
		}
		t.methods = append(t.methods, m)
	}
	if c.Path != "" {
		if c.Path[0] != '/' {
			errs = append(errs, config.FieldErrorf(at+".path", "a path begins with /"))
		} else if t.path, err = newPath(env, c.Path); err != nil {
			errs = append(errs, config.FieldErrorf(at+".path", "%w", err))
		}
	}
	return t, errors.Join(errs...)
}

// wantsBody says whether the body of a request is kept, so that it can be sent again.
func (p *policy) wantsBody(r *http.Request) bool {
	return p.maxBody > 0 && hasBody(r) && slices.ContainsFunc(p.to, func(t *to) bool { return slices.Contains(t.methods, r.Method) })
}

func (t *to) kind() string { return "to" }

// unfit says why a request is not sent, or nil.
func (t *to) unfit(method string, s *state, body bool) error {
	switch {
	case t.reroute == nil:
		return errors.New("the route has no target")
	case !slices.Contains(t.methods, method):
		return fmt.Errorf("%s is not repeated; see `methods`", method)
	case body && (s.body == nil || int64(len(s.body)) > t.maxBody):
		return errors.New("the body of the request was not kept; see `max_body`")
	}
	return nil
}

// answer asks the upstream.
func (t *to) answer(ex *filter.Exchange, s *state) (*http.Response, error) {
	if err := t.unfit(s.asked.Method, s, s.sent); err != nil {
		return nil, err
	}
	ctx, head, cancel := t.context(ex)
	own := ex.Child(t.request(ctx, s))
	own.Start = time.Now()
	resp, finish, err := t.reroute(own, func(own *filter.Exchange) (*http.Response, error) { return t.send(own, own.Request) })
	end := func() { finish(); cancel(nil); own.Release() }
	inTime := head.Stop()
	ex.Attempts = append(ex.Attempts, own.Attempts...)
	if own.Upstream != "" {
		ex.Upstream = own.Upstream
	}
	if err == nil {
		err = t.acceptable(own, resp, inTime)
	} else if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		end()
		return nil, fmt.Errorf("%s: %w", t.up.Name(), err)
	}
	s.ends = append(s.ends, end)
	if !t.keep {
		unkept(ex, resp.Header)
	}
	return resp, nil
}

// acceptable says why an answer is none, or nil.
func (t *to) acceptable(own *filter.Exchange, resp *http.Response, inTime bool) error {
	switch {
	case !inTime:
		return t.late
	case own.Err != nil && t.policy.failed(resp.StatusCode, filter.AsError(own.Err)):
		return own.Err
	case t.policy.failed(resp.StatusCode, nil), resp.StatusCode < 200:
		return fmt.Errorf("it answered %d", resp.StatusCode)
	}
	return nil
}

// context is what the request lives by: the client, and the route's time, but not what has ended the one that failed. Head ends it unless it is stopped.
func (t *to) context(ex *filter.Exchange) (ctx context.Context, head *time.Timer, cancel context.CancelCauseFunc) {
	base := ex.Context()
	if base.Err() == nil {
		ctx, cancel = context.WithCancelCause(base)
	} else if deadline, ok := base.Deadline(); ok {
		limited, stop := context.WithDeadline(ex.Caller(), deadline)
		within, end := context.WithCancelCause(limited)
		ctx, cancel = within, func(cause error) { end(cause); stop() }
	} else {
		ctx, cancel = context.WithCancelCause(ex.Caller())
	}
	return ctx, time.AfterFunc(t.timeout, func() { cancel(t.late) }), cancel
}

// request is the request as it came to the policy.
func (t *to) request(ctx context.Context, s *state) *http.Request {
	r := s.asked.WithContext(ctx)
	r.Header = maps.Clone(s.asked.Header)
	u := *s.asked.URL
	r.URL = &u
	if s.body != nil {
		repeat.Set(r, s.body)
		return r
	}
	r.ContentLength = 0
	return r
}

// send sends a request that other policies have made ready.
func (t *to) send(own *filter.Exchange, r *http.Request) (*http.Response, error) {
	if t.path != nil {
		if err := t.path.set(own, r.URL); err != nil {
			return nil, err
		}
	}
	return t.up.Do(own, r)
}

func (t *to) explain(ex *filter.Exchange) string {
	note := "to upstream " + t.up.Name()
	if err := t.unfit(ex.Request.Method, &state{body: []byte{}}, false); err != nil {
		return note + ", but not this request: " + err.Error()
	}
	if hasBody(ex.Request) && ex.Request.ContentLength > t.maxBody {
		note += ", but not with this body, which is longer than `max_body`"
	}
	return note
}
