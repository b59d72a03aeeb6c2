// Package overload is the policy `overload`: the gateway protects itself. When it has too much to do, it refuses some requests, the least
// important first, so that it can serve the others.
//
// # Syntax
//
// It is on by default. The settings stand at the root, for they are about the whole gateway:
//
//	overload:
//	  memory: 90%          # of GOMEMLIMIT, of the container or of the machine, whichever is least
//	  delay: 200ms         # that work waits for a processor
//
// More of it can be looked at:
//
//	overload: {memory: 80%, memory_limit: 2GiB, goroutines: 200000, requests: 20000}
//
// A route whose requests are never shed, such as one for health checks, says so:
//
//	overload: off
//
// # Stage
//
// It runs at the end of the stage guard, once it is known how important a request is, as far as that can be known before it is known who
// calls. Requests whose class is decided later count as normal.
//
// A request that is shed gets 503 overloaded with a Retry-After of 1 to 5 seconds, at random, so that clients do not come back all at once.
// Its connection stays open: to make a new one would cost the gateway more.
//
// # Explain
//
// Which share of the requests of its class is shed at the moment, and why.
//
// # Metrics
//
// cardea_overload_pressure, cardea_overload_load{measure}, cardea_overload_shed_total{reason, class}.
package overload
