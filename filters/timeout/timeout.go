package timeout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says how long an exchange may take. The short form is Request.
type Config struct {
	// Request is how long the whole exchange may take, from the head of the request to the last byte of the answer, tries and
	// bodies included. By default, and with 0 or `off`, as long as it likes. After an upgrade (WebSocket) it no longer holds.
	Request config.Duration `yaml:"request,short"`

	// Idle is how long the upstream may be silent, before its answer or in the middle of it, while the client sends nothing
	// either. By default, and with 0 or `off`, as long as it likes. It does not hold for upgrades.
	Idle config.Duration `yaml:"idle"`
}

// Validate checks that there is a time at all.
func (c *Config) Validate() error {
	if c.Request == 0 && c.Idle == 0 {
		return errors.New("no time is said: write `timeout: 10s`, or `timeout: off` for none")
	}
	return nil
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("timeout", filter.Guard, build) }

// timeout is the policy.
type timeout struct {
	request, idle time.Duration
	late, silent  error // causes, for operators
	note          string
	watch         filter.Slot[watch]
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	t := timeout{
		request: c.Request.Std(), idle: c.Idle.Std(), watch: filter.NewSlot[watch](env),
		late:   fmt.Errorf("the exchange took longer than its timeout, %s", c.Request),
		silent: fmt.Errorf("the upstream was silent for longer than the idle timeout, %s", c.Idle),
		note:   note(c),
	}
	return &filter.Filter{Request: t.begin, Response: t.answered, Finish: t.finish, Explain: t.explain}, nil
}

func note(c *Config) string {
	switch {
	case c.Idle == 0:
		return fmt.Sprintf("may take %s", c.Request)
	case c.Request == 0:
		return fmt.Sprintf("the upstream may be silent for %s", c.Idle)
	}
	return fmt.Sprintf("may take %s, and the upstream may be silent for %s", c.Request, c.Idle)
}

func (t *timeout) explain(*filter.Exchange) filter.Verdict {
	return filter.Verdict{Action: filter.Passes, Note: t.note}
}

// begin sets what ends the exchange.
func (t *timeout) begin(ex *filter.Exchange) error {
	if ex.Request.Header["Upgrade"] != nil {
		if t.request > 0 {
			t.watch.Set(ex, newHandshake(ex, t.request, expired(t.late)))
		}
		return nil
	}
	if t.request > 0 {
		ex.Limit(t.request, expired(t.late))
	}
	if t.idle > 0 {
		w := newWatch(ex, t.idle, expired(t.silent))
		t.watch.Set(ex, w)
		if ex.Request.Body != nil && ex.Request.Body != http.NoBody {
			ex.Request.Body = &requestBody{ex.Request.Body, w}
		}
	}
	return nil
}

// answered runs once the answer has begun.
func (t *timeout) answered(ex *filter.Exchange) error {
	w := t.watch.Get(ex)
	switch {
	case w == nil:
		return nil
	case ex.Response.StatusCode == http.StatusSwitchingProtocols:
		if !w.rest() {
			return context.Cause(w.ctx)
		}
	case w.handshake: // refused: its answer is bound like any other
	default:
		w.rest()
		if ex.Response.Body != nil && ex.Response.Body != http.NoBody {
			ex.Response.Body = &responseBody{ex.Response.Body, w}
		}
	}
	return nil
}

// finish stops what begin started.
func (t *timeout) finish(ex *filter.Exchange) {
	if w := t.watch.Get(ex); w != nil {
		w.rest()
		w.cancel(nil)
	}
}

// expired makes the error that an exchange ends with. Each has its own, for it may be added to on its way.
func expired(cause error) *filter.Error {
	return filter.Reject(filter.UpstreamTimeout, "").Because(cause)
}
