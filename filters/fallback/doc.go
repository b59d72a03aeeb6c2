// Package fallback answers in the place of a service that fails: with something fixed, a file, another upstream's answer, or the last good answer.
//
// It is not the way to another endpoint of the same service, which are the upstream's retries, nor a cache: nothing that it keeps is used while the service
// answers. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	fallback: last_good                      # the last good answer to the same request, up to 1h old
//	fallback: static-upstream                # short form: another upstream
//	fallback: {json: {items: []}}            # a fixed answer, as of `respond`
//	fallback: {file: sorry.html, status: 503}
//
//	fallback: [last_good, static-upstream, {json: {items: []}}]   # tried in order
//
//	fallback:
//	  on: [5xx, timeout, upstream_connect_failed]
//	  after: 2s                              # the service has so long until its answer begins
//	  try:
//	    - last_good: {max_age: 10m, cache: default, max_object: 1MiB}
//	    - to: {upstream: static-upstream, path: "/v1{path}", methods: [POST], max_body: 64KiB, timeout: 500ms}
//	    - template: "We are back soon, {request_id}."
//	      status: 503
//	      headers: {retry-after: "30"}
//
//	fallback: {last_good: {max_age: 1d, shared: true, force: true}}
//	fallback: {to: {upstream: static-upstream, cacheable: true}, header: off}
//
// # Stage
//
// cache, before the policy cache and after compress: stale answers of a cache go before (its grace), and what stands in is encoded for the client, but not
// stored. It acts when the answer's head is there: retries and breakers, which are the upstream's, have done what they can. When the answer breaks off in
// the middle, the client has a part of it already, and nothing can stand in for it.
//
// Nothing is done for upgrades (WebSocket), for gRPC, for a client that has left, and when the answer is that of a policy of an earlier stage (limits,
// authentication).
//
// # Explain
//
// On what, and what the answers are, with the age of the last good one.
//
// # Metrics
//
//	cardea_fallbacks_total{route,kind,reason}   answers that failed: what stood in (json, body, template, file, status, to, last_good; none: nothing could),
//	                                            and the code of the error or the status of the answer that failed
package fallback
