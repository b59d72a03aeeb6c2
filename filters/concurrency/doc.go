// Package concurrency is the policy `concurrency`: how many requests of a caller may be under way at once. Those beyond are refused, or wait in
// line for a while where there is one.
//
// # Syntax
//
// The short form says how many, and of what: by default of each caller, which is the identity where the route authenticates callers, and else
// the address:
//
//	concurrency: 10
//
//	concurrency: 10 per address
//
//	concurrency: 100 per route
//
// The long form lets requests wait in line, and some callers have more:
//
//	concurrency:
//	  limit: 10
//	  per: [identity]
//	  queue: 20
//	  wait: 2s
//	  overrides:
//	    - {consumers: [batch], limit: 50}
//	    - {groups: [partners], limit: 30}
//	    - {tags: {plan: gold}, limit: 20}
//
// To see what a limit would refuse before it does:
//
//	concurrency: {limit: 10, per: [address], dry_run: true}
//
// A request counts from when the policy lets it in until its last byte has been sent or it was cut: streams count as long as they last, and so
// do upgraded connections such as WebSockets, unless `upgraded: release`.
//
// # Stage
//
// limit, after it is known who calls; where what is counted by is the address, and no caller has more, it is the end of guard, before anybody
// looks at credentials.
//
// Requests wait in the order of their priority, and of those that are equally important the first comes first. When the line is full, a request
// that is more important takes the place of the last. Requests leave the line when their client does, and when their time is over.
//
// Each gateway counts by itself. Routes that inherit the policy count together. A reload, also one that changes the limit, forgets nothing. A
// caller takes memory only while a request of theirs is under way or waits.
//
// # Explain
//
// How many requests of the caller are under way, how many wait, and what would become of one more.
//
// # Metrics
//
// cardea_concurrency_refusals_total{route,reason} counts the requests that were refused, and with reason "dry_run" those that would have been.
// cardea_concurrency_wait_seconds{route} is how long those waited that had to, cardea_concurrency_waiting{route} how many wait right now.
package concurrency
