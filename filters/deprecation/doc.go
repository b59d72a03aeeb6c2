// Package deprecation is the policy `deprecation`: it tells clients that a route, or a version of an API, is on its way out.
//
// # What it does
//
// It adds to every answer
//
//	Deprecation: @1767225600                                        since when (RFC 9745)
//	Sunset: Thu, 31 Dec 2026 00:00:00 GMT                            until when (RFC 8594)
//	Link: <https://example.com/docs/v1>; rel="deprecation"           what to know
//	Link: <https://example.com/sunset>; rel="sunset"                 what happens then
//	Link: <https://api.example.com/v2>; rel="successor-version"      what to use instead (RFC 5829)
//
// as far as they are configured. Deprecation and Sunset replace those of the upstream; links are added to its own. A date in the
// future is an announcement. With `gone` requests are refused from the sunset on, with 410 and the same fields.
//
// # Syntax
//
// Short, since when:
//
//	deprecation: 2026-01-01
//
// Long:
//
//	deprecation:
//	  since: 2026-01-01
//	  sunset: 2026-12-31T12:00:00Z
//	  link: https://example.com/docs/v1
//	  policy: https://example.com/sunset
//	  successor: https://api.example.com/v2
//	  gone: true
//
// A day without a time is its first moment, in UTC.
//
// # Stage
//
// guard: the fields are on the answers of later policies too, such as a 401. A request that is refused gets 410 gone.
//
// # Explain
//
// Since when and until when, and whether the request is refused for it.
//
// # Metrics
//
// cardea_deprecated_requests_total{route}: requests from `since` on, those that are refused included. It says who still has
// to move.
package deprecation
