// Package bandwidth is the policy `bandwidth`: how many bytes of answers and of requests' bodies pass in a second, for each request or for all
// that a caller has under way together.
//
// # Syntax
//
// The short form is the bandwidth of answers. Each answer has it for itself, or, with per, all of one caller's share it:
//
//	bandwidth: 1MiB/s
//	bandwidth: 1MiB/s burst 256KiB
//	bandwidth: 1MiB/s per address
//
// The long form says it for each direction:
//
//	bandwidth:
//	  response: 1MiB/s burst 64KiB
//	  request: 256KiB/s
//	  per: [identity.consumer]
//	  absent: address
//
// # Stage
//
// limit: who calls is known. What is counted are the bytes of bodies as the client gets them, after `compress`; heads are not counted. Nothing
// is ever refused, and nothing is stored: a body that is held back is not read on, so that the service is slowed down too.
//
// The transfers of one key take turns, a piece of at most 50ms each, so that one with many requests gets no more than one with one. A burst may
// pass at once after a pause; without one said it is what passes in 50ms, so events and small answers are not delayed. Upgraded connections
// (WebSocket) are held to the same: what the service sends to `response`, what the client sends to `request`.
//
// What was used outlives a reload. A key is forgotten when it has nothing under way and has its whole burst again. Each gateway counts for
// itself.
//
// # Explain
//
// The bandwidths that hold, for whom, and how many transfers of that key are under way.
//
// # Metrics
//
//	cardea_bandwidth_bytes_total{route,direction}         bytes that passed: direction is response or request
//	cardea_bandwidth_wait_seconds_total{route,direction}  time that they were held back for
package bandwidth
