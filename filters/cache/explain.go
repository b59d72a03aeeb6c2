package cache

import (
	"fmt"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/rules"
)

// explain says what would become of the request, as far as the memory knows.
func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	passes := func(format string, args ...any) filter.Verdict {
		return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf(format, args...)}
	}
	if p.authentication.Unsaid(ex) && p.per {
		return filter.Verdict{Action: filter.Unknown, Note: "answers are each caller's own, and who calls cannot be said"}
	}
	if why := p.unfit(ex); why != "" {
		return passes("it is neither looked up nor stored: %s", reasons(why))
	}
	if len(p.methods) > 0 && ex.Request.Method != "GET" && ex.Request.Method != "HEAD" {
		return filter.Verdict{Action: filter.Unknown, Note: "it is looked up by its body"}
	}
	l := &lookup{}
	p.prepare(ex, l, "")
	l.found = p.cache.Peek(l.key, ex.Request.Header)
	r := l.found.Response
	missing := func(format string, args ...any) filter.Verdict {
		if l.q.OnlyIfCached(l.settings) {
			return filter.Verdict{Action: filter.Rejects, Note: "not_cached: " + fmt.Sprintf(format, args...)}
		}
		return passes(format, args...)
	}
	switch {
	case l.found.Purged:
		return missing("what was stored is purged: it is asked for and stored, if it may be")
	case l.found.Known:
		return missing("it is stored for other values of the fields that Vary names: it is asked for and stored, if it may be")
	case r == nil:
		return missing("nothing is in memory for it: it is asked for and stored, if it may be")
	}
	left := r.Left(l.now).Round(time.Second)
	use, why := rules.Judge(l.settings, &l.q, r, l.now)
	switch use {
	case rules.Fresh:
		return filter.Verdict{Action: filter.Answers, Note: fmt.Sprintf("from the cache: status %d, stored %s ago, fresh for %s", r.Status, r.Age(l.now).Round(time.Second), left)}
	case rules.Stale:
		return filter.Verdict{Action: filter.Answers, Note: fmt.Sprintf("from the cache: stale for %s, which the client takes", -left)}
	case rules.StaleWhileRevalidate:
		return filter.Verdict{Action: filter.Answers, Note: fmt.Sprintf("from the cache: stale for %s, and asked for anew meanwhile", -left)}
	}
	if why == rules.WhyRequest {
		return missing("what is stored is not used as it is, since the client asks for what is fresher: the service is asked whether it holds")
	}
	return missing("what is stored has been stale for %s: the service is asked whether it holds", -left)
}

// reasons are why a request is not for the cache.
func reasons(why string) string {
	switch why {
	case "method":
		return "its method is not one whose answers are stored"
	case "body":
		return "it has a body"
	case "grpc":
		return "it is gRPC"
	case "upgrade":
		return "it asks for another protocol"
	case "url":
		return "its query is not well formed"
	case "bypass":
		return "`bypass` holds"
	}
	return why
}
