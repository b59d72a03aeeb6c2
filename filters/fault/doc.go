// Package fault is the policy `fault`: it makes some requests slow, or fail, on purpose, so that one can see what one's clients do then.
//
// # Syntax
//
// One fault, of a share of the requests, or of those that say so:
//
//	fault: {delay: 2s, share: 5%}
//	fault: {abort: 503, header: {x-fault: abort}}
//
// Several; the first that a request fits is the one:
//
//	fault:
//	  - {header: {x-fault: slow}, delay: 100ms..2s}
//	  - {header: {x-fault: cut}, abort: reset}
//	  - {when: 'path.startsWith("/files/")', share: 10%, bandwidth: 10KiB/s, truncate: 64KiB}
//	  - {share: 1%, abort: {status: 429, grpc_status: 8}}
//
// The long form bounds how many requests are held up at once:
//
//	fault:
//	  rules: [{delay: 30s, share: 1%}]
//	  max_delayed: 100
//
// # Stage
//
// dispatch, before the others of it: a fault stands where the service would fail, so all policies see what they would see then. Nothing of the
// upstream has a part in it: its retries and its breaker do not see the fault, and it does not see the request.
//
// A delay comes first and ends when the client leaves. An abort comes instead of the service's answer: a status from 400 to 599 with the code
// fault_injected, a grpc-status for callers of gRPC, or `reset`, which cuts the connection (in HTTP/2, resets the stream) without an answer.
// Bandwidth and truncate change the answer of the service, before `compress`; a body of at most the length of truncate is left whole. They do
// not hold for upgraded connections.
//
// Whatever was done to a request stands in its answer's field Cardea-Fault ("delay, abort"), in the access log as `fault`, and in the metric, so
// that nobody looks for a fault of the service.
//
// # Explain
//
// Which rule the request fits, what it does, and to what share. A rule without any condition is logged as a warning when it is loaded.
//
// # Metrics
//
//	cardea_fault_injected_total{route,fault}  what was done: delay, abort, reset, bandwidth, truncate; or skipped, for requests that were
//	                                          not delayed as too many were
package fault
