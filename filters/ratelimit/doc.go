// Package ratelimit is the policy `rate_limit`: so many requests in so much time, by caller, address or whatever else.
//
// # Syntax
//
// The short form is a rate, and what it is counted by; or a list of such, all of which hold:
//
//	rate_limit: 100/min
//
//	rate_limit: 100/min per jwt.sub
//
//	rate_limit: 10/s burst 20 per address, path.id
//
//	rate_limit: [10/s, 1000/h per address]
//
// The long form:
//
//	rate_limit:
//	  limits:
//	    - {rate: 10/s burst 20, name: orders}
//	    - {rate: 1000000/d, cost_response: response.header.x-tokens, algorithm: sliding_window}
//	  per: [identity.tags.tenant]
//	  absent: refuse
//	  cost: 'request.method == "GET" ? 1 : 5'
//	  overrides:
//	    - {consumers: [monitoring], limits: off}
//	    - {tags: {plan: gold}, limits: 100/s}
//	  dry_run: true
//	  headers: both
//	  max_keys: 100000
//
// # Stage
//
// limit, after authentication and authorization; limits by address run at the end of the stage guard, before it is known who calls, and also
// for requests that no route matches, where they stand at the root. A request over a limit gets 429 rate_limited with Retry-After.
//
// Limits with the same key and cost are counted all or none. When a limit with another key refuses, the ones before it in the same stage get
// back what they counted. What is refused later, as by authentication, stays counted.
//
// # Explain
//
// What is left, and of which limit, or which limit refuses. Nothing is counted.
//
// # Metrics
//
// cardea_rate_limit_requests_total{route,limit,outcome} counts the requests that limits were asked about: allowed, refused, would_refuse (in a
// dry run). cardea_rate_limit_keys{limit} is how many keys are remembered, cardea_rate_limit_evicted_keys_total{limit} how many were forgotten
// for want of room. cardea_rate_limit_unusable_costs_total{route} counts costs that were no numbers, cardea_rate_limit_store_refusals_total{route}
// requests for which limits could not be checked.
package ratelimit
