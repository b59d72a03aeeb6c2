package rules

import (
	"math"
	"net/http"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// terms finds a response's lifetime, its age and what may be done after its lifetime.
func terms(s *Settings, c *Control, targeted bool, method string, resp *http.Response, requested, received time.Time) stored.Terms {
	date := dateOf(resp.Header, received)
	t := stored.Terms{InitialAge: initialAge(resp.Header, date, requested, received)}
	t.Flags = flags(c)
	lifetime, says := explicit(c, targeted, resp.Header, date, received)
	says = says || c.Has(NoCache)
	ttl, ok := time.Duration(0), false
	if s.TTL != nil && (!says || s.Override) {
		ttl, ok = s.TTL(resp.StatusCode)
	}
	switch {
	case ok:
		lifetime = max(ttl, 0)
		t.Flags &^= stored.NoCache
		if resp.StatusCode >= 400 {
			t.Flags |= stored.Negative
		}
	case !says && method == http.MethodGet:
		lifetime = guess(s, c, resp, date, received)
		t.Flags |= stored.Heuristic
	}
	if s.MaxTTL > 0 {
		lifetime = min(lifetime, s.MaxTTL)
	}
	if ok {
		// What the operator gives counts from now on, whatever the age of the response: its lifetime is not the response's own.
		lifetime += t.InitialAge
	}
	t.Lifetime = min(lifetime, 2*MaxDelta)
	t.WhileRevalidate, t.IfError = afterwards(s, c, t.Flags, t.Lifetime > 0)
	return t
}

func flags(c *Control) stored.Flags {
	var f stored.Flags
	if c.Has(MustRevalidate | ProxyRevalidate | SMaxAge) {
		f |= stored.MustRevalidate
	}
	if c.Has(NoCache) {
		f |= stored.NoCache
	}
	if c.Has(Immutable) {
		f |= stored.Immutable
	}
	return f
}

// explicit is the lifetime that a response states (RFC 9111, section 4.2.1). Expires does not count beside a targeted field (RFC 9213, section 2.2).
func explicit(c *Control, targeted bool, h http.Header, date, received time.Time) (time.Duration, bool) {
	switch {
	case c.Has(SMaxAge):
		return c.SMaxAge, true
	case c.Has(MaxAge):
		return c.MaxAge, true
	case targeted:
		return 0, false
	}
	lines := h["Expires"]
	if len(lines) == 0 {
		return 0, false
	}
	least := MaxDelta
	for _, line := range lines {
		at, ok := ParseDate(trim(line), received)
		if !ok {
			return 0, true
		}
		least = min(least, max(at.Sub(date), 0))
	}
	return least, true
}

// MaxHeuristic is the longest lifetime that is guessed: what was last modified in 1970 has no date that says anything.
const MaxHeuristic = 7 * 24 * time.Hour

// guess is the heuristic lifetime (RFC 9111, section 4.2.2).
func guess(s *Settings, c *Control, resp *http.Response, date, received time.Time) time.Duration {
	if s.Heuristic <= 0 || !heuristic(resp.StatusCode) && !c.Has(Public) {
		return 0
	}
	lines := resp.Header["Last-Modified"]
	if len(lines) != 1 {
		return 0
	}
	modified, ok := ParseDate(trim(lines[0]), received)
	if !ok || !modified.Before(date) {
		return 0
	}
	return time.Duration(math.Min(float64(date.Sub(modified))*s.Heuristic, float64(MaxHeuristic)))
}

// afterwards is for how long a response may be used stale. What must be validated may not at all (RFC 9111, section 4.2.4). What the operator allows is for responses that
// were fresh: one that never was has nobody's word that it is for more than the request that it answered.
func afterwards(s *Settings, c *Control, f stored.Flags, fresh bool) (whileRevalidate, ifError time.Duration) {
	if f&(stored.MustRevalidate|stored.NoCache) != 0 {
		return 0, 0
	}
	if fresh {
		whileRevalidate, ifError = s.WhileRevalidate, s.Grace
	}
	if c.Has(WhileRevalidate) {
		whileRevalidate = c.WhileRevalidate
	}
	if c.Has(IfError) {
		ifError = c.IfError
	}
	return whileRevalidate, ifError
}

// dateOf is when a response was made. Of several dates the earliest counts; one that is missing or wrong is when it came (RFC 9110, section 6.6.1).
func dateOf(h http.Header, received time.Time) time.Time {
	date, found := received, false
	for _, line := range h["Date"] {
		if t, ok := ParseDate(trim(line), received); ok && (!found || t.Before(date)) {
			date, found = t, true
		}
	}
	return date
}

// initialAge is corrected_initial_age (RFC 9111, section 4.2.3).
func initialAge(h http.Header, date, requested, received time.Time) time.Duration {
	apparent := max(received.Sub(date), 0)
	delay := max(received.Sub(requested), 0)
	return min(max(apparent, ageOf(h)+delay), MaxDelta)
}

// ageOf reads Age: the first of several values counts, and what is no number does not (RFC 9111, section 5.1).
func ageOf(h http.Header) time.Duration {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	first := lines[0]
	end, _ := memberEnd(first)
	age, _ := delta(trim(first[:end]))
	return age
}
