package rules

import "time"

// Settings are what the operator has to say. The zero value is a shared cache that follows responses alone.
type Settings struct {
	// TTL is the lifetime of responses that say nothing of their own. nil: there is none.
	TTL func(status int) (d time.Duration, ok bool)

	// Override has TTL count also where the response says something. It is never stronger than no-store and private.
	Override bool

	// MaxTTL is the longest lifetime. 0: any.
	MaxTTL time.Duration

	// Heuristic is the share of the time since Last-Modified for which a response is fresh that says nothing (RFC 9111, section 4.2.2), up to MaxHeuristic. 0: none.
	Heuristic float64

	// Grace and WhileRevalidate are for how long stale responses may be used when the upstream fails, and while they are validated, where the response does not say.
	// Responses that must be validated never are.
	Grace, WhileRevalidate time.Duration

	// Private says that the cache is of one caller alone: neither private nor Authorization is an obstacle.
	Private bool

	// IgnoreRequest has Cache-Control and Pragma of requests not count.
	IgnoreRequest bool

	// StripCookies stores responses without their Set-Cookie. Otherwise those that have one are not stored.
	StripCookies bool

	// Targets are the targeted fields that are heeded, the first first (RFC 9213). nil: CDN-Cache-Control. They are canonical.
	Targets []string

	// Methods are those besides GET whose responses may be stored, since their keys tell their bodies apart.
	Methods []string
}

// Why is why something is not done, in a word: of RFC 9211 where it has one.
type Why string

// The reasons why a response is not stored.
const (
	WhyMethod         Why = "method"           // the method's responses are not stored
	WhyRequestNoStore Why = "request-no-store" // the client asks for it
	WhyStatus         Why = "status"           // a status that is not stored, or not without a lifetime
	WhyPartial        Why = "partial"          // a part of a response
	WhyNoStore        Why = "no-store"
	WhyMustUnderstand Why = "must-understand" // and the status is not
	WhyPrivate        Why = "private"
	WhyAuthorization  Why = "authorization" // the request was authorized, and the response does not allow to share it
	WhySetCookie      Why = "set-cookie"
	WhyVary           Why = "vary"       // Vary: *
	WhyNoLifetime     Why = "no-ttl"     // it would be stale at once, with nothing to validate it by
	WhyUnvalidated    Why = "no-cache"   // it would be validated before each use, with nothing to validate it by
	WhyHeader         Why = "bad-header" // its head contradicts itself
)

// The reasons why a stored response is not used as it is (RFC 9211, section 2.2).
const (
	WhyStale   Why = "stale"
	WhyRequest Why = "request" // the client asks for it to be validated
	WhyNoMatch Why = "vary-miss"
)
