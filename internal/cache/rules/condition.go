package rules

import (
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// etag is a response's entity tag, or "" where there is none, or several.
func etag(h http.Header) string {
	if lines := h["Etag"]; len(lines) == 1 {
		return trim(lines[0])
	}
	return ""
}

// strongTag says whether an entity tag is a strong one (RFC 9110, section 8.8.3).
func strongTag(tag string) bool { return len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' }

// opaque is a tag without what says that it is weak.
func opaque(tag string) string { return strings.TrimPrefix(tag, "W/") }

// nextTag takes an entity tag from the beginning of a list. One without quotes goes to the next comma.
func nextTag(s string) (tag, rest string) {
	s = strings.TrimLeft(s, " \t,")
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	end := 0
	if start < len(s) && s[start] == '"' {
		if close := strings.IndexByte(s[start+1:], '"'); close >= 0 {
			end = start + 1 + close + 1
		}
	}
	comma := strings.IndexByte(s[end:], ',')
	if comma < 0 {
		return trim(s), ""
	}
	return trim(s[:end+comma]), s[end+comma+1:]
}

// current says whether what the client has is current, so that it gets a 304 (RFC 9111, section 4.3.2; RFC 9110, section 13.2.2). If-Match and If-Unmodified-Since are not for caches.
func current(q *Request, r *stored.Response, now time.Time) bool {
	if len(q.NoneMatch) > 0 {
		return noneMatch(q.NoneMatch, trim(r.Header.Get("Etag")))
	}
	if len(q.ModifiedSince) != 1 {
		return false
	}
	since, ok := ParseDate(trim(q.ModifiedSince[0]), now)
	return ok && !modified(r).After(since)
}

// noneMatch says whether one of the tags is that of the response, by weak comparison, or is "*".
func noneMatch(lines []string, tag string) bool {
	for _, line := range lines {
		if trim(line) == "*" {
			return true
		}
		for rest := line; tag != "" && rest != ""; {
			var one string
			if one, rest = nextTag(rest); one != "" && opaque(one) == opaque(tag) {
				return true
			}
		}
	}
	return false
}

// modified is when a response was last modified, as far as is known.
func modified(r *stored.Response) time.Time {
	for _, name := range [...]string{"Last-Modified", "Date"} {
		if t, ok := ParseDate(trim(r.Header.Get(name)), r.Received); ok {
			return t
		}
	}
	return r.Received
}

// sameRange says whether If-Range allows to answer with a part (RFC 9110, section 13.1.5): there is none, or it has the strong validator of the response.
func sameRange(q *Request, r *stored.Response, now time.Time) bool {
	switch len(q.IfRange) {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	want := trim(q.IfRange[0])
	if strings.HasPrefix(want, `"`) {
		return strongTag(want) && want == trim(r.Header.Get("Etag"))
	}
	at, ok := ParseDate(want, now)
	last, lastOK := ParseDate(trim(r.Header.Get("Last-Modified")), r.Received)
	date, dateOK := ParseDate(trim(r.Header.Get("Date")), r.Received)
	// A date is strong only if the response was made a second later at least (RFC 9110, section 8.8.2.2).
	return ok && lastOK && dateOK && at.Equal(last) && date.Sub(last) >= time.Second
}
