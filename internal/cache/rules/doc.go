// Package rules are the decisions of a shared HTTP cache, as pure functions: what may be stored and for how long (RFC 9111, sections 3 and 4.2), what may
// be used for which request, how (sections 4, 5), what a validation changes (4.3), what becomes invalid (4.4), and what a client gets of a stored response (RFC 9110, sections 13 and
// 14). With it come stale-while-revalidate and stale-if-error (RFC 5861), immutable (RFC 8246), targeted fields (RFC 9213), Cache-Status (RFC 9211) and No-Vary-Search.
//
// It stores nothing, reads no clock and locks nothing: times are given. The table in docs/rfc9111.md goes through the requirements, and names the test of each.
// The cache and its policy import it.
package rules
