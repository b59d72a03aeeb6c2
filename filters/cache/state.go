package cache

import (
	"net/http"
	"net/url"
	"slices"
	"sync"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/stored"
)

// state is what the policy knows of an exchange that it has not answered with what is stored.
type state struct {
	forward string  // why the request was forwarded
	answer  *answer // that it has of a fetch; nil: it went on by itself
	reader  *reader
	err     error // why the answer is an error
	shared  bool

	head     *rules.Exchanged // of a HEAD that may renew what is stored
	old      *stored.Response // that is
	settings *rules.Settings

	apart      string // the key whose requests do not wait for each other, of one that went on by itself for that; "": none
	asked      rules.Request
	authorized bool
	method     string
}

var states = sync.Pool{New: func() any { return new(state) }}

func newState() *state { return states.Get().(*state) }

func (s *state) release() {
	*s = state{}
	states.Put(s)
}

// response says what became of the exchange, and sees to what a request that changes something makes invalid.
func (p *policy) response(ex *filter.Exchange) error {
	s := p.states.Get(ex)
	if s == nil {
		return nil
	}
	if s.err != nil && ex.Err == nil {
		ex.Err = s.err
	}
	if ex.Err == nil && p.changes(ex, s) {
		p.invalidate(ex)
	}
	if ex.Err == nil && s.apart != "" {
		p.rejoin(ex, s)
	}
	if ex.Err == nil && s.head != nil {
		p.renewByHead(ex, s)
	}
	if p.name != "" && ex.Response.StatusCode != http.StatusSwitchingProtocols {
		p.tell(ex, s)
	}
	return nil
}

// changes says whether a request may have changed what is stored. The methods that are configured only ask, but for requests that `bypass` takes out.
func (p *policy) changes(ex *filter.Exchange, s *state) bool {
	return !rules.Safe(ex.Request.Method) && (s.forward == "bypass" || !slices.Contains(p.methods, ex.Request.Method))
}

// tell adds the field Cache-Status.
func (p *policy) tell(ex *filter.Exchange, s *state) {
	status := rules.Status{Cache: p.name, Forward: s.forward, Collapsed: s.shared}
	switch s.forward {
	case "uri-miss", "vary-miss", "miss", "stale", "request", "method", "partial", "bypass":
	default:
		status.Forward, status.Detail = "bypass", s.forward
	}
	if a := s.answer; a != nil {
		status.Stored = a.head != nil
		if a.head != nil {
			status.TTL, status.HasTTL = a.head.Left(a.received), true
		} else if a.why != "" {
			status.Detail = a.why
		}
		if a.status != ex.Response.StatusCode {
			status.Answered = a.status
		}
	}
	h := ex.Response.Header
	before := h["Cache-Status"]
	h["Cache-Status"] = append(before[:len(before):len(before)], status.String())
}

// renewByHead renews what is stored by the answer to a HEAD, or has it not be used any more where that is about something else.
func (p *policy) renewByHead(ex *filter.Exchange, s *state) {
	if ex.Response.StatusCode != http.StatusOK {
		return
	}
	s.head.Response, s.head.Received = ex.Response, p.now()
	unstored := s.head.Asked.Control.Has(rules.NoStore) && !s.settings.IgnoreRequest
	s.head.Asked = &rules.Request{} // what the client asks of caches says nothing about what is stored already
	renewed, why := rules.Head(s.settings, s.head, s.old)
	switch {
	case renewed != nil && (why == rules.WhyAuthorization || why == rules.WhySetCookie || why == rules.WhyVary):
		// It is one client's answer, or not said what it is about: what is stored for others stays.
	case renewed == nil, why != "":
		p.cache.Drop(ex.Context(), s.old.Key)
	case !unstored:
		renewed.Seq = s.old.Seq
		p.cache.Update(ex.Context(), renewed)
	}
}

// invalidate has what is stored not be used any more that a request has changed.
func (p *policy) invalidate(ex *filter.Exchange) {
	target, err := url.Parse(string(p.key.appendURL(nil, ex)))
	if err != nil {
		return
	}
	if urls := rules.Invalidated(ex.Request.Method, target, ex.Response); len(urls) > 0 {
		p.cache.Invalidate(ex.Context(), urls)
	}
}

// finish leaves the fetch, if the body was not closed.
func (p *policy) finish(ex *filter.Exchange) {
	s := p.states.Get(ex)
	if s == nil {
		return
	}
	if s.reader != nil {
		_ = s.reader.Close()
	}
	p.states.Set(ex, nil)
	s.release()
}
