// Package guard is the policy `guard`: addresses whose requests keep failing to authenticate are turned away for a while, so that keys
// and passwords cannot be found by trying.
//
// # Syntax
//
// The short form says how many failures an address may have:
//
//	guard: 10/min
//
// The long form says for how long it is turned away then, and whether the services' own refusals count, as those of a login page do:
//
//	guard:
//	  failures: 20/10min
//	  block: 1h
//	  upstream: true
//	  except: [10.0.0.0/8]
//
// # Stage
//
// guard: an address that is turned away gets 429 too_many_failures with Retry-After before anybody looks at its credentials.
//
// What counts are credentials that the gateway refused with 401. A request without credentials does not count: browsers ask once
// without. IPv6 addresses count by their /64. All routes with the same settings count together. So that memory is bounded, at most
// 65,536 addresses are remembered; the ones that failed longest ago make way.
//
// # Explain
//
// How many failures the address has left, or until when it is turned away.
//
// # Metrics
//
// cardea_guard_blocks_total{route} counts how often an address was turned away anew, cardea_guard_refusals_total{route} the requests
// that were.
package guard
