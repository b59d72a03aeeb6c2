package fallback

import (
	"context"
	"maps"
	"net/http"
	"time"

	"cardea.dev/cardea/filter"
)

// state is what the policy knows of an exchange.
type state struct {
	asked *http.Request // as it came to the policy, without its body; later policies do not change it
	body  []byte        // of the request, where it was kept
	sent  bool          // the request has a body
	mine  []byte        // the key of the caller's own last good answer; nil: there can be none
	known bool          // callers can be told from each other
	all   []byte        // the key of the one that is for all
	seq   uint64        // of purges, when it was asked for
	begun time.Time

	outer   context.Context // of the exchange without what limits the service
	timer   *time.Timer
	cancel  context.CancelCauseFunc
	expired *filter.Error // that the service's time passed

	ends []func() // what is to be done at the end
}

// keep keeps the request as it is now. Later policies make it ready for the service: its fields are not for others.
func (s *state) keep(ex *filter.Exchange) {
	r := *ex.Request
	r.Header = maps.Clone(r.Header)
	u := *r.URL
	r.URL = &u
	r.Body, r.GetBody, r.Trailer, r.TransferEncoding = http.NoBody, nil, nil, nil
	s.asked, s.sent = &r, hasBody(ex.Request)
}

// limit sets how long the service may take to answer: what the policy says, and so that of the route's time something is left for others.
func (s *state) limit(ex *filter.Exchange, p *policy) {
	var left time.Duration
	because := p.late
	if p.after > 0 {
		left = max(time.Until(ex.Start.Add(p.after)), 1)
	}
	if deadline, ok := ex.Deadline(); ok && p.reserve > 0 {
		until := time.Until(deadline)
		if until -= min(p.reserve, until/2); left == 0 || until < left {
			left, because = max(until, 1), errRoom
		}
	}
	if left == 0 {
		return
	}
	s.outer = ex.Context()
	s.expired = filter.Reject(filter.UpstreamTimeout, "").Because(because)
	ctx, cancel := context.WithCancelCause(s.outer)
	s.cancel = cancel
	s.timer = time.AfterFunc(left, func() { cancel(s.expired) })
	ex.Request = ex.Request.WithContext(ctx)
}

// answered ends the service's time, and says whether it had passed.
func (s *state) answered(ex *filter.Exchange) (late bool) {
	if s.timer == nil || s.timer.Stop() {
		return false
	}
	ex.Request = ex.Request.WithContext(s.outer)
	return true
}

// end ends all that was begun, the last first.
func (s *state) end() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
	if s.timer != nil {
		s.timer.Stop()
		s.cancel(nil)
	}
}

// hasBody says whether a request has a body.
func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }
