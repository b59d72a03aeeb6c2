package rules

import (
	"net/http"
	"slices"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// AddValidators makes a request one that validates a stored response (RFC 9111, section 4.3.1). The conditions of the client must be gone (Unconditional).
// It is false where the response has nothing to validate it by.
func AddValidators(h http.Header, r *stored.Response) bool {
	if !Validatable(r) {
		return false
	}
	if tags := r.Header.Values("Etag"); len(tags) == 1 {
		h["If-None-Match"] = tags
	}
	if dates := r.Header.Values("Last-Modified"); len(dates) == 1 {
		h["If-Modified-Since"] = dates
	}
	return true
}

// Exchanged is what the upstream was asked, and answered.
type Exchanged struct {
	Request             *http.Request // the client's
	Asked               *Request      // what it says to caches
	Authorized          bool
	Response            *http.Response
	Requested, Received time.Time
}

// Update renews a stored response by the 304 that answers its validation (RFC 9111, section 4.3.4). It is nil where the 304 is not about it: it may not be
// used, and the whole is to be fetched. With a reason it may be used for this request, but not be stored any longer.
func Update(s *Settings, x *Exchanged, r *stored.Response) (*stored.Response, Why) {
	if !selects(x.Response.Header, r, x.Received) || !samePlace(x.Response.Header, r) {
		return nil, ""
	}
	return renew(s, x, r)
}

// Head renews a stored response by the answer to a HEAD (RFC 9111, section 4.3.5). It is nil where the answer is about another representation: the stored one is not current.
// With a reason the answer is not for others, and what is stored stays as it is.
func Head(s *Settings, x *Exchanged, r *stored.Response) (*stored.Response, Why) {
	h := x.Response.Header
	if x.Response.StatusCode != http.StatusOK || r.Status != http.StatusOK || !samePlace(h, r) {
		return nil, ""
	}
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		if lines := h[name]; len(lines) > 0 && !slices.Equal(lines, r.Header.Values(name)) {
			return nil, ""
		}
	}
	if r.Terms.Flags.Has(stored.Unkeyed) && len(h["Etag"]) == 0 {
		return r, WhyVary // which of those that no request selects it is about is not said
	}
	c, _ := responseControl(s, h)
	if why := cookies(s, &c, h); why != "" {
		return r, why // it is one client's
	}
	if length, ok := single(h, "Content-Length"); ok && r.Size >= 0 {
		if n, ok := position(length); !ok || n != r.Size {
			return nil, ""
		}
	}
	return renew(s, x, r)
}

func single(h http.Header, name string) (string, bool) {
	if lines := h[name]; len(lines) == 1 {
		return trim(lines[0]), true
	}
	return "", false
}

// selects says whether a 304 is about a stored response: it has its strong validator, or its weak one, or none at all, which is about what was asked for.
func selects(h http.Header, r *stored.Response, received time.Time) bool {
	if len(h["Etag"]) > 0 {
		tag, own := etag(h), trim(r.Header.Get("Etag"))
		if strongTag(tag) {
			return tag == own
		}
		return tag != "" && opaque(tag) == opaque(own)
	}
	if last, ok := single(h, "Last-Modified"); ok && !r.Terms.Flags.Has(stored.Unkeyed) {
		own := trim(r.Header.Get("Last-Modified"))
		at, ok := ParseDate(last, received)
		ownAt, ownOK := ParseDate(own, received)
		return last == own || ok && ownOK && at.Equal(ownAt)
	}
	// What no request may select is used only where it is named.
	return len(h["Last-Modified"]) == 0 && !r.Terms.Flags.Has(stored.Unkeyed)
}

// samePlace says whether a new head leaves a stored response where it is: found by the same fields and queries of requests.
func samePlace(h http.Header, r *stored.Response) bool {
	search := h["No-Vary-Search"]
	return sameVary(h, r) && (len(search) == 0 || slices.Equal(search, r.Header.Values("No-Vary-Search")))
}

func sameVary(h http.Header, r *stored.Response) bool {
	if len(h["Vary"]) == 0 {
		return true
	}
	names, all := VaryNames(h)
	if all != r.Terms.Flags.Has(stored.Unkeyed) {
		return false
	}
	old := http.Header{"Vary": r.Header.Values("Vary")}
	before, _ := VaryNames(old)
	return all || slices.Equal(names, before)
}

// renew makes the response that is stored from now on.
func renew(s *Settings, x *Exchanged, r *stored.Response) (*stored.Response, Why) {
	merged := r.Header.Header()
	delete(merged, "Warning")
	delete(merged, "Date")
	c, _ := responseControl(s, x.Response.Header)
	drop := unstored(s, &c, x.Response.Header)
	for name, values := range x.Response.Header {
		if replaced(name) && !slices.Contains(drop, name) {
			merged[name] = values
		}
	}
	whole := &http.Response{StatusCode: r.Status, Header: merged}
	t, why := Storable(s, &http.Request{Method: r.Method, Header: x.Request.Header}, x.Asked, x.Authorized, whole, x.Requested, x.Received)
	n := *r
	n.Header = stored.NewFields(Stored(s, merged, x.Received))
	n.Terms, n.Requested, n.Received = t, x.Requested, x.Received
	n.Tags = Tags(merged)
	if why != "" {
		n.Terms.InitialAge = initialAge(merged, dateOf(merged, x.Received), x.Requested, x.Received)
	}
	return &n, why
}

// replaced says whether a field of a 304 or of a HEAD's answer takes the place of the stored one (RFC 9111, section 3.2). Those that tell how the stored body is coded
// do not, nor do cookies, which are one client's.
func replaced(name string) bool {
	switch name {
	case "Age":
		return true
	case "Content-Encoding", "Set-Cookie", "Set-Cookie2", "Vary":
		return false
	}
	return !connection(name)
}
