// Package timeout is the policy `timeout`: how long an exchange may take.
//
// # What it does
//
// `request` bounds the whole exchange, from the head of the request to the last byte of the answer: all policies, all tries at
// upstreams, and both bodies. When it passes before the answer has begun, the client gets 504 upstream_timeout; after that the
// answer is cut off, so that no client takes a part for the whole.
//
// `idle` bounds silence: how long the upstream may send nothing, before the head of its answer or in the middle of its body,
// while no byte of the request's body comes in either. Time in which the client is slow to take the answer does not count.
//
// # Syntax
//
// Short, the whole exchange:
//
//	timeout: 5s
//
// Long:
//
//	timeout: {request: 30s, idle: 10s}
//
// Answers that never end by themselves (server-sent events, long polls, gRPC streams) want no bound of the whole:
//
//	timeout: off
//	timeout: {request: off, idle: 1m}
//
// Upgrades (WebSocket) are bound until the upgrade is agreed on (101); what follows may take as long as it likes.
//
// # Stage
//
// guard: the time counts from the head of the request, whatever ran before.
//
// # Explain
//
// How long the exchange may take.
//
// # Metrics
//
// None of its own. Answers are in cardea_errors_total{code="upstream_timeout"}.
package timeout
