package cache

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/coalesce"
	"cardea.dev/cardea/internal/handout"
)

// maxTurns is how often a request waits for an answer that turns out not to be for it.
const maxTurns = 3

// fetched answers an exchange with what is being fetched, or has it fetched.
func (p *policy) fetched(ex *filter.Exchange, l *lookup) error {
	for turn := range maxTurns {
		key := p.groupKey(ex, l, turn > 0)
		r, leads := p.group.Join(key, func(f *fetch) func() {
			j := p.job(f, ex, l, key)
			return func() { p.run(f, j) }
		})
		if r == nil {
			return p.passApart(ex, l, key)
		}
		wait := p.wait
		if leads {
			wait = 0
		}
		a, err := r.Head(ex.Context(), wait)
		done, err := p.takeAnswer(ex, l, r, a, err, leads, turn)
		if done || err != nil {
			return err
		}
		_ = r.Close()
		if errors.Is(err, coalesce.ErrLate) {
			break
		}
		l.now = p.now()
		l.found, l.key = p.cache.Find(ex.Context(), l.key, ex.Request.Header)
		if answered, err := p.fromStored(ex, l); answered || err != nil {
			return err
		}
	}
	return p.pass(ex, filter.CacheMiss, l.why)
}

// passApart lets an exchange go on by itself, since one before it has had an answer that was for it alone. If its own is for others they wait for each other again: one odd request
// must not keep what all get from being stored.
func (p *policy) passApart(ex *filter.Exchange, l *lookup, key string) error {
	if err := p.pass(ex, filter.CacheMiss, l.why); err != nil {
		return err
	}
	s := p.states.Get(ex)
	s.apart, s.asked, s.settings, s.authorized, s.method = key, l.q, l.settings, l.authorized, l.method
	return nil
}

// rejoin has requests wait for each other again where an answer shows that it is for others.
func (p *policy) rejoin(ex *filter.Exchange, s *state) {
	now := p.now()
	if serverFailed(ex.Response.StatusCode) {
		return
	}
	j := &job{own: ex, settings: s.settings, q: s.asked, authorized: s.authorized}
	x := &rules.Exchanged{Request: &http.Request{Method: s.method, Header: ex.Request.Header}, Requested: now, Received: now}
	if _, why := p.storable(j, &answer{Answer: handout.Of(ex, ex.Response)}, x); why == "" {
		p.group.Rejoin(s.apart)
	}
}

// takeAnswer gives an exchange the answer that it has waited for, if that is for it. What has failed once may not fail again: all who have waited ask together once more.
func (p *policy) takeAnswer(ex *filter.Exchange, l *lookup, r *reader, a *answer, err error, leads bool, turn int) (done bool, _ error) {
	switch {
	case errors.Is(err, coalesce.ErrLate):
		p.metrics.late.Inc()
		_ = r.Close()
		return true, p.pass(ex, filter.CacheMiss, l.why)
	case err != nil && ex.Context().Err() != nil:
		_ = r.Close()
		return true, err
	}
	if a != nil {
		a.Tell(ex, leads)
	}
	l.now = p.now()
	if (err != nil || a.failed) && p.instead(ex, l, err == nil) {
		return true, r.Close()
	}
	switch {
	case err != nil && (leads || turn > 0):
		_ = r.Close()
		p.fail(ex, l)
		return true, err
	case err != nil || !leads && a.failed && a.head == nil && turn == 0:
		return false, nil //nolint:nilerr // all who have waited ask once more
	case !leads && !p.isFor(ex, l, a):
		return false, nil
	}
	return p.give(ex, l, r, a, leads)
}

// instead answers with what is stored, though it is not fresh, since the upstream fails.
func (p *policy) instead(ex *filter.Exchange, l *lookup, reached bool) bool {
	old := l.found.Response
	return old != nil && p.mayServe(l.settings, &l.q, old, l.now, reached) && p.serve(ex, l, old, filter.CacheStale, "error")
}

// fail notes that an exchange ends with an error.
func (p *policy) fail(ex *filter.Exchange, l *lookup) {
	ex.Cached = filter.Cached{Outcome: filter.CacheMiss, Why: l.why}
	p.metrics.outcome(filter.CacheMiss)
	s := newState()
	s.forward = l.why
	p.states.Set(ex, s)
}

// isFor says whether an answer that another request has brought is for an exchange, too.
func (p *policy) isFor(ex *filter.Exchange, l *lookup, a *answer) bool {
	head := a.head
	if a.whole != nil {
		head = a.whole
	}
	switch {
	case head == nil, a.all:
		return false
	case !cache.AnswersTo(head, l.key) || !cache.Suits(head, a.names, ex.Request.Header) || a.whole != nil && !cache.Selected(head, ex.Request.Header):
		return false
	case a.received.Before(ex.Start): // it has come for a while
		use, _ := rules.Judge(l.settings, &l.q, head, l.now)
		return use >= rules.StaleWhileRevalidate
	}
	return true
}

// give gives an exchange an answer.
func (p *policy) give(ex *filter.Exchange, l *lookup, r *reader, a *answer, leads bool) (done bool, _ error) {
	if a.whole != nil {
		_ = r.Close()
		outcome := filter.CacheHit
		if a.renewed {
			outcome = filter.CacheRevalidated
		}
		if !p.serve(ex, l, a.whole, outcome, l.why) {
			return false, nil
		}
		return true, nil
	}
	s := newState()
	s.forward, s.answer, s.reader, s.err, s.shared = l.why, a, r, a.Err, !leads
	outcome := filter.CacheMiss
	if !leads {
		outcome = filter.CacheShared
	}
	ex.Cached = filter.Cached{Outcome: outcome, Why: l.why, Stored: a.head != nil}
	b := &streamed{reader: r, answer: a, policy: p, shared: !leads}
	if !p.stream(ex, l, a, b) {
		s.release()
		_ = r.Close()
		return true, p.pass(ex, filter.CacheMiss, "partial")
	}
	p.metrics.outcome(outcome)
	p.states.Set(ex, s)
	return true, nil
}

// farAhead is how far into an answer that is still coming a request for a part of it waits.
const farAhead = 1 << 20

// stream answers an exchange with an answer that is still coming. It is false where the request asks for a part of it that is far ahead.
func (p *policy) stream(ex *filter.Exchange, l *lookup, a *answer, b *streamed) bool {
	resp := a.For(ex)
	b.resp = resp
	if l.settings.StripCookies && a.head != nil {
		delete(resp.Header, "Set-Cookie")
		delete(resp.Header, "Set-Cookie2")
	}
	ex.Response = resp
	// What is not stored of an answer, such as the fields that private= names, is for who has asked for it alone.
	if a.head == nil || !b.shared && !l.q.Conditional() && len(l.q.Range) == 0 {
		if a.Response.Body != http.NoBody {
			b.reader.Follow(ex.Context())
			resp.Body = b
		}
		return true
	}
	return p.streamPart(ex, l, a, b)
}

// streamPart answers a request that has conditions, or asks for a part.
func (p *policy) streamPart(ex *filter.Exchange, l *lookup, a *answer, b *streamed) bool {
	resp := ex.Response
	var told rules.Answer
	h := http.Header{}
	rules.Respond(&told, h, ex.Request.Method, &l.q, a.head, l.now)
	if len(told.Parts) > 0 {
		whole := l.q
		whole.Range = nil
		h, told = http.Header{}, rules.Answer{}
		rules.Respond(&told, h, ex.Request.Method, &whole, a.head, l.now)
	}
	if told.Send && told.At.Start > farAhead {
		ex.Response = nil
		return false
	}
	resp.StatusCode, resp.Status, resp.Header, resp.ContentLength = told.Status, "", h, told.Length
	if told.Length >= 0 && told.Status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(told.Length, 10)}
	}
	resp.Trailer = b.trailer(resp.Trailer)
	if !told.Whole {
		resp.Trailer = nil
	}
	if !told.Send {
		resp.ContentLength = max(resp.ContentLength, 0)
		return true
	}
	b.skip, b.left = told.At.Start, -1
	if !told.Whole {
		b.left = told.At.Length
	}
	b.reader.Follow(ex.Context())
	resp.Body = b
	b.part = true
	return true
}

// streamed is the body of an answer that is still coming.
type streamed struct {
	*reader
	answer *answer
	resp   *http.Response
	policy *policy
	shared bool // another request has brought it
	part   bool
	skip   int64
	left   int64 // of a part; -1: to the end
	sent   int64
}

// Read reads on. At the end the trailer is there.
func (b *streamed) Read(p []byte) (int, error) {
	if b.part {
		if b.skip > 0 {
			n, err := io.CopyN(io.Discard, b.reader, b.skip)
			b.skip -= n
			if err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return 0, err
			}
		}
		if b.left == 0 {
			return 0, io.EOF
		}
		if b.left > 0 && int64(len(p)) > b.left {
			p = p[:b.left]
		}
	}
	n, err := b.reader.Read(p)
	b.sent += int64(n)
	if b.part && b.left > 0 {
		b.left -= int64(n)
	}
	switch {
	case err == nil:
	case err == io.EOF && b.part && b.left > 0:
		err = io.ErrUnexpectedEOF
	case err == io.EOF && len(b.answer.Trailer) > 0 && (!b.part || b.left < 0):
		b.resp.Trailer = b.trailer(b.answer.Trailer).Clone()
	case errors.Is(err, coalesce.ErrSlow):
		b.policy.metrics.cut.Inc()
		err = filter.Reject(filter.ClientClosed, "").Because(err)
	}
	return n, err
}

// trailer is what the client gets of a trailer.
func (b *streamed) trailer(t http.Header) http.Header {
	if b.shared {
		return rules.StoredTrailer(t)
	}
	return t
}

// Close leaves the fetch.
func (b *streamed) Close() error {
	b.policy.metrics.upstream.Add(float64(b.sent))
	b.sent = 0
	return b.reader.Close()
}
