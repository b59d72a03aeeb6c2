package rules

import (
	"time"

	"cardea.dev/cardea/internal/stored"
)

// Use is what may be done with a stored response that matches a request.
type Use int

// The uses.
const (
	Gone                 Use = iota // nothing: it is as if it were not there
	Validate                        // it must be validated first, or another fetched in its place
	StaleWhileRevalidate            // it may be used, and is to be validated meanwhile
	Stale                           // it may be used, though stale, since the client says so
	Fresh                           // it may be used
)

// String returns the use's name.
func (u Use) String() string {
	return [...]string{"gone", "validate", "stale-while-revalidate", "stale", "fresh"}[u]
}

// Judge says what may be done with a stored response for a request that it matches (RFC 9111, sections 4 and 5.2.1). The reason is that of the request's being forwarded.
func Judge(s *Settings, q *Request, r *stored.Response, now time.Time) (Use, Why) {
	return judge(s, q, r, now, r.Left(now))
}

// JudgePurged is Judge for a response that is purged softly: it is stale.
func JudgePurged(s *Settings, q *Request, r *stored.Response, now time.Time) (Use, Why) {
	return judge(s, q, r, now, min(r.Left(now), 0))
}

func judge(s *Settings, q *Request, r *stored.Response, now time.Time, left time.Duration) (Use, Why) {
	if r.Terms.Flags.Has(stored.Unkeyed) {
		return validation(r, left), WhyNoMatch
	}
	c := &q.Control
	heed := !s.IgnoreRequest && (c.Directives != 0 || q.Pragma)
	if heed && (c.Has(NoCache) || q.Pragma) {
		return validation(r, left), WhyRequest
	}
	if r.Terms.Flags.Has(stored.NoCache) {
		return validation(r, left), WhyStale
	}
	if heed && tooOld(c, r, now, left) {
		return validation(r, left), WhyRequest
	}
	switch {
	case left > 0:
		return Fresh, ""
	case r.Terms.Flags.Has(stored.MustRevalidate):
	case heed && c.Has(MaxStale) && -left <= c.MaxStale:
		return Stale, ""
	case heed && c.Has(MaxStale|MinFresh|MaxAge):
		// The client has said how stale it takes a response: not so.
	case -left < r.Terms.WhileRevalidate:
		return StaleWhileRevalidate, WhyStale
	}
	return validation(r, left), WhyStale
}

// tooOld says whether the client wants a response that is younger, or fresh for longer. What is immutable need not be validated for a client that reloads (RFC 8246, section 2).
func tooOld(c *Control, r *stored.Response, now time.Time, left time.Duration) bool {
	if c.Has(MinFresh) && left < c.MinFresh {
		return true
	}
	if !c.Has(MaxAge) || r.Terms.Flags.Has(stored.Immutable) && left > 0 {
		return false
	}
	return c.MaxAge == 0 || r.Age(now) > c.MaxAge
}

// validation is Validate, or Gone where a response can neither be validated nor help when the upstream fails.
func validation(r *stored.Response, left time.Duration) Use {
	if Validatable(r) || left > 0 || -left < r.Terms.IfError {
		return Validate
	}
	return Gone
}

// Validatable says whether a response has something to validate it by.
func Validatable(r *stored.Response) bool {
	return r.Status == 200 && (r.Header.Get("Etag") != "" || r.Header.Get("Last-Modified") != "")
}

// MayServeOnError says whether a response may be used since the upstream fails (RFC 5861, section 4; RFC 9111, section 4.2.4).
func MayServeOnError(s *Settings, q *Request, r *stored.Response, now time.Time) bool {
	if r.Terms.Flags&(stored.NoCache|stored.MustRevalidate|stored.Unkeyed) != 0 {
		return false
	}
	left, allowed := r.Left(now), r.Terms.IfError
	if !s.IgnoreRequest {
		if q.Pragma || q.Control.Has(NoCache) {
			return false
		}
		if q.Control.Has(IfError) {
			allowed = max(allowed, q.Control.IfError)
		}
	}
	return left > 0 || -left < allowed
}
