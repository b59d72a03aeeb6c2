// Package coalesce is the policy `coalesce`: requests that ask for the same at the same time become one request to the service, whose answer all
// of them get while it comes in. It stores nothing: an answer is never older than the request that gets it.
//
// # Syntax
//
//	coalesce: {}
//	coalesce: off
//
//	coalesce:
//	  fields: [x-tenant]                     # of these alone, and a few that always count, requests may not differ
//	  vary: [address, 'query.lang']          # what else they may not differ in
//	  across_callers: true                   # for what is the same for everybody
//	  wait: 5s                               # for somebody else's answer to begin
//	  buffer: 256KiB                         # kept of an answer for readers that fall behind
//	  patience: 2s                           # for how long one of them may hold up the others
//
// # Stage
//
// cache, before `compress`: who calls is known and has been let in, and an answer is encoded once for all. Policies of later stages run once for
// all, with the request of the first.
//
// Requests are the same when method (GET or HEAD, without a body), scheme, host, path, query, caller, and all fields are the same, but for fields
// that say nothing of what is wanted: User-Agent, Referer, tracing, forwarding, Sec-Fetch and client hints. So nobody gets what was made for
// somebody else: other credentials, whatever field they stand in, are another request.
//
// An answer is not for others when it is 101, 206 or text/event-stream, or has Set-Cookie, WWW-Authenticate, Cache-Control with private or
// no-store, Vary with * or with a field that differs. Who has waited for such an answer makes a request of its own, and requests of that kind do
// not wait for each other for the next 10s. Neither is an answer with a status from 500 on, or an error of the gateway: those who have waited for
// it ask once more, together, and take what comes then.
//
// The request belongs to nobody: it goes on when the client leaves that came first, and ends when all have left. An answer that breaks off
// breaks off for all. A reader that falls behind by the whole buffer holds up the rest for a while, and is cut then. Informational answers (103)
// are not passed on. An error of the gateway itself does not come back through the policies of later stages. Each waits for as
// long as its own time allows; when that passes, a fallback answers it by itself.
//
// Whose request was sent has the attempts in its access log; the others have the upstream alone.
//
// # Explain
//
// Whether the request may be joined with others, and how many wait for the same now.
//
// # Metrics
//
//	cardea_coalesce_requests_total{route,outcome}  leader (it made the request), shared (it got another's answer), alone (not of a kind that is
//	                                               joined), apart (the answer was not for others), late (the answer did not begin in time)
//	cardea_coalesce_cut_total{route}               readers that were cut
package coalesce
