// Package cache is the policy `cache`: answers of services are stored, and given to those who ask for the same, for as long as they are fresh. It is a
// shared HTTP cache (RFC 9111), with what services say about their answers, and with what the operator says about those that say nothing.
//
// # Syntax
//
//	cache: {}                                # what answers themselves say
//	cache: 5m                                # answers that say nothing are fresh for 5 minutes
//	cache: off
//
//	cache:
//	  use: pages                             # one of `caches`
//	  ttl: {200: 5m, 404: 30s, 5xx: 1s}      # for answers that say nothing
//	  override: true                         # and for those that do
//	  max_ttl: 1d
//	  heuristic: 10%                         # of the time since Last-Modified
//	  grace: 1h                              # the last good answer while the service fails
//	  stale_while_revalidate: 30s
//	  refresh_early: 10%                     # of the lifetime is left when it is asked for anew in the background
//	  key: {query: {ignore: [utm_*]}, headers: [x-tenant], cookies: [theme], add: [jwt.tenant]}
//	  per: identity                          # each caller's own
//	  methods: [POST]                        # queries with a body
//	  bypass: 'header["x-debug"] == "1"'
//	  store_when: 'response.header["x-cache"] != "no"'
//	  requests: ignore                       # Cache-Control of clients
//	  cookies: strip
//	  max_object: 8MiB
//	  targets: [My-Cache-Control, CDN-Cache-Control]
//	  status_header: edge-1
//	  wait: 5s                               # for an answer that somebody else has asked for
//
// # Stage
//
// cache, after `compress`: who calls is known and has been let in, and what is stored is encoded for each client. Policies of later stages run for
// requests that reach the service alone, in nobody's name: what they do to the answer is stored with it.
//
// One request fetches for all who ask for the same: they get the answer while it comes in, and it is stored meanwhile; at other gateways that share the
// cache they get it once it is stored. It goes on when the client leaves that came first. What turns out not to be stored is given to the one that began it; the others ask for themselves, and for the next 10s all
// who ask for it do. What is cut short is never stored. Conditions and ranges of clients are answered from what comes; a part that begins more than 1MiB
// ahead of what has come is asked for by itself.
//
// Answers to HEAD are given from what GET has stored, else passed on. Requests with a body (but by `methods`), and for other protocols, are passed on.
// Successful requests by other methods make what is stored for their URL invalid, on all routes that share the cache.
//
// # Explain
//
// Whether the answer would come from memory, for how long it is fresh, and otherwise why not. What is on a disk or in a store is not looked at.
//
// # Metrics
//
//	cardea_cache_requests_total{route,outcome}  hit, stale, revalidated, miss, shared (with one that had asked before), bypass
//	cardea_cache_bytes_total{route,from}        bytes of bodies, from the cache or the upstream
//	cardea_cache_fetches_total{route,kind}      requests made in nobody's name: miss, refresh
//	cardea_cache_waits_total{route,outcome}     those that waited in vain: late, cut
//
// What the caches themselves hold is told by cache: cardea_cache_objects, _stored_bytes, _limit_bytes and _evictions_total, by where it is, and
// cardea_cache_store_up.
package cache
