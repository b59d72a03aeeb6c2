package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// Storable says whether a response may be stored (RFC 9111, section 3), on which terms, and otherwise why not. The request is the client's; authorized says that it had
// credentials, its Authorization field or what the gateway took for one. The times are when it was asked for and when its head came.
func Storable(s *Settings, r *http.Request, q *Request, authorized bool, resp *http.Response, requested, received time.Time) (stored.Terms, Why) {
	h := resp.Header
	if why := unstorable(s, r, q, resp); why != "" {
		return stored.Terms{}, why
	}
	c, targeted := responseControl(s, h)
	if why := forbidden(s, &c, authorized, resp.StatusCode); why != "" {
		return stored.Terms{}, why
	}
	if why := cookies(s, &c, h); why != "" {
		return stored.Terms{}, why
	}
	t := terms(s, &c, targeted, r.Method, resp, requested, received)
	if _, all := VaryNames(h); all {
		t.Flags |= stored.Unkeyed
	}
	if ParseNoVarySearch(h["No-Vary-Search"]) != nil {
		t.Flags |= stored.NoVarySearch
	}
	return t, worthless(&t, &c, resp, r.Method)
}

// unstorable is about what no directive can change.
func unstorable(s *Settings, r *http.Request, q *Request, resp *http.Response) Why {
	if r.Method != http.MethodGet && !slices.Contains(s.Methods, r.Method) {
		return WhyMethod
	}
	if q.Control.Has(NoStore) && !s.IgnoreRequest {
		return WhyRequestNoStore
	}
	switch status := resp.StatusCode; {
	case status == http.StatusPartialContent || len(resp.Header["Content-Range"]) > 0:
		return WhyPartial
	case status < 200 || status > 599 || ofRequest(status):
		return WhyStatus
	}
	return ""
}

// ofRequest says whether a status is about what keys do not have: conditions, ranges, expectations, sizes, rates and the connection. Stored, one client's would be all others'.
// 428, 429, 431 and 511 must not be (RFC 6585).
func ofRequest(status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusRequestedRangeNotSatisfiable, http.StatusExpectationFailed, http.StatusMisdirectedRequest,
		http.StatusTooEarly, http.StatusUpgradeRequired, http.StatusPreconditionRequired, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusNetworkAuthenticationRequired:
		return true
	}
	return false
}

// forbidden is about directives that forbid to store, and those that allow it again.
func forbidden(s *Settings, c *Control, authorized bool, status int) Why {
	if c.Has(MustUnderstand) {
		if !understood(status) {
			return WhyMustUnderstand
		}
	} else if c.Has(NoStore) {
		return WhyNoStore
	}
	if c.Has(Private) && !s.Private {
		return WhyPrivate
	}
	// RFC 9111, section 3.5.
	if authorized && !s.Private && !c.Has(MustRevalidate|Public|SMaxAge) {
		return WhyAuthorization
	}
	return ""
}

// understood says whether what a status means for caches is known here, and done (RFC 9111, section 5.2.2.3): all of RFC 9110, and 308.
func understood(status int) bool {
	switch {
	case status == http.StatusPartialContent, status == http.StatusNotModified, ofRequest(status):
		return false
	case status >= 200 && status <= 206, status >= 300 && status <= 303, status == 307, status == 308:
		return true
	case status >= 400 && status <= 417, status == 421, status == 422, status == 426:
		return status != http.StatusTeapot
	}
	return status >= 500 && status <= 505
}

// heuristic says whether a status allows to store what says nothing about it (RFC 9110, section 15.1).
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// cookies keeps what sets cookies from being given to others, unless the response says that it is stored without them.
func cookies(s *Settings, c *Control, h http.Header) Why {
	if s.StripCookies || len(h["Set-Cookie"]) == 0 && len(h["Set-Cookie2"]) == 0 {
		return ""
	}
	if slices.Contains(c.NoCacheFields, "Set-Cookie") || slices.Contains(c.PrivateFields, "Set-Cookie") {
		return ""
	}
	return WhySetCookie
}

// worthless says why it is of no use to store a response: nobody could be answered with it, and nothing could validate it.
func worthless(t *stored.Terms, c *Control, resp *http.Response, method string) Why {
	validated := validator(resp.Header) && (method == http.MethodGet || method == http.MethodHead) && resp.StatusCode == http.StatusOK
	switch {
	case t.Flags.Has(stored.Unkeyed):
		if !validated || !strongTag(etag(resp.Header)) {
			return WhyVary
		}
	case validated:
	case t.Flags.Has(stored.NoCache):
		return WhyUnvalidated
	case t.Lifetime+max(t.WhileRevalidate, t.IfError) <= t.InitialAge:
		if !c.Has(MaxAge|SMaxAge) && t.Lifetime == 0 && !heuristic(resp.StatusCode) {
			return WhyStatus
		}
		return WhyNoLifetime
	}
	return ""
}

func validator(h http.Header) bool {
	return etag(h) != "" || len(h["Last-Modified"]) == 1 && strings.TrimSpace(h["Last-Modified"][0]) != ""
}
